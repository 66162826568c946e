"""The daily look at the deadlines of all companies: reminders, and cover where nobody has opened a decision.

Once a day, in the German morning. The cost follows what ends soon: each last day is read by an index, in batches,
each batch in a transaction of its own.
"""

import uuid
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ARRAY, Select, SmallInteger, cast, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from unternehmenskonto.db import db, now
from unternehmenskonto.jobs import defer, job
from unternehmenskonto.mailbox.deadlines import LEGAL_TIME, legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team.models import Task
from unternehmenskonto.mailbox.watch import cover
from unternehmenskonto.mailbox.watch.actions import (
    DEFAULT_COVER_DAYS,
    DEFAULT_REMINDER_DAYS,
    LONGEST_REMINDER_DAYS,
)
from unternehmenskonto.mailbox.watch.audience import audience_of
from unternehmenskonto.mailbox.watch.models import WatchProgress, WatchSettings
from unternehmenskonto.mailbox.watch.steps import COLUMNS, take

#: Nobody is written to in the night.
FROM_HOUR = 7
BATCH = 200
PROGRESS = "deadlines"
ONE_DAY = timedelta(days=1)


@job("deadlines.plan", cron="7 * * * *")
def plan() -> None:
    """Begin the look of the day, once, and make up for the days on which no worker ran."""
    moment = now()
    today = legal_day(moment)
    if moment.astimezone(LEGAL_TIME).hour < FROM_HOUR:
        return
    since = _begin(today)
    if since is None:
        return
    for day in due_dates(since, today):
        defer("deadlines.remind", due_on=day.isoformat(), missed=(today - since).days - 1)
    for days in range(_longest_cover() + 1):
        defer("deadlines.cover", due_on=(today + timedelta(days=days)).isoformat())


@job("deadlines.remind")
def remind(due_on: str, missed: int, after: list[str] | None = None) -> None:
    """Remind the readers of the decisions that end on this day, if it is the turn of a reminder.

    `missed`: for how many days no look was made; `after`: company and message at the end of the last batch.
    """
    today, day = legal_day(now()), date.fromisoformat(due_on)
    if day < today:
        return
    left = (day - today).days
    chosen = func.coalesce(WatchSettings.reminder_days, cast(list(DEFAULT_REMINDER_DAYS), ARRAY(SmallInteger)))
    turns = cast(list(range(left, left + missed + 1)), ARRAY(SmallInteger))
    query = _open_on(day, after).add_columns(chosen.label("days")).where(chosen.bool_op("&&")(turns))
    rows = db.session.execute(query).all()
    for row in rows:
        _remind(row, today)
    _go_on("deadlines.remind", rows, due_on=due_on, missed=missed)


@job("deadlines.cover")
def look_after(due_on: str, after: list[str] | None = None) -> None:
    """Tell others of the decisions that end on this day and that nobody has opened."""
    today, day = legal_day(now()), date.fromisoformat(due_on)
    if day < today:
        return
    chosen = func.coalesce(WatchSettings.cover_days, DEFAULT_COVER_DAYS)
    query = _open_on(day, after).add_columns(chosen.label("cover_days"))
    query = query.where(Message.first_retrieved_at.is_(None), chosen > 0, chosen >= (day - today).days)
    rows = db.session.execute(query).all()
    for row in rows:
        cover.climb(row, cover_days=row.cover_days, today=today)
    _go_on("deadlines.cover", rows, due_on=due_on)


def due_dates(since: date, today: date) -> list[date]:
    """Return the last days for which a reminder has its turn after `since`, until today."""
    distances = set(DEFAULT_REMINDER_DAYS) | set(
        db.session.scalars(select(func.unnest(WatchSettings.reminder_days)).distinct())
    )
    turns = [since + timedelta(days=number) for number in range(1, (today - since).days + 1)]
    return sorted(
        {turn + timedelta(days=days) for turn in turns for days in distances if turn + timedelta(days=days) >= today}
    )


def turn_of(days: Iterable[int], *, due_on: date, available_on: date, today: date) -> int | None:
    """Return which reminder is due: the nearest one whose day has come; None before the first.

    A reminder for the day of the delivery or an earlier one has no turn: the notice of the delivery tells the same.
    """
    left = (due_on - today).days
    come = [one for one in days if left <= one and due_on - timedelta(days=one) > available_on]
    return min(come) if come and left >= 0 else None


def _begin(today: date) -> date | None:
    """Return the day of the last look and note today's; None if that was begun already."""
    fresh = insert(WatchProgress).values(name=PROGRESS, day=today - ONE_DAY)
    db.session.execute(fresh.on_conflict_do_nothing())
    progress = db.session.scalars(
        select(WatchProgress)
        .where(WatchProgress.name == PROGRESS)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    since = max(progress.day, today - timedelta(days=LONGEST_REMINDER_DAYS))
    if since >= today:
        return None
    progress.day = today
    return since


def _longest_cover() -> int:
    return max(DEFAULT_COVER_DAYS, db.session.scalar(select(func.max(WatchSettings.cover_days))) or 0)


def _open_on(day: date, after: list[str] | None) -> Select[Any]:
    """Select a batch of the decisions that end on the day and are not done."""
    query: Any = (
        select(*COLUMNS)
        .outerjoin(WatchSettings, WatchSettings.company_id == Message.company_id)
        .outerjoin(Task, (Task.company_id == Message.company_id) & (Task.message_id == Message.id))
        .where(Message.due_on == day, Task.closed_at.is_(None), Message.binned_at.is_(None))
        .order_by(Message.company_id, Message.id)
        .limit(BATCH)
    )
    if after is not None:
        query = query.where(tuple_(Message.company_id, Message.id) > tuple(uuid.UUID(one) for one in after))
    selected: Select[Any] = query
    return selected


def _remind(row: Any, today: date) -> None:
    days = turn_of(row.days, due_on=row.due_on, available_on=legal_day(row.made_available_at), today=today)
    if days is None:
        return
    audience = audience_of(company_id=row.company_id, topic_id=row.topic_id, today=today)
    take(row, kind="reminder", days=days, audience=audience, people=audience.readers)


def _go_on(name: str, rows: Any, **arguments: Any) -> None:
    if len(rows) == BATCH:
        defer(name, after=[str(rows[-1].company_id), str(rows[-1].id)], **arguments)
