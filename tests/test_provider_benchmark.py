"""The benchmark of the provider: its command line, its sums and ratios. No test here looks at a speed."""

import json
from dataclasses import fields

import pytest

from benchmarks.provider import __main__ as command
from benchmarks.provider import limits, load, table
from benchmarks.provider.node_packages import SOURCES
from benchmarks.provider.scenarios import ROWS


def test_command_line() -> None:
    found = command.parse(["--sides", "ours", "--rows", "code-flow", "--operations", "300"])
    assert [row.name for row in found.rows] == ["code-flow-rs256", "code-flow-es256"]
    assert (found.sides, found.operations, found.limits) == (["ours"], 300, False)
    everything = command.parse(["--write"])
    assert everything.rows == list(ROWS)
    assert (everything.sides, everything.limits) == (list(table.SIDES), True)


@pytest.mark.parametrize(
    "arguments",
    [["--rows", "nothing"], ["--write", "--rows", "userinfo"], ["--write", "--sides", "ours"], ["--operations", "3"]],
)
def test_refused_command_lines(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.parse(arguments)
    assert "usage" in capsys.readouterr().err


def test_rounds_add_up() -> None:
    both = load.Measured()
    both.add(load.Measured(seconds=1.0, server_cpu=0.4, database_cpu=0.1, taken=[10.0] * 60))
    both.add(load.Measured(seconds=3.0, server_cpu=0.8, database_cpu=0.2, taken=[30.0] * 40))
    assert both.rate == 25
    assert (both.server_ms, both.database_ms) == pytest.approx((12, 3))
    assert both.total_ms == pytest.approx(15)
    assert (both.p50, both.p99) == (10, 30)


def test_memory_has_no_database() -> None:
    found = load.Measured()
    found.add(load.Measured(seconds=1.0, server_cpu=0.1, taken=[1.0, 1.0]))
    assert found.database_cpu is None
    assert table.measured("Row", {"node-memory": found})[0][-3:] == ("50.0", "-", "50.0")


def test_comparison() -> None:
    ours = load.Measured(seconds=2.0, server_cpu=0.3, database_cpu=0.1, taken=[1.0] * 100)
    node = load.Measured(seconds=1.0, server_cpu=0.4, database_cpu=0.2, taken=[1.0] * 100)
    assert table.lead(ours, node) == pytest.approx((1.5, 0.5))
    line = table.compared("Row", {"ours": ours, "node+pg": node}, 2.5)
    assert line == ("Row", "4.00", "6.00", "1.50", "0.50", "-", "-", "2.50", "1.60")
    assert table.compared("Row", {"node+pg": node}, None) == ("Row", "-", "6.00", *["-"] * 6)


def test_every_row_has_a_limit() -> None:
    prices = limits.Prices(**{one.name: 10.0**number for number, one in enumerate(fields(limits.Prices))})
    assert {row.name: limits.needs(row.name).price(prices) for row in ROWS if row.name.startswith("code-flow")} == {
        # requests, RSA and P-256 signatures, verification, selects, commits
        "code-flow-rs256": 3 + 100 + 1000 + 10_000 + 2_000_000 + 30_000_000,
        "code-flow-es256": 3 + 2000 + 10_000 + 2_000_000 + 30_000_000,
    }
    assert all(limits.needs(row.name).price(prices) > 0 for row in ROWS)
    assert limits.TEXTS.keys() == {one.name for one in fields(limits.Prices)}


def test_tables() -> None:
    rows = [("row", "ms"), ("Userinfo", "0.5")]
    assert table.plain(rows) == "row        ms\n--------  ---\nUserinfo  0.5"
    assert table.markdown(rows) == "| row      |  ms |\n| -------- | --: |\n| Userinfo | 0.5 |"


def test_packages_are_locked() -> None:
    wanted = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    packages = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    for name, entry in packages.items():
        assert not name or "integrity" in entry, name
        assert "resolved" not in entry, name
