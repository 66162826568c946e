"""The final deletion: what goes, what stays, who may not, and that the chain still verifies."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from tests.factories import access_token, make_membership, sign_in
from tests.mailbox.reading_data import acting, authority, file, put
from tests.mailbox.test_inbox import counted_statements
from tests.mailbox.test_reading import events
from unternehmenskonto import storage
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.errors import NotFound
from unternehmenskonto.mailbox import chain, peek, reading
from unternehmenskonto.mailbox.folders import actions, erasure, remains
from unternehmenskonto.mailbox.folders.models import ErasedMessage
from unternehmenskonto.mailbox.labels import actions as labels
from unternehmenskonto.mailbox.models import Attachment, ChainLink, Message, Receipt
from unternehmenskonto.mailbox.search import queries
from unternehmenskonto.mailbox.search.filters import Filters
from unternehmenskonto.mailbox.search.models import SearchSegment

LONG_AGO = datetime(2026, 1, 10, 9, tzinfo=UTC)


@pytest.fixture
def member(app: Flask) -> Membership:
    return make_membership()


def binned(member: Membership, **fields: object) -> Message:
    message = put(member.company, authority(), **fields)  # type: ignore[arg-type]
    actions.act(actor=acting(member), action="bin", message_ids=[message.id])
    assert message.binned_at is not None
    return message


def test_what_the_authority_wrote_goes_and_the_proofs_stay(app: Flask, member: Membership) -> None:
    actor = acting(member)
    first = put(member.company, authority())
    message = put(
        member.company, authority(), regime="ozg9", at=LONG_AGO, subject="Geheimer Betreff", reference="GA 1",
        files=[file("geheim.pdf", b"%PDF"), file("b.pdf", b"%PDF")],
    )  # fmt: skip
    reading.open_message(actor=actor, message_id=message.id)
    label = labels.make(actor=actor, name="Steuern", colour="red")
    actions.act(actor=actor, action="label", message_ids=[message.id], label_id=label.id)
    actions.act(actor=actor, action="bin", message_ids=[message.id])
    message_id, paths = message.id, [one.path for one in message.attachments]
    proofs = db.session.scalars(select(Receipt.jws).filter_by(message_id=message_id).order_by(Receipt.id)).all()
    retrieved_at = message.first_retrieved_at
    assert erasure.erase(actor=actor, message_ids=[message_id]) == 1
    for table in (Message, Attachment):
        column = Message.id if table is Message else Attachment.message_id
        assert db.session.scalar(select(func.count()).where(column == message_id)) == 0
    left = db.session.scalars(select(Receipt.jws).filter_by(message_id=message_id).order_by(Receipt.id)).all()
    assert left == proofs and len(proofs) == 3
    link = db.session.scalars(select(ChainLink).filter_by(message_id=message_id)).one()
    assert link.salt is None and chain.verify(member.company_id).faults == []
    stone = db.session.scalars(select(ErasedMessage)).one()
    assert (stone.erased_by, stone.first_retrieved_at, stone.attachment_count) == (member.id, retrieved_at, 2)
    everything = db.session.scalar(text("SELECT string_agg(e::text, ' ') FROM erased_messages e")) or ""
    assert "Geheim" not in everything and "GA 1" not in everything
    erasure.remove_objects(paths)
    for path in paths:
        assert not (app.extensions["storage_dir"] / path).exists()
    assert db.session.get(Message, (member.company_id, first.id)) is not None
    (one,) = remains.list_erased(actor=actor).entries
    assert (one.erased_by, one.files, one.is_decision) == (member.person.name, 2, True)


def test_the_files_go_by_a_job_of_the_same_transaction(member: Membership) -> None:
    message = binned(member, files=[file("a.pdf", b"%PDF")])
    path = message.attachments[0].path
    erasure.erase(actor=acting(member), message_ids=[message.id])
    query = text("SELECT args ->> 'paths' FROM procrastinate_jobs WHERE task_name = 'mailbox.remove_objects'")
    assert path in (db.session.scalar(query) or "")
    kept = put(member.company, authority(), files=[file("a.pdf", b"%PDF")]).attachments[0]
    erasure.remove_objects([kept.path])
    assert b"".join(storage.stream(kept.path, sha256=kept.sha256)) == b"%PDF"


def test_only_what_lies_in_the_bin_after_its_deadline(member: Membership) -> None:
    actor = acting(member)
    in_bin, inbox = binned(member), put(member.company, authority())
    running = put(member.company, authority(), regime="ozg9")
    for ids in ([in_bin.id, inbox.id], [running.id], [in_bin.id, uuid.uuid4()]):
        with pytest.raises(erasure.NotErasable):
            erasure.erase(actor=actor, message_ids=ids)
    with pytest.raises(actions.NothingSelected):
        erasure.look(actor=actor, message_ids=[])
    with pytest.raises(actions.TooManySelected):
        erasure.look(actor=actor, message_ids=[uuid.uuid4() for _ in range(101)])
    with pytest.raises(NotFound):
        erasure.erase(actor=acting(make_membership()), message_ids=[in_bin.id])
    assert db.session.scalar(select(func.count()).select_from(ErasedMessage)) == 0


def test_the_database_refuses_every_other_way(member: Membership) -> None:
    """Also somebody with a shell of the application cannot remove a message past its erasure."""
    decision = put(member.company, authority(), regime="ozg9")
    message = binned(member, files=[file("a.pdf", b"%PDF")])
    values = {"decision": decision.id, "message": message.id, "by": member.id}
    early = (
        "INSERT INTO erased_messages (company_id, message_id, sequence_number, service, sender_authority, kind,"
        " accepted_at, made_available_at, remedy_ends_on, attachment_count, protected_until, erased_at, erased_by)"
        " SELECT company_id, id, sequence_number, service, sender_authority, kind, accepted_at, made_available_at,"
        " remedy_ends_on, 0, remedy_ends_on, now(), :by FROM messages WHERE id = :decision"
    )
    for statement in (
        "DELETE FROM messages WHERE id = :message",
        "DELETE FROM attachments WHERE message_id = :message",
        early,
        early.replace("remedy_ends_on, now()", "'2020-01-01', now()"),
    ):
        with pytest.raises(IntegrityError), db.session.begin_nested():
            db.session.execute(text(statement), values)
    erasure.erase(actor=acting(member), message_ids=[message.id])
    for statement in ("UPDATE erased_messages SET service = ''", "DELETE FROM erased_messages"):
        with pytest.raises(IntegrityError), db.session.begin_nested():
            db.session.execute(text(statement))


def test_an_ended_provision_can_be_deleted_unopened(member: Membership) -> None:
    message = binned(member, regime="vwvfg41_2a", at=LONG_AGO)
    (doomed,) = erasure.look(actor=acting(member), message_ids=[message.id])
    assert not doomed.is_opened and doomed.is_decision
    erasure.erase(actor=acting(member), message_ids=[message.id])
    assert chain.verify(member.company_id).faults == []


def test_the_search_counts_and_finds_it_no_more(member: Membership) -> None:
    """The bin is searched only if it is named; what was deleted is in no count."""
    actor, found = acting(member), []
    put(member.company, authority(), subject="Gewerbesteuer")
    message = binned(member, subject="Gewerbesteuer", files=[file("a.pdf", b"%PDF"), file("b.pdf", b"%PDF")])
    asked = queries.ask("Gewerbesteuer")
    for folder in ("", "bin"):
        found.append(len(queries.find(actor=actor, asked=asked, filters=Filters(folder=folder), limit=9)))
    erasure.erase(actor=actor, message_ids=[message.id])
    found.append(len(queries.find(actor=actor, asked=asked, filters=Filters(folder="bin"), limit=9)))
    assert found == [1, 1, 0]
    (segment,) = db.session.scalars(select(SearchSegment).execution_options(populate_existing=True))
    assert (segment.messages, segment.files_waiting, segment.files_silent) == (1, 0, 0)


def test_who_asks_later_is_told_what_happened(client: FlaskClient, member: Membership) -> None:
    service = authority()
    message = put(member.company, service, files=[file("a.pdf", b"%PDF")])
    message_id, number = message.id, message.sequence_number
    actions.act(actor=acting(member), action="bin", message_ids=[message_id])
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=1)):
        erasure.erase(actor=acting(member), message_ids=[message_id])
    db.session.commit()
    for look in (reading.open_message, peek.look):
        with pytest.raises(reading.Erased):
            look(actor=acting(member), message_id=message_id)
        with pytest.raises(NotFound):
            look(actor=acting(make_membership()), message_id=message_id)
    sign_in(client, member)
    answer = client.get(f"/postfach/{message_id}")
    assert answer.status_code == 410 and "endgültig gelöscht" in answer.text
    state = client.get(
        f"/api/v1/messages/{message_id}", headers={"Authorization": f"Bearer {access_token(service)}"}
    ).json  # fmt: skip
    assert (state["id"], state["sequence_number"], state["attachments"]) == (str(message_id), number, [])
    assert sorted(state["receipts"]) == ["accepted", "made_available"]


def test_deleting_many_costs_no_more_statements_than_one(member: Membership) -> None:
    costs = []
    for count in (1, 20):
        ids = [put(member.company, authority(), files=[file("a.pdf", b"%PDF")]).id for _ in range(count)]
        actions.act(actor=acting(member), action="bin", message_ids=ids)
        actor = acting(member)
        with counted_statements() as statements:
            erasure.erase(actor=actor, message_ids=ids)
        costs.append(len(statements))
    assert costs[0] == costs[1]


def test_the_audit_log_says_who(member: Membership) -> None:
    message = binned(member)
    kept = Message(company_id=message.company_id, id=message.id)
    erasure.erase(actor=acting(member), message_ids=[message.id])
    assert events(kept)[-1] == "message.erased"
