"""Opening a message: the first retrieval once and for all, dates, proofs, marks and what the audit log says."""

import threading
import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.factories import csrf_token, make_company, make_membership, session_cookie, sign_in
from tests.mailbox.reading_data import acting, authority, file, put, reader
from unternehmenskonto import keys, storage
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import db
from unternehmenskonto.errors import NotFound
from unternehmenskonto.mailbox import reading
from unternehmenskonto.mailbox.chain import verify
from unternehmenskonto.mailbox.folders import actions as acts
from unternehmenskonto.mailbox.models import Mailbox, Message, Receipt

MORNING = datetime(2026, 12, 1, 9, tzinfo=UTC)
READERS_AT_ONCE = 8


def events(message: Message) -> list[str]:
    found = db.session.scalars(select(AuditEvent).where(AuditEvent.company_id == message.company_id))
    return [
        event.event
        for event in sorted(found, key=lambda event: event.id)
        if event.fields.get("message_id") == str(message.id)
    ]


def unread(message: Message) -> int:
    query = select(Mailbox.unread_count).where(Mailbox.company_id == message.company_id)
    return db.session.scalars(query).one()


def test_the_first_opening_is_recorded_once(app: Flask) -> None:
    first, service = make_membership(), authority()
    second = make_membership(company=first.company)
    message = put(first.company, service, regime="ozg9", at=MORNING)
    with time_machine.travel(MORNING + timedelta(hours=1), tick=False):
        reading.open_message(actor=acting(first), message_id=message.id)
    with time_machine.travel(MORNING + timedelta(days=1), tick=False):
        reading.open_message(actor=acting(second), message_id=message.id)
    assert message.first_retrieved_at == MORNING + timedelta(hours=1)
    assert message.first_retrieved_by == first.id
    assert events(message) == ["message.delivered", "message.first_retrieved", "message.opened", "message.opened"]
    assert (message.is_unread, unread(message)) == (False, 0)
    assert verify(message.company_id).faults == []


def test_the_proof_of_the_first_opening_is_signed(app: Flask) -> None:
    membership = make_membership()
    message = put(membership.company, authority(), files=[file("a.pdf", b"%PDF")])
    reading.open_message(actor=acting(membership), message_id=message.id)
    receipt = db.session.scalars(select(Receipt).filter_by(message_id=message.id, kind="first_retrieved")).one()
    claims, header = keys.decode_own(receipt.jws)
    assert header["typ"] == "receipt+jwt"
    assert claims["message_id"] == str(message.id)
    assert datetime.fromisoformat(claims["first_retrieved_at"]) == message.first_retrieved_at
    assert claims["attachments"] == [{"sha256": message.attachments[0].sha256, "size": 4}]


def test_reading_never_moves_the_dates_of_the_account_mailbox(app: Flask) -> None:
    membership, service = make_membership(), authority()
    for regime in ("ozg9", "ao122a"):
        message = put(membership.company, service, regime=regime, at=MORNING)
        before = (message.announced_on, message.remedy_ends_on)
        with time_machine.travel(MORNING + timedelta(days=40), tick=False):
            opened = reading.open_message(actor=acting(membership), message_id=message.id)
        assert (message.announced_on, message.remedy_ends_on) == before
        assert opened.deadline is not None and opened.deadline.steps
        assert opened.days_left is not None and opened.days_left < 0


def test_retrieval_sets_the_dates_where_the_law_says_so(app: Flask) -> None:
    membership = make_membership()
    message = put(membership.company, authority(), regime="vwvfg41_2a", at=MORNING - timedelta(days=1))
    assert (message.announced_on, message.remedy_ends_on) == (None, None)
    # 23:30 in UTC is the next day in Germany.
    with time_machine.travel(datetime(2026, 11, 30, 23, 30, tzinfo=UTC), tick=False):
        opened = reading.open_message(actor=acting(membership), message_id=message.id, is_chosen=True)
    assert (message.announced_on, message.remedy_ends_on) == (date(2026, 12, 2), date(2027, 1, 4))
    assert opened.deadline is not None and opened.deadline.announced_on == date(2026, 12, 2)
    with time_machine.travel(MORNING + timedelta(days=30), tick=False):
        again = reading.open_message(actor=acting(membership), message_id=message.id)
    assert again.deadline == opened.deadline and not again.is_ended


def test_after_ten_days_the_provision_has_ended(app: Flask) -> None:
    membership = make_membership()
    late = put(membership.company, authority(), regime="vwvfg41_2a", at=MORNING, files=[file("a.pdf", b"%PDF")])
    with time_machine.travel(datetime(2026, 12, 11, 23, 30, tzinfo=UTC), tick=False):
        opened = reading.open_message(actor=acting(membership), message_id=late.id)
        with pytest.raises(reading.ProvisionEnded):
            reading.open_attachment(actor=acting(membership), message_id=late.id, attachment_id=late.attachments[0].id)
    assert opened.is_ended
    assert (late.first_retrieved_at, late.announced_on) == (None, None)
    assert (late.is_unread, unread(late)) == (False, 0)
    assert events(late) == ["message.delivered"]
    in_time = put(membership.company, authority(), regime="vwvfg41_2a", at=MORNING)
    with time_machine.travel(datetime(2026, 12, 11, 22, 30, tzinfo=UTC), tick=False):
        opened = reading.open_message(actor=acting(membership), message_id=in_time.id, is_chosen=True)
    assert not opened.is_ended
    assert in_time.announced_on == date(2026, 12, 12)


