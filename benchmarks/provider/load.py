"""Put load on a server: so many operations over so many connections, and what they cost whom."""

import statistics
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.provider.processes import cpu_seconds

Operation = Callable[[], None]


@dataclass
class Measured:
    """What operations took and cost; measurements of several rounds add up."""

    seconds: float = 0.0
    #: CPU seconds of the server's processes and of the database's; None where there is no database.
    server_cpu: float = 0.0
    database_cpu: float | None = None
    #: Milliseconds of each operation.
    taken: list[float] = field(default_factory=list)

    def add(self, other: "Measured") -> None:
        """Take in another round."""
        self.seconds += other.seconds
        self.server_cpu += other.server_cpu
        if other.database_cpu is not None:
            self.database_cpu = (self.database_cpu or 0.0) + other.database_cpu
        self.taken += other.taken

    @property
    def rate(self) -> float:
        """Return operations per second."""
        return len(self.taken) / self.seconds

    @property
    def p50(self) -> float:
        """Return the median in milliseconds."""
        return statistics.median(self.taken)

    @property
    def p99(self) -> float:
        """Return the 99th percentile in milliseconds."""
        return statistics.quantiles(self.taken, n=100)[98]

    @property
    def server_ms(self) -> float:
        """Return the CPU milliseconds of the server per operation."""
        return 1000 * self.server_cpu / len(self.taken)

    @property
    def database_ms(self) -> float:
        """Return the CPU milliseconds of the database per operation."""
        return 1000 * (self.database_cpu or 0.0) / len(self.taken)

    @property
    def total_ms(self) -> float:
        """Return the CPU milliseconds of both per operation."""
        return self.server_ms + self.database_ms


def run(operations: list[Operation], count: int, *, server: int, database: int | None) -> Measured:
    """Do `count` operations, each connection its share; server and database are process ids.

    The first failure ends the run and is raised.
    """
    shares = [count // len(operations) + (number < count % len(operations)) for number in range(len(operations))]
    taken: list[list[float]] = [[] for _ in operations]
    failures: list[BaseException] = []
    begin = threading.Barrier(len(operations) + 1)

    def work(operation: Operation, share: int, mine: list[float]) -> None:
        begin.wait()
        try:
            for _ in range(share):
                if failures:
                    return
                started = time.perf_counter()
                operation()
                mine.append((time.perf_counter() - started) * 1000)
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=arguments, daemon=True)
        for arguments in zip(operations, shares, taken, strict=True)
    ]
    for thread in threads:
        thread.start()
    before = _cpu(server), _cpu(database)
    begin.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if failures:
        raise failures[0]
    return Measured(
        seconds=seconds,
        server_cpu=_cpu(server) - before[0],
        database_cpu=None if database is None else _cpu(database) - before[1],
        taken=_flat(taken),
    )


def _cpu(pid: int | None) -> float:
    return 0.0 if pid is None else cpu_seconds(pid)


def _flat(parts: Iterable[list[float]]) -> list[float]:
    return [value for part in parts for value in part]
