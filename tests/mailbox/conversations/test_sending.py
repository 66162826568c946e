"""Sending exactly once, evidence that cannot be bent, limits, and pages whose cost does not grow."""

import threading
import uuid
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from tests.factories import csrf_token, make_company, sign_in
from tests.factories import make_membership as membership_of
from tests.mailbox.conversations.writing_data import (
    PLAIN_REPLY,
    WRITERS,
    asking,
    authority,
    form_address,
    full_answer,
    hidden,
    opened,
    save,
    send,
    writer,
)
from tests.mailbox.reading_data import put
from tests.mailbox.samples import MINIMAL_PDF
from tests.mailbox.test_inbox import counted_statements
from unternehmenskonto import keys, storage
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.attachments import ORPHAN_AGE, sweep_orphans
from unternehmenskonto.mailbox.conversations import actions, limits, proofs
from unternehmenskonto.mailbox.conversations.models import Draft, DraftFile, SentFile, SentLink, SentMessage


def one_sent(client: FlaskClient) -> SentMessage:
    """Send one message with a file as a new person."""
    membership = writer(client)
    message = opened(client, membership.company)
    form = client.get(f"/postfach/{message.id}/antworten").text
    save(client, form, **full_answer(MINIMAL_PDF))
    draft = form_address(form)
    assert send(client, draft, client.get(f"{draft}/pruefen").text).status_code == 303
    return db.session.scalars(select(SentMessage)).one()


def test_eight_presses_at_once_send_once(fresh_app: Flask) -> None:
    keys.ensure_keys()
    membership = membership_of(roles=WRITERS)
    message = asking(membership.company, reply=PLAIN_REPLY)
    client = fresh_app.test_client()
    sign_in(client, membership)
    client.get(f"/postfach/{message.id}")
    form = client.get(f"/postfach/{message.id}/antworten").text
    save(client, form, body="Einmal")
    draft = form_address(form)
    version, token = hidden(client.get(f"{draft}/pruefen").text, "version"), csrf_token(client)
    clients = []
    for _ in range(8):
        twin = fresh_app.test_client()
        for cookie in client._cookies.values():
            twin.set_cookie(cookie.key, cookie.value)
        clients.append(twin)
    db.session.commit()
    barrier, places = threading.Barrier(8), []

    def press(twin: FlaskClient) -> None:
        barrier.wait(20)
        answer = twin.post(f"{draft}/senden", data={"csrf_token": token, "version": version})
        places.append((answer.status_code, answer.headers.get("Location")))

    threads = [threading.Thread(target=press, args=(twin,)) for twin in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    sent = db.session.scalars(select(SentMessage)).one()
    assert places == [(303, f"/postfach/gesendet/{sent.id}?neu=1")] * 8
    assert (sent.sequence_number, sent.service_number) == (1, 1)
    assert proofs.verify(membership.company_id).faults == []


def test_what_was_sent_cannot_be_changed(client: FlaskClient) -> None:
    one_sent(client)
    for statement in (
        "UPDATE sent_messages SET body = 'x'",
        "UPDATE sent_messages SET answers = '[]'",
        "UPDATE sent_messages SET sent_at = now()",
        "UPDATE sent_messages SET receipt = ''",
        "UPDATE sent_files SET file_name = 'x'",
        "UPDATE sent_links SET hash = leaf",
        "UPDATE sent_links SET salt = leaf",
        "DELETE FROM sent_links",
        "TRUNCATE sent_links",
    ):
        with pytest.raises(Exception, match="never changes"):
            db.session.execute(text(statement))
        db.session.rollback()
    db.session.execute(text("UPDATE sent_messages SET acknowledged_at = now(), acknowledgement = 'x'"))
    with pytest.raises(Exception, match="never changes"):
        db.session.execute(text("UPDATE sent_messages SET acknowledged_at = now()"))


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE sent_messages SET body = body || ' '", "message or files were changed after sending"),
        ("UPDATE sent_files SET sha256 = repeat('0', 64)", "message or files were changed after sending"),
        ("UPDATE sent_messages SET answers = '[]'", "message or files were changed after sending"),
        ("UPDATE sent_links SET leaf = hash", "hash of the link was changed"),
        ("UPDATE sent_links SET salt = NULL", "salt is gone but the message is still there"),
        ("DELETE FROM sent_links", "end of the outbox is not the last sent link"),
    ],
)
def test_what_was_bent_is_found(app: Flask, client: FlaskClient, statement: str, fault: str) -> None:
    sent = one_sent(client)
    for table in ("sent_messages", "sent_files", "sent_links"):
        db.session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    db.session.execute(text(statement))
    db.session.commit()
    assert any(fault in found for found in proofs.verify(sent.company_id).faults)
    assert app.test_cli_runner().invoke(args=["verify-mailbox"]).exit_code == 1


def test_links_hold_nothing_personal(client: FlaskClient) -> None:
    sent = one_sent(client)
    link = db.session.scalars(select(SentLink)).one()
    assert sent.body.encode() not in link.leaf + link.hash + link.previous
    assert len(link.leaf) == len(link.hash) == len(link.salt or b"") == 32