def test_a_server_whose_clock_is_late_reads_nothing_before_it_was_there(app: Flask) -> None:
    membership = make_membership()
    midnight = datetime(2026, 12, 1, 23, 0, tzinfo=UTC)
    message = put(membership.company, authority(), regime="vwvfg41_2a", at=midnight)
    with time_machine.travel(midnight - timedelta(milliseconds=5), tick=False):
        opened = reading.open_message(actor=acting(membership), message_id=message.id, is_chosen=True)
    assert message.first_retrieved_at == message.made_available_at
    assert opened.deadline is not None and opened.deadline.announced_on == date(2026, 12, 3)


def test_marks_and_counter_move_together(app: Flask) -> None:
    membership, service = make_membership(), authority()
    actor = acting(membership)
    messages = [put(membership.company, service) for _ in range(3)]
    assert unread(messages[0]) == 3
    reading.open_message(actor=actor, message_id=messages[0].id)
    reading.open_message(actor=actor, message_id=messages[0].id)
    assert unread(messages[0]) == 2
    for _ in range(2):
        acts.act(actor=actor, action="unread", message_ids=[messages[0].id])
    assert unread(messages[0]) == 3
    retrieved = messages[0].first_retrieved_at
    reading.open_message(actor=actor, message_id=messages[0].id)
    assert messages[0].first_retrieved_at == retrieved
    assert unread(messages[0]) == 2
    assert events(messages[0]).count("message.marked_unread") == 1
    assert events(messages[0]).count("message.first_retrieved") == 1


def test_neighbours_are_those_of_the_same_folder(app: Flask) -> None:
    membership, service = make_membership(), authority()
    messages = [put(membership.company, service, at=MORNING + timedelta(minutes=number)) for number in range(4)]
    put(make_company(), service, at=MORNING + timedelta(seconds=30))
    acts.act(actor=acting(membership), action="archive", message_ids=[messages[1].id])
    around = reading.surroundings(messages[2], actor=acting(membership))
    assert (around.older, around.newer) == (messages[0].id, messages[3].id)
    ends = reading.surroundings(messages[0], actor=acting(membership))
    assert (ends.older, ends.newer) == (None, messages[2].id)
    alone = reading.surroundings(messages[1], actor=acting(membership))
    assert (alone.older, alone.newer) == (None, None)


@pytest.mark.parametrize("act", ["open_message", "require_message"])
def test_nobody_reaches_the_messages_of_another_company(app: Flask, act: str) -> None:
    message = put(make_company(), authority())
    for message_id in (message.id, uuid.uuid4()):
        with pytest.raises(NotFound):
            getattr(reading, act)(actor=acting(make_membership()), message_id=message_id)
    assert events(message) == ["message.delivered"]
    assert message.is_unread


def test_a_damaged_file_is_found_before_anything_leaves(app: Flask) -> None:
    membership = make_membership()
    message = put(membership.company, authority(), files=[file("a.pdf", b"%PDF" * 1000), file("b.pdf", b"%PDF")])
    damaged, lost = message.attachments
    folder = app.extensions["storage_dir"]
    content = bytearray((folder / damaged.path).read_bytes())
    content[17] ^= 1
    (folder / damaged.path).write_bytes(content)
    storage.delete(lost.path)
    for attachment in (damaged, lost):
        with pytest.raises(reading.Damaged) as caught:
            reading.open_attachment(actor=acting(membership), message_id=message.id, attachment_id=attachment.id)
        assert caught.value.members["attachment_id"] == str(attachment.id)
    assert "attachment.downloaded" not in events(message)


def test_readers_at_the_same_moment_make_one_retrieval(fresh_app: Flask) -> None:
    """Real connections and real commits: each reader has a thread and a transaction of its own."""
    keys.ensure_keys()
    service, company = authority(), make_company()
    readers = [make_membership(company=company) for _ in range(READERS_AT_ONCE)]
    warm_up, message = put(company, service), put(company, service, regime="vwvfg41_2a")
    cookies = [session_cookie(membership) for membership in readers]
    address = f"/postfach/{message.id}/abrufen"
    first = f"/postfach/{warm_up.id}"
    db.session.commit()
    # Templates are compiled at their first use; that is not what is held under the lock in a running server.
    client = fresh_app.test_client()
    for name, value in cookies[0].items():
        client.set_cookie(name, value)
    assert client.get(first).status_code == 200
    gate, answers = threading.Barrier(READERS_AT_ONCE), []

    def open_at_once(cookie: dict[str, str]) -> None:
        client = fresh_app.test_client()
        for name, value in cookie.items():
            client.set_cookie(name, value)
        data = {"csrf_token": csrf_token(client)}
        gate.wait()
        answers.append(client.post(address, data=data).status_code)

    threads = [threading.Thread(target=open_at_once, args=(cookie,)) for cookie in cookies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    db.session.refresh(message)
    assert answers == [303] * READERS_AT_ONCE
    assert message.first_retrieved_by in {membership.id for membership in readers}
    assert unread(message) == 0
    assert events(message).count("message.first_retrieved") == 1
    assert events(message).count("message.opened") == READERS_AT_ONCE
    proofs = db.session.scalars(select(Receipt).filter_by(message_id=message.id, kind="first_retrieved")).all()
    assert len(proofs) == 1
    assert verify(message.company_id).faults == []


def test_a_withdrawn_right_ends_reading_at_once(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(membership.company, authority())
    db.session.commit()
    membership.roles = ["administrator"]
    db.session.commit()
    token = csrf_token(client)
    for path in ("", "/druck", "/zip"):
        assert client.get(f"/postfach/{message.id}{path}").status_code == 403
    for path in ("/ungelesen", "/archivieren", "/wiederherstellen"):
        assert client.post(f"/postfach/{message.id}{path}", data={"csrf_token": token}).status_code == 403
    assert message.is_unread and message.first_retrieved_at is None
    sign_in(client, make_membership(roles=()))
    assert client.get("/postfach").status_code == 403
