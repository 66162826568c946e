"""Tasks of messages: who may, what the history says, undo, two people, and that the legal state stays as it was."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, text

from tests.factories import make_company, make_membership
from tests.mailbox.reading_data import authority, put
from tests.mailbox.team.team_data import acting, make_topic
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.errors import NotFound
from unternehmenskonto.mailbox.actions import locked_mailbox
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team import comments, sheet, tasks
from unternehmenskonto.mailbox.team.models import Task, TaskEvent
from unternehmenskonto.notifications.models import Notice
from unternehmenskonto.permissions import Actor


@dataclass
class Office:
    """A message and two people who read the mailbox."""

    message: Message
    erika: Membership
    otto: Membership

    @property
    def id(self) -> uuid.UUID:
        return self.message.id

    @property
    def actor(self) -> Actor:
        return acting(self.erika)


@pytest.fixture
def office(app: Flask) -> Office:
    company = make_company()
    erika, otto = (make_membership(company=company, roles=("mailbox",)) for _ in range(2))
    return Office(put(company, authority(), regime="ozg9"), erika, otto)


def task(office: Office) -> Task:
    return db.session.get_one(Task, (office.message.company_id, office.id))


def history(office: Office) -> list[str]:
    query = select(TaskEvent.kind).where(TaskEvent.message_id == office.id).order_by(TaskEvent.id)
    return list(db.session.scalars(query))


def legal_state() -> list[Any]:
    """Everything the law looks at, as it stands in the tables; only Message.topic_id is left out."""
    db.session.flush()
    queries = (
        "SELECT to_jsonb(m) - 'topic_id' FROM messages m ORDER BY id",
        "SELECT to_jsonb(r) FROM receipts r ORDER BY id",
        "SELECT to_jsonb(c) FROM chain_links c ORDER BY company_id, sequence_number",
        "SELECT to_jsonb(a) FROM attachments a ORDER BY id",
        "SELECT unread_count, last_sequence, encode(head, 'hex') FROM mailboxes ORDER BY company_id",
        "SELECT event FROM audit_events WHERE event LIKE 'message.%' AND event <> 'message.moved_to_topic' ORDER BY id",
    )
    return [[tuple(row) for row in db.session.execute(text(query))] for query in queries]


def test_nothing_of_it_touches_the_legal_state(office: Office) -> None:
    topic = make_topic(office.erika.company, office.erika, office.otto)
    locked_mailbox(office.message.company_id).has_four_eyes = True
    before = legal_state()
    due = legal_day(now()) + timedelta(days=3)
    tasks.assign(actor=office.actor, message_id=office.id, assignee_id=office.otto.id, due_on=due)
    note = comments.write(actor=office.actor, message_id=office.id, text="Bitte ansehen")
    comments.edit(actor=office.actor, message_id=office.id, comment_id=note.id, text="Bitte genau ansehen")
    comments.delete(actor=office.actor, message_id=office.id, comment_id=note.id)
    tasks.finish(actor=office.actor, message_id=office.id)
    tasks.confirm(actor=acting(office.otto), message_id=office.id)
    tasks.reopen(actor=office.actor, message_id=office.id)
    tasks.withdraw(actor=office.actor, message_id=office.id)
    tasks.move(actor=office.actor, message_id=office.id, topic_id=topic.id)
    last = sheet.last_event(office.message.company_id, office.id)
    assert last is not None
    tasks.undo(actor=office.actor, message_id=office.id, event_id=last)
    sheet.sheet_of(actor=office.actor, message_id=office.id)
    assert legal_state() == before
    assert history(office) == ["changed", "done", "confirmed", "reopened", "withdrawn", "moved", "undone"]


def test_an_assignee_is_told_once_for_each_act_and_nothing_of_the_contents(office: Office) -> None:
    def notices() -> list[Notice]:
        return list(db.session.scalars(select(Notice).where(Notice.kind == "task").order_by(Notice.created_at)))

    for assignee in (office.otto, office.otto, office.erika, office.otto):
        tasks.assign(actor=office.actor, message_id=office.id, assignee_id=assignee.id, due_on=None)
    assert [notice.membership_id for notice in notices()] == [office.otto.id] * 2
    assert {notice.message_id for notice in notices()} == {office.id}


def test_without_an_address_nobody_is_told(office: Office) -> None:
    office.otto.email = None
    tasks.assign(actor=office.actor, message_id=office.id, assignee_id=office.otto.id, due_on=None)
    assert db.session.scalar(select(Notice).where(Notice.kind == "task")) is None


def test_only_a_living_reader_of_the_message_is_an_assignee(office: Office) -> None:
    company = office.erika.company
    topic = make_topic(company, office.erika)
    gone = make_membership(company=company, roles=("mailbox",), ended_at=now())
    without_right = make_membership(company=company, roles=("administrator", "services"))
    stranger = make_membership(roles=("mailbox",))
    for one in (gone.id, without_right.id, stranger.id, new_id()):
        with pytest.raises(tasks.CannotSee):
            tasks.assign(actor=office.actor, message_id=office.id, assignee_id=one, due_on=None)
    tasks.move(actor=office.actor, message_id=office.id, topic_id=topic.id)
    with pytest.raises(tasks.CannotSee):
        tasks.assign(actor=office.actor, message_id=office.id, assignee_id=office.otto.id, due_on=None)


ACTS: list[Callable[[Actor, uuid.UUID], Any]] = [
    lambda actor, message_id: tasks.assign(actor=actor, message_id=message_id, assignee_id=None, due_on=None),
    lambda actor, message_id: tasks.withdraw(actor=actor, message_id=message_id),
    lambda actor, message_id: tasks.finish(actor=actor, message_id=message_id),
    lambda actor, message_id: tasks.confirm(actor=actor, message_id=message_id),
    lambda actor, message_id: tasks.reopen(actor=actor, message_id=message_id),
    lambda actor, message_id: tasks.move(actor=actor, message_id=message_id, topic_id=None),
    lambda actor, message_id: comments.write(actor=actor, message_id=message_id, text="x"),
    lambda actor, message_id: sheet.sheet_of(actor=actor, message_id=message_id),
]


@pytest.mark.parametrize("number", range(len(ACTS)))
def test_what_one_does_not_see_is_not_there(office: Office, number: int) -> None:
    topic = make_topic(office.erika.company, office.otto)
    office.message.topic_id = topic.id
    db.session.flush()
    stranger = make_membership(roles=("mailbox",))
    for membership in (office.erika, stranger):
        with pytest.raises(NotFound):
            ACTS[number](acting(membership), office.id)
        with pytest.raises(NotFound):
            ACTS[number](acting(membership), new_id())
    assert db.session.scalar(select(Task)) is None


@pytest.mark.parametrize("days", [-1, tasks.MAXIMUM_DAYS_AHEAD + 1])
def test_a_due_date_lies_ahead(office: Office, days: int) -> None:
    with pytest.raises(tasks.BadDay):
        due = legal_day(now()) + timedelta(days=days)
        tasks.assign(actor=office.actor, message_id=office.id, assignee_id=None, due_on=due)


def test_a_due_date_that_has_passed_does_not_hinder_another_change(office: Office) -> None:
    with time_machine.travel(datetime(2026, 11, 2, 9, tzinfo=UTC), tick=False):
        today = legal_day(now())
        tasks.assign(actor=office.actor, message_id=office.id, assignee_id=None, due_on=today)
    with time_machine.travel(datetime(2026, 11, 5, 9, tzinfo=UTC), tick=False):
        tasks.assign(actor=office.actor, message_id=office.id, assignee_id=office.otto.id, due_on=today)
        assert sheet.sheet_of(actor=office.actor, message_id=office.id).is_overdue


def test_done_at_once_without_the_rule(office: Office) -> None:
    tasks.finish(actor=office.actor, message_id=office.id)
    assert task(office).closed_at is not None
    with pytest.raises(tasks.AlreadyDone):
        tasks.finish(actor=office.actor, message_id=office.id)
    with pytest.raises(tasks.AlreadyDone):
        tasks.assign(actor=office.actor, message_id=office.id, assignee_id=None, due_on=None)
    with pytest.raises(tasks.AlreadyDone):
        tasks.withdraw(actor=office.actor, message_id=office.id)
    with pytest.raises(tasks.NotDone):
        tasks.confirm(actor=acting(office.otto), message_id=office.id)
    tasks.reopen(actor=acting(office.otto), message_id=office.id)
    assert task(office).done_at is task(office).closed_at is None
    with pytest.raises(tasks.NotDone):
        tasks.reopen(actor=office.actor, message_id=office.id)


def test_two_people_with_the_rule(office: Office) -> None:
    locked_mailbox(office.message.company_id).has_four_eyes = True
    tasks.finish(actor=office.actor, message_id=office.id)
    assert task(office).closed_at is None
    # Neither the same person again, nor the same person under a new membership.
    office.erika.ended_at = now()
    db.session.flush()
    again = make_membership(company=office.erika.company, person=office.erika.person, roles=("mailbox",))
    for membership in (office.erika, again):
        with pytest.raises(tasks.SecondPersonNeeded):
            tasks.confirm(actor=acting(membership), message_id=office.id)
    tasks.confirm(actor=acting(office.otto), message_id=office.id)
    done = task(office)
    assert done.closed_at == done.confirmed_at is not None
    assert done.confirmed_by == office.otto.id


def test_what_waits_for_a_second_person_goes_on_waiting_without_the_rule(office: Office) -> None:
    locked_mailbox(office.message.company_id).has_four_eyes = True
    tasks.finish(actor=office.actor, message_id=office.id)
    locked_mailbox(office.message.company_id).has_four_eyes = False
    assert task(office).closed_at is None
    tasks.confirm(actor=acting(office.otto), message_id=office.id)
    assert task(office).closed_at is not None


def state(office: Office) -> dict[str, Any]:
    found = task(office)
    names = ("assignee_id", "due_on", "is_listed", "done_at", "done_by", "needs_second", "confirmed_at", "closed_at")
    return {"topic": office.message.topic_id, **{name: getattr(found, name) for name in names}}


@pytest.mark.parametrize("kind", ["assign", "withdraw", "finish", "confirm", "reopen", "move"])
@pytest.mark.parametrize("four_eyes", [False, True])
def test_undo_brings_back_what_was(office: Office, kind: str, four_eyes: bool) -> None:
    topic = make_topic(office.erika.company, office.erika)
    locked_mailbox(office.message.company_id).has_four_eyes = four_eyes
    due = legal_day(now()) + timedelta(days=9)
    tasks.assign(actor=office.actor, message_id=office.id, assignee_id=office.otto.id, due_on=due)
    actor = office.actor
    if kind in ("confirm", "reopen"):
        tasks.finish(actor=acting(office.otto), message_id=office.id)
    if kind == "confirm" and not four_eyes:
        return
    before = state(office)
    if kind == "assign":
        tasks.assign(actor=actor, message_id=office.id, assignee_id=office.erika.id, due_on=None)
    elif kind == "move":
        tasks.move(actor=actor, message_id=office.id, topic_id=topic.id)
        assert task(office).assignee_id is None
    else:
        getattr(tasks, kind)(actor=actor, message_id=office.id)
    assert state(office) != before
    last = task(office).last_event_id
    assert last is not None
    with pytest.raises(NotFound):
        tasks.undo(actor=acting(office.otto), message_id=office.id, event_id=last)
    tasks.undo(actor=actor, message_id=office.id, event_id=last)
    assert state(office) == before
    with pytest.raises(tasks.CannotUndo):
        tasks.undo(actor=actor, message_id=office.id, event_id=last)


def test_undo_ends_after_ten_minutes(office: Office) -> None:
    start = datetime(2026, 11, 2, 9, tzinfo=UTC)
    with time_machine.travel(start, tick=False):
        tasks.finish(actor=office.actor, message_id=office.id)
    last = task(office).last_event_id
    assert last is not None
    with time_machine.travel(start + tasks.UNDO_FOR + timedelta(seconds=1), tick=False):
        assert sheet.sheet_of(actor=office.actor, message_id=office.id).undoable is None
        with pytest.raises(tasks.CannotUndo):
            tasks.undo(actor=office.actor, message_id=office.id, event_id=last)
    with time_machine.travel(start + tasks.UNDO_FOR - timedelta(seconds=1), tick=False):
        assert sheet.sheet_of(actor=office.actor, message_id=office.id).undoable == last
        tasks.undo(actor=office.actor, message_id=office.id, event_id=last)


def test_a_move_out_of_sight_can_be_taken_back_by_who_did_it(office: Office) -> None:
    topic = make_topic(office.erika.company, office.otto)
    tasks.move(actor=office.actor, message_id=office.id, topic_id=topic.id)
    assert not sheet.is_visible(office.actor, office.id)
    last = task(office).last_event_id
    assert last is not None
    tasks.undo(actor=office.actor, message_id=office.id, event_id=last)
    assert sheet.is_visible(office.actor, office.id)


def test_a_move_goes_to_living_topics_of_the_own_company_only(office: Office) -> None:
    ended = make_topic(office.erika.company, office.erika)
    ended.ended_at = now()
    foreign = make_topic(make_company(), make_membership(roles=("mailbox",)))
    for topic_id in (ended.id, foreign.id, new_id()):
        with pytest.raises(NotFound):
            tasks.move(actor=office.actor, message_id=office.id, topic_id=topic_id)
    assert not tasks.move(actor=office.actor, message_id=office.id, topic_id=None)
