"""The result of a run, as text for the terminal and as docs/performance.md."""

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks.provider import limits, table
from benchmarks.provider.load import Measured
from benchmarks.provider.node_packages import Node, locked_version
from benchmarks.provider.processes import CORES
from benchmarks.provider.scenarios import ROWS
from benchmarks.provider.sides import CONNECTIONS
from unternehmenskonto.demo.server_account import account_for
from unternehmenskonto.demo.server_binaries import binaries_for
from unternehmenskonto.settings import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"
TEMPLATE = Path(__file__).with_name("performance.md.in")
BUSY = 1.0
BUSY_NOTE = "\nOther work kept the machine busy (see load): all times are longer than on a quiet one, and ratios vary."
PACKAGES = ("granian", "flask", "werkzeug", "sqlalchemy", "psycopg", "authlib", "joserfc", "cryptography")


@dataclass(frozen=True)
class Result:
    """What one run found: row name -> side -> measured; prices None if the limits were left out."""

    rows: Mapping[str, Mapping[str, Measured]]
    prices: limits.Prices | None
    node: Node | None
    command: str
    seconds: float
    #: Processes that wanted a core in the minute before: with more than a few, only ratios mean something.
    busy: float

    def measured(self) -> list[table.Cells]:
        """Return the table of all rows on all sides."""
        return [
            table.MEASURED,
            *(line for row, found in self.rows.items() for line in table.measured(_text(row), found)),
        ]

    def compared(self) -> list[table.Cells]:
        """Return the table that holds us against the others and the limits."""
        return [
            table.COMPARED,
            *(table.compared(_text(row), found, self._limit(row)) for row, found in self.rows.items()),
        ]

    def prices_table(self) -> list[table.Cells]:
        """Return the prices and how many of each the rows need."""
        if self.prices is None:
            return [("what", "CPU ms")]
        return [
            ("what", "CPU ms"),
            *((limits.TEXTS[one.name], table.number(getattr(self.prices, one.name))) for one in fields(self.prices)),
        ]

    def _limit(self, row: str) -> float | None:
        return None if self.prices is None else limits.needs(row).price(self.prices)


def plain(result: Result) -> str:
    """Return everything for a terminal."""
    parts = [machine(result), table.plain(result.measured(), table.WORDS), table.plain(result.compared())]
    if result.prices is not None:
        parts += [table.plain(result.prices_table()), table.plain(needs_table(list(result.rows)))]
    return "\n\n".join(parts)


def write(result: Result) -> None:
    """Write docs/performance.md."""
    text = TEMPLATE.read_text(encoding="utf-8")
    values = {
        "date": date.today().isoformat(),  # noqa: DTZ011 - the day as the reader's calendar has it
        "machine": machine(result),
        "command": result.command,
        "note": BUSY_NOTE if result.busy > BUSY else "",
        "minutes": f"{result.seconds / 60:.0f}",
        "connections": str(CONNECTIONS),
        "compared": table.markdown(result.compared()),
        "measured": table.markdown(result.measured(), table.WORDS),
        "prices": table.markdown(result.prices_table()),
        "needs": table.markdown(needs_table(list(result.rows))),
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    DOCUMENT.write_text(text, encoding="utf-8")


def needs_table(rows: list[str]) -> list[table.Cells]:
    """Return how many of each thing the rows need at least."""
    names = [one.name for one in fields(limits.Needs)]
    lines = [(_text(row), *(str(getattr(limits.needs(row), name) or "") for name in names)) for row in rows]
    return [("row", *(name.replace("_", " ") for name in names)), *lines]


def machine(result: Result) -> str:
    """Return machine and versions, a line each."""
    lines = [
        f"{_processor()}, {len(CORES)} cores; {platform.system()} {platform.release()}; load before: {result.busy:.1f}",
        f"Python {platform.python_version()}; " + ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        _postgres(),
    ]
    if result.node is not None:
        packages = ", ".join(f"{name} {locked_version(name)}" for name in ("oidc-provider", "pg"))
        lines.append(f"node {result.node.version}; {packages}")
    return "\n".join(lines)


def _text(row: str) -> str:
    return next(one.text for one in ROWS if one.name == row)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _postgres() -> str:
    program = binaries_for(account_for(Path.cwd())) / "bin" / "postgres"
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
