"""Reminders: on which days, to whom, each once, also after the worker was away, and never too late."""

import json
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from tests.factories import csrf_token, make_company, make_membership, sign_in
from tests.mailbox.test_inbox import counted_statements
from tests.mailbox.watch.deadline_data import MORNING, TODAY, decisions
from tests.notifications.conftest import Box
from tests.page_checks import faults
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team.models import Task, Topic, TopicMember
from unternehmenskonto.mailbox.watch import cover, reminders
from unternehmenskonto.mailbox.watch.actions import DEFAULT_REMINDER_DAYS
from unternehmenskonto.mailbox.watch.models import WatchProgress, WatchSettings, WatchStep
from unternehmenskonto.notifications.actions import send_notice
from unternehmenskonto.notifications.models import Notice

JOBS = {"deadlines.plan": reminders.plan, "deadlines.remind": reminders.remind, "deadlines.cover": reminders.look_after}


def run_day(day: date, *, hour: int = 8) -> None:
    """Do what a worker does at this hour (UTC): the look of the day with everything it defers, e-mails left out."""
    with time_machine.travel(datetime(day.year, day.month, day.day, hour, 7, tzinfo=UTC), tick=False):
        reminders.plan()
        while found := db.session.execute(NEXT).first():
            JOBS[found.task_name](**(found.args if isinstance(found.args, dict) else json.loads(found.args)))
            db.session.flush()


NEXT = text(
    "DELETE FROM procrastinate_jobs WHERE id = (SELECT min(id) FROM procrastinate_jobs"
    " WHERE task_name LIKE 'deadlines.%') RETURNING task_name, args"
)


def steps(kind: str = "reminder") -> list[tuple[uuid.UUID, int]]:
    query = select(WatchStep.message_id, WatchStep.days).where(WatchStep.kind == kind)
    return [(row.message_id, row.days) for row in db.session.execute(query.order_by(WatchStep.taken_at))]


def notices(kind: str = "deadline_reminder", **columns: Any) -> list[Notice]:
    return list(db.session.scalars(select(Notice).filter_by(kind=kind, **columns).order_by(Notice.id)))


def choose(company: Company, *days: int, cover_days: int = 0) -> None:
    db.session.add(WatchSettings(company_id=company.id, reminder_days=list(days), cover_days=cover_days))
    db.session.flush()


def test_everybody_who_may_read_is_reminded_on_three_days(app: Flask) -> None:
    company = make_company()
    readers = {make_membership(company=company, roles=("mailbox",)).id for _ in range(2)}
    make_membership(company=company, roles=("administrator", "services"))
    make_membership(company=company, roles=("mailbox",), email=None)
    make_membership(company=company, roles=("mailbox",), ended_at=MORNING)
    (decision,) = decisions(company, [8])
    told = {}
    for number in range(12):
        before = set(one.id for one in notices())
        run_day(TODAY + timedelta(days=number))
        told[8 - number] = {one.membership_id for one in notices() if one.id not in before}
    assert {left: people for left, people in told.items() if people} == dict.fromkeys(DEFAULT_REMINDER_DAYS, readers)
    assert steps() == [(decision, 7), (decision, 3), (decision, 1)]


def test_running_twice_tells_once(app: Flask) -> None:
    membership = make_membership()
    decisions(membership.company, [7])
    for hour in (6, 7, 8, 22):
        run_day(TODAY, hour=hour)
    db.session.delete(db.session.get_one(WatchProgress, reminders.PROGRESS))
    run_day(TODAY)
    assert len(notices()) == len(steps()) == 1


@pytest.mark.parametrize(
    ("moment", "is_day"),
    [
        (datetime(2026, 12, 1, 5, 59, tzinfo=UTC), False),
        (datetime(2026, 12, 1, 6, 0, tzinfo=UTC), True),
        (datetime(2026, 7, 1, 4, 59, tzinfo=UTC), False),  # summer time
        (datetime(2026, 7, 1, 5, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 30, 23, 30, tzinfo=UTC), False),  # half past midnight in Germany
    ],
)
def test_nobody_is_written_to_in_the_german_night(app: Flask, moment: datetime, is_day: bool) -> None:
    with time_machine.travel(moment, tick=False):
        reminders.plan()
    assert (db.session.get(WatchProgress, reminders.PROGRESS) is not None) == is_day


