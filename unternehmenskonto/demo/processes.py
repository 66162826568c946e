"""Child processes of the demonstration: start, watch, restart, end."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STOP_TIMEOUT_SECONDS = 10.0
POLL_SECONDS = 0.05
MAX_RESTARTS = 5
RESTART_WINDOW_SECONDS = 60.0
RESTART_PAUSE_SECONDS = 0.5
MAX_LOG_BYTES = 5 * 1024 * 1024
LOG_TAIL_CHARACTERS = 2000
PR_SET_PDEATHSIG = 1


class ProcessError(Exception):
    """A child process does not run; the text names it and shows the end of its log."""


@dataclass(slots=True)
class Child:
    """Describe one process: what it is, how it is started, where it writes."""

    name: str
    command: Sequence[str]
    log_file: Path
    process: subprocess.Popen[bytes] | None = None
    ends: list[float] = field(default_factory=list)
    log_begins: int = 0

    def log_tail(self) -> str:
        """Return the last lines the process wrote since its last start."""
        try:
            with self.log_file.open("rb") as log:
                log.seek(self.log_begins)
                written = log.read()
        except OSError:
            return ""
        return written.decode("utf-8", "replace")[-LOG_TAIL_CHARACTERS:]


class Children:
    """Run child processes that never outlive this one."""

    def __init__(self, *, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._children: list[Child] = []

    def add(self, name: str, command: Sequence[str], log_file: Path) -> None:
        """Start a process and watch it from now on."""
        child = Child(name, command, log_file)
        self._children.append(child)
        self._start(child)

    def check(self) -> list[str]:
        """Start again what ended and return the names.

        Raises ProcessError for a process that ended six times within a minute.
        """
        restarted = []
        for child in self._children:
            if child.process is None or child.process.poll() is None:
                continue
            code = child.process.returncode
            recent = [end for end in child.ends if end > time.monotonic() - RESTART_WINDOW_SECONDS]
            child.ends = [*recent, time.monotonic()]
            # A killed web server leaves workers behind that would go on answering beside the new ones.
            self._signal(child, signal.SIGKILL, whole_group=True)
            if len(child.ends) > MAX_RESTARTS:
                raise ProcessError(
                    f"{child.name} ended {len(child.ends)} times within a minute, last with code {code}. "
                    f"End of {child.log_file}:\n{child.log_tail()}"
                )
            time.sleep(RESTART_PAUSE_SECONDS)
            self._start(child)
            restarted.append(child.name)
        return restarted

    def require_running(self) -> None:
        """Raise ProcessError when a process has ended; for the time before everything is up."""
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                raise ProcessError(
                    f"{child.name} ended with code {child.process.returncode} while starting. "
                    f"End of {child.log_file}:\n{child.log_tail()}"
                )

    def stop(self) -> None:
        """Ask all to end, wait, and kill the rest with everything they started."""
        for child in self._children:
            self._signal(child, signal.SIGTERM, whole_group=False)
        give_up = time.monotonic() + STOP_TIMEOUT_SECONDS
        while self._running() and time.monotonic() < give_up:
            time.sleep(POLL_SECONDS)
        for child in self._children:
            self._signal(child, signal.SIGKILL, whole_group=True)
            if child.process is not None:
                child.process.wait()
        self._children.clear()

    def _running(self) -> bool:
        return any(child.process is not None and child.process.poll() is None for child in self._children)

    def _signal(self, child: Child, number: signal.Signals, *, whole_group: bool) -> None:
        if child.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if whole_group:
                # Each child leads a group of its own, so this reaches what it left behind and nobody else.
                os.killpg(child.process.pid, number)
            elif child.process.poll() is None:
                child.process.send_signal(number)

    def _start(self, child: Child) -> None:
        if child.log_file.exists() and child.log_file.stat().st_size > MAX_LOG_BYTES:
            child.log_file.replace(child.log_file.with_suffix(".log.1"))
        with child.log_file.open("ab") as log:
            child.log_begins = log.tell()
            # A session of its own: Ctrl-C reaches only us, and we end the children in the right order.
            child.process = subprocess.Popen(
                child.command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent(),
            )


def _end_with_parent() -> Callable[[], Any] | None:
    """Return what makes Linux end the child when we are killed; other systems have nothing like it."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
