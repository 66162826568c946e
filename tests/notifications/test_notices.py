"""From the delivery to the e-mail in a real mail server, and every way in which it fails."""

import re
import socket
import threading
import time
import uuid
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, text

from tests.factories import make_company, make_membership, make_person
from tests.notifications.conftest import HOST, Box, free_port, use_port
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.jobs import RETRY_SECONDS
from unternehmenskonto.notifications import email
from unternehmenskonto.notifications.actions import notify_new_message, problems, send_notice
from unternehmenskonto.notifications.models import Notice
from unternehmenskonto.settings import Settings

SENDER = "Gewerbeamt Musterstadt"


def write_notice(**columns: object) -> Notice:
    membership = make_membership(company=make_company(name="Musterbau GmbH"), **columns)
    (notice_id,) = notify_new_message(
        company_id=membership.company_id, message_id=new_id(), sender=SENDER, regime="ozg9"
    )
    return db.session.get_one(Notice, notice_id)


def queued(notice: Notice) -> list[float]:
    """Return after how many seconds each waiting job of the notice is to run."""
    rows = db.session.execute(
        text(
            "SELECT coalesce(extract(epoch FROM scheduled_at - now()), 0) FROM procrastinate_jobs"
            " WHERE task_name = 'notifications.send' AND args->>'notice_id' = :id ORDER BY id"
        ),
        {"id": str(notice.id)},
    )
    return [float(seconds) for (seconds,) in rows]


def audited(notice: Notice) -> list[str]:
    events = db.session.scalars(select(AuditEvent).where(AuditEvent.company_id == notice.company_id))
    return [event.event for event in events if event.fields.get("notice_id") == str(notice.id)]


def send(notice: Notice) -> Notice:
    send_notice(str(notice.id))
    db.session.flush()
    return notice


def test_everybody_who_may_read_gets_one_notice(app: Flask) -> None:
    company = make_company()
    readers = [make_membership(company=company, roles=("mailbox",)) for _ in range(2)]
    make_membership(company=company, roles=("administrator", "services"))
    make_membership(company=company, roles=("mailbox",), ended_at=now())
    make_membership(company=company, roles=("mailbox",), email=None)
    make_membership(roles=("mailbox",))
    ids = notify_new_message(company_id=company.id, message_id=new_id(), sender=SENDER)
    notices = [db.session.get_one(Notice, notice_id) for notice_id in ids]
    assert {notice.membership_id for notice in notices} == {reader.id for reader in readers}
    assert {notice.address for notice in notices} == {reader.email for reader in readers}
    assert [queued(notice) for notice in notices] == [[0.0], [0.0]]
    assert {notice.kind for notice in notices} == {"message"}


@pytest.mark.parametrize(
    ("regime", "kind"),
    [(None, "message"), ("ozg9", "decision"), ("ao122a", "decision"), ("vwvfg41_2a", "decision_by_retrieval")],
)
def test_the_kind_follows_the_regime(app: Flask, regime: str | None, kind: str) -> None:
    membership = make_membership()
    (notice_id,) = notify_new_message(
        company_id=membership.company_id, message_id=new_id(), sender=SENDER, regime=regime
    )
    assert db.session.get_one(Notice, notice_id).kind == kind


def test_the_same_message_cannot_be_announced_twice(app: Flask) -> None:
    membership, message_id = make_membership(), new_id()
    arguments = {"company_id": membership.company_id, "message_id": message_id, "sender": SENDER}
    notify_new_message(**arguments)
    with pytest.raises(Exception, match="uq_notices_message_id"), db.session.begin_nested():
        notify_new_message(**arguments)


def test_a_rolled_back_delivery_leaves_neither_notice_nor_job(app: Flask) -> None:
    membership = make_membership()
    savepoint = db.session.begin_nested()
    (notice_id,) = notify_new_message(company_id=membership.company_id, message_id=new_id(), sender=SENDER)
    savepoint.rollback()
    assert db.session.get(Notice, notice_id) is None
    count = text("SELECT count(*) FROM procrastinate_jobs WHERE args->>'notice_id' = :id")
    assert db.session.scalar(count, {"id": str(notice_id)}) == 0


