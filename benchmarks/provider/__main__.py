"""Measure the provider: `python -m benchmarks.provider [--sides ours] [--rows code-flow] [--operations 1000]`."""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.provider import load, table
from benchmarks.provider.ours import Ours
from benchmarks.provider.processes import LOAD_CORES
from benchmarks.provider.relying_party import public_keys
from benchmarks.provider.scenarios import ROWS, Ground, Row
from benchmarks.provider.sides import CONNECTIONS, Side

SIDES = ("ours",)
ROUNDS = 3
WARM_UP = 0.1


def chosen_rows(names: list[str]) -> list[Row]:
    """Return the rows whose name begins with one of these; all if none is named."""
    return [row for row in ROWS if not names or any(row.name.startswith(name) for name in names)]


def measure(row: Row, sides: list[Side], operations: int) -> dict[str, load.Measured]:
    """Return what the row costs on each side; the sides take turns, so that a slow minute hits all of them."""
    found = {side.name: load.Measured() for side in sides}
    ready = {}
    for side in sides:
        keys = public_keys(side)
        ready[side.name] = [row.make(Ground(side, keys, number)) for number in range(CONNECTIONS)]
    for part in range(ROUNDS + 1):
        for side in sides:
            count = max(CONNECTIONS, int(operations * WARM_UP)) if part == 0 else operations // ROUNDS
            one = load.run(ready[side.name], count, server=side.server_pid, database=side.database_pid)
            if part:
                found[side.name].add(one)
    return found


@contextlib.contextmanager
def profiled(file: Path | None, pid: int) -> Iterator[None]:
    """Sample our server with py-spy, which has to be installed, while rows are measured."""
    if file is None:
        yield
        return
    spy = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    kind = "speedscope" if file.suffix == ".json" else "raw" if file.suffix == ".txt" else "flamegraph"
    options = ("--subprocesses", "--rate", "200", "--nonblocking", "--format", kind)
    process = subprocess.Popen([spy, "record", *options, "--output", str(file), "--pid", str(pid)])
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def end(*_: object) -> None:
    """End as with Ctrl-C: everything that was started is ended."""
    raise KeyboardInterrupt


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.provider", description=__doc__)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="what is measured")
    parser.add_argument("--rows", nargs="+", default=[], help="beginnings of row names")
    parser.add_argument("--operations", type=int, help="operations of each row, instead of the row's own number")
    parser.add_argument("--profile", type=Path, help="let py-spy write here (.svg, .txt, .json) what our server does")
    arguments = parser.parse_args()
    rows = chosen_rows(arguments.rows)
    if not rows:
        parser.error(f"there is no such row; rows: {', '.join(row.name for row in ROWS)}")
    signal.signal(signal.SIGTERM, end)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ours = stack.enter_context(Ours(Path(folder)))
        sides: list[Side] = [ours]
        os.sched_setaffinity(0, LOAD_CORES)
        stack.enter_context(profiled(arguments.profile, ours.server_pid))
        lines = [table.HEADING]
        for row in rows:
            found = measure(row, sides, arguments.operations or row.operations)
            lines += [table.cells(table.Line(row.text, name, measured)) for name, measured in found.items()]
            print(table.text([lines[0], *lines[-len(sides) :]]), flush=True)
        print("\n" + table.text(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
