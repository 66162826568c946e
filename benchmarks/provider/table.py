"""The arithmetic and the text of the tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.provider.load import Measured

Cells = tuple[str, ...]
HEADING: Cells = ("row", "side", "rate/s", "p50 ms", "p99 ms", "CPU ms server", "database", "sum")


@dataclass(frozen=True)
class Line:
    """One row on one side."""

    row: str
    side: str
    measured: Measured


def ratio(ours: Measured, theirs: Measured) -> tuple[float, float]:
    """Return how much less CPU we need and how many more operations we do: above 1 is better than they."""
    return theirs.total_ms / ours.total_ms, ours.rate / theirs.rate


def cells(line: Line) -> Cells:
    """Return the cells of a line."""
    measured = line.measured
    database = "-" if measured.database_cpu is None else number(measured.database_ms)
    return (
        line.row, line.side, f"{measured.rate:,.0f}", f"{measured.p50:.1f}", f"{measured.p99:.1f}",
        number(measured.server_ms), database, number(measured.total_ms),
    )  # fmt: skip


def number(value: float) -> str:
    """Return a figure with two digits that count at least."""
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def text(rows: Sequence[Cells]) -> str:
    """Return a plain text table: the first row is the heading, the first two columns are words, the rest numbers."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        padded = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
