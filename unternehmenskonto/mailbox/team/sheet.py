"""Everything the team page of one message shows: its outside, its task, comments and history. Opens nothing."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import NotFound
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team import comments
from unternehmenskonto.mailbox.team.models import Comment, Task, TaskEvent, Topic
from unternehmenskonto.mailbox.team.readers import names_of, readers_of
from unternehmenskonto.mailbox.team.tasks import UNDO_FOR
from unternehmenskonto.mailbox.team.topics import topics_of
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.permissions import Actor

STEPS_SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The outside of a message: what may be known without opening it."""

    id: uuid.UUID
    subject: str
    sender: str
    is_decision: bool
    made_available_at: datetime
    ends_on: date | None
    first_retrieved_at: datetime | None
    topic_id: uuid.UUID | None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of the history, with names instead of ids; None where there is none."""

    event: TaskEvent
    by: str
    assignee: str | None
    assignee_before: str | None
    topic: str | None
    topic_before: str | None


@dataclass(frozen=True, kw_only=True)
class Note:
    """A comment or the trace of one."""

    comment: Comment
    author: str
    is_own: bool
    may_edit: bool


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The team page of one message."""

    facts: Facts
    task: Task | None
    assignee: Membership | None
    #: The assignee reads this message no longer.
    is_gone: bool
    is_overdue: bool
    done_by: str
    #: The second person must be somebody else.
    may_confirm: bool
    topic: str | None
    readers: list[Membership]
    topics: list[Topic]
    notes: list[Note]
    steps: list[Step]
    #: The step that can be taken back by this person now.
    undoable: uuid.UUID | None


def facts(actor: Actor, message_id: uuid.UUID) -> Facts:
    """Return the outside of a message; raise NotFound for one the person does not see."""
    row = db.session.execute(
        select(
            Message.id, Message.subject, Message.sender_authority, Message.kind, Message.made_available_at,
            Message.remedy_ends_on, Message.first_retrieved_at, Message.topic_id,
        ).where(Message.company_id == actor.company_id, Message.id == message_id, visible_to(actor))
    ).first()  # fmt: skip
    if row is None:
        raise NotFound
    return Facts(
        id=row.id,
        subject=row.subject,
        sender=row.sender_authority,
        is_decision=row.kind == "decision",
        made_available_at=row.made_available_at,
        ends_on=row.remedy_ends_on,
        first_retrieved_at=row.first_retrieved_at,
        topic_id=row.topic_id,
    )


def is_visible(actor: Actor, message_id: uuid.UUID) -> bool:
    """Tell whether the person still sees the message."""
    found = select(Message.id).where(Message.company_id == actor.company_id, Message.id == message_id)
    return db.session.scalar(found.where(visible_to(actor))) is not None


def readers(actor: Actor, message_id: uuid.UUID) -> list[Membership]:
    """Return who can be given the message; raise NotFound."""
    return readers_of(actor.company_id, facts(actor, message_id).topic_id)


def topics(actor: Actor, message_id: uuid.UUID) -> list[Topic]:
    """Return where the message can be moved; raise NotFound."""
    facts(actor, message_id)
    return topics_of(actor.company_id)


def task_of(company_id: uuid.UUID, message_id: uuid.UUID) -> Task | None:
    """Return the task of a message, None before the first act."""
    return db.session.get(Task, (company_id, message_id))


def last_event(company_id: uuid.UUID, message_id: uuid.UUID) -> uuid.UUID | None:
    """Return the newest step of a message."""
    task = task_of(company_id, message_id)
    return task.last_event_id if task else None


def sheet_of(*, actor: Actor, message_id: uuid.UUID) -> Sheet:
    """Return the team page; a fixed number of statements. Raises NotFound."""
    outside = facts(actor, message_id)
    task = task_of(actor.company_id, message_id)
    written = comments.comments_of(company_id=actor.company_id, message_id=message_id) if task else []
    events = _events(actor.company_id, message_id) if task else []
    living = topics_of(actor.company_id)
    people = names_of(_people(task, written, events))
    topic_names = _topic_names(actor.company_id, living, outside, events)
    seeing = readers_of(actor.company_id, outside.topic_id)
    assignee = people.get(task.assignee_id) if task and task.assignee_id else None
    doer = people.get(task.done_by) if task and task.done_by else None
    return Sheet(
        facts=outside,
        task=task,
        assignee=assignee,
        is_gone=assignee is not None and assignee.id not in {one.id for one in seeing},
        is_overdue=bool(task and task.due_on and task.due_on < legal_day(now()) and task.closed_at is None),
        done_by=doer.person.name if doer else "",
        may_confirm=doer is not None and doer.person_id != actor.person_id,
        topic=topic_names.get(outside.topic_id) if outside.topic_id else None,
        readers=seeing,
        topics=living,
        notes=[_note(one, people, actor) for one in written],
        steps=[_step(one, people, topic_names) for one in events],
        undoable=_undoable(actor, task, events),
    )


def _events(company_id: uuid.UUID, message_id: uuid.UUID) -> Sequence[TaskEvent]:
    query = select(TaskEvent).where(TaskEvent.company_id == company_id, TaskEvent.message_id == message_id)
    return db.session.scalars(query.order_by(TaskEvent.id.desc()).limit(STEPS_SHOWN)).all()


def _people(task: Task | None, written: Sequence[Comment], events: Sequence[TaskEvent]) -> set[uuid.UUID]:
    found: set[Any] = {one.author_id for one in written}
    for event in events:
        found |= {event.by, event.assignee_id, event.assignee_before}
    if task is not None:
        found |= {task.assignee_id, task.done_by}
    return found - {None}


def _topic_names(
    company_id: uuid.UUID, living: Sequence[Topic], outside: Facts, events: Sequence[TaskEvent]
) -> dict[uuid.UUID, str]:
    """Return the names of the topics in the history, ended ones too."""
    names = {topic.id: topic.name for topic in living}
    wanted = {event.topic_id for event in events} | {event.topic_before for event in events} | {outside.topic_id}
    missing = {one for one in wanted if one is not None and one not in names}
    if missing:
        query = select(Topic.id, Topic.name).where(Topic.company_id == company_id, Topic.id.in_(missing))
        names |= {topic_id: name for topic_id, name in db.session.execute(query)}
    return names


def _note(comment: Comment, people: dict[uuid.UUID, Membership], actor: Actor) -> Note:
    is_own = comment.author_id == actor.membership_id and comment.deleted_at is None
    return Note(
        comment=comment,
        author=people[comment.author_id].person.name,
        is_own=is_own,
        may_edit=is_own and comments.may_edit(comment),
    )


def _step(event: TaskEvent, people: dict[uuid.UUID, Membership], topic_names: dict[uuid.UUID, str]) -> Step:
    def name(membership_id: uuid.UUID | None) -> str | None:
        return people[membership_id].person.name if membership_id else None

    return Step(
        event=event,
        by=people[event.by].person.name,
        assignee=name(event.assignee_id),
        assignee_before=name(event.assignee_before),
        topic=topic_names.get(event.topic_id) if event.topic_id else None,
        topic_before=topic_names.get(event.topic_before) if event.topic_before else None,
    )


def _undoable(actor: Actor, task: Task | None, events: Sequence[TaskEvent]) -> uuid.UUID | None:
    if task is None or not events or events[0].id != task.last_event_id:
        return None
    last = events[0]
    is_mine = last.by == actor.membership_id and last.kind != "undone" and last.run_id is None
    return last.id if is_mine and last.at > now() - UNDO_FOR else None
