"""The worked examples of the law, and what must hold for every day, period and Land."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from unternehmenskonto.mailbox.deadlines import (
    LAENDER,
    LEGAL_TIME,
    LONGEST,
    Remedy,
    compute,
    holiday_name,
    legal_day,
    period_end,
    safe_date,
    skipped_from,
)
from unternehmenskonto.mailbox.rules import RULES, rule_for

ONE_MONTH = Remedy(length=1, unit="month")
DAYS = st.dates(min_value=date(2020, 1, 1), max_value=date(2045, 12, 31))
PLACES = st.sampled_from([*LAENDER, None])
COUNTED_REGIMES = st.sampled_from(["ozg9", "ao122a"])


@st.composite
def remedies(draw: st.DrawFn) -> Remedy:
    unit = draw(st.sampled_from(sorted(LONGEST)))
    return Remedy(length=draw(st.integers(1, LONGEST[unit])), unit=unit, instructed=draw(st.booleans()))


@pytest.mark.parametrize(
    ("provided", "regime", "announced", "ends"),
    [
        (date(2026, 12, 1), "ozg9", date(2026, 12, 5), date(2027, 1, 5)),
        (date(2026, 12, 1), "ao122a", date(2026, 12, 7), date(2027, 1, 7)),
        (date(2026, 3, 30), "ozg9", date(2026, 4, 3), date(2026, 5, 4)),
        (date(2026, 3, 30), "ao122a", date(2026, 4, 7), date(2026, 5, 7)),
    ],
)
def test_worked_examples(provided: date, regime: str, announced: date, ends: date) -> None:
    found = compute(regime=regime, made_available_on=provided, remedy=ONE_MONTH, land="NW")
    assert (found.announced_on, found.remedy_ends_on) == (announced, ends)


def test_retrieval_announces_the_day_after() -> None:
    found = compute(
        regime="vwvfg41_2a",
        made_available_on=date(2026, 11, 30),
        retrieved_on=date(2026, 12, 1),
        remedy=ONE_MONTH,
        land="NW",
    )
    assert found.announced_on == date(2026, 12, 2)
    assert found.remedy_ends_on == date(2027, 1, 4)
    assert found.steps[-1].kind == "end_shifted"
    assert [skipped.reason for skipped in found.steps[-1].skipped] == ["saturday", "sunday"]


@pytest.mark.parametrize(
    ("retrieved", "kind"), [(None, "waiting"), (date(2026, 12, 12), "not_announced"), (date(2026, 12, 11), "announced")]
)
def test_provision_ends_after_ten_days(retrieved: date | None, kind: str) -> None:
    found = compute(
        regime="vwvfg41_2a", made_available_on=date(2026, 12, 1), retrieved_on=retrieved, remedy=ONE_MONTH, land="NW"
    )
    assert found.provision_ends_on == date(2026, 12, 11)
    assert kind in [step.kind for step in found.steps]
    assert (found.announced_on is None) == (kind != "announced")
    assert (found.remedy_ends_on is None) == (kind != "announced")


def test_explanation_names_days_and_holidays() -> None:
    found = compute(regime="ao122a", made_available_on=date(2026, 3, 30), remedy=ONE_MONTH, land="NW")
    provided, announced, shifted, remedy = found.steps
    assert [provided.kind, announced.kind, shifted.kind, remedy.kind] == [
        "provided",
        "announced",
        "announcement_shifted",
        "remedy",
    ]
    assert announced.counted == (date(2026, 3, 31), date(2026, 4, 1), date(2026, 4, 2), date(2026, 4, 3))
    assert [(day.reason, day.holiday) for day in shifted.skipped] == [
        ("holiday", "Karfreitag"),
        ("saturday", ""),
        ("sunday", ""),
        ("holiday", "Ostermontag"),
    ]
    assert shifted.paragraph == "§ 108 Abs. 3 AO"
    assert (remedy.starts_on, remedy.ends_on) == (date(2026, 4, 7), date(2026, 5, 7))


def test_epiphany_extends_only_where_it_is_kept() -> None:
    ends = {
        land: compute(regime="ozg9", made_available_on=date(2026, 12, 2), remedy=ONE_MONTH, land=land).remedy_ends_on
        for land in [*LAENDER, None]
    }
    assert {land for land, end in ends.items() if end == date(2027, 1, 7)} == {"BW", "BY", "ST"}
    assert ends[None] == ends["NW"] == date(2027, 1, 6)


@pytest.mark.parametrize(
    ("day", "land"),
    [
        (date(2024, 8, 15), "BY"),  # Mariä Himmelfahrt: only municipalities with more Catholics than Protestants
        (date(2025, 8, 8), "BY"),  # peace festival: the city of Augsburg
        (date(2026, 6, 4), "SN"),  # Fronleichnam: some Sorbian municipalities
        (date(2026, 6, 4), "TH"),  # Fronleichnam: the Eichsfeld
        (date(2026, 12, 24), "NW"),  # no holiday by law anywhere
        (date(2026, 12, 31), "NW"),
    ],
)
def test_holidays_of_a_part_of_a_land_extend_nothing(day: date, land: str) -> None:
    assert skipped_from(day, land) == ()


@pytest.mark.parametrize(
    ("day", "kept_in"),
    [
        (date(2026, 1, 6), {"BW", "BY", "ST"}),
        (date(2027, 3, 8), {"BE", "MV"}),
        (date(2026, 6, 4), {"BW", "BY", "HE", "NW", "RP", "SL"}),
        (date(2025, 8, 15), {"SL"}),
        (date(2027, 9, 20), {"TH"}),
        (date(2025, 10, 31), {"BB", "HB", "HH", "MV", "NI", "SH", "SN", "ST", "TH"}),
        (date(2027, 11, 1), {"BW", "BY", "NW", "RP", "SL"}),
        (date(2026, 11, 18), {"SN"}),
        (date(2025, 5, 8), {"BE"}),
        (date(2026, 10, 3), set(LAENDER)),
    ],
)
def test_each_land_keeps_its_holidays(day: date, kept_in: set[str]) -> None:
    assert {land for land in LAENDER if holiday_name(day, land=land)} == kept_in


@pytest.mark.parametrize(
    ("event", "length", "unit", "end"),
    [
        (date(2026, 1, 31), 1, "month", date(2026, 2, 28)),
        (date(2028, 1, 31), 1, "month", date(2028, 2, 29)),
        (date(2026, 1, 30), 1, "month", date(2026, 2, 28)),
        (date(2026, 2, 28), 1, "month", date(2026, 3, 28)),
        (date(2026, 12, 31), 2, "month", date(2027, 2, 28)),
        (date(2028, 2, 29), 1, "year", date(2029, 2, 28)),
        (date(2026, 11, 30), 14, "day", date(2026, 12, 14)),
        (date(2026, 11, 30), 2, "week", date(2026, 12, 14)),
        (date(2026, 10, 1), 3, "month", date(2027, 1, 1)),
    ],
)
def test_periods_of_the_civil_code(event: date, length: int, unit: str, end: date) -> None:
    assert period_end(event, length, unit) == end


def test_a_missing_instruction_gives_a_year() -> None:
    remedy = Remedy(length=1, unit="month", instructed=False)
    found = compute(regime="ozg9", made_available_on=date(2026, 12, 1), remedy=remedy, land="NW")
    assert found.remedy_ends_on == date(2027, 12, 6)  # 5 December 2027 is a Sunday
    assert found.steps[2].paragraph.startswith("§ 58 Abs. 2 VwGO")
    assert not found.steps[2].instructed
    assert found.safe_on == date(2027, 1, 1)
    tax = compute(regime="ao122a", made_available_on=date(2026, 12, 1), remedy=remedy, land="NW")
    assert tax.steps[-1].paragraph.startswith("§ 356 Abs. 2 AO")


def test_the_rule_of_the_day_of_provision_holds() -> None:
    for regime in ("ozg9", "ao122a"):
        old = compute(regime=regime, made_available_on=date(2024, 12, 31))
        new = compute(regime=regime, made_available_on=date(2025, 1, 1))
        assert old.announced_on == date(2025, 1, 3)
        assert new.steps[1].ends_on == date(2025, 1, 5)
        assert old.rule_version != new.rule_version
    assert compute(regime="ozg9", made_available_on=date(2026, 12, 1)).rule_version == "ozg9/2025-01-01"


@given(DAYS, st.sampled_from(["ozg9", "ao122a", "vwvfg41_2a"]))
def test_exactly_one_rule_holds_on_every_day(day: date, regime: str) -> None:
    holding = [
        rule
        for rule in RULES
        if rule.regime == regime
        and (rule.valid_from is None or rule.valid_from <= day)
        and (rule.valid_until is None or day <= rule.valid_until)
    ]
    assert holding == [rule_for(regime, day)]


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 11, 30, 22, 59, tzinfo=UTC), date(2026, 11, 30)),
        (datetime(2026, 11, 30, 23, 0, tzinfo=UTC), date(2026, 12, 1)),
        (datetime(2026, 7, 1, 21, 59, tzinfo=UTC), date(2026, 7, 1)),
        (datetime(2026, 7, 1, 22, 0, tzinfo=UTC), date(2026, 7, 2)),
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 22, 0, tzinfo=UTC), date(2026, 3, 30)),
        (datetime(2026, 10, 24, 22, 0, tzinfo=UTC), date(2026, 10, 25)),
        (datetime(2026, 10, 25, 22, 30, tzinfo=UTC), date(2026, 10, 25)),
    ],
)
def test_days_change_at_midnight_in_germany(moment: datetime, day: date) -> None:
    assert legal_day(moment) == day


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        legal_day(datetime(2026, 12, 1))  # noqa: DTZ001 - that is the point


@given(COUNTED_REGIMES, DAYS, remedies(), PLACES)
@example("ozg9", date(2028, 1, 27), ONE_MONTH, "BY")
def test_bounds(regime: str, provided: date, remedy: Remedy, land: str | None) -> None:
    found = compute(regime=regime, made_available_on=provided, remedy=remedy, land=land)
    assert found.announced_on is not None and found.remedy_ends_on is not None and found.safe_on is not None
    assert found.announced_on >= provided + timedelta(days=3)
    assert found.remedy_ends_on > found.announced_on
    assert found.safe_on <= found.remedy_ends_on
    assert not skipped_from(found.remedy_ends_on, land)
    if regime == "ao122a":
        assert not skipped_from(found.announced_on, land)
    # Without a Land the end is never later than in any Land.
    assert found.remedy_ends_on >= (
        compute(regime=regime, made_available_on=provided, remedy=remedy).remedy_ends_on or date.max
    )


@given(COUNTED_REGIMES, DAYS, st.integers(0, 400), remedies(), PLACES)
def test_a_later_provision_never_ends_earlier(
    regime: str, provided: date, later: int, remedy: Remedy, land: str | None
) -> None:
    first = compute(regime=regime, made_available_on=provided, remedy=remedy, land=land)
    second = compute(regime=regime, made_available_on=provided + timedelta(days=later), remedy=remedy, land=land)
    assert first.announced_on is not None and second.announced_on is not None
    assert first.remedy_ends_on is not None and second.remedy_ends_on is not None
    assert first.announced_on <= second.announced_on
    assert first.remedy_ends_on <= second.remedy_ends_on


@given(COUNTED_REGIMES, DAYS, st.integers(0, 60), PLACES)
def test_reading_moves_nothing(regime: str, provided: date, waited: int, land: str | None) -> None:
    unread = compute(regime=regime, made_available_on=provided, remedy=ONE_MONTH, land=land)
    read = compute(
        regime=regime,
        made_available_on=provided,
        retrieved_on=provided + timedelta(days=waited),
        remedy=ONE_MONTH,
        land=land,
    )
    assert read == unread


@given(DAYS, remedies(), PLACES)
def test_steps_join_and_lead_to_the_dates(provided: date, remedy: Remedy, land: str | None) -> None:
    found = compute(regime="ao122a", made_available_on=provided, remedy=remedy, land=land)
    for earlier, later in zip(found.steps, found.steps[1:], strict=False):
        assert earlier.ends_on == later.starts_on
    assert found.steps[-1].ends_on == found.remedy_ends_on
    assert all(step.paragraph for step in found.steps)


@given(DAYS, st.integers(0, 10), remedies(), PLACES)
@example(date(2028, 1, 26), 3, ONE_MONTH, "BY")
def test_retrieval_gives_no_day_away(provided: date, waited: int, remedy: Remedy, land: str | None) -> None:
    """By VwVfG section 41(2a): never announced before the day after, and no later opening ends earlier."""
    first, second = (
        compute(
            regime="vwvfg41_2a",
            made_available_on=provided,
            retrieved_on=provided + timedelta(days=days),
            remedy=remedy,
            land=land,
        )
        for days in (waited, min(waited + 1, 10))
    )
    assert first.announced_on == provided + timedelta(days=waited + 1)
    assert first.remedy_ends_on is not None and second.remedy_ends_on is not None
    assert first.announced_on < first.remedy_ends_on <= second.remedy_ends_on
    assert not skipped_from(first.remedy_ends_on, land)
    assert first.safe_on is not None and first.safe_on <= first.remedy_ends_on


@given(st.integers(2000, 2100), COUNTED_REGIMES, PLACES)
def test_leap_days_and_year_ends(year: int, regime: str, land: str | None) -> None:
    """Around 29 February and New Year: no day is lost, none is counted twice."""
    for provided in (date(year, 2, 23), date(year, 2, 24), date(year, 2, 25), date(year, 12, 27), date(year, 12, 31)):
        found = compute(regime=regime, made_available_on=provided, remedy=ONE_MONTH, land=land)
        assert found.announced_on is not None and found.remedy_ends_on is not None
        counted = found.steps[1].counted
        assert [(day - provided).days for day in counted] == list(range(1, len(counted) + 1))
        month = (found.announced_on.year * 12 + found.announced_on.month) % 12 + 1
        assert found.steps[-1].kind == "end_shifted" or found.remedy_ends_on.month == month


@given(st.integers(1, 400), st.integers(0, 23), st.integers(0, 59))
def test_legal_day_is_the_day_of_the_german_clock(day: int, hour: int, minute: int) -> None:
    """Also in the hour that is missing in March and in the one that comes twice in October."""
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day, hours=hour, minutes=minute)
    offset = moment.astimezone(LEGAL_TIME).utcoffset()
    assert offset in (timedelta(hours=1), timedelta(hours=2))
    assert legal_day(moment) == (moment + offset).date()
    assert legal_day(moment + timedelta(hours=1)) - legal_day(moment) in (timedelta(0), timedelta(days=1))


@given(st.integers(-40, 40), COUNTED_REGIMES, remedies(), PLACES)
def test_a_change_of_the_rule_takes_nothing_from_anybody(
    days: int, regime: str, remedy: Remedy, land: str | None
) -> None:
    """Across the day on which a rule follows another, who got their decision later never ends earlier."""
    change = next(rule.valid_from for rule in RULES if rule.regime == regime and rule.valid_from)
    provided = change + timedelta(days=days)
    before, after = (
        compute(regime=regime, made_available_on=day, remedy=remedy, land=land)
        for day in (provided, provided + timedelta(days=1))
    )
    assert before.rule_version == rule_for(regime, provided).version
    assert before.announced_on is not None and after.announced_on is not None
    assert before.announced_on > provided and before.announced_on <= after.announced_on
    assert before.remedy_ends_on is not None and after.remedy_ends_on is not None
    assert before.remedy_ends_on <= after.remedy_ends_on


@given(DAYS, st.sampled_from(LAENDER), st.sampled_from(["ozg9", "ao122a"]))
def test_every_holiday_of_a_land_moves_the_end(day: date, land: str, regime: str) -> None:
    """An end never lies on a holiday of the Land, and every day it was moved over has its reason."""
    found = compute(regime=regime, made_available_on=day, remedy=Remedy(length=14, unit="day"), land=land)
    assert found.remedy_ends_on is not None
    assert not holiday_name(found.remedy_ends_on, land=land) and found.remedy_ends_on.weekday() < 5
    for step in found.steps:
        for skipped in step.skipped:
            is_holiday = bool(holiday_name(skipped.day, land=land))
            assert is_holiday or skipped.day.weekday() >= 5
            assert (skipped.reason == "holiday") == is_holiday


@given(DAYS, st.integers(1, 24))
def test_month_ends(event: date, months: int) -> None:
    end = period_end(event, months, "month")
    assert end.day == event.day or (end + timedelta(days=1)).day == 1
    assert (end.year * 12 + end.month) - (event.year * 12 + event.month) == months


@given(DAYS, PLACES)
def test_a_working_day_is_found_within_a_week(day: date, land: str | None) -> None:
    skipped = skipped_from(day, land)
    assert len(skipped) < 7
    assert [one.day for one in skipped] == [day + timedelta(days=number) for number in range(len(skipped))]


def test_safe_date_is_nominal() -> None:
    assert safe_date(date(2026, 12, 1), ONE_MONTH) == date(2027, 1, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"regime": "post", "made_available_on": date(2026, 12, 1)},
        {"regime": "ozg9", "made_available_on": date(2026, 12, 1), "land": "XX"},
        {"regime": "ozg9", "made_available_on": date(2026, 12, 1), "retrieved_on": date(2026, 11, 30)},
    ],
)
def test_nonsense_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"no rule|land must|retrieved before"):
        compute(**arguments)


@pytest.mark.parametrize(("length", "unit"), [(0, "month"), (-1, "day"), (25, "month"), (1, "decade")])
def test_impossible_periods_are_refused(length: int, unit: str) -> None:
    with pytest.raises(ValueError, match=r"unit must|a remedy period"):
        Remedy(length=length, unit=unit)


def test_holidays_have_english_names() -> None:
    assert holiday_name(date(2026, 4, 3), land="NW", language="en") == "Good Friday"
    assert holiday_name(date(2026, 4, 3), land="NW") == "Karfreitag"
