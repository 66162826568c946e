"""What opening a decision on a certain day would do. Pure: nothing is opened and nothing is recorded."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from unternehmenskonto.mailbox import actions
from unternehmenskonto.mailbox.deadlines import legal_day, provision_end
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.rules import rule_for

#: opened: it was opened already; same: the day of opening is no matter; moves: it begins the period; too_late
Effect = Literal["opened", "same", "moves", "too_late"]


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """The dates of a decision if it were opened on `day`; `last` is the last day that can be asked for."""

    day: date
    effect: Effect
    announced_on: date | None
    remedy_ends_on: date | None
    first: date
    last: date

    @property
    def days_left(self) -> int | None:
        """Return the days from the opening to the end of the period; None without a period."""
        return None if self.remedy_ends_on is None else (self.remedy_ends_on - self.day).days


def what_if(message: Message, *, day: date, at: datetime) -> WhatIf:
    """Return what a retrieval on this day would mean, seen from the point in time `at`.

    Only by VwVfG section 41(2a) the retrieval matters, and only the first. Raises ValueError for a day outside of
    `possible_days` and for an ordinary message.
    """
    first, last = possible_days(message, at)
    if not first <= day <= last:
        raise ValueError(f"a day from {first} to {last}")
    effect = _effect(message, day)
    dates = (message.announced_on, message.remedy_ends_on)
    if effect == "moves":
        computed = actions.deadline(message, retrieved_on=day)
        dates = (computed.announced_on, computed.remedy_ends_on)
    return WhatIf(day=day, effect=effect, announced_on=dates[0], remedy_ends_on=dates[1], first=first, last=last)


def possible_days(message: Message, at: datetime) -> tuple[date, date]:
    """Return the first and the last day on which the decision can be opened with an effect; at least today.

    Raises ValueError for an ordinary message.
    """
    if message.due_on is None:
        raise ValueError("an ordinary message has no dates")
    today = max(legal_day(at), legal_day(message.made_available_at))
    return today, max(today, message.due_on)


def _effect(message: Message, day: date) -> Effect:
    if message.first_retrieved_at is not None:
        return "opened"
    provided = legal_day(message.made_available_at)
    ends = provision_end(rule_for(message.regime or "", provided), provided)
    if ends is None:
        return "same"
    return "moves" if day <= ends else "too_late"
