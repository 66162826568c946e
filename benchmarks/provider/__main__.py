"""Measure the provider: `python -m benchmarks.provider [--sides ours] [--rows code-flow] [--operations 1000]`."""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.provider import limits, load, node_packages, report, run, table
from benchmarks.provider.ours import THREADS
from benchmarks.provider.processes import IS_POSSIBLE, LOAD_CORES
from benchmarks.provider.scenarios import ROWS, Row
from benchmarks.provider.wire import WireError
from unternehmenskonto.settings import ROOT

CACHE = ROOT / ".data" / "benchmarks"
LEAST_OPERATIONS = 24
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def chosen_rows(names: list[str]) -> list[Row]:
    """Return the rows whose name begins with one of these; all if none is named."""
    return [row for row in ROWS if not names or any(row.name.startswith(name) for name in names)]


def end(*_: object) -> None:
    """End in order: everything that was started is ended, and a second signal does not disturb that."""
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; `rows` becomes a list of Row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.provider", description=__doc__)
    parser.add_argument("--sides", nargs="+", choices=table.SIDES, default=list(table.SIDES), help="what is measured")
    parser.add_argument("--rows", nargs="+", default=[], help="beginnings of row names, for example: code-flow refresh")
    parser.add_argument("--operations", type=int, help="operations of each row, instead of the row's own number")
    parser.add_argument("--threads", type=int, default=THREADS, help="threads of our web worker")
    parser.add_argument(
        "--limits", action=argparse.BooleanOptionalAction, help="measure the physical limits (default: without --rows)"
    )
    parser.add_argument("--profile", type=Path, help="let py-spy write here (.svg, .txt, .json) what our server does")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md; needs all rows and sides")
    found = parser.parse_args(arguments)
    if found.write and (found.rows or len(found.sides) < len(table.SIDES) or found.limits is False):
        parser.error("--write needs all rows, all sides and the limits")
    if found.profile and table.OURS not in found.sides:
        parser.error("--profile looks at our side: name it in --sides")
    if found.profile and run.find_spy() is None:
        parser.error("--profile needs py-spy: pip install py-spy")
    if found.operations is not None and found.operations < LEAST_OPERATIONS:
        parser.error(f"--operations must be {LEAST_OPERATIONS} or more")
    found.limits = not found.rows if found.limits is None else found.limits
    found.rows = chosen_rows(found.rows)
    if not found.rows:
        parser.error(f"there is no such row; rows: {', '.join(row.name for row in ROWS)}")
    return found


def main() -> int:
    """Do what the command line says."""
    asked, started, busy = parse(), time.monotonic(), os.getloadavg()[0]
    if not IS_POSSIBLE:
        sys.exit("This measurement needs Linux: it gives each process a core and reads its CPU clock.")
    for one in SIGNALS:
        signal.signal(one, end)
    node = node_packages.installed(CACHE) if set(asked.sides) - {table.OURS} else None
    rows: dict[str, dict[str, load.Measured]] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        prices = limits.measure(Path(folder), threads=asked.threads) if asked.limits else None
        prepared = run.prepared(asked.sides, Path(folder), threads=asked.threads, node=node)
        sides = [stack.enter_context(one) for one in prepared]
        os.sched_setaffinity(0, LOAD_CORES)
        stack.enter_context(run.profiled(asked.profile, sides[0].server_pid))
        for row in asked.rows:
            rows[row.name] = run.measure(row, sides, asked.operations or row.operations)
            print(table.plain([table.MEASURED, *table.measured(row.text, rows[row.name])], table.WORDS), flush=True)
    command = " ".join(["python -m benchmarks.provider", *sys.argv[1:]])
    result = report.Result(rows, prices, node, command, time.monotonic() - started, busy)
    print("\n" + report.plain(result))
    if asked.write:
        report.write(result)
        print(f"\nWritten: {report.DOCUMENT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Ended before the end; everything that was started is ended too.")
    except (node_packages.NodeError, WireError) as error:
        sys.exit(str(error))
