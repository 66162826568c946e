"""The page of the deadlines: order, groups, paging, what it costs, and that it opens nothing."""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from tests.factories import make_company, make_membership, sign_in
from tests.mailbox.reading_data import authority, put, reader
from tests.mailbox.test_inbox import counted_statements
from tests.mailbox.watch.deadline_data import MORNING, TODAY, decisions
from tests.page_checks import faults
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.deadlines import legal_day, provision_end
from unternehmenskonto.mailbox.inbox import InvalidCursor
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.rules import rule_for
from unternehmenskonto.mailbox.team.models import Task
from unternehmenskonto.mailbox.watch import due
from unternehmenskonto.permissions import Actor


@pytest.fixture(autouse=True)
def _morning() -> Iterator[None]:
    with time_machine.travel(MORNING, tick=False):
        yield


def actor_of(membership: Membership) -> Actor:
    return Actor(
        person_id=membership.person_id, person_name="", company_id=membership.company_id, company_name="",
        membership_id=membership.id, session_id=uuid.uuid4(), assurance_level="low", auth_time=MORNING,
        roles=frozenset(membership.roles),
    )  # fmt: skip


def walk(actor: Actor) -> list[due.Due]:
    found: list[due.Due] = []
    cursor: str | None = None
    while True:
        page = due.list_due(actor=actor, cursor=cursor)
        found += page.entries
        cursor = page.more
        if cursor is None:
            return found
        assert len(page.entries) == due.PAGE_SIZE


@pytest.mark.parametrize("count", [0, 1, 25, 26, 50, 130])
def test_every_deadline_is_shown_once_the_next_first(app: Flask, count: int) -> None:
    membership = make_membership()
    # Few different days, so that many decisions share one and the id decides.
    days = [random.randrange(-due.SHOWN_AFTER_DAYS, 60) for _ in range(count)]
    ids = dict(zip(decisions(membership.company, days), days, strict=True))
    decisions(make_company(), [0, 5])
    found = walk(actor_of(membership))
    assert {one.id: one.days_left for one in found} == ids
    assert len(found) == count
    running = [(one.due_on, one.id) for one in found if one.days_left >= 0]
    over = [(one.due_on, one.id) for one in found if one.days_left < 0]
    assert running == sorted(running) and over == sorted(over, reverse=True)
    assert [one.days_left < 0 for one in found] == [False] * len(running) + [True] * len(over)


def test_groups_follow_the_calendar(app: Flask) -> None:
    membership = make_membership()
    decisions(membership.company, [-31, -30, -1, 0, 1, 5, 6, 300])
    groups = due.list_due(actor=actor_of(membership)).groups
    assert [(name, [one.days_left for one in found]) for name, found in groups] == [
        ("today", [0]),
        ("week", [1, 5]),  # Sunday
        ("later", [6, 300]),
        ("over", [-1, -30]),
    ]


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        (datetime(2026, 3, 28, 22, 59, tzinfo=UTC), 2),  # the clocks go forward in the night to the 29th
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), 1),
        (datetime(2026, 3, 29, 21, 59, tzinfo=UTC), 1),
        (datetime(2026, 3, 29, 22, 0, tzinfo=UTC), 0),
        (datetime(2026, 3, 30, 22, 0, tzinfo=UTC), -1),
    ],
)
def test_days_left_turn_at_german_midnight(app: Flask, moment: datetime, left: int) -> None:
    membership = make_membership()
    decisions(membership.company, [0], remedy_ends_on=date(2026, 3, 30))
    with time_machine.travel(moment, tick=False):
        (entry,) = due.list_due(actor=actor_of(membership)).entries
    assert entry.days_left == left


def test_a_decision_that_waits_is_due_with_the_end_of_its_provision(app: Flask) -> None:
    membership = make_membership()
    # Half past eleven at night in UTC is the next day in Germany.
    for at in (datetime(2026, 11, 25, 23, 30, tzinfo=UTC), datetime(2026, 7, 1, 22, 30, tzinfo=UTC)):
        message = put(membership.company, authority(), regime="vwvfg41_2a", at=at)
        day = legal_day(at)
        assert message.due_on == provision_end(rule_for("vwvfg41_2a", day), day)
    (entry,) = due.list_due(actor=actor_of(membership)).entries
    assert (entry.due_on, entry.by_retrieval) == (date(2026, 12, 6), True)


def test_messages_and_other_companies_are_left_out(client: FlaskClient) -> None:
    membership = reader(client)
    put(membership.company, authority())
    foreign = decisions(make_company(), [3])[0]
    assert due.list_due(actor=actor_of(membership)).entries == []
    assert client.get(f"/fristen/{foreign}").status_code == 404
    ordinary = db.session.scalar(db.select(Message.id).filter_by(company_id=membership.company_id))
    assert client.get(f"/fristen/{ordinary}").status_code == 404


def test_number_of_those_due_soon_has_an_end(app: Flask) -> None:
    membership = make_membership()
    decisions(membership.company, [-1, 0, 7, 8])
    assert due.count_soon(actor_of(membership)) == 2
    decisions(membership.company, [3] * 150)
    assert due.count_soon(actor_of(membership)) == due.COUNTED


