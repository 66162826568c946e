"""What a company does about a message: who, until when, done. The message and its legal state stay untouched."""

import uuid
from datetime import date, datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from unternehmenskonto import audit
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.errors import Conflict, InvalidInput, NotFound
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Mailbox, Message
from unternehmenskonto.mailbox.team.models import Task, TaskEvent, Topic
from unternehmenskonto.mailbox.team.readers import readers_of
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.notifications.actions import notify_task
from unternehmenskonto.permissions import Actor

#: One's own last step can be taken back for so long.
UNDO_FOR = timedelta(minutes=10)
#: An internal due date lies at most so far ahead.
MAXIMUM_DAYS_AHEAD = 3660


class CannotSee(InvalidInput):
    """The person named is nobody who reads this message."""

    code = "assignee_cannot_see"
    sentence = _l("Diese Person kann die Nachricht nicht lesen. Wählen Sie jemanden aus der Liste.")


class BadDay(InvalidInput):
    """The internal due date lies in the past or too far ahead."""

    code = "due_date_out_of_range"
    sentence = _l("Geben Sie einen Tag ab heute an, höchstens zehn Jahre voraus.")


class AlreadyDone(Conflict):
    """The task is done; nothing is changed behind the back of who did it."""

    code = "task_done"
    sentence = _l("Diese Aufgabe ist schon erledigt. Öffnen Sie sie wieder, um etwas zu ändern.")


class NotDone(Conflict):
    """Nothing waits for a second person, or the task is open anyway."""

    code = "task_not_done"
    sentence = _l("Diese Aufgabe ist inzwischen wieder offen. Laden Sie die Seite neu.")


class SecondPersonNeeded(Conflict):
    """Who marked it done cannot be the second pair of eyes."""

    code = "second_person_needed"
    sentence = _l("Bestätigen muss eine zweite Person. Bitten Sie eine Kollegin oder einen Kollegen darum.")


class CannotUndo(Conflict):
    """The step is not one's own, not the last one, or too old."""

    code = "cannot_undo"
    sentence = _l(
        "Das lässt sich nicht mehr rückgängig machen, weil inzwischen etwas anderes geändert wurde oder mehr als "
        "zehn Minuten vergangen sind. Ändern Sie es von Hand."
    )


def assign(*, actor: Actor, message_id: uuid.UUID, assignee_id: uuid.UUID | None, due_on: date | None) -> Task:
    """Put the message on the tasks with this assignee and internal due date; both may be empty.

    Raises NotFound, AlreadyDone, CannotSee for somebody who is no living reader of the message, BadDay.
    """
    message, task = locked(actor, message_id)
    if task.done_at is not None:
        raise AlreadyDone
    if task.is_listed and (task.assignee_id, task.due_on) == (assignee_id, due_on):
        return task
    if due_on is not None and due_on != task.due_on:
        _check_day(due_on)
    if assignee_id is not None and assignee_id != task.assignee_id:
        _reader(message, assignee_id)
    before = task.assignee_id
    with _Step(actor, task, "changed") as step:
        task.assignee_id, task.due_on, task.is_listed = assignee_id, due_on, True
    if assignee_id is not None and assignee_id not in (before, actor.membership_id):
        notify_task(
            company_id=actor.company_id,
            message_id=message_id,
            membership_id=assignee_id,
            sender=message.sender_authority,
            occasion=str(step.id),
        )
    return task


def withdraw(*, actor: Actor, message_id: uuid.UUID) -> None:
    """Take the message off the tasks: nobody, no due date. Raises NotFound, AlreadyDone."""
    _, task = locked(actor, message_id)
    if task.done_at is not None:
        raise AlreadyDone
    if task.is_listed:
        with _Step(actor, task, "withdrawn"):
            task.assignee_id, task.due_on, task.is_listed = None, None, False


def finish(*, actor: Actor, message_id: uuid.UUID) -> Task:
    """Mark the task done; where the company wants four eyes it stays open until a second person confirms.

    Raises NotFound, AlreadyDone.
    """
    _, task = locked(actor, message_id)
    if task.done_at is not None:
        raise AlreadyDone
    with _Step(actor, task, "done"):
        task.is_listed, task.done_at, task.done_by = True, now(), actor.membership_id
        task.needs_second = has_four_eyes(actor.company_id)
        task.closed_at = None if task.needs_second else task.done_at
    return task