def test_an_outage_is_made_up_for_with_one_reminder(app: Flask) -> None:
    membership = make_membership()
    near, middle, far, over = decisions(membership.company, [2, 5, 9, -4])
    run_day(TODAY - timedelta(days=8))
    assert steps() == []
    run_day(TODAY)  # far's turn was two days from now; near has missed 7 and 3, middle 7, over everything
    assert sorted(steps()) == sorted([(near, 3), (middle, 7)])
    run_day(TODAY + timedelta(days=1))
    run_day(TODAY + timedelta(days=2))
    assert sorted(steps()) == sorted([(near, 3), (near, 1), (middle, 7), (middle, 3), (far, 7)])
    assert not [one for one in notices() if one.message_id == over]


def test_a_company_chooses_its_days(app: Flask) -> None:
    quiet, busy = make_membership().company, make_membership().company
    choose(quiet)
    choose(busy, 30, 2)
    decisions(quiet, [7, 3, 1])
    late, soon, _usual = decisions(busy, [30, 2, 7])
    run_day(TODAY)
    assert sorted(steps()) == sorted([(late, 30), (soon, 2)])


def test_a_new_choice_never_repeats_a_reminder(app: Flask) -> None:
    membership = make_membership()
    (decision,) = decisions(membership.company, [7])
    run_day(TODAY)
    choose(membership.company, 10, 7, 6)
    run_day(TODAY + timedelta(days=1))
    assert steps() == [(decision, 7), (decision, 6)]


def test_what_is_done_needs_no_reminder(app: Flask) -> None:
    membership = make_membership()
    done, open_ = decisions(membership.company, [7, 7], first_retrieved_at=MORNING, first_retrieved_by=membership.id)
    for decision, closed_at in ((done, MORNING), (open_, None)):
        task = Task(company_id=membership.company_id, message_id=decision, closed_at=closed_at)
        task.done_at, task.done_by = closed_at, membership.id if closed_at else None
        db.session.add(task)
    db.session.flush()
    run_day(TODAY)
    assert steps() == [(open_, 7)]


def test_only_the_people_of_its_topic_hear_of_a_decision(app: Flask) -> None:
    company = make_company()
    inside, outside = (make_membership(company=company, roles=("mailbox",)) for _ in range(2))
    topic = Topic(company_id=company.id, name="Steuern")
    db.session.add(topic)
    db.session.flush()
    member = TopicMember(company_id=company.id, topic_id=topic.id, membership_id=inside.id, added_by=outside.id)
    db.session.add(member)
    db.session.flush()
    decisions(company, [7], topic_id=topic.id)
    run_day(TODAY)
    assert [one.membership_id for one in notices()] == [inside.id]


def test_a_decision_that_came_today_is_not_announced_twice(app: Flask) -> None:
    membership = make_membership()
    columns = {"made_available_at": MORNING, "accepted_at": MORNING}
    (decision,) = decisions(membership.company, [7], **columns)
    run_day(TODAY)
    assert steps() == []
    run_day(TODAY + timedelta(days=4))
    assert steps() == [(decision, 3)]


@given(st.lists(st.integers(1, 60), max_size=5, unique=True), st.integers(1, 70), st.lists(st.booleans(), max_size=71))
def test_each_turn_comes_once_and_in_time(days: list[int], length: int, runs: list[bool]) -> None:
    """Whatever days the worker is away: turns only grow nearer, none comes early or after the end."""
    available, seen = TODAY, []
    due_on = available + timedelta(days=length)
    for number, runs_today in enumerate(runs):
        today = available + timedelta(days=number)
        turn = reminders.turn_of(days, due_on=due_on, available_on=available, today=today)
        if turn is None:
            continue
        assert turn in days and turn < length and 0 <= (due_on - today).days <= turn
        if runs_today and (not seen or turn != seen[-1]):
            seen.append(turn)
    assert seen == sorted(set(seen), reverse=True)


def test_every_batch_is_looked_at(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminders, "BATCH", 3)
    companies = [make_membership().company for _ in range(4)]
    wanted = [one for company in companies for one in decisions(company, [7] * 5)]
    run_day(TODAY)
    assert sorted(one for one, _ in steps()) == sorted(wanted)
    assert len(notices()) == len(wanted)


