"""A run: the servers start, take turns at each row, and end."""

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.provider import load, table
from benchmarks.provider.node_packages import Node
from benchmarks.provider.node_side import NodeSide
from benchmarks.provider.ours import Ours
from benchmarks.provider.relying_party import public_keys
from benchmarks.provider.scenarios import Ground, Row
from benchmarks.provider.sides import CONNECTIONS, Side
from benchmarks.provider.wire import WireError

ROUNDS = 3
LOG_CHARACTERS = 4000


def find_spy() -> str | None:
    """Return the program py-spy, None if it is not installed."""
    beside = Path(sys.executable).with_name("py-spy")
    return shutil.which("py-spy") or (str(beside) if beside.exists() else None)


def measure(row: Row, sides: list[Side], operations: int) -> dict[str, load.Measured]:
    """Return what the row costs on each side; the sides take turns, so that a slow minute hits all of them.

    The first round warms up and does not count.
    """
    found = {side.name: load.Measured() for side in sides}
    ready = {}
    for side in sides:
        keys = public_keys(side)
        ready[side.name] = [row.make(Ground(side, keys, number)) for number in range(CONNECTIONS)]
    for part in range(ROUNDS + 1):
        for side in sides:
            count = operations // ROUNDS if part else max(CONNECTIONS, int(operations * side.warm_up))
            one = _loaded(side, ready[side.name], count)
            if part:
                found[side.name].add(one)
    return found


def _loaded(side: Side, operations: list[load.Operation], count: int) -> load.Measured:
    """Put load on this side; a failure shows what its server wrote last."""
    try:
        return load.run(operations, count, server=side.server_pid, database=side.database_pid)
    except (WireError, OSError):
        print(side.log_file.read_text(encoding="utf-8", errors="replace")[-LOG_CHARACTERS:], file=sys.stderr)
        raise


def prepared(names: list[str], folder: Path, *, threads: int, node: Node | None) -> Iterator[Any]:
    """Yield the sides asked for, not yet started; ours first."""
    if table.OURS in names:
        (folder / table.OURS).mkdir()
        yield Ours(folder / table.OURS, threads=threads)
    options: dict[str, dict[str, bool]] = {
        table.POSTGRES: {},
        table.STORED: {"is_stored": True},
        table.MEMORY: {"has_database": False},
    }
    for name, more in options.items():
        if name in names and node is not None:
            yield NodeSide(name, folder / name, node, **more)


@contextlib.contextmanager
def profiled(file: Path | None, pid: int) -> Iterator[None]:
    """Sample our server with py-spy, which has to be installed, while rows are measured."""
    if file is None:
        yield
        return
    kind = "speedscope" if file.suffix == ".json" else "raw" if file.suffix == ".txt" else "flamegraph"
    options = ("--subprocesses", "--rate", "200", "--nonblocking", "--format", kind)
    process = subprocess.Popen([find_spy() or "py-spy", "record", *options, "--output", str(file), "--pid", str(pid)])
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
