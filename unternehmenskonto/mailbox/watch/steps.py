"""Take a step for a decision exactly once, tell people of it, and say later who was told when."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from unternehmenskonto import audit
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.watch.audience import Audience
from unternehmenskonto.mailbox.watch.models import WatchStep
from unternehmenskonto.notifications.actions import notify_deadline

Kind = Literal["reminder", "substitute", "administrators", "everybody"]
#: What a row of the jobs has; never the body.
COLUMNS = (
    Message.company_id,
    Message.id,
    Message.due_on,
    Message.sender_authority,
    Message.made_available_at,
    Message.topic_id,
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """One line of the log: names of the people written to, in the order of their names."""

    kind: Kind
    taken_at: datetime
    days: int
    names: Sequence[str]


def take(row: Any, *, kind: Kind, days: int, audience: Audience, people: Iterable[Membership]) -> list[uuid.UUID]:
    """Write the step down and notify the people, unless it was taken already; return who was told.

    `row` has COLUMNS. The unique key of the step keeps a second run from telling anybody twice.
    """
    people = list(people)
    told = [one.id for one in people]
    step = {"company_id": row.company_id, "message_id": row.id, "due_on": row.due_on, "kind": kind, "days": days}
    written = insert(WatchStep).values(**step, taken_at=now(), told=told)
    if db.session.execute(written.on_conflict_do_nothing().returning(WatchStep.message_id)).first() is None:
        return []
    notify_deadline(
        kind="deadline_reminder" if kind == "reminder" else "deadline_cover",
        company_id=row.company_id,
        message_id=row.id,
        due_on=row.due_on,
        occasion=f"{row.due_on}/{days if kind == 'reminder' else kind}",
        recipients=[(one, row.sender_authority if audience.may_read(one) else "") for one in people],
    )
    audit.record(
        "deadline.step_taken",
        by="system",
        company_id=row.company_id,
        message_id=row.id,
        kind=kind,
        days=days,
        told=len(told),
    )
    return told


def taken(row: Any) -> set[str]:
    """Return the kinds of steps taken for the decision and its present day, reminders left out."""
    return set(
        db.session.scalars(
            select(WatchStep.kind)
            .where(WatchStep.company_id == row.company_id, WatchStep.message_id == row.id)
            .where(WatchStep.due_on == row.due_on, WatchStep.kind != "reminder")
        )
    )


def log_of(*, company_id: uuid.UUID, message_id: uuid.UUID) -> list[Told]:
    """Return who was told when about the decision, the first step first."""
    steps = db.session.scalars(
        select(WatchStep)
        .where(WatchStep.company_id == company_id, WatchStep.message_id == message_id)
        .order_by(WatchStep.taken_at, WatchStep.days.desc(), WatchStep.kind)
    ).all()
    ids = {one for step in steps for one in step.told}
    people = db.session.scalars(select(Membership).where(Membership.company_id == company_id, Membership.id.in_(ids)))
    names = {one.id: one.person.name for one in people}
    return [
        Told(
            kind=step.kind,  # type: ignore[arg-type]
            taken_at=step.taken_at,
            days=step.days,
            names=sorted(names[one] for one in step.told if one in names),
        )
        for step in steps
    ]


def covered_on(company_id: uuid.UUID, message_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, date]:
    """Return for those decisions about which others were told on which day that was last."""
    rows = db.session.execute(
        select(WatchStep.message_id, WatchStep.taken_at)
        .where(WatchStep.company_id == company_id, WatchStep.message_id.in_(message_ids))
        .where(WatchStep.kind != "reminder")
        .order_by(WatchStep.taken_at)
    )
    return {row.message_id: row.taken_at for row in rows}
