"""The lists of tasks against a plain sort, and who has seen what."""

import random
import uuid
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from tests.factories import make_company, make_membership
from tests.mailbox.reading_data import authority, file, put
from tests.mailbox.team.team_data import acting, make_topic
from tests.mailbox.test_inbox import START, counted_statements, fill
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox import reading
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.inbox import InvalidCursor
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team import lists, marks, seen
from unternehmenskonto.mailbox.team.models import Task
from unternehmenskonto.permissions import Actor


def walk(actor: Actor, which: lists.Which) -> tuple[list[uuid.UUID], list[uuid.UUID]]:
    """Read all pages down and up again."""
    down: list[uuid.UUID] = []
    page = lists.list_tasks(actor=actor, which=which)
    while True:
        down += [line.message_id for line in page.lines]
        if page.older is None:
            break
        page = lists.list_tasks(actor=actor, which=which, cursor=page.older)
    up = [line.message_id for line in page.lines]
    while page.newer:
        page = lists.list_tasks(actor=actor, which=which, cursor=page.newer)
        up = [line.message_id for line in page.lines] + up
    return down, up


def make_tasks(me: Membership, count: int) -> dict[str, list[uuid.UUID]]:
    """Put tasks of all kinds straight into the table; return what each list must show, in order."""
    company = me.company
    others = [make_membership(company=company, roles=("mailbox",)) for _ in range(3)]
    gone = [make_membership(company=company, ended_at=now()), make_membership(company=company, roles=("services",))]
    hidden = make_topic(company, others[0])
    keys = fill(company, [START + timedelta(minutes=number) for number in range(count)])
    rows, expected = [], {name: list[Any]() for name in ("mine", "nobody", "others", "done")}
    for _, message_id in keys:
        owner = random.choice([me, *others, *gone, None])
        due = random.choice([None, legal_day(now()) + timedelta(days=random.randrange(4))])
        closed = random.choice([None, None, START + timedelta(minutes=random.randrange(9))])
        row: dict[str, Any] = {
            "company_id": company.id, "message_id": message_id, "assignee_id": owner.id if owner else None,
            "due_on": due, "is_listed": True, "done_at": closed, "done_by": others[0].id if closed else None,
            "needs_second": False, "closed_at": closed, "comment_count": 0,
        }  # fmt: skip
        rows.append(row)
        if random.random() < 0.2:
            db.session.execute(
                Message.__table__.update().where(Message.id == message_id).values(topic_id=hidden.id)  # type: ignore[attr-defined]
            )
            continue
        kind = "mine" if owner is me else "others" if owner in others else "nobody"
        place = (due is None, due or legal_day(now()), message_id)
        expected["done" if closed else kind].append((closed, message_id) if closed else place)
    if rows:
        db.session.execute(insert(Task), rows)
    return {name: [place[-1] for place in sorted(found, reverse=name == "done")] for name, found in expected.items()}


@pytest.mark.parametrize("count", [0, 1, 40, 260])
def test_each_list_shows_each_task_once_in_order(app: Flask, count: int) -> None:
    me = make_membership(roles=("mailbox",))
    expected = make_tasks(me, count)
    for which in ("mine", "nobody", "others", "done"):
        down, up = walk(acting(me), which)
        assert down == expected[which]
        assert set(up) == set(expected[which])
        rest = up[lists.PAGE_SIZE :]
        assert rest == expected[which][len(expected[which]) - len(rest) :]
    assert marks.open_count(acting(me)) >= min(len(expected["mine"]), 100)


def test_a_page_is_one_statement(app: Flask) -> None:
    me = make_membership(roles=("mailbox",))
    make_tasks(me, 60)
    for which in ("mine", "nobody", "others", "done"):
        page = lists.list_tasks(actor=acting(me), which=which)
        cursor = page.older
        with counted_statements() as statements:
            lists.list_tasks(actor=acting(me), which=which, cursor=cursor)
        assert len(statements) == 1


def test_a_broken_cursor_is_refused(app: Flask) -> None:
    me = acting(make_membership(roles=("mailbox",)))
    with pytest.raises(InvalidCursor):
        lists.list_tasks(actor=me, which="mine", cursor="x")
    with pytest.raises(seen.InvalidPlace):
        seen.sights_of(actor=me, message_id=uuid.uuid4(), before="x")


def test_the_badge_stops_counting(app: Flask) -> None:
    me = make_membership(roles=("mailbox",))
    keys = fill(me.company, [START] * (marks.MAXIMUM_BADGE + 5))
    common = {"company_id": me.company_id, "assignee_id": me.id, "is_listed": True}
    common |= {"needs_second": False, "comment_count": 0}
    db.session.execute(insert(Task), [{**common, "message_id": key[1]} for key in keys])
    assert marks.open_count(acting(me)) == marks.MAXIMUM_BADGE + 1


def test_who_has_seen_what_and_when(app: Flask) -> None:
    company = make_company()
    erika, otto = (make_membership(company=company, roles=("mailbox",)) for _ in range(2))
    message = put(company, authority(), files=[file("a.pdf", b"%PDF-1.7 x")])
    other = put(company, authority())
    assert seen.sights_of(actor=acting(erika), message_id=message.id).sights == []
    reading.open_message(actor=acting(otto), message_id=message.id)
    attachment = message.attachments[0].id
    reading.open_attachment(actor=acting(erika), message_id=message.id, attachment_id=attachment)
    reading.open_message(actor=acting(erika), message_id=other.id)
    found = seen.sights_of(actor=acting(erika), message_id=message.id).sights
    assert [(one.kind, one.name, one.file_name) for one in found] == [
        ("downloaded", erika.person.name, "a.pdf"),
        ("opened", erika.person.name, None),
        ("opened", otto.person.name, None),
        ("first", otto.person.name, None),
    ]


def test_sights_are_paged_and_cost_the_same(app: Flask) -> None:
    erika = make_membership(roles=("mailbox",))
    message = put(erika.company, authority())
    for _ in range(seen.PAGE_SIZE + 3):
        reading.open_message(actor=acting(erika), message_id=message.id)
    db.session.expunge_all()
    with counted_statements() as statements:
        page = seen.sights_of(actor=acting(erika), message_id=message.id)
    assert len(statements) <= 4
    rest = seen.sights_of(actor=acting(erika), message_id=message.id, before=page.older)
    ids = [one.id for one in page.sights + rest.sights]
    assert len(set(ids)) == len(ids) == seen.PAGE_SIZE + 4
    assert ids == sorted(ids, reverse=True) and rest.older is None
