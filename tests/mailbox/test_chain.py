"""The chain of evidence: intact it verifies, and every way of bending it is found."""

import uuid

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from tests.mailbox.samples import MINIMAL_PDF, message, multipart
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db
from unternehmenskonto.mailbox import chain
from unternehmenskonto.mailbox.models import ChainLink, Message

W_IDNR = {"w_idnr": "DE900000006-00001"}


@pytest.fixture
def mailbox(client: FlaskClient, headers: dict[str, str], company: Company) -> uuid.UUID:
    """A mailbox with three messages."""
    for number in range(3):
        form = multipart(message(W_IDNR, subject=f"Nachricht {number}"), [("a.pdf", MINIMAL_PDF)])
        fresh = {**headers, "Idempotency-Key": str(number)}
        assert client.post("/api/v1/messages", headers=fresh, **form).status_code == 201
    return company.id


def bend(*statements: str) -> None:
    """Change rows as somebody with all rights in the database would."""
    for table in ("messages", "attachments", "chain_links", "receipts"):
        db.session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    for statement in statements:
        db.session.execute(text(statement))
    db.session.commit()


def test_an_intact_chain_verifies(mailbox: uuid.UUID) -> None:
    verdict = chain.verify(mailbox)
    assert (verdict.links, verdict.faults) == (3, [])
    assert len(verdict.head) == 64


def test_an_empty_mailbox_verifies(app: Flask, company: Company) -> None:
    assert chain.verify(company.id).faults == []


def test_reading_and_archiving_change_nothing(mailbox: uuid.UUID) -> None:
    bend("UPDATE messages SET is_unread = false, archived_at = now()")
    assert chain.verify(mailbox).faults == []


SECOND = "DELETE FROM messages WHERE sequence_number = 2"
NO_SALT = "UPDATE chain_links SET salt = NULL WHERE sequence_number = 2"


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (["UPDATE messages SET subject = 'x' WHERE sequence_number = 2"], "message 2: message or attachments were"),
        (["UPDATE messages SET body = body || ' ' WHERE sequence_number = 1"], "message 1: message or attachments"),
        (["UPDATE messages SET made_available_at = made_available_at - interval '1 day'"], "message 1: message or"),
        (["UPDATE messages SET sender_authority = 'x' WHERE sequence_number = 3"], "message 3: message or"),
        (["UPDATE attachments SET sha256 = repeat('0', 64)"], "message 1: message or attachments were changed"),
        (["UPDATE attachments SET file_name = 'x.pdf'"], "message 1: message or attachments were changed"),
        (["DELETE FROM attachments"], "message 1: message or attachments were changed"),
        ([SECOND], "message 2: message is gone"),
        ([SECOND, NO_SALT], "message 2: message and salt are gone but nothing tells who"),
        (["DELETE FROM chain_links WHERE sequence_number = 2"], "link 2 is missing"),
        (["DELETE FROM chain_links WHERE sequence_number = 3"], "links 3 to 3 are missing at the end"),
        (["UPDATE chain_links SET leaf = hash WHERE sequence_number = 2"], "message 2: hash of the link was changed"),
        (["UPDATE chain_links SET previous = leaf WHERE sequence_number = 2"], "message 2: is not linked"),
        (["UPDATE chain_links SET salt = leaf WHERE sequence_number = 2"], "message 2: message or attachments"),
        (["UPDATE chain_links SET salt = NULL WHERE sequence_number = 2"], "message 2: salt is gone but"),
        (["UPDATE mailboxes SET head = decode(repeat('00', 32), 'hex')"], "head of the mailbox is not the last link"),
        (
            ["UPDATE chain_links SET message_id = gen_random_uuid() WHERE sequence_number = 3"],
            "message 3: was inserted without a link",
        ),
    ],
)
def test_what_was_bent_is_found(mailbox: uuid.UUID, statements: list[str], fault: str) -> None:
    bend(*statements)
    assert any(found.startswith(fault) for found in chain.verify(mailbox).faults), chain.verify(mailbox).faults


def test_links_cannot_be_changed_or_removed(mailbox: uuid.UUID) -> None:
    for statement in (
        "UPDATE chain_links SET hash = leaf",
        "UPDATE chain_links SET salt = leaf",
        "DELETE FROM chain_links",
        "TRUNCATE chain_links",
        "UPDATE receipts SET jws = ''",
        "UPDATE attachments SET size = 1",
        "DELETE FROM receipts",
        "TRUNCATE receipts",
        "TRUNCATE attachments CASCADE",
        "TRUNCATE messages CASCADE",
    ):
        with pytest.raises(Exception, match="never changes"):
            db.session.execute(text(statement))
        db.session.rollback()


def test_links_hold_nothing_personal(mailbox: uuid.UUID) -> None:
    message_of_two = db.session.scalars(select(Message).filter_by(sequence_number=2)).one()
    links = db.session.scalars(select(ChainLink)).all()
    assert all(len(link.leaf) == len(link.hash) == len(link.salt or b"") == 32 for link in links)
    assert len({link.salt for link in links}) == 3
    assert message_of_two.subject.encode() not in b"".join(link.leaf + link.hash + link.previous for link in links)


def test_the_command_says_what_is_wrong(app: Flask, mailbox: uuid.UUID) -> None:
    run = app.test_cli_runner().invoke
    good = run(args=["verify-mailbox", "--company", str(mailbox)])
    assert (good.exit_code, good.output) == (0, "1 mailboxes, 3 messages, 0 sent, 0 with faults.\n")
    bend("UPDATE messages SET subject = 'x' WHERE sequence_number = 2")
    bad = run(args=["verify-mailbox"])
    assert bad.exit_code == 1
    assert f"mailbox {mailbox}: message 2: message or attachments were changed after delivery" in bad.output
    unknown = run(args=["verify-mailbox", "--company", str(uuid.uuid4())])
    assert unknown.exit_code == 1 and "There is no mailbox" in unknown.output
