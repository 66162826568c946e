"""The law's dates of a decision: when it counts as announced, when the remedy ends, and why.

Pure functions over days in German legal time; no database, no Flask. Paragraphs: OZG section 9, AO sections 108 and
122a, VwVfG sections 31 and 41, VwGO section 58, BGB sections 187 to 193.

A date shown too late costs the reader their right. Where two readings are possible the earlier day is computed:
a holiday of only some municipalities (Mariä Himmelfahrt in Bavaria, Fronleichnam in Saxony and Thuringia, the
Augsburg peace festival) extends no period, and where no Land is named only the holidays of all Länder do.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import holidays

from unternehmenskonto.mailbox.rules import Regime, Rule, rule_for

LEGAL_TIME = ZoneInfo("Europe/Berlin")
LAENDER = ("BB", "BE", "BW", "BY", "HB", "HE", "HH", "MV", "NI", "NW", "RP", "SH", "SL", "SN", "ST", "TH")
#: The longest remedy period that a sender may name, by unit.
LONGEST = {"day": 366, "week": 52, "month": 24, "year": 2}
#: VwGO section 58(2), AO section 356(2): without a correct instruction the remedy lasts a year.
YEARS_WITHOUT_INSTRUCTION = 1
ONE_DAY = timedelta(days=1)

Unit = Literal["day", "week", "month", "year"]
Reason = Literal["saturday", "sunday", "holiday"]
StepKind = Literal["provided", "announced", "announcement_shifted", "waiting", "not_announced", "remedy", "end_shifted"]


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """The remedy period as the sender states it; instructed: whether a correct instruction was given."""

    length: int
    unit: Unit
    instructed: bool = True

    def __post_init__(self) -> None:
        """Refuse lengths and units the law does not know."""
        if self.unit not in LONGEST:
            raise ValueError(f"unit must be one of {', '.join(LONGEST)}")
        if not 1 <= self.length <= LONGEST[self.unit]:
            raise ValueError(f"a remedy period has 1 to {LONGEST[self.unit]} of the unit {self.unit}")


@dataclass(frozen=True)
class SkippedDay:
    """A day on which nothing can end; `holiday` is its German name, empty at weekends."""

    day: date
    reason: Reason
    holiday: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the explanation: from which day, over which days, to which day, after which paragraph."""

    kind: StepKind
    starts_on: date
    ends_on: date
    paragraph: str
    #: The days counted, first to last; only where they are few enough to be listed.
    counted: tuple[date, ...] = ()
    skipped: tuple[SkippedDay, ...] = ()
    length: int = 0
    unit: Unit = "day"
    #: False: the year without a correct instruction was taken.
    instructed: bool = True
    #: BGB section 188(3): the last month lacks the day's number.
    month_is_shorter: bool = False


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """The dates of one decision; None where there is none (not announced, no remedy)."""

    announced_on: date | None
    remedy_ends_on: date | None
    #: Last day on which a retrieval still announces (VwVfG section 41(2a)).
    provision_ends_on: date | None
    #: Whoever acts by this day is in time under every reading.
    safe_on: date | None
    rule_version: str
    steps: tuple[Step, ...]


def compute(
    *,
    regime: Regime,
    made_available_on: date,
    retrieved_on: date | None = None,
    remedy: Remedy | None = None,
    land: str | None = None,
) -> Deadline:
    """Return the dates of a decision and their explanation; days are German legal days (`legal_day`).

    Reading early or late never moves the announcement by OZG section 9 or AO section 122a. Raises ValueError for an
    unknown regime or Land and for a retrieval before the decision was there.
    """
    if retrieved_on is not None and retrieved_on < made_available_on:
        raise ValueError("a decision cannot be retrieved before it is made available")
    if land is not None and land not in LAENDER:
        raise ValueError(f"land must be one of {', '.join(LAENDER)}")
    rule = rule_for(regime, made_available_on)
    announced, provision_ends, steps = _announce(rule, made_available_on, retrieved_on, land)
    ends = None
    if announced is not None and remedy is not None:
        remedy_steps = _remedy_steps(rule, announced, remedy, land)
        ends = remedy_steps[-1].ends_on
        steps = [*steps, *remedy_steps]
    return Deadline(
        announced_on=announced,
        remedy_ends_on=ends,
        provision_ends_on=provision_ends,
        safe_on=safe_date(made_available_on, remedy) if remedy else None,
        rule_version=rule.version,
        steps=tuple(steps),
    )


def safe_date(made_available_on: date, remedy: Remedy) -> date:
    """Return a day that is in time under every reading.

    Counted from the day of availability itself, with the stated length, without weekends and holidays, and
    never more than the year where the instruction is missing.
    """
    stated = period_end(made_available_on, remedy.length, remedy.unit)
    if remedy.instructed:
        return stated
    return min(stated, period_end(made_available_on, YEARS_WITHOUT_INSTRUCTION, "year"))


def period_end(event: date, length: int, unit: Unit) -> date:
    """Return the last day of a period that an event begins (BGB sections 187(1) and 188), weekends not regarded."""
    if unit == "day":
        return event + timedelta(days=length)
    if unit == "week":
        return event + timedelta(weeks=length)
    months = event.month - 1 + length * (12 if unit == "year" else 1)
    year, month = event.year + months // 12, months % 12 + 1
    return date(year, month, min(event.day, monthrange(year, month)[1]))