def test_a_day_has_its_limit(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unternehmenskonto.mailbox.conversations.sending.SENT_PER_DAY", 1)
    sent = one_sent(client)
    message = opened(client, writer(client, _company(sent)).company, reply=PLAIN_REPLY)
    form = client.get(f"/postfach/{message.id}/antworten").text
    save(client, form, body="Noch eine")
    draft = form_address(form)
    answer = send(client, draft, client.get(f"{draft}/pruefen").text)
    assert answer.status_code == 429 and "bleibt erhalten" in answer.text
    assert client.get(draft).status_code == 200


def test_a_company_keeps_so_many_drafts(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "MAXIMUM_DRAFTS", 1)
    company = writer(client).company
    for status in (303, 422):
        message = opened(client, company, reply=PLAIN_REPLY)
        form = client.get(f"/postfach/{message.id}/antworten").text
        assert save(client, form, button="speichern", body="x").status_code == status


def test_files_have_their_limits_and_the_rest_is_kept(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "MAXIMUM_FILES", 2)
    monkeypatch.setattr("unternehmenskonto.mailbox.conversations.files.MAXIMUM_FILE_BYTES", 1000)
    company = writer(client).company
    message = opened(client, company, reply={**PLAIN_REPLY, "attachments": True})
    form = client.get(f"/postfach/{message.id}/antworten").text
    files = [("files", f"{name}.pdf", MINIMAL_PDF) for name in "abc"] + [("files", "gross.txt", b"x" * 1001)]
    answer = save(client, form, body="Behalten", files=files)
    assert answer.status_code == 422 and "Behalten" in answer.text
    assert "Mehr Dateien passen nicht hinein" in answer.text and "„gross.txt“ wurde nicht übernommen." in answer.text
    assert [file.file_name for file in db.session.scalars(select(DraftFile))] == ["a.pdf", "b.pdf"]


def test_files_of_drafts_and_copies_outlive_the_sweep(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = one_sent(client)
    message = opened(client, writer(client).company)
    save(client, client.get(f"/postfach/{message.id}/antworten").text, files=[("files", "b.pdf", MINIMAL_PDF)])
    kept = [db.session.scalars(select(SentFile.path)).one(), db.session.scalars(select(DraftFile.path)).one()]
    monkeypatch.setattr("unternehmenskonto.mailbox.attachments.now", lambda: now() + 2 * ORPHAN_AGE)
    sweep_orphans()
    for path in kept:
        assert b"".join(storage.stream(path, sha256=sent.files[0].sha256)) == MINIMAL_PDF


def test_drafts_thrown_away_are_forgotten_later(client: FlaskClient) -> None:
    message = opened(client, writer(client).company)
    save(client, client.get(f"/postfach/{message.id}/antworten").text, files=[("files", "b.pdf", MINIMAL_PDF)])
    draft = db.session.scalars(select(Draft)).one()
    draft.deleted_at = now() - limits.DRAFT_RETURN + timedelta(minutes=1)
    db.session.flush()
    actions.purge_drafts()
    assert db.session.scalars(select(Draft)).all()
    draft.deleted_at = now() - limits.DRAFT_RETURN - timedelta(minutes=1)
    db.session.flush()
    actions.purge_drafts()
    assert db.session.scalars(select(Draft)).all() == db.session.scalars(select(DraftFile)).all() == []


def test_a_damaged_copy_is_refused_with_an_alarm(app: Flask, client: FlaskClient) -> None:
    sent = one_sent(client)
    stored = app.extensions["storage_dir"] / sent.files[0].path
    stored.write_bytes(b"x" + stored.read_bytes()[1:])
    answer = client.get(f"/postfach/gesendet/{sent.id}/anhang/{sent.files[0].id}")
    assert answer.status_code == 500 and "beschädigt" in answer.text
    assert client.get(f"/postfach/gesendet/{sent.id}/anhang/{uuid.uuid4()}").status_code == 404


def test_lists_page_and_cost_the_same(client: FlaskClient) -> None:
    membership = writer(client)
    service, counts = authority(), []
    message = opened(client, membership.company, reply=PLAIN_REPLY)
    for number in range(limits.PAGE_SIZE + 2):
        draft = Draft(
            company_id=membership.company_id, id=uuid.uuid4(), message_id=message.id, service=service.slug,
            author=membership.id, body=str(number), updated_at=now(),
        )  # fmt: skip
        db.session.add(draft)
        db.session.commit()
        if number in (1, limits.PAGE_SIZE + 1):
            with counted_statements() as statements:
                first = client.get("/postfach/entwuerfe").text
            counts.append(len(statements))
    assert counts[0] == counts[1] <= 12
    older = first.split('rel="next" href="')[1].split('"')[0]
    second = client.get(older).text
    assert second.count("app-entry__title") == 2 and 'rel="prev"' in second
    back = client.get(second.split('rel="prev" href="')[1].split('"')[0]).text
    assert back.count("app-entry__title") == limits.PAGE_SIZE
    assert client.get("/postfach/entwuerfe?seite=x").status_code == 400


def test_a_message_page_costs_the_same_with_answers(client: FlaskClient) -> None:
    sent = one_sent(client)
    path, counts = f"/postfach/{sent.message_id}", []
    plain = put(_company(sent), authority())
    db.session.commit()
    client.get(f"/postfach/{plain.id}")
    for address in (path, f"/postfach/gesendet/{sent.id}", "/postfach/gesendet", f"/postfach/{plain.id}"):
        with counted_statements() as statements:
            assert client.get(address).status_code == 200
        counts.append(len(statements))
    # Answers and draft of a message are two more statements, on messages that take answers only.
    assert counts[0] - counts[3] <= 2 and max(counts[1:3]) <= 12


def _company(sent: SentMessage) -> object:
    return db.session.get_one(type(make_company()), sent.company_id)
