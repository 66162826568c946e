"""Until when a decision cannot go to the bin: as long as its deadline runs, or is not known yet."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from unternehmenskonto.mailbox.deadlines import legal_day, provision_end
from unternehmenskonto.mailbox.rules import rule_for


@dataclass(frozen=True)
class Protection:
    """Why a decision is kept, and the last day on which it is."""

    reason: Literal["period_runs", "period_unknown"]
    until: date


def protected_until(message: Any) -> date | None:
    """Return the last day on which the message is protected, past or to come; None for an ordinary message.

    That is the last day of the remedy period, or of the provision as long as nobody has retrieved the decision
    (VwVfG section 41(2a)). Takes a Message or a row with kind, regime, remedy_ends_on and made_available_at.
    """
    if message.kind != "decision":
        return None
    if message.remedy_ends_on is not None:
        return message.remedy_ends_on  # type: ignore[no-any-return]
    day = legal_day(message.made_available_at)
    ends = provision_end(rule_for(message.regime, day), day)
    if ends is None:
        raise ValueError("a decision without deadline whose provision does not end")
    return ends


def protection(message: Any, today: date) -> Protection | None:
    """Return what keeps the message out of the bin today; None where nothing does."""
    until = protected_until(message)
    if until is None or until < today:
        return None
    return Protection("period_unknown" if message.remedy_ends_on is None else "period_runs", until)