def skipped_from(day: date, land: str | None) -> tuple[SkippedDay, ...]:
    """Return the days from this one on that are no working days (BGB section 193); empty on a working day."""
    skipped = []
    while (found := _not_working(day, land)) is not None:
        skipped.append(found)
        day += ONE_DAY
    return tuple(skipped)


def provision_end(rule: Rule, notified_on: date) -> date | None:
    """Return the last day on which a retrieval still announces; None where the provision does not end.

    Weekends do not move it: whoever believes in the earlier day and retrieves by then is right in any case.
    """
    return None if rule.provision_days is None else notified_on + timedelta(days=rule.provision_days)


def legal_day(moment: datetime) -> date:
    """Return the day in German legal time on which the moment lies; raise ValueError for a naive time."""
    if moment.tzinfo is None:
        raise ValueError("a point in time needs a time zone")
    return moment.astimezone(LEGAL_TIME).date()


def holiday_name(day: date, *, land: str | None, language: str = "de") -> str:
    """Return the name of the public holiday of the whole Land; empty if it is none."""
    return _holidays(land, day.year, "en_US" if language == "en" else "de").get(day, "")


def _announce(
    rule: Rule, made_available_on: date, retrieved_on: date | None, land: str | None
) -> tuple[date | None, date | None, list[Step]]:
    """Return announcement, end of provision and their steps."""
    if (ends := provision_end(rule, made_available_on)) is not None:
        return _announce_by_retrieval(rule, ends, made_available_on, retrieved_on)
    steps = [
        Step(kind="provided", starts_on=made_available_on, ends_on=made_available_on, paragraph=rule.paragraph),
        _counted("announced", made_available_on, rule),
    ]
    announced = steps[-1].ends_on
    skipped = skipped_from(announced, land) if rule.shifts else ()
    if skipped:
        moved = announced + timedelta(days=len(skipped))
        steps.append(
            Step(
                kind="announcement_shifted",
                starts_on=announced,
                ends_on=moved,
                paragraph=rule.shift_paragraph,
                skipped=skipped,
            )
        )
        announced = moved
    return announced, None, steps


def _announce_by_retrieval(
    rule: Rule, ends: date, notified_on: date, retrieved_on: date | None
) -> tuple[date | None, date | None, list[Step]]:
    """Announce the day after retrieval, if it came in time; else the decision waits or was never announced."""
    provided = Step(kind="provided", starts_on=notified_on, ends_on=notified_on, paragraph=rule.paragraph)
    if retrieved_on is None or retrieved_on > ends:
        kind: StepKind = "waiting" if retrieved_on is None else "not_announced"
        waiting = Step(
            kind=kind, starts_on=notified_on, ends_on=ends, paragraph=rule.paragraph, length=(ends - notified_on).days
        )
        return None, ends, [provided, waiting]
    announced = _counted("announced", retrieved_on, rule)
    return announced.ends_on, ends, [provided, announced]


def _counted(kind: StepKind, event: date, rule: Rule) -> Step:
    counted = tuple(event + timedelta(days=number) for number in range(1, rule.days + 1))
    return Step(
        kind=kind,
        starts_on=event,
        ends_on=counted[-1],
        paragraph=rule.paragraph,
        counted=counted,
        length=rule.days,
    )


def _remedy_steps(rule: Rule, announced: date, remedy: Remedy, land: str | None) -> list[Step]:
    """Count the remedy period and move its end to a working day."""
    length, unit = (remedy.length, remedy.unit) if remedy.instructed else (YEARS_WITHOUT_INSTRUCTION, "year")
    end = period_end(announced, length, unit)
    paragraphs = "§ 187 Abs. 1, § 188 BGB" if remedy.instructed else f"{rule.year_paragraph}, § 188 BGB"
    steps = [
        Step(
            kind="remedy",
            starts_on=announced,
            ends_on=end,
            paragraph=paragraphs,
            length=length,
            unit=unit,
            instructed=remedy.instructed,
            month_is_shorter=unit in ("month", "year") and end.day != announced.day,
        )
    ]
    skipped = skipped_from(end, land)
    if skipped:
        steps.append(
            Step(
                kind="end_shifted",
                starts_on=end,
                ends_on=end + timedelta(days=len(skipped)),
                paragraph=rule.shift_paragraph,
                skipped=skipped,
            )
        )
    return steps


def _not_working(day: date, land: str | None) -> SkippedDay | None:
    name = holiday_name(day, land=land)
    if name:
        return SkippedDay(day, "holiday", name)
    if day.weekday() == 5:
        return SkippedDay(day, "saturday")
    return SkippedDay(day, "sunday") if day.weekday() == 6 else None


@lru_cache(maxsize=1024)
def _holidays(land: str | None, year: int, language: str) -> dict[date, str]:
    """Return the holidays of the whole Land; the library keeps those of parts of a Land in other categories.

    Without a Land it returns the holidays that all Länder share.
    """
    return dict(holidays.country_holidays("DE", subdiv=land, years=year, language=language, categories=("public",)))
