"""Explicit acts that move many messages: a rule applied to old ones, a topic ended; in batches, and undoable."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from unternehmenskonto import audit
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.errors import Conflict, NotFound
from unternehmenskonto.jobs import defer, job
from unternehmenskonto.mailbox.models import Mailbox, Message
from unternehmenskonto.mailbox.team.models import Task, TaskEvent, Topic, TopicRule, TopicRun
from unternehmenskonto.mailbox.team.readers import readers_of
from unternehmenskonto.mailbox.team.routing import Sample, first_match, rules_of, services_of
from unternehmenskonto.mailbox.team.tasks import lock_topics
from unternehmenskonto.mailbox.team.topics import rule_of, topic_of
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.permissions import Actor

BATCH = 500
#: A mailbox this small is done within the request; a larger one by a job.
DIRECT = 1000
#: The test box and the count before a run look at so many of the newest messages.
EXAMINED = 5000
SHOWN = 10
UNDO_FOR = timedelta(days=30)
RUNS_SHOWN = 20


class CannotUndoRun(Conflict):
    """The run is undone already, still running, or too old."""

    code = "cannot_undo_run"
    sentence = _l(
        "Das lässt sich nicht mehr rückgängig machen: Es läuft noch, ist schon zurückgenommen, oder es ist mehr als "
        "30 Tage her. Verschieben Sie die Nachrichten von Hand."
    )


@dataclass(frozen=True)
class Match:
    """A message a rule would take; the subject is None for somebody who may not see the message."""

    sender: str
    subject: str | None
    made_available_at: datetime


@dataclass(frozen=True)
class Trial:
    """What a rule would take among the newest EXAMINED messages.

    `matching`: fits the conditions; `movable`: of these, lies in no topic and no earlier rule takes it.
    """

    examined: int
    is_whole: bool
    matching: int
    movable: int
    newest: list[Match]


def try_rule(*, actor: Actor, rule: TopicRule) -> Trial:
    """Tell what the rule would do; moves nothing. A sketch is tried in the place of the kept rule, or last."""
    rules = [rule if one.id == rule.id else one for one in rules_of(actor.company_id)]
    if all(one is not rule for one in rules):
        rules.append(rule)
    services = services_of(rules)
    rows = _newest(actor)
    matching = [row for row in rows if first_match([rule], _sample(row), services)]
    movable = [row for row in matching if row.topic_id is None and first_match(rules, _sample(row), services) is rule]
    may_read = actor.may("mailbox.read")
    newest = [
        Match(row.sender_authority, row.subject if row.is_visible and may_read else None, row.made_available_at)
        for row in matching[:SHOWN]
    ]
    return Trial(len(rows), len(rows) < EXAMINED, len(matching), len(movable), newest)


def apply_rule(*, actor: Actor, rule_id: uuid.UUID) -> TopicRun:
    """Let the rule take what lies in no topic and no earlier rule takes; raise NotFound."""
    rule = rule_of(actor.company_id, rule_id)
    return _start(actor, kind="rule", topic_id=rule.topic_id, rule_id=rule.id)


def end_topic(*, actor: Actor, topic_id: uuid.UUID) -> TopicRun:
    """End a topic: from now on no message goes there, and all that lie there become visible to everybody.

    Raises NotFound.
    """
    lock_topics(actor.company_id, source=None, target=topic_id)
    topic = topic_of(actor.company_id, topic_id)
    topic.ended_at = now()
    db.session.flush()
    _audit(actor.person_id, "topic.ended", actor.company_id, topic_id=topic_id)
    return _start(actor, kind="end", topic_id=topic_id, rule_id=None)


def undo_run(*, actor: Actor, run_id: uuid.UUID) -> TopicRun:
    """Take back what the run moved and nobody moved since; an ended topic lives again.

    Raises NotFound, CannotUndoRun.
    """
    run = _locked(actor.company_id, run_id)
    if run.finished_at is None or run.undone_at is not None or run.created_at < now() - UNDO_FOR:
        raise CannotUndoRun
    topic = db.session.get_one(Topic, (run.company_id, run.topic_id))
    if run.kind == "end":
        living = select(Topic.id).where(Topic.company_id == run.company_id, Topic.ended_at.is_(None))
        if db.session.scalar(living.where(func.lower(Topic.name) == func.lower(topic.name))) is not None:
            raise CannotUndoRun(_l("Es gibt inzwischen ein anderes Thema mit diesem Namen. Benennen Sie es zuerst um."))
        topic.ended_at = None
    run.undone_at = now()
    db.session.flush()
    _audit(actor.person_id, "topic.run_undone", actor.company_id, topic_id=run.topic_id, run_id=run.id)
    return _go(run)


def run_of(company_id: uuid.UUID, run_id: uuid.UUID) -> TopicRun:
    """Return a run of this company; raise NotFound for any other."""
    found = db.session.get(TopicRun, (company_id, run_id))
    if found is None:
        raise NotFound
    return found


def runs_of(company_id: uuid.UUID) -> Sequence[TopicRun]:
    """Return the newest runs of the company."""
    query = select(TopicRun).where(TopicRun.company_id == company_id)
    return db.session.scalars(query.order_by(TopicRun.id.desc()).limit(RUNS_SHOWN)).all()


def can_undo(run: TopicRun) -> bool:
    """Tell whether the page offers to take the run back."""
    return run.finished_at is not None and run.undone_at is None and run.created_at >= now() - UNDO_FOR


def is_running(run: TopicRun) -> bool:
    """Tell whether the worker still has something to do for this run."""
    return run.finished_at is None or (run.undone_at is not None and run.returned_at is None)


@job("team.run")
def work(company_id: str, run_id: str) -> None:
    """Do one batch of a run and plan the next; a batch is one transaction, so a dead worker loses nothing."""
    run = _locked(uuid.UUID(company_id), uuid.UUID(run_id))
    if is_running(run):
        _advance(run)
    if is_running(run):
        defer("team.run", company_id=company_id, run_id=run_id)


def _start(actor: Actor, *, kind: str, topic_id: uuid.UUID, rule_id: uuid.UUID | None) -> TopicRun:
    last = db.session.scalar(select(Mailbox.last_sequence).where(Mailbox.company_id == actor.company_id)) or 0
    run = TopicRun(
        company_id=actor.company_id, kind=kind, topic_id=topic_id, rule_id=rule_id, started_by=actor.membership_id,
        last_sequence=last, done_sequence=0, moved_count=0, returned_count=0, created_at=now(),
    )  # fmt: skip
    db.session.add(run)
    db.session.flush()
    _audit(actor.person_id, "topic.run_started", actor.company_id, topic_id=topic_id, run_id=run.id, kind=kind)
    return _go(run)


def _go(run: TopicRun) -> TopicRun:
    if run.last_sequence > DIRECT:
        defer("team.run", company_id=str(run.company_id), run_id=str(run.id))
        return run
    while is_running(run):
        _advance(run)
    return run


def _locked(company_id: uuid.UUID, run_id: uuid.UUID) -> TopicRun:
    query = select(TopicRun).filter_by(company_id=company_id, id=run_id).with_for_update()
    found = db.session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound
    return found


def _advance(run: TopicRun) -> None:
    if run.undone_at is not None:
        _return_batch(run)
    elif run.kind == "rule":
        _rule_batch(run)
    else:
        _end_batch(run)
    db.session.flush()


def _rule_batch(run: TopicRun) -> None:
    """Look at the next BATCH of sequence numbers; a rule that is gone takes nothing more."""
    upto = min(run.done_sequence + BATCH, run.last_sequence)
    rules = rules_of(run.company_id)
    services = services_of(rules)
    rows = db.session.execute(
        select(Message.id, Message.service, Message.sender_authority, Message.subject)
        .where(Message.company_id == run.company_id, Message.topic_id.is_(None))
        .where(Message.sequence_number > run.done_sequence, Message.sequence_number <= upto)
    ).all()
    wanted = []
    for row in rows:
        found = first_match(rules, _sample(row), services)
        if found is not None and found.id == run.rule_id:
            wanted.append(row.id)
    run.moved_count += _move(run, wanted, source=None, target=run.topic_id, kind="moved")
    run.done_sequence = upto
    if upto >= run.last_sequence:
        run.finished_at = now()


def _end_batch(run: TopicRun) -> None:
    query = select(Message.id).where(Message.company_id == run.company_id, Message.topic_id == run.topic_id)
    wanted = db.session.scalars(query.limit(BATCH)).all()
    run.moved_count += _move(run, wanted, source=run.topic_id, target=None, kind="moved")
    if len(wanted) < BATCH:
        run.finished_at, run.done_sequence = now(), run.last_sequence


def _return_batch(run: TopicRun) -> None:
    """Take back the next moves of the run; a message that was moved elsewhere since stays there."""
    query = select(TaskEvent.id, TaskEvent.message_id).where(
        TaskEvent.company_id == run.company_id, TaskEvent.run_id == run.id, TaskEvent.kind == "moved"
    )
    if run.returned_event_id is not None:
        query = query.where(TaskEvent.id > run.returned_event_id)
    rows = db.session.execute(query.order_by(TaskEvent.id).limit(BATCH)).all()
    source, target = (run.topic_id, None) if run.kind == "rule" else (None, run.topic_id)
    run.returned_count += _move(run, [row.message_id for row in rows], source=source, target=target, kind="undone")
    if rows:
        run.returned_event_id = rows[-1].id
    if len(rows) < BATCH:
        run.returned_at = now()


def _move(
    run: TopicRun, message_ids: Sequence[uuid.UUID], *, source: uuid.UUID | None, target: uuid.UUID | None, kind: str
) -> int:
    """Move those of the messages that still lie in `source`, with a step of the history for each; return how many.

    Order of locks as for one message: tasks, messages, topics.
    """
    if not message_ids:
        return 0
    ids, company_id = sorted(message_ids), run.company_id
    fresh = [
        {"company_id": company_id, "message_id": one, "is_listed": False, "needs_second": False, "comment_count": 0}
        for one in ids
    ]
    db.session.execute(upsert(Task).on_conflict_do_nothing(), fresh)
    query = select(Task).where(Task.company_id == company_id, Task.message_id.in_(ids)).order_by(Task.message_id)
    query = query.with_for_update().execution_options(populate_existing=True)
    tasks = {task.message_id: task for task in db.session.scalars(query)}
    place = Message.topic_id.is_(None) if source is None else Message.topic_id == source
    still = select(Message.id).where(Message.company_id == company_id, Message.id.in_(ids), place)
    moving = db.session.scalars(still.order_by(Message.id).with_for_update()).all()
    lock_topics(company_id, source=source, target=target)
    seeing = {one.id for one in readers_of(company_id, target)}
    steps = [_step(run, tasks[one], seeing, kind=kind, source=source, target=target) for one in moving]
    if not steps:
        return 0
    db.session.execute(
        update(Message)
        .where(Message.company_id == company_id, Message.id.in_(moving))
        .values(topic_id=target)
        .execution_options(synchronize_session=False)
    )
    db.session.execute(insert(TaskEvent), steps)
    db.session.flush()
    return len(steps)


def _step(
    run: TopicRun, task: Task, seeing: set[uuid.UUID], *, kind: str, source: uuid.UUID | None, target: uuid.UUID | None
) -> dict[str, Any]:
    """Return the row of the history and change the task with it."""
    step_id = new_id()
    step = {
        "company_id": run.company_id, "id": step_id, "message_id": task.message_id, "at": now(), "by": run.started_by,
        "kind": kind, "run_id": run.id, "topic_before": source, "topic_id": target,
        "assignee_before": task.assignee_id, "due_before": task.due_on, "due_on": task.due_on,
        "listed_before": task.is_listed, "done_at_before": task.done_at, "done_by_before": task.done_by,
        "needs_second_before": task.needs_second, "confirmed_at_before": task.confirmed_at,
        "confirmed_by_before": task.confirmed_by,
    }  # fmt: skip
    if task.assignee_id not in seeing:
        task.assignee_id = None
    task.last_event_id = step_id
    return {**step, "assignee_id": task.assignee_id}


def _newest(actor: Actor) -> Sequence[Any]:
    return db.session.execute(
        select(
            Message.service, Message.sender_authority, Message.subject, Message.topic_id, Message.made_available_at,
            visible_to(actor).label("is_visible"),
        )
        .where(Message.company_id == actor.company_id)
        .order_by(Message.sequence_number.desc())
        .limit(EXAMINED)
    ).all()  # fmt: skip


def _sample(row: Any) -> Sample:
    return Sample(service=row.service, authority=row.sender_authority, subject=row.subject)


def _audit(person_id: uuid.UUID, event: str, company_id: uuid.UUID, **values: object) -> None:
    audit.record(event, by=f"person:{person_id}", company_id=company_id, **values)
    db.session.flush()
