"""Which core a process runs on, and the CPU time of a tree of processes."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

#: Only Linux lets a program say on which cores it runs, and reads the CPU clocks of others.
IS_POSSIBLE = sys.platform == "linux"
#: One core for the server under test, one for the database; the load shares the second where there are but two.
CORES = tuple(sorted(os.sched_getaffinity(0))) if IS_POSSIBLE else (0,)
SERVER_CORE = CORES[0]
DATABASE_CORE = CORES[1 % len(CORES)]
LOAD_CORES = CORES[2:] or (DATABASE_CORE,)


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Start processes on this core: children take it over from the thread that makes them."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(pid: int, core: int) -> None:
    """Move a running process, all its threads and all its children to this core."""
    for process in tree(pid):
        for thread in process.threads():
            os.sched_setaffinity(thread.id, {core})


def tree(pid: int) -> list[psutil.Process]:
    """Return the process and everything below it."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a tree of processes so far: user and system, all threads, ended children too.

    The kernel's CPU clock of a process counts nanoseconds, /proc/<pid>/stat the same in steps of 10 ms.
    """
    total = 0.0
    for process in tree(pid):
        try:
            total += time.clock_gettime((~process.pid << 3) | 2)
            ended = process.cpu_times()
        except (OSError, psutil.NoSuchProcess):
            continue
        total += ended.children_user + ended.children_system
    return total