def test_the_look_costs_what_is_due_and_no_more(app: Flask) -> None:
    membership = make_membership()
    decisions(membership.company, [7])
    costs = []
    for more in (0, 500):
        decisions(membership.company, [20] * more)
        db.session.execute(text("DELETE FROM deadline_progress"))
        db.session.execute(text("DELETE FROM deadline_steps"))
        db.session.execute(text("DELETE FROM notices"))
        with counted_statements() as statements:
            run_day(TODAY)
        costs.append(len(statements))
    assert costs[0] == costs[1]
    db.session.execute(text("ANALYZE messages"))
    day = {"day": TODAY + timedelta(days=7)}
    plans = [
        db.session.execute(text("EXPLAIN SELECT id FROM messages WHERE due_on = :day"), day),
        db.session.execute(
            text("EXPLAIN SELECT id FROM messages WHERE due_on = :day AND first_retrieved_at IS NULL"), day
        ),
    ]
    assert all("_day" in "\n".join(row[0] for row in plan) for plan in plans)


def test_the_mail_says_what_ends_when(app: Flask, box: Box) -> None:
    company = make_company(name="Musterbau GmbH")
    make_membership(company=company, roles=("mailbox",))
    (decision,) = decisions(company, [7], subject="Geheim")
    run_day(TODAY)
    with time_machine.travel(MORNING, tick=False):
        for one in notices():
            send_notice(str(one.id))
    (mail,) = box.mails
    assert mail["Subject"] == "Erinnerung: Frist am 08.12.2026 im Postfach von Musterbau GmbH"
    words = mail.get_content()
    assert "endet am 08.12.2026 (in 7 Tagen) eine Frist" in words and "Amt Musterstadt" in words
    assert f"/fristen/{decision}" in words and "Geheim" not in words


@pytest.mark.parametrize(
    ("left", "words"), [(2, "ends on 3 December 2026 (in 2 days)"), (0, "ends on 1 December 2026 (today)")]
)
def test_the_mail_counts_the_days_when_it_leaves(app: Flask, box: Box, left: int, words: str) -> None:
    membership = make_membership()
    membership.person.language = "en"
    decisions(membership.company, [left])
    run_day(TODAY - timedelta(days=1))
    with time_machine.travel(MORNING, tick=False):
        for one in notices():
            send_notice(str(one.id))
    (mail,) = box.mails
    assert words in mail.get_content()


def test_a_mail_that_is_too_late_is_not_sent(app: Flask, box: Box) -> None:
    membership = make_membership()
    decisions(membership.company, [1])
    run_day(TODAY)
    (notice,) = notices()
    with time_machine.travel(MORNING + timedelta(days=2), tick=False):
        send_notice(str(notice.id))
    assert box.mails == [] and (notice.last_error, notice.sent_at) == ("too_late", None)
    assert notice.failed_at is not None


def test_administrators_choose_the_days(client: FlaskClient) -> None:
    membership = make_membership()
    sign_in(client, membership)
    assert faults(client.get("/fristen/einstellungen").text) == []
    token = csrf_token(client)
    good = {"csrf_token": token, "reminders": "14; 7,3", "cover_days": "5"}
    answer = client.post("/fristen/einstellungen", data=good, follow_redirects=True)
    assert "Gespeichert" in answer.text and 'value="14, 7, 3"' in answer.text
    chosen = db.session.get_one(WatchSettings, membership.company_id)
    assert (chosen.reminder_days, chosen.cover_days) == ([14, 7, 3], 5)
    event = db.session.scalar(text("SELECT fields FROM audit_events WHERE event = 'deadlines.settings_changed'"))
    assert event == {"reminder_days": [14, 7, 3], "cover_days": 5}
    client.post("/fristen/einstellungen", data={**good, "reminders": "", "cover_days": "0"})
    db.session.refresh(chosen)
    assert (chosen.reminder_days, chosen.cover_days) == ([], 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reminders", "1,2,3,4,5,6"),
        ("reminders", "0"),
        ("reminders", "61"),
        ("reminders", "bald"),
        ("reminders", "-3"),
        ("reminders", "7 3"),
        ("cover_days", "31"),
        ("cover_days", "-1"),
        ("cover_days", "x"),
        ("cover_days", ""),
    ],
)
def test_impossible_choices_lose_nothing_typed(client: FlaskClient, field: str, value: str) -> None:
    membership = make_membership()
    sign_in(client, membership)
    data = {"csrf_token": csrf_token(client), "reminders": "9", "cover_days": "4", field: value}
    answer = client.post("/fristen/einstellungen", data=data)
    assert answer.status_code == 422 and faults(answer.text) == []
    other = {"reminders": "4", "cover_days": "9"}[field]
    assert f'value="{value}"' in answer.text and f'value="{other}"' in answer.text
    assert db.session.get(WatchSettings, membership.company_id) is None


def test_cover_constants_fit_together() -> None:
    assert cover.KINDS == ("substitute", "administrators", "everybody")
    assert Message.due_on.type.python_type is date
