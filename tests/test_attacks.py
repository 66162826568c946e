"""docs/attacks.md tells which attack is withstood by what and shown by which test, and is current."""

from tools.attacks import ATTACKS, DOCUMENT, MARKER, PACKAGE, document
from tools.conformance import collect


def test_table_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(collect(marker=MARKER)), "run: python -m tools.attacks"


def test_every_attack_has_its_test_and_its_place() -> None:
    held = {entry.module for entry in collect(marker=MARKER)}
    assert held == ATTACKS.keys()
    assert all((PACKAGE / place).is_file() for _, place in ATTACKS.values())
