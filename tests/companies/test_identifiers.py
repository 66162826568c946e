"""Company numbers: check digits and one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unternehmenskonto.companies import assurance, identifiers
from unternehmenskonto.companies.identifiers import InvalidIdentifier, normal_form


@pytest.mark.parametrize(
    ("scheme", "value", "normal"),
    [
        ("w_idnr", "DE900000006-00001", "DE900000006-00001"),
        ("w_idnr", "de 900 000 006", "DE900000006-00001"),
        ("w_idnr", "DE232637828-12345", "DE232637828-12345"),
        ("vat_id", "DE 136 695 976", "DE136695976"),
        ("vat_id", "de900000006", "DE900000006"),
        ("register", "Amtsgericht Musterstadt|HRB|12345", "musterstadt|hrb|12345"),
        ("register", "  musterstadt |hrb| 0012345", "musterstadt|hrb|12345"),
        ("register", "Kiel|HRB|395 KI", "kiel|hrb|395ki"),
        ("register", "Berlin (Charlottenburg)|GR|12", "berlin (charlottenburg)|gnr|12"),
        ("register", "Köln|GsR|1", "köln|gsr|1"),
    ],
)
def test_one_spelling(scheme: str, value: str, normal: str) -> None:
    assert normal_form(scheme, value) == normal


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        ("w_idnr", "DE123456789-00001"),
        ("w_idnr", "DE900000006-00000"),
        ("w_idnr", "DE900000006-1"),
        ("w_idnr", "AT900000006-00001"),
        ("w_idnr", "DE٩٠٠٠٠٠٠٠٦-00001"),
        ("vat_id", "DE123456789"),
        ("vat_id", "900000006"),
        ("vat_id", ""),
        ("register", "Kiel|HRX|1"),
        ("register", "|HRB|1"),
        ("register", "Kiel|HRB|0"),
        ("register", "Kiel|HRB"),
        ("register", "a|b|HRB|1"),
        ("org:https://idp.example", "du-1"),
        ("", ""),
    ],
)
def test_impossible_numbers(scheme: str, value: str) -> None:
    with pytest.raises(InvalidIdentifier):
        normal_form(scheme, value)


@given(st.sampled_from(("w_idnr", "vat_id", "register")), st.text(max_size=60))
def test_no_text_breaks_the_check(scheme: str, value: str) -> None:
    try:
        normal = normal_form(scheme, value)
    except InvalidIdentifier:
        return
    assert normal_form(scheme, normal) == normal


@given(st.integers(0, 8), st.integers(1, 9))
def test_any_changed_digit_is_noticed(position: int, shift: int) -> None:
    digits = list("900000006")
    digits[position] = str((int(digits[position]) + shift) % 10)
    with pytest.raises(InvalidIdentifier):
        identifiers.w_idnr(f"DE{''.join(digits)}-00001")


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("http://eidas.europa.eu/LoA/high", "high"),
        ("http://bsi.bund.de/eID/LoA/substantiell", "substantial"),
        ("STORK-QAA-Level-3", "substantial"),
        ("STORK-QAA-Level-2", "low"),
        ("SUBSTANZIELL", "substantial"),
        ("hoch", "high"),
        ("BASIS", "low"),
        ("sehr hoch", "low"),
        (None, "low"),
        (["high"], "low"),
        ("", "low"),
    ],
)
def test_trust_levels(value: object, level: str) -> None:
    assert assurance.level_of(value) == level


def test_a_chain_is_as_strong_as_its_weakest_link() -> None:
    assert assurance.lowest("high", "substantial", "high") == "substantial"
    assert assurance.lowest() == "low"
    assert assurance.eidas_uri("high") == "http://eidas.europa.eu/LoA/high"
