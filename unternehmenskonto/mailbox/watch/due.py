"""The deadlines of a mailbox, the next first: one page by keyset, the number of those due soon, one decision."""

import base64
import binascii
import struct
import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Literal

from sqlalchemy import Row, Select, and_, func, literal, select, tuple_, union_all

from unternehmenskonto.db import db, now
from unternehmenskonto.errors import NotFound
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.inbox import SOON_DAYS, InvalidCursor
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team.models import Task
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.permissions import Actor

PAGE_SIZE = 25
#: What is over stays in the list for so long.
SHOWN_AFTER_DAYS = 30
#: The number in the navigation ends here: 99+.
COUNTED = 100
OWN_DATES = 5
SUNDAY = 6
#: Running or over, day, id of the last message of the page.
_CURSOR = struct.Struct(">ci16s")

_TASK_OF_MESSAGE = and_(Task.company_id == Message.company_id, Task.message_id == Message.id)

Group = Literal["today", "week", "later", "over"]
Key = tuple[date, uuid.UUID]


@dataclass(frozen=True, kw_only=True)
class Due:
    """One line: what ends when. `by_retrieval`: the day is the last one to retrieve the decision."""

    id: uuid.UUID
    sender: str
    subject: str
    due_on: date
    days_left: int
    group: Group
    by_retrieval: bool
    is_opened: bool
    #: What the company agreed on inside; nothing of it moves the legal day.
    internal_due_on: date | None
    is_done: bool


@dataclass(frozen=True)
class Internal:
    """A date that the company set itself for a message of the person."""

    id: uuid.UUID
    subject: str
    sender: str
    is_decision: bool
    due_on: date
    days_left: int


@dataclass(frozen=True)
class Page:
    """Up to PAGE_SIZE lines, running ones with the next first, then those that are over; `more`: cursor or None."""

    entries: list[Due]
    more: str | None

    @property
    def groups(self) -> list[tuple[Group, list[Due]]]:
        """Return the lines of each group, the groups in the order of the list."""
        return [(name, list(found)) for name, found in groupby(self.entries, key=lambda one: one.group)]


def list_due(*, actor: Actor, cursor: str | None = None) -> Page:
    """Return one page of the deadlines the person may see; its cost does not depend on the size of the mailbox.

    Raises InvalidCursor for a cursor that is none of ours.
    """
    today = legal_day(now())
    phase, key = (b"r", None) if cursor is None else _decode(cursor)
    over = _over(actor, today, key if phase == b"o" else None)
    query: Any = over
    if phase == b"r":
        query = union_all(select(_running(actor, today, key).subquery()), select(over.subquery()))
    rows = sorted(db.session.execute(query).all(), key=lambda row: _place(row, today))
    entries = [_entry(row, today) for row in rows[:PAGE_SIZE]]
    return Page(entries=entries, more=_encode(entries[-1]) if len(rows) > PAGE_SIZE else None)


def count_soon(actor: Actor) -> int:
    """Return how many deadlines that are not done end within SOON_DAYS, today included; COUNTED at most."""
    today = legal_day(now())
    some = (
        select(literal(1))
        .select_from(Message)
        .outerjoin(Task, _TASK_OF_MESSAGE)
        .where(Task.closed_at.is_(None), Message.binned_at.is_(None))
        .where(Message.company_id == actor.company_id, visible_to(actor))
        .where(Message.due_on.between(today, today + timedelta(days=SOON_DAYS)))
        .limit(COUNTED)
    )
    return db.session.scalar(select(func.count()).select_from(some.subquery())) or 0


def own_dates(actor: Actor) -> list[Internal]:
    """Return the next internal dates of what is assigned to the person, OWN_DATES at most."""
    today = legal_day(now())
    rows = db.session.execute(
        select(Message.id, Message.subject, Message.sender_authority, Message.kind, Task.due_on)
        .join(Task, _TASK_OF_MESSAGE)
        .where(Task.company_id == actor.company_id, Task.assignee_id == actor.membership_id)
        .where(Task.closed_at.is_(None), Task.is_listed, Task.due_on.is_not(None))
        .where(Message.binned_at.is_(None), visible_to(actor))
        .order_by(Task.sort_on, Task.message_id)
        .limit(OWN_DATES)
    )
    return [
        Internal(
            row.id, row.subject, row.sender_authority, row.kind == "decision", row.due_on, (row.due_on - today).days
        )
        for row in rows
    ]