def test_a_company_without_address_is_recorded_and_shown(app: Flask) -> None:
    company = make_company()
    silent = make_membership(company=company, email=None)
    assert notify_new_message(company_id=company.id, message_id=new_id(), sender=SENDER) == []
    notice = db.session.scalars(select(Notice).filter_by(company_id=company.id)).one()
    assert (notice.membership_id, notice.last_error) == (None, "no_address")
    assert audited(notice) == ["notice.failed"]
    assert [(problem.membership, problem.kind) for problem in problems(company.id)] == [(None, "no_address")]
    silent.email = "jetzt@firma.example"
    db.session.flush()
    assert problems(company.id) == []


def test_the_mail_arrives_once(box: Box) -> None:
    notice = send(write_notice())
    assert box.recipients == [notice.address]
    assert notice.sent_at is not None and notice.attempts == 1
    assert audited(notice) == ["notice.sent"]
    send(notice)
    assert len(box.mails) == 1 and notice.attempts == 1


def test_what_the_mail_says(box: Box) -> None:
    notice = send(write_notice())
    (mail,) = box.mails
    assert mail["Subject"].strip() == "Neuer Bescheid von Gewerbeamt Musterstadt im Postfach von Musterbau GmbH"
    assert mail["Message-ID"] == f"<notice-{notice.id}@behoerde.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["To"] == notice.address
    assert mail.get_content_type() == "text/plain"
    body = mail.get_content().replace("\r\n", "\n")
    assert f"http://127.0.0.1:8000/postfach/{notice.message_id}\n" in body
    assert "rechtliche Wirkung" in body and "Frist" in body
    assert notice.membership is not None
    assert notice.membership.person.family_name not in str(mail)
    assert "&" not in body and "{{" not in body


def test_the_person_reads_it_in_their_language(box: Box, app: Flask) -> None:
    company = make_company(name="Nordlicht Logistik AG")
    for language in ("de", "en"):
        person = make_person(language=language)
        make_membership(company=company, person=person)
    for notice_id in notify_new_message(company_id=company.id, message_id=new_id(), sender=SENDER):
        send_notice(str(notice_id))
    subjects = sorted(mail["Subject"].strip() for mail in box.mails)
    assert subjects[0].startswith("Neue Nachricht von") and subjects[1].startswith("New message")
    assert all(re.search(r"^http\S+\s", mail.get_content(), re.MULTILINE) for mail in box.mails)
    assert len({mail["Message-ID"] for mail in box.mails}) == 2


@pytest.mark.parametrize(
    "name", ["Bau\r\nBcc: opfer@example.org", "Bau\nSubject: x", "<script>alert(1)</script> & Söhne", "Bau\u2028GmbH"]
)
def test_foreign_names_stay_in_their_line(box: Box, app: Flask, name: str) -> None:
    membership = make_membership(company=make_company(name=name))
    (notice_id,) = notify_new_message(company_id=membership.company_id, message_id=new_id(), sender=name)
    send_notice(str(notice_id))
    (mail,) = box.mails
    assert box.recipients == [membership.email]
    assert mail["Bcc"] is None
    assert len(mail.get_all("Subject")) == 1
    assert " ".join(name.split()) in mail["Subject"]


@pytest.mark.parametrize("address", ["a@b\r\nc", "ohne-klammeraffe", "@firma.example", "a b@firma.example", "a@"])
def test_an_impossible_address_fails_for_good(box: Box, address: str) -> None:
    notice = send(write_notice(email=address))
    assert notice.failed_at is not None and notice.last_error == "bad_address"
    assert box.mails == []


@pytest.mark.parametrize(
    ("place", "answer", "kind"),
    [
        ("recipient_answer", "450 try again later", "recipient_refused"),
        ("content_answer", "451 local error", "content_refused"),
        ("recipient_answer", "421 closing down", "recipient_refused"),
    ],
)
def test_a_temporary_refusal_is_tried_again(box: Box, place: str, answer: str, kind: str) -> None:
    setattr(box, place, answer)
    notice = send(write_notice())
    assert (notice.sent_at, notice.failed_at, notice.last_error) == (None, None, kind)
    assert queued(notice)[1] == pytest.approx(RETRY_SECONDS[0], abs=2)
    setattr(box, place, "250 accepted")
    send(notice)
    assert notice.sent_at is not None and notice.attempts == 2 and notice.last_error is None
    assert len(box.mails) == 1


