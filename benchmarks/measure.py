"""Ways to measure: repeat a call from several threads, take percentiles, watch the memory of a process."""

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Timing:
    """How often something was done and how long each took, in milliseconds."""

    count: int
    seconds: float
    p50: float
    p95: float

    @property
    def rate(self) -> float:
        """Return how many were done each second."""
        return self.count / self.seconds


def repeat(make_call: Callable[[], Callable[[], None]], *, seconds: float, threads: int = 1) -> Timing:
    """Call for so many seconds from each thread; `make_call` gives each thread a call of its own."""
    taken: list[float] = []
    lock = threading.Lock()
    calls = [make_call() for _ in range(threads)]
    failures: list[BaseException] = []

    def run(call: Callable[[], None]) -> None:
        mine = []
        try:
            while time.perf_counter() < ends_at:
                started = time.perf_counter()
                call()
                mine.append((time.perf_counter() - started) * 1000)
        except BaseException as error:
            failures.append(error)
        with lock:
            taken.extend(mine)

    for call in calls:  # connections and caches are warm before the clock runs
        call()
    started = time.perf_counter()
    ends_at = started + seconds
    running = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failures:
        raise failures[0]
    cuts = statistics.quantiles(taken, n=20)
    return Timing(len(taken), time.perf_counter() - started, statistics.median(taken), cuts[18])


class PeakMemory:
    """Watch the resident memory of processes in the `with` block; `grown` is the largest growth in bytes."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._processes = processes
        self._before = {process.pid: process.memory_info().rss for process in processes}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.grown = 0

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            for process in self._processes:
                self.grown = max(self.grown, process.memory_info().rss - self._before[process.pid])


def show(title: str, rows: list[tuple[str, ...]]) -> None:
    """Print a table; the first row is the heading."""
    print(f"\n{title}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))
