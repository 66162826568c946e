"""Cover for the absent: who is told, one step after the other, of a decision that nobody has opened."""

import uuid
from datetime import date
from typing import Any

from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.watch.audience import audience_of
from unternehmenskonto.mailbox.watch.steps import Kind, take, taken

#: The next group is told if so many days later still nobody has opened the decision.
STEP_DAYS = 2
#: The notice of the delivery gets so many days before anybody else is told.
WAIT_DAYS = 2
KINDS: tuple[Kind, ...] = ("substitute", "administrators", "everybody")


def first_step(*, cover_days: int, due_on: date, available_on: date) -> int:
    """Return how many days before its last day the first step for a decision is taken; at least one."""
    return max(1, min(cover_days, (due_on - available_on).days - WAIT_DAYS))


def climb(row: Any, *, cover_days: int, today: date) -> None:
    """Take every step whose day has come; a person told by one step is not told again by another on the same day.

    Where nobody stands in, the administrators come at once. `row` has steps.COLUMNS.
    """
    left = (row.due_on - today).days
    turn = first_step(cover_days=cover_days, due_on=row.due_on, available_on=legal_day(row.made_available_at))
    if left > turn:
        return
    audience = audience_of(company_id=row.company_id, topic_id=row.topic_id, today=today)
    groups = {
        "substitute": audience.substitutes,
        "administrators": audience.administrators,
        "everybody": audience.everybody,
    }
    done = taken(row)
    told: set[uuid.UUID] = set()
    for kind in KINDS:
        if kind == "substitute" and not groups[kind] and kind not in done:
            continue
        if left <= turn and kind not in done:
            people = [one for one in groups[kind] if one.id not in told]
            told.update(take(row, kind=kind, days=0, audience=audience, people=people))
        turn = max(0, turn - STEP_DAYS)