@pytest.mark.parametrize(
    ("place", "answer", "kind"),
    [
        ("recipient_answer", "550 no such user", "recipient_refused"),
        ("content_answer", "554 refused", "content_refused"),
    ],
)
def test_a_permanent_refusal_is_shown_to_the_company(box: Box, place: str, answer: str, kind: str) -> None:
    setattr(box, place, answer)
    notice = send(write_notice())
    assert notice.failed_at is not None and notice.last_error == kind
    assert len(queued(notice)) == 1
    assert audited(notice) == ["notice.failed"]
    (problem,) = problems(notice.company_id)
    assert problem.membership == notice.membership and problem.address == notice.address
    send(notice)
    assert notice.attempts == 1


def test_a_problem_ends_with_a_new_address_or_a_mail_that_arrives(box: Box) -> None:
    box.recipient_answer = "550 no such user"
    notice = send(write_notice())
    assert len(problems(notice.company_id)) == 1
    box.recipient_answer = "250 accepted"
    (second,) = notify_new_message(company_id=notice.company_id, message_id=new_id(), sender=SENDER)
    send_notice(str(second))
    assert problems(notice.company_id) == []
    box.recipient_answer = "550 no such user"
    (third,) = notify_new_message(company_id=notice.company_id, message_id=new_id(), sender=SENDER)
    send_notice(str(third))
    assert len(problems(notice.company_id)) == 1
    assert notice.membership is not None
    notice.membership.email = "neu@firma.example"
    db.session.flush()
    assert problems(notice.company_id) == []


def test_problems_of_one_company_are_hidden_from_another(box: Box) -> None:
    box.recipient_answer = "550 no such user"
    send(write_notice())
    assert problems(make_membership().company_id) == []


def test_an_unreachable_server_is_tried_again(app: Flask, settings: Settings) -> None:
    use_port(app, settings, free_port())
    notice = send(write_notice())
    assert (notice.last_error, notice.failed_at, len(queued(notice))) == ("unreachable", None, 2)
    app.extensions["settings"] = settings


def test_a_server_that_hangs_up_is_tried_again(box: Box) -> None:
    box.before_answer = lambda server: server.transport.close()
    notice = send(write_notice())
    assert (notice.last_error, notice.sent_at) == ("unreachable", None)
    assert len(queued(notice)) == 2


@pytest.mark.parametrize("greeting", [b"", b"220 "])
def test_a_silent_or_dripping_server_is_left(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch, greeting: bytes
) -> None:
    """Silence ends after one time-out; a byte now and then ends with the whole conversation's time."""
    monkeypatch.setattr(email, "ANSWER_SECONDS", 0.4)
    monkeypatch.setattr(email, "CONVERSATION_SECONDS", 1.0)
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while not done.wait(0.1):
                try:
                    connection.sendall(greeting[:1])
                except OSError:
                    return

    with socket.create_server((HOST, 0)) as listener:
        use_port(app, settings, listener.getsockname()[1])
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        started = time.monotonic()
        notice = send(write_notice())
        assert time.monotonic() - started < 3
        done.set()
        thread.join()
    assert notice.last_error in ("timeout", "unreachable")
    assert notice.failed_at is None
    app.extensions["settings"] = settings


def test_no_mail_leaves_without_tls_where_it_is_asked_for(box: Box, app: Flask) -> None:
    app.extensions["settings"] = app.extensions["settings"].model_copy(update={"smtp_security": "starttls"})
    notice = send(write_notice())
    assert (notice.last_error, notice.failed_at, box.mails) == ("no_tls", None, [])


def test_after_three_days_of_refusals_it_is_given_up(box: Box) -> None:
    box.recipient_answer = "450 try again later"
    notice = write_notice()
    notice.attempts = len(RETRY_SECONDS)
    send(notice)
    assert notice.failed_at is not None
    assert sum(RETRY_SECONDS) >= timedelta(days=3).total_seconds()


def test_a_notice_that_is_gone_is_no_error(app: Flask) -> None:
    send_notice(str(uuid.uuid4()))
