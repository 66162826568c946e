"""What a list says of the team work on each message, and how many tasks wait for a person; one statement each."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import and_, func, select

from unternehmenskonto.companies.models import Membership, Person
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team.models import Task, Topic
from unternehmenskonto.permissions import Actor

#: The badge counts no further.
MAXIMUM_BADGE = 99


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The team work on one message, for a line of a list."""

    topic: str | None
    assignee_id: uuid.UUID | None
    assignee: str | None
    initials: str
    due_on: date | None
    is_overdue: bool
    is_done: bool
    #: Done, but a second person has to confirm it.
    is_waiting: bool
    comments: int


def marks_for(company_id: uuid.UUID, message_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Mark]:
    """Return the marks of these messages, only of those that have any; the caller chose what the person sees."""
    if not message_ids:
        return {}
    rows = db.session.execute(
        select(Message.id, Task, Topic.name, Person.given_name, Person.family_name)
        .outerjoin(Task, and_(Task.company_id == Message.company_id, Task.message_id == Message.id))
        .outerjoin(Topic, and_(Topic.company_id == Message.company_id, Topic.id == Message.topic_id))
        .outerjoin(Membership, Membership.id == Task.assignee_id)
        .outerjoin(Person, Person.id == Membership.person_id)
        .where(Message.company_id == company_id, Message.id.in_(message_ids))
    )
    today = legal_day(now())
    return {row.id: _mark(row, today) for row in rows if row.Task is not None or row.name is not None}


def open_count(actor: Actor) -> int:
    """Return how many open tasks the person has, MAXIMUM_BADGE + 1 at most."""
    mine = select(Task.message_id).where(
        Task.company_id == actor.company_id,
        Task.assignee_id == actor.membership_id,
        Task.closed_at.is_(None),
        Task.is_listed,
    )
    return db.session.scalar(select(func.count()).select_from(mine.limit(MAXIMUM_BADGE + 1).subquery())) or 0


def initials(given_name: str, family_name: str) -> str:
    """Return the first letters of both names."""
    return (given_name[:1] + family_name[:1]).upper()


def _mark(row: Any, today: date) -> Mark:
    task, given_name, family_name = row.Task, row.given_name, row.family_name
    is_assigned = task is not None and family_name is not None
    is_done = task is not None and task.closed_at is not None
    due_on = task.due_on if task is not None else None
    return Mark(
        topic=row.name,
        assignee_id=task.assignee_id if task is not None else None,
        assignee=f"{given_name} {family_name}" if is_assigned else None,
        initials=initials(given_name, family_name) if is_assigned else "",
        due_on=due_on,
        is_overdue=due_on is not None and due_on < today and not is_done,
        is_done=is_done,
        is_waiting=task is not None and task.done_at is not None and not is_done,
        comments=task.comment_count if task is not None else 0,
    )