def confirm(*, actor: Actor, message_id: uuid.UUID) -> None:
    """Confirm as the second person that the task is done. Raises NotFound, NotDone, SecondPersonNeeded."""
    _, task = locked(actor, message_id)
    if task.done_by is None or task.closed_at is not None:
        raise NotDone
    first = db.session.get_one(Membership, task.done_by)
    # The same person may have joined anew under another membership.
    if first.person_id == actor.person_id:
        raise SecondPersonNeeded
    with _Step(actor, task, "confirmed"):
        task.confirmed_at = task.closed_at = now()
        task.confirmed_by = actor.membership_id


def reopen(*, actor: Actor, message_id: uuid.UUID) -> None:
    """Open a task that is done, or that waits for the second person. Raises NotFound, NotDone."""
    _, task = locked(actor, message_id)
    if task.done_at is None:
        raise NotDone
    with _Step(actor, task, "reopened"):
        _set_done(task, at=None, by=None)


def move(*, actor: Actor, message_id: uuid.UUID, topic_id: uuid.UUID | None) -> bool:
    """Move the message to another topic (None: to everybody); tell whether that changed anything.

    Who does not read the new topic loses the message from sight, and its task too. Raises NotFound.
    """
    message, task = locked(actor, message_id, will_move=True)
    if message.topic_id == topic_id:
        return False
    lock_topics(actor.company_id, source=message.topic_id, target=topic_id)
    with _Step(actor, task, "moved") as step:
        step.topic_before, step.topic_id = message.topic_id, topic_id
        _put(message, task, topic_id)
    _audit_move(actor, step)
    return True


def undo(*, actor: Actor, message_id: uuid.UUID, event_id: uuid.UUID) -> TaskEvent:
    """Take back one's own last step on a message, within UNDO_FOR; return what was taken back.

    A move is taken back also by somebody who does not see the message any more. Raises NotFound, CannotUndo,
    CannotSee where the former assignee cannot read the message any more.
    """
    undone = db.session.get(TaskEvent, (actor.company_id, event_id))
    if undone is None or undone.message_id != message_id or undone.by != actor.membership_id:
        raise NotFound
    message, task = locked(actor, message_id, will_move=undone.kind == "moved", also_hidden=undone.kind == "moved")
    if task.last_event_id != undone.id or undone.kind == "undone" or undone.at < now() - UNDO_FOR:
        raise CannotUndo
    topic_id = undone.topic_before if undone.kind == "moved" else message.topic_id
    lock_topics(actor.company_id, source=message.topic_id, target=topic_id)
    with _Step(actor, task, "undone") as step:
        if undone.kind == "moved":
            step.topic_before, step.topic_id = message.topic_id, topic_id
            message.topic_id = topic_id
        if undone.assignee_before is not None and undone.assignee_before != task.assignee_id:
            _reader(message, undone.assignee_before)
        task.assignee_id, task.due_on = undone.assignee_before, undone.due_before
        task.is_listed, task.needs_second = undone.listed_before, undone.needs_second_before
        _set_done(task, at=undone.done_at_before, by=undone.done_by_before)
        task.confirmed_at, task.confirmed_by = undone.confirmed_at_before, undone.confirmed_by_before
        task.needs_second = undone.needs_second_before
        task.closed_at = task.confirmed_at if task.needs_second else task.done_at
    if undone.kind == "moved":
        _audit_move(actor, step)
    return undone


def has_four_eyes(company_id: uuid.UUID) -> bool:
    """Tell whether "done" needs a second person in this company."""
    return bool(db.session.scalar(select(Mailbox.has_four_eyes).where(Mailbox.company_id == company_id)))