def test_internal_dates_stand_beside_the_legal_ones(client: FlaskClient) -> None:
    membership = reader(client)
    done, agreed, _other = decisions(membership.company, [2, 3, 4])
    ordinary = put(membership.company, authority(), subject="Rückfrage")
    common = {"company_id": membership.company_id, "is_listed": True}
    db.session.add_all(
        [
            Task(message_id=done, done_at=MORNING, done_by=membership.id, closed_at=MORNING, **common),
            Task(message_id=agreed, due_on=TODAY + timedelta(days=1), **common),
            Task(message_id=ordinary.id, due_on=TODAY, assignee_id=membership.id, **common),
        ]
    )
    db.session.commit()
    found = {one.id: one for one in due.list_due(actor=actor_of(membership)).entries}
    assert (found[done].is_done, found[agreed].internal_due_on) == (True, TODAY + timedelta(days=1))
    assert due.count_soon(actor_of(membership)) == 2
    (own,) = due.own_dates(actor_of(membership))
    assert (own.id, own.days_left, own.is_decision) == (ordinary.id, 0, False)
    page = client.get("/fristen").text
    assert "erledigt" in page and "Intern bis 02.12.2026" in page and "Ihre internen Termine" in page
    assert faults(page) == []


def test_what_lies_in_the_bin_is_not_shown(app: Flask) -> None:
    membership = make_membership()
    decisions(membership.company, [-3, 2], binned_at=MORNING)
    (kept,) = decisions(membership.company, [-3])
    assert [one.id for one in due.list_due(actor=actor_of(membership)).entries] == [kept]
    assert due.count_soon(actor_of(membership)) == 0


def test_page_costs_the_same_whatever_it_shows(client: FlaskClient) -> None:
    membership = reader(client)
    costs = []
    for days in ([], [3], list(range(24)), [5] * 100 + [-3] * 100):
        decisions(membership.company, days)
        db.session.commit()
        client.get("/fristen")
        with counted_statements() as statements:
            assert client.get("/fristen").status_code == 200
        costs.append(len(statements))
        assert not [one for one in statements if "messages.body," in one]
    # Who is there, the list, who was told, own dates, the badge, one's open tasks, the deadlines that end soon.
    assert costs == [7] * 4


def test_page_is_read_by_its_index(app: Flask) -> None:
    company = make_company()
    decisions(company, [3] * 3000)
    db.session.execute(text("ANALYZE messages"))
    plan = db.session.execute(
        text(
            "EXPLAIN SELECT id FROM messages WHERE company_id = :company AND due_on >= :today"
            " AND (due_on, id) > (:today, :id) ORDER BY due_on, id LIMIT 26"
        ),
        {"company": company.id, "today": TODAY, "id": uuid.UUID(int=0)},
    )
    assert "ix_messages_due" in "\n".join(row[0] for row in plan)


@given(st.text(max_size=50))
def test_foreign_cursors_are_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        due._decode(cursor)


def test_page_says_what_ends_when(client: FlaskClient) -> None:
    membership = reader(client)
    decisions(membership.company, [0, 1, 4, -1, -12])
    put(membership.company, authority(), regime="vwvfg41_2a", at=MORNING - timedelta(days=2), subject="Zum Abruf")
    db.session.commit()
    page = client.get("/fristen").text
    for words in ("endet heute", "endet morgen", "noch 4 Tage", "gestern abgelaufen", "vor 12 Tagen abgelaufen",
                  "Abruf nur bis 09.12.2026", "noch nicht geöffnet", "Wiedereinsetzung"):  # fmt: skip
        assert words in page, words
    assert [page.index(f">{name}</h2>") for name in ("Heute", "Diese Woche", "Später", "Abgelaufen")] == sorted(
        page.index(f">{name}</h2>") for name in ("Heute", "Diese Woche", "Später", "Abgelaufen")
    )
    assert faults(page) == []


def test_further_pages_and_a_broken_address(client: FlaskClient) -> None:
    membership = reader(client)
    decisions(membership.company, list(range(30)))
    db.session.commit()
    first = client.get("/fristen")
    cursor = first.text.split("/fristen?seite=")[1].split('"')[0]
    second = client.get(f"/fristen?seite={cursor}").text
    assert "Zum Anfang" in second and "Weitere Fristen" not in second and "noch 29 Tage" in second
    assert faults(second) == []
    assert client.get("/fristen?seite=x").status_code == 400


def test_empty_page_says_what_will_stand_here(client: FlaskClient) -> None:
    reader(client)
    page = client.get("/fristen").text
    assert "Keine laufenden Fristen" in page and faults(page) == []


def test_nobody_without_the_right_sees_deadlines(client: FlaskClient) -> None:
    membership = make_membership(roles=("administrator",))
    (decision,) = decisions(membership.company, [3])
    sign_in(client, membership)
    for path in ("/fristen", f"/fristen/{decision}"):
        assert client.get(path).status_code == 403


def test_looking_at_a_deadline_opens_nothing(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(membership.company, authority(), regime="vwvfg41_2a", at=MORNING - timedelta(days=2))
    db.session.commit()
    for path in ("/fristen", f"/fristen/{message.id}", f"/fristen/{message.id}?tag=2026-12-05"):
        page = client.get(path)
        assert page.status_code == 200 and faults(page.text) == []
    db.session.refresh(message)
    assert (message.first_retrieved_at, message.is_unread, message.announced_on) == (None, True, None)
    events = db.session.scalars(text("SELECT event FROM audit_events WHERE company_id = :c"), {"c": message.company_id})
    assert "message.opened" not in events.all()
