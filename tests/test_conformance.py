"""docs/conformance.md tells which module is held by which test, and is current."""

from pathlib import Path

from tools.conformance import DOCUMENT, PLANS, collect, document


def test_table_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(collect()), "run: python tools/conformance.py"


def test_every_plan_has_the_number_of_modules_of_the_suite() -> None:
    numbers = [len(modules) for modules in PLANS.values()]
    assert numbers == [38, 38, 1, 23, 11, 2, 2, 14, 6, 3, 8]
    assert all(len(set(modules)) == len(modules) for modules in PLANS.values())


def test_markers_are_found_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        'NOTE = "why"\n'
        '@pytest.mark.conformance("a", note=NOTE)\n'
        '@pytest.mark.conformance("b", note="so")\n'
        "def test_one(): ...\n"
        '@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.conformance("c")),\n'
        '    pytest.param(2, marks=[pytest.mark.conformance("d")])])\n'
        "def test_two(x): ...\n"
        "@pytest.mark.other\n"
        "def test_three(): ...\n"
    )
    found = collect(tmp_path)
    assert [(held.module, held.note) for held in found] == [("a", "why"), ("b", "so"), ("c", ""), ("d", "")]
    text = document(found)
    assert "| `a` | `test_x.py::test_one` | tested (why) |" in text
    assert "| `oidcc-server` | – | missing |" in text
