"""Notices in the real worker, with real commits, and on the page of the company."""

import threading

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.factories import make_company, make_membership, sign_in
from tests.notifications.conftest import Box
from tests.page_checks import faults
from tests.worker import work_off
from unternehmenskonto.db import db, new_id, one_commit
from unternehmenskonto.notifications.actions import notify_new_message, send_notice
from unternehmenskonto.notifications.models import Notice

RUNS_AT_ONCE = 4


def test_the_worker_sends_what_was_committed(fresh_app: Flask, fresh_box: Box) -> None:
    company = make_company()
    for _ in range(3):
        make_membership(company=company)
    notify_new_message(company_id=company.id, message_id=new_id(), sender="Gewerbeamt")
    db.session.commit()
    work_off(fresh_app)
    notices = db.session.scalars(select(Notice).execution_options(populate_existing=True)).all()
    assert sorted(fresh_box.recipients) == sorted(str(notice.address) for notice in notices)
    assert all(notice.sent_at and notice.attempts == 1 for notice in notices)


def test_a_job_that_runs_several_times_at_once_sends_one_mail(fresh_app: Flask, fresh_box: Box) -> None:
    membership = make_membership()
    (notice_id,) = notify_new_message(company_id=membership.company_id, message_id=new_id(), sender="Gewerbeamt")
    db.session.commit()
    gate = threading.Barrier(RUNS_AT_ONCE)

    def run() -> None:
        with fresh_app.app_context():
            gate.wait()
            with one_commit():
                send_notice(str(notice_id))

    threads = [threading.Thread(target=run) for _ in range(RUNS_AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fresh_box.mails) == 1


def test_the_company_page_names_who_was_not_reached(client: FlaskClient, box: Box) -> None:
    box.recipient_answer = "550 no such user"
    company = make_company()
    manager, clerk, other = (
        make_membership(company=company, roles=(role,)) for role in ("administrator", "mailbox", "mailbox")
    )
    for notice_id in notify_new_message(company_id=company.id, message_id=new_id(), sender="Gewerbeamt"):
        send_notice(str(notice_id))
    names = [str(clerk.person.name), str(other.person.name)]
    emails = [str(clerk.email), str(other.email)]
    seen = {}
    for who, membership_id in {"manager": manager.id, "clerk": clerk.id}.items():
        sign_in(client, db.session.get_one(type(manager), membership_id))
        page = client.get("/unternehmen").text
        assert faults(page) == []
        seen[who] = [f"{name} erhält keine Benachrichtigungen" in page for name in names]
    assert seen == {"manager": [True, True], "clerk": [True, False]}
    assert emails[0] in page and f"an {emails[1]}" not in page
