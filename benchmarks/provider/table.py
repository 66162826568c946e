"""The arithmetic and the text of the tables."""

from collections.abc import Mapping, Sequence

from benchmarks.provider.load import Measured

Cells = tuple[str, ...]
#: Side -> what it cost there.
Found = Mapping[str, Measured]

OURS, POSTGRES, STORED, MEMORY = "ours", "node+pg", "node+pg-all", "node-memory"
SIDES = (OURS, POSTGRES, STORED, MEMORY)
MEASURED: Cells = ("row", "side", "op/s", "p50 ms", "p99 ms", "CPU server", "CPU database", "CPU sum")
COMPARED: Cells = (
    "row", "ours ms", "node+pg ms", "x by CPU", "x by rate", "x node+pg-all", "x node-memory", "limit ms", "x limit",
)  # fmt: skip
WORDS = 2


def lead(ours: Measured, theirs: Measured) -> tuple[float, float]:
    """Return how far we are ahead in CPU time and in rate: 1.0 is level, more is better than they."""
    return theirs.total_ms / ours.total_ms, ours.rate / theirs.rate


def measured(row: str, found: Found) -> list[Cells]:
    """Return a line for each side."""
    return [
        (
            row, side, f"{one.rate:,.0f}", f"{one.p50:.1f}", f"{one.p99:.1f}", number(one.server_ms),
            "-" if one.database_cpu is None else number(one.database_ms), number(one.total_ms),
        )
        for side, one in found.items()
    ]  # fmt: skip


def compared(row: str, found: Found, limit: float | None) -> Cells:
    """Return the line that holds us against the others and against the physical limit in milliseconds."""
    ours = found.get(OURS)
    others = [found.get(side) for side in (POSTGRES, STORED, MEMORY)]
    leads = [lead(ours, other) if ours and other else None for other in others]
    return (
        row,
        number(ours.total_ms) if ours else "-",
        number(others[0].total_ms) if others[0] else "-",
        f"{leads[0][0]:.2f}" if leads[0] else "-",
        f"{leads[0][1]:.2f}" if leads[0] else "-",
        f"{leads[1][0]:.2f}" if leads[1] else "-",
        f"{leads[2][0]:.2f}" if leads[2] else "-",
        "-" if limit is None else number(limit),
        f"{ours.total_ms / limit:.2f}" if ours and limit else "-",
    )


def number(value: float) -> str:
    """Return milliseconds with the digits that mean something."""
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def plain(rows: Sequence[Cells], words: int = 1) -> str:
    """Return a table in plain text: the first row is the heading, the first columns are words, the rest numbers."""
    lines = ["  ".join(cells) for cells in _padded(rows, words)]
    lines.insert(1, "  ".join("-" * width for width in _widths(rows)))
    return "\n".join(line.rstrip() for line in lines)


def markdown(rows: Sequence[Cells], words: int = 1) -> str:
    """Return the same as a table of a document."""
    lines = [f"| {' | '.join(cells)} |" for cells in _padded(rows, words)]
    rule = ["-" * width if column < words else "-" * (width - 1) + ":" for column, width in enumerate(_widths(rows))]
    lines.insert(1, f"| {' | '.join(rule)} |")
    return "\n".join(lines)


def _padded(rows: Sequence[Cells], words: int) -> list[list[str]]:
    widths = _widths(rows)
    return [
        [
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]


def _widths(rows: Sequence[Cells]) -> list[int]:
    return [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
