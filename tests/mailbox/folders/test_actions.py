"""Acts on many messages: what they change, what they refuse and why, and that taking back is exact."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from tests.factories import make_company, make_membership
from tests.mailbox.reading_data import acting, authority, put
from tests.mailbox.team.team_data import make_topic
from tests.mailbox.test_inbox import START, counted_statements, fill
from tests.mailbox.test_reading import events
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.errors import NotFound
from unternehmenskonto.mailbox import places, reading
from unternehmenskonto.mailbox.folders import actions
from unternehmenskonto.mailbox.folders.models import BulkAction
from unternehmenskonto.mailbox.folders.protection import protection
from unternehmenskonto.mailbox.labels import actions as labels
from unternehmenskonto.mailbox.labels.models import MessageLabel
from unternehmenskonto.mailbox.models import Mailbox, Message

MORNING = datetime(2026, 12, 1, 9, tzinfo=UTC)


def state(company_id: uuid.UUID) -> tuple[Any, ...]:
    """Return everything an act may change, with the numbers as they are kept."""
    db.session.expire_all()
    rows = db.session.execute(
        select(Message.id, Message.archived_at, Message.binned_at, Message.is_unread)
        .where(Message.company_id == company_id)
        .order_by(Message.id)
    ).all()
    carried = db.session.execute(
        select(MessageLabel.message_id, MessageLabel.label_id).where(MessageLabel.company_id == company_id)
    ).all()
    mailbox = db.session.get_one(Mailbox, company_id)
    return ([tuple(row) for row in rows], {tuple(row) for row in carried},
            (mailbox.unread_count, mailbox.unread_archived))  # fmt: skip


def counted(company_id: uuid.UUID) -> tuple[int, int]:
    """Count what Mailbox keeps."""
    inner = select(Message).where(
        Message.company_id == company_id, Message.is_unread, Message.binned_at.is_(None)
    ).subquery()  # fmt: skip
    row = db.session.execute(select(func.count(), func.count(inner.c.archived_at)).select_from(inner)).one()
    return row[0], row[1]


@pytest.fixture
def member(app: Flask) -> Membership:
    return make_membership()


@pytest.fixture
def ids(member: Membership) -> list[uuid.UUID]:
    """Six ordinary messages, the newest first."""
    keys = fill(member.company, [START + timedelta(minutes=number) for number in range(6)])
    db.session.get_one(Mailbox, member.company_id).unread_count = 6
    db.session.flush()
    return [key[1] for key in keys]


def test_bin_and_back_to_where_it_was(member: Membership, ids: list[uuid.UUID]) -> None:
    actor = acting(member)
    actions.act(actor=actor, action="archive", message_ids=ids[:2])
    before = state(member.company_id)
    assert places.unread(actor) == places.Unread(inbox=4, archive=2)
    actions.act(actor=actor, action="bin", message_ids=ids[1:3])
    assert places.unread(actor) == places.Unread(inbox=3, archive=1)
    actions.act(actor=actor, action="restore", message_ids=ids[1:3])
    assert state(member.company_id) == before
    message = db.session.get_one(Message, (member.company_id, ids[1]))
    assert events(message) == ["message.archived", "message.binned", "message.restored"]


@pytest.mark.parametrize(
    ("regime", "at", "reason", "until", "free"),
    [
        ("ozg9", MORNING, "period_runs", date(2027, 1, 5), datetime(2027, 1, 5, 23, 0, tzinfo=UTC)),
        ("vwvfg41_2a", MORNING, "period_unknown", date(2026, 12, 11), datetime(2026, 12, 11, 23, 0, tzinfo=UTC)),
    ],
)
def test_a_decision_stays_out_of_the_bin_while_its_deadline_runs(
    member: Membership, regime: str, at: datetime, reason: str, until: date, free: datetime
) -> None:
    message = put(member.company, authority(), regime=regime, at=at)
    for moment in (at, free - timedelta(seconds=1)):
        with time_machine.travel(moment, tick=False):
            bulk = actions.act(actor=acting(member), action="bin", message_ids=[message.id])
        assert (bulk.changes, bulk.refused) == ([], [[str(message.id), reason, until.isoformat()]])
    with time_machine.travel(free, tick=False):
        actions.act(actor=acting(member), action="bin", message_ids=[message.id])
    assert message.binned_at == free


def test_retrieval_makes_the_deadline_known(member: Membership) -> None:
    message = put(member.company, authority(), regime="vwvfg41_2a", at=MORNING)
    with time_machine.travel(MORNING, tick=False):
        reading.open_message(actor=acting(member), message_id=message.id, is_chosen=True)
    found = protection(message, date(2026, 12, 12))
    assert found is not None and (found.reason, found.until) == ("period_runs", date(2027, 1, 4))


def test_an_unopened_decision_is_not_marked_read(member: Membership) -> None:
    service = authority()
    decision = put(member.company, service, regime="ozg9")
    over = put(member.company, service, regime="vwvfg41_2a", at=datetime(2026, 1, 1, 9, tzinfo=UTC))
    message = put(member.company, service)
    bulk = actions.act(actor=acting(member), action="read", message_ids=[decision.id, over.id, message.id])
    assert bulk.refused == [[str(decision.id), "unopened", None]]
    assert (decision.is_unread, over.is_unread, message.is_unread) == (True, False, False)
    assert message.first_retrieved_at is None and "message.opened" not in events(message)
    reading.open_message(actor=acting(member), message_id=decision.id)
    actions.act(actor=acting(member), action="unread", message_ids=[decision.id])
    assert actions.act(actor=acting(member), action="read", message_ids=[decision.id]).refused == []
    assert not decision.is_unread


def test_what_is_already_so_is_neither_changed_nor_refused(member: Membership, ids: list[uuid.UUID]) -> None:
    actor = acting(member)
    for action in ("archive", "unread", "restore"):
        actions.act(actor=actor, action=action, message_ids=ids[:2])
        again = actions.act(actor=actor, action=action, message_ids=ids[:2])
        assert (again.changes, again.refused) == ([], [])
    actions.act(actor=actor, action="bin", message_ids=ids[:1])
    assert actions.act(actor=actor, action="archive", message_ids=ids[:1]).refused == [[str(ids[0]), "in_bin", None]]


def test_too_few_and_too_many(member: Membership, ids: list[uuid.UUID]) -> None:
    actor = acting(member)
    with pytest.raises(actions.NothingSelected):
        actions.act(actor=actor, action="archive", message_ids=[])
    with pytest.raises(actions.TooManySelected) as caught:
        actions.act(actor=actor, action="archive", message_ids=[uuid.uuid4() for _ in range(101)])
    assert "Höchstens 100 Nachrichten" in str(caught.value.sentence)
    assert len(actions.act(actor=actor, action="archive", message_ids=ids * 30).changes) == 6


def test_nobody_reaches_what_they_do_not_see(member: Membership, ids: list[uuid.UUID]) -> None:
    foreign = make_membership()
    for action in ("archive", "bin", "read"):
        with pytest.raises(NotFound):
            actions.act(actor=acting(foreign), action=action, message_ids=ids)
    topic = make_topic(member.company, make_membership(company=member.company))
    db.session.execute(update(Message).where(Message.id == ids[0]).values(topic_id=topic.id))
    bulk = actions.act(actor=acting(member), action="archive", message_ids=ids[:2])
    assert bulk.refused == [[str(ids[0]), "gone", None]]
    colleague = acting(make_membership(company=member.company))
    with pytest.raises(NotFound):
        actions.undo(actor=colleague, bulk_id=bulk.id)
    label = labels.make(actor=acting(foreign), name="Steuern", colour="red")
    with pytest.raises(NotFound):
        actions.act(actor=acting(member), action="label", message_ids=ids, label_id=label.id)


def test_undo_leaves_alone_what_somebody_changed_since(member: Membership, ids: list[uuid.UUID]) -> None:
    bulk = actions.act(actor=acting(member), action="archive", message_ids=ids[:3])
    colleague = acting(make_membership(company=member.company))
    actions.act(actor=colleague, action="restore", message_ids=ids[:1])
    actions.act(actor=colleague, action="restore", message_ids=ids[1:2])
    actions.act(actor=colleague, action="archive", message_ids=ids[1:2])
    actions.undo(actor=acting(member), bulk_id=bulk.id)
    found = {one: db.session.get_one(Message, (member.company_id, one)).archived_at for one in ids[:3]}
    assert [found[one] is None for one in ids[:3]] == [True, False, True]
    assert bulk.left_alone == 1
    with pytest.raises(actions.UndoExpired):
        actions.undo(actor=acting(member), bulk_id=bulk.id)


def test_undo_ends_after_a_day(member: Membership, ids: list[uuid.UUID]) -> None:
    with time_machine.travel(MORNING, tick=False):
        bulk = actions.act(actor=acting(member), action="archive", message_ids=ids)
    with time_machine.travel(MORNING + timedelta(hours=24, seconds=1), tick=False):
        with pytest.raises(actions.UndoExpired):
            actions.undo(actor=acting(member), bulk_id=bulk.id)
        actions.forget_bulk_actions()
    assert db.session.scalar(select(func.count()).select_from(BulkAction)) == 0


@pytest.mark.parametrize("action", ["archive", "bin", "read", "label"])
def test_an_act_costs_the_same_for_one_and_for_many(member: Membership, action: str) -> None:
    actor, costs = acting(member), []
    label_id = labels.make(actor=actor, name="Steuern", colour="red").id
    for count in (1, 100):
        ids = [key[1] for key in fill(member.company, [START] * count)]
        db.session.execute(update(Mailbox).values(unread_count=1000))
        with counted_statements() as statements:
            bulk_id = actions.act(actor=actor, action=action, message_ids=ids, label_id=label_id).id
        taken = len(statements)
        with counted_statements() as statements:
            actions.undo(actor=actor, bulk_id=bulk_id)
        costs.append((taken, len(statements)))
    assert costs[0] == costs[1]
    assert max(costs[0]) <= 8


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["archive", "restore", "bin", "read", "unread", "label", "unlabel"]),
        st.sets(st.integers(0, 5), min_size=1),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(STEPS)
def test_taking_back_returns_exactly_what_was(app: Flask, steps: list[tuple[Any, set[int]]]) -> None:
    """Any acts one after the other, each taken back in turn: every state comes back, and the numbers are right."""
    member = make_membership(company=make_company())
    actor, service = acting(member), authority()
    ids = [key[1] for key in fill(member.company, [START + timedelta(minutes=number) for number in range(4)])]
    db.session.get_one(Mailbox, member.company_id).unread_count = 4
    db.session.get_one(Mailbox, member.company_id).last_sequence = 4
    db.session.flush()
    ids += [put(member.company, service, regime="ozg9").id]
    ids += [put(member.company, service, regime="ozg9", at=datetime(2020, 1, 1, tzinfo=UTC)).id]
    label = labels.make(actor=actor, name="Steuern", colour="red")
    topic = make_topic(member.company, member)
    db.session.execute(update(Message).where(Message.id == ids[0]).values(topic_id=topic.id))
    states, done = [state(member.company_id)], []
    for action, chosen in steps:
        wanted = [ids[number] for number in chosen]
        done.append(actions.act(actor=actor, action=action, message_ids=wanted, label_id=label.id).id)
        states.append(state(member.company_id))
        assert states[-1][2] == counted(member.company_id)
    for bulk_id in reversed(done):
        assert state(member.company_id) == states.pop()
        actions.undo(actor=actor, bulk_id=bulk_id)
    assert state(member.company_id) == states.pop()
    kept = db.session.execute(
        text("SELECT unread_count, unread_archived FROM mailbox_topics WHERE id = :id"), {"id": topic.id}
    ).one()
    assert tuple(kept) == (1, 0)
