"""The daily look by a real worker: from the plan to the e-mail in a real mail server, and nothing twice."""

from datetime import UTC, datetime, time, timedelta

import time_machine
from flask import Flask
from sqlalchemy import func, select

from tests.factories import make_membership
from tests.mailbox.watch.deadline_data import decisions
from tests.notifications.conftest import Box
from tests.notifications.conftest import fresh_box as fresh_box
from tests.worker import work_off
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.watch import reminders
from unternehmenskonto.mailbox.watch.models import WatchStep


def test_reminders_leave_once_however_often_the_worker_runs(fresh_app: Flask, fresh_box: Box) -> None:
    membership = make_membership(roles=("mailbox",))
    today = legal_day(now())
    for days in (7, 3, 20):
        decisions(
            membership.company, [0], remedy_ends_on=today + timedelta(days=days), first_retrieved_at=now(),
            first_retrieved_by=membership.id,
        )  # fmt: skip
    db.session.commit()
    for _run in range(2):
        with time_machine.travel(datetime.combine(today, time(8), UTC), tick=False):
            reminders.plan()
        db.session.commit()
        work_off(fresh_app)
    assert len(fresh_box.mails) == 2
    assert set(fresh_box.recipients) == {membership.email}
    assert db.session.scalar(select(func.count()).select_from(WatchStep)) == 2