def lock_topics(company_id: uuid.UUID, *, source: uuid.UUID | None, target: uuid.UUID | None) -> None:
    """Lock both topics, always in the order of their ids; raise NotFound unless the target is alive and ours.

    Messages are locked before topics, topics before the mailbox.
    """
    wanted = [one for one in (source, target) if one is not None and source != target]
    query = select(Topic).where(Topic.company_id == company_id, Topic.id.in_(wanted)).order_by(Topic.id)
    query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = {one.id: one for one in db.session.scalars(query)} if wanted else {}
    if target is not None and source != target and (target not in found or found[target].ended_at is not None):
        raise NotFound


def locked(
    actor: Actor, message_id: uuid.UUID, *, will_move: bool = False, also_hidden: bool = False
) -> tuple[Message, Task]:
    """Return message and task, the task made if it is missing and locked; raise NotFound for what one cannot see.

    The message is read after the lock, so that nobody works on what was moved out of their sight meanwhile.
    """
    query = select(Message).where(Message.company_id == actor.company_id, Message.id == message_id)
    if not also_hidden:
        query = query.where(visible_to(actor))
    if db.session.scalar(query.with_only_columns(Message.id)) is None:
        raise NotFound
    task = _task(actor.company_id, message_id)
    if will_move:
        query = query.with_for_update()
    message = db.session.scalar(query.execution_options(populate_existing=True))
    if message is None:
        raise NotFound
    return message, task


def _task(company_id: uuid.UUID, message_id: uuid.UUID) -> Task:
    fresh = insert(Task).values(
        company_id=company_id, message_id=message_id, is_listed=False, needs_second=False, comment_count=0
    )
    db.session.execute(fresh.on_conflict_do_nothing())
    query = select(Task).filter_by(company_id=company_id, message_id=message_id).with_for_update()
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


class _Step:
    """Write one step of the history around a change of the task: what was before, and after it what is."""

    def __init__(self, actor: Actor, task: Task, kind: str) -> None:
        self.actor, self.task = actor, task
        self.event = TaskEvent(
            company_id=task.company_id,
            id=new_id(),
            message_id=task.message_id,
            by=actor.membership_id,
            kind=kind,
            assignee_before=task.assignee_id,
            due_before=task.due_on,
            listed_before=task.is_listed,
            done_at_before=task.done_at,
            done_by_before=task.done_by,
            needs_second_before=task.needs_second,
            confirmed_at_before=task.confirmed_at,
            confirmed_by_before=task.confirmed_by,
        )

    def __enter__(self) -> TaskEvent:
        return self.event

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is not None:
            return
        self.event.assignee_id, self.event.due_on = self.task.assignee_id, self.task.due_on
        self.task.last_event_id = self.event.id
        db.session.add(self.event)
        audit.record(
            "task.changed",
            by=f"person:{self.actor.person_id}",
            company_id=self.task.company_id,
            message_id=self.task.message_id,
            change=self.event.kind,
        )
        db.session.flush()


def _put(message: Message, task: Task, topic_id: uuid.UUID | None) -> None:
    """Change the topic; who cannot read the message there is not its assignee any more."""
    message.topic_id = topic_id
    seeing = {one.id for one in readers_of(message.company_id, topic_id)}
    if task.assignee_id is not None and task.assignee_id not in seeing:
        task.assignee_id = None


def _set_done(task: Task, *, at: datetime | None, by: uuid.UUID | None) -> None:
    task.done_at, task.done_by = at, by
    task.needs_second, task.closed_at = False, None
    task.confirmed_at, task.confirmed_by = None, None


def _reader(message: Message, membership_id: uuid.UUID) -> None:
    if membership_id not in {one.id for one in readers_of(message.company_id, message.topic_id)}:
        raise CannotSee


def _check_day(day: date) -> None:
    today = legal_day(now())
    if not today <= day <= today + timedelta(days=MAXIMUM_DAYS_AHEAD):
        raise BadDay


def _audit_move(actor: Actor, step: TaskEvent) -> None:
    audit.record(
        "message.moved_to_topic",
        by=f"person:{actor.person_id}",
        company_id=step.company_id,
        message_id=step.message_id,
        topic_id=step.topic_id,
        before=str(step.topic_before) if step.topic_before else None,
    )
    db.session.flush()