def decision_of(*, actor: Actor, message_id: uuid.UUID) -> Message:
    """Return a decision of the actor's company without opening it; raise NotFound for anything else."""
    found = db.session.scalar(
        select(Message)
        .where(Message.company_id == actor.company_id, Message.id == message_id, visible_to(actor))
        .where(Message.kind == "decision")
    )
    if found is None:
        raise NotFound
    return found


def by_retrieval(regime: str | None, remedy_ends_on: date | None) -> bool:
    """Tell whether the day watched is the last one on which the decision can be retrieved."""
    return regime == "vwvfg41_2a" and remedy_ends_on is None


def group_of(day: date, today: date) -> Group:
    """Return where a day stands in the list; a week ends on Sunday."""
    if day < today:
        return "over"
    if day == today:
        return "today"
    return "week" if day <= today + timedelta(days=SUNDAY - today.weekday()) else "later"


def _select(actor: Actor) -> Select[Any]:
    """Select what a line shows, never the body."""
    query: Any = select(
        Message.id,
        Message.sender_authority,
        Message.subject,
        Message.due_on,
        Message.regime,
        Message.remedy_ends_on,
        Message.first_retrieved_at,
        Task.due_on.label("internal_due_on"),
        Task.closed_at,
    ).outerjoin(Task, _TASK_OF_MESSAGE)
    selected: Select[Any] = query.where(
        Message.company_id == actor.company_id, Message.binned_at.is_(None), visible_to(actor)
    )
    return selected


def _running(actor: Actor, today: date, after: Key | None) -> Select[Any]:
    query = _select(actor).where(Message.due_on >= today)
    if after is not None:
        query = query.where(tuple_(Message.due_on, Message.id) > after)
    return query.order_by(Message.due_on, Message.id).limit(PAGE_SIZE + 1)


def _over(actor: Actor, today: date, after: Key | None) -> Select[Any]:
    query = _select(actor).where(Message.due_on < today, Message.due_on >= today - timedelta(days=SHOWN_AFTER_DAYS))
    if after is not None:
        query = query.where(tuple_(Message.due_on, Message.id) < after)
    return query.order_by(Message.due_on.desc(), Message.id.desc()).limit(PAGE_SIZE + 1)


def _place(row: Row[Any], today: date) -> tuple[bool, int, int]:
    """Return the order of the list: what runs by day, then what is over with the last one first."""
    is_over = row.due_on < today
    sign = -1 if is_over else 1
    return is_over, sign * row.due_on.toordinal(), sign * row.id.int


def _entry(row: Row[Any], today: date) -> Due:
    return Due(
        id=row.id,
        sender=row.sender_authority,
        subject=row.subject,
        due_on=row.due_on,
        days_left=(row.due_on - today).days,
        group=group_of(row.due_on, today),
        by_retrieval=by_retrieval(row.regime, row.remedy_ends_on),
        is_opened=row.first_retrieved_at is not None,
        internal_due_on=row.internal_due_on,
        is_done=row.closed_at is not None,
    )


def _encode(last: Due) -> str:
    phase = b"o" if last.group == "over" else b"r"
    packed = _CURSOR.pack(phase, last.due_on.toordinal(), last.id.bytes)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _decode(cursor: str) -> tuple[bytes, Key]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        phase, day, message_id = _CURSOR.unpack(raw)
        key = date.fromordinal(day), uuid.UUID(bytes=message_id)
    except (binascii.Error, ValueError, struct.error, OverflowError):
        raise InvalidCursor from None
    if phase not in (b"r", b"o"):
        raise InvalidCursor
    return phase, key
