"""The table of announcement rules with their time of validity: what the law said when a decision was provided."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

Regime = Literal["ozg9", "ao122a", "vwvfg41_2a"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of the table: how a regime announces, for what is made available in its time of validity."""

    regime: Regime
    valid_from: date | None
    valid_until: date | None
    #: The announcement is this many days after the counting start.
    days: int
    counts_from: Literal["made_available", "retrieved"]
    #: Whether an announcement on a weekend or holiday moves to the next working day.
    shifts: bool
    #: Without retrieval within so many days after the notice the provision ends; None: it does not end.
    provision_days: int | None = None
    paragraph: str
    shift_paragraph: str
    year_paragraph: str
    source: str

    @property
    def version(self) -> str:
        """Return the name under which a message keeps which rule its dates came from."""
        return f"{self.regime}/{self.valid_from or 'first'}"


RULES = (
    Rule(
        # Inferred: that section 9 OZG moved from the third to the fourth day together with section 41(2) VwVfG on
        # 2025-01-01 (PostModG). The text in force says four; the day of the change was not found (domain facts 3.2).
        regime="ozg9",
        valid_from=None,
        valid_until=date(2024, 12, 31),
        days=3,
        counts_from="made_available",
        shifts=False,
        paragraph="§ 9 Abs. 1 OZG",
        shift_paragraph="§ 193 BGB, § 31 Abs. 3 VwVfG",
        year_paragraph="§ 58 Abs. 2 VwGO",
        source="OZG section 9(1) in the version of 2024-07-24",
    ),
    Rule(
        regime="ozg9",
        valid_from=date(2025, 1, 1),
        valid_until=None,
        days=4,
        counts_from="made_available",
        # No shift of the fourth day: settled for VwVfG section 41(2) and SGB X section 37(2); for OZG inferred.
        shifts=False,
        paragraph="§ 9 Abs. 1 OZG",
        shift_paragraph="§ 193 BGB, § 31 Abs. 3 VwVfG",
        year_paragraph="§ 58 Abs. 2 VwGO",
        source="OZG section 9(1), last changed 2026-07-22",
    ),
    Rule(
        regime="ao122a",
        valid_from=None,
        valid_until=date(2024, 12, 31),
        days=3,
        counts_from="made_available",
        shifts=True,
        paragraph="§ 122a Abs. 4 AO",
        shift_paragraph="§ 108 Abs. 3 AO",
        year_paragraph="§ 356 Abs. 2 AO",
        source="AO section 122a(4) before PostModG; the notice goes out on the day of availability",
    ),
    Rule(
        regime="ao122a",
        valid_from=date(2025, 1, 1),
        valid_until=None,
        days=4,
        counts_from="made_available",
        shifts=True,
        paragraph="§ 122a Abs. 4 AO",
        shift_paragraph="§ 108 Abs. 3 AO",
        year_paragraph="§ 356 Abs. 2 AO",
        source="AO sections 108(3) and 122a(4)",
    ),
    Rule(
        regime="vwvfg41_2a",
        valid_from=None,
        valid_until=None,
        days=1,
        counts_from="retrieved",
        shifts=False,
        provision_days=10,
        paragraph="§ 41 Abs. 2a VwVfG",
        shift_paragraph="§ 193 BGB, § 31 Abs. 3 VwVfG",
        year_paragraph="§ 58 Abs. 2 VwGO",
        source="VwVfG section 41(2a)",
    ),
)


def rule_for(regime: str, day: date) -> Rule:
    """Return the rule that holds for what is made available on this day; raise ValueError if none does."""
    for rule in RULES:
        begun = rule.valid_from is None or rule.valid_from <= day
        ended = rule.valid_until is not None and rule.valid_until < day
        if rule.regime == regime and begun and not ended:
            return rule
    raise ValueError(f"no rule of announcement for {regime} on {day}")
