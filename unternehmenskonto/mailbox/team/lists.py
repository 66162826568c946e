"""The lists of tasks: mine, of nobody, of others, done; keyset pages of one statement each."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select, true, tuple_, union_all
from sqlalchemy.orm import aliased

from unternehmenskonto.companies.models import Membership, Person
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.inbox import Key, decode, encode
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team.models import Task, Topic
from unternehmenskonto.mailbox.team.readers import is_living_reader
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.permissions import Actor

PAGE_SIZE = 25
#: Mine, of nobody (or of somebody who left), of colleagues, done.
Which = Literal["mine", "nobody", "others", "done"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One task of the list; `is_gone`: its assignee does not read the mailbox any more."""

    message_id: uuid.UUID
    subject: str
    sender: str
    is_decision: bool
    ends_on: date | None
    topic: str | None
    assignee: str | None
    is_gone: bool
    due_on: date | None
    is_overdue: bool
    is_waiting: bool
    closed_at: datetime | None
    done_by: str | None
    comments: int


@dataclass(frozen=True)
class Page:
    """Up to PAGE_SIZE tasks and where the list goes on; `older` leads down the list."""

    lines: list[Line]
    older: str | None
    newer: str | None


def list_tasks(*, actor: Actor, which: Which, cursor: str | None = None) -> Page:
    """Return one page: open tasks by internal due date and age, done ones newest first.

    Only tasks of messages the person sees. Raises InvalidCursor.
    """
    if cursor is None:
        return _page(_rows(actor, which, None, down=True), which, was_down=True, has_before=False)
    direction, key = decode(cursor)
    down = direction == b"o"
    rows = _rows(actor, which, key, down=down)
    if not rows or (not down and len(rows) <= PAGE_SIZE):
        return _page(_rows(actor, which, None, down=True), which, was_down=True, has_before=False)
    return _page(rows, which, was_down=down, has_before=True)


def _rows(actor: Actor, which: Which, key: Key | None, *, down: bool) -> Sequence[Row[Any]]:
    """Return up to one line more than a page, in the direction of reading."""
    keys = (_closed(actor, key, down=down) if which == "done" else _open(actor, which, key, down=down)).subquery()
    doer, doing = aliased(Membership), aliased(Person)
    order = [keys.c.place, keys.c.message_id]
    same = and_(Task.company_id == actor.company_id, Task.message_id == keys.c.message_id)
    query: Select[Any] = (
        select(
            keys.c.place, Task, Message.subject, Message.sender_authority, Message.kind, Message.remedy_ends_on,
            Topic.name.label("topic"), Person, is_living_reader().label("is_living"), doing.given_name,
            doing.family_name,
        )
        .select_from(keys)
        .join(Task, same)
        .join(Message, and_(Message.company_id == Task.company_id, Message.id == Task.message_id))
        .outerjoin(Topic, and_(Topic.company_id == Message.company_id, Topic.id == Message.topic_id))
        .outerjoin(Membership, Membership.id == Task.assignee_id)
        .outerjoin(Person, Person.id == Membership.person_id)
        .outerjoin(doer, doer.id == Task.done_by)
        .outerjoin(doing, doing.id == doer.person_id)
        .order_by(*_sorted(order, ascending=down != (which == "done")))
    )  # fmt: skip
    return db.session.execute(query).all()


def _open(actor: Actor, which: Which, key: Key | None, *, down: bool) -> Select[Any]:
    """Select the keys of open tasks: those of each assignee in question by the index, then the nearest of them all."""
    found: Any = select(Task.sort_on.label("place"), Task.message_id).join(
        Message, and_(Message.company_id == Task.company_id, Message.id == Task.message_id)
    )
    found = found.where(
        Task.company_id == actor.company_id, Task.closed_at.is_(None), Task.is_listed, visible_to(actor)
    )
    if key is not None:
        edge, place = (key[0].date(), key[1]), tuple_(Task.sort_on, Task.message_id)
        found = found.where(place > edge if down else place < edge)
    found = found.order_by(*_sorted([Task.sort_on, Task.message_id], ascending=down)).limit(PAGE_SIZE + 1)
    if which == "mine":
        return found.where(Task.assignee_id == actor.membership_id)  # type: ignore[no-any-return]
    owners = select(Membership.id).where(Membership.company_id == actor.company_id, _owns(actor, which)).subquery()
    each = found.where(Task.assignee_id == owners.c.id).lateral()
    parts = [select(each.c.place, each.c.message_id).select_from(owners).join(each, true())]
    if which == "nobody":
        parts.append(select(found.where(Task.assignee_id.is_(None)).subquery()))
    merged = union_all(*parts).subquery()
    order = _sorted([merged.c.place, merged.c.message_id], ascending=down)
    return select(merged).order_by(*order).limit(PAGE_SIZE + 1)


def _owns(actor: Actor, which: Which) -> ColumnElement[bool]:
    if which == "others":
        return and_(is_living_reader(), Membership.id != actor.membership_id)
    return or_(Membership.ended_at.is_not(None), ~is_living_reader())


def _closed(actor: Actor, key: Key | None, *, down: bool) -> Select[Any]:
    query: Any = (
        select(Task.closed_at.label("place"), Task.message_id)
        .join(Message, and_(Message.company_id == Task.company_id, Message.id == Task.message_id))
        .where(Task.company_id == actor.company_id, Task.closed_at.is_not(None), visible_to(actor))
    )
    if key is not None:
        place = tuple_(Task.closed_at, Task.message_id)
        query = query.where(place < key if down else place > key)
    query = query.order_by(*_sorted([Task.closed_at, Task.message_id], ascending=not down))
    return query.limit(PAGE_SIZE + 1)  # type: ignore[no-any-return]


def _sorted(columns: Sequence[Any], *, ascending: bool) -> list[Any]:
    return [column.asc() if ascending else column.desc() for column in columns]


def _page(rows: Sequence[Row[Any]], which: Which, *, was_down: bool, has_before: bool) -> Page:
    has_more = len(rows) > PAGE_SIZE
    kept = rows[:PAGE_SIZE] if was_down else rows[:PAGE_SIZE][::-1]
    today = legal_day(now())
    goes_down, goes_up = (has_more, has_before) if was_down else (True, has_more)
    return Page(
        lines=[_line(row, today) for row in kept],
        older=encode(b"o", _key(kept[-1])) if goes_down else None,
        newer=encode(b"n", _key(kept[0])) if goes_up else None,
    )


def _key(row: Row[Any]) -> Key:
    place = row.place
    moment = place if isinstance(place, datetime) else datetime.combine(place, time(), UTC)
    return moment, row.Task.message_id


def _line(row: Row[Any], today: date) -> Line:
    task: Task = row.Task
    return Line(
        message_id=task.message_id,
        subject=row.subject,
        sender=row.sender_authority,
        is_decision=row.kind == "decision",
        ends_on=row.remedy_ends_on,
        topic=row.topic,
        assignee=row.Person.name if row.Person is not None else None,
        is_gone=row.Person is not None and not row.is_living,
        due_on=task.due_on,
        is_overdue=task.due_on is not None and task.due_on < today and task.closed_at is None,
        is_waiting=task.done_at is not None and task.closed_at is None,
        closed_at=task.closed_at,
        done_by=f"{row.given_name} {row.family_name}" if row.family_name is not None else None,
        comments=task.comment_count,
    )
