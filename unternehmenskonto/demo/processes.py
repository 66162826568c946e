"""Child processes of the demonstration: start, watch, restart, end."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unternehmenskonto.demo.forking import Fork

STOP_TIMEOUT_SECONDS = 10.0
POLL_SECONDS = 0.05
MAX_RESTARTS = 5
RESTART_WINDOW_SECONDS = 60.0
RESTART_PAUSE_SECONDS = 0.5
MAX_LOG_BYTES = 5 * 1024 * 1024
LOG_TAIL_CHARACTERS = 2000
CAN_FORK = sys.platform == "linux"


class ProcessError(Exception):
    """A child process does not run; the text names it and shows the end of its log."""


@dataclass(slots=True)
class Child:
    """Describe one process: what people call it, what it runs, where it writes."""

    name: str
    arguments: Sequence[str]
    log_file: Path
    process: Fork | subprocess.Popen[bytes]
    log_begins: int
    ends: list[float] = field(default_factory=list)

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
    """Run ``main(arguments)`` of a module in child processes that never outlive this one.

    On Linux the children are forks, elsewhere they load ``module`` afresh.
    """

    def __init__(
        self, main: Callable[[Sequence[str]], None], *, module: str, environment: Mapping[str, str], logs: Path
    ) -> None:
        self._main = main
        self._module = module
        self._environment = dict(environment)
        self._logs = logs
        self._children: list[Child] = []

    def add(self, name: str, *arguments: str) -> Child:
        """Start a process, named by its first argument in the process list, and watch it from now on."""
        log_file = self._logs / f"{arguments[0]}.log"
        begins = _rotated_size(log_file)
        child = Child(name, arguments, log_file, self._start(arguments, log_file), begins)
        self._children.append(child)
        return child

    def check(self) -> list[str]:
        """Start again what ended and return the names.

        Raises ProcessError for a process that ended six times within a minute.
        """
        restarted = []
        for child in self._children:
            code = child.process.poll()
            if code is None:
                continue
            recent = [end for end in child.ends if end > time.monotonic() - RESTART_WINDOW_SECONDS]
            child.ends = [*recent, time.monotonic()]
            # A killed web server leaves workers behind that would go on answering beside the new ones.
            _signal_group(child, signal.SIGKILL)
            if len(child.ends) > MAX_RESTARTS:
                raise ProcessError(
                    f"{child.name} ended {len(child.ends)} times within a minute, last with code {code}. "
                    f"End of {child.log_file}:\n{child.log_tail()}"
                )
            time.sleep(RESTART_PAUSE_SECONDS)
            child.log_begins = _rotated_size(child.log_file)
            child.process = self._start(child.arguments, child.log_file)
            restarted.append(child.name)
        return restarted

    def require_running(self) -> None:
        """Raise ProcessError when a process has ended; for the time before everything is up."""
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                raise ProcessError(
                    f"{child.name} ended with code {code} while starting. End of {child.log_file}:\n{child.log_tail()}"
                )

    def log_tails(self) -> str:
        """Return the end of every log, each under its file name."""
        return "\n".join(f"End of {child.log_file}:\n{child.log_tail()}" for child in self._children)

    def stop(self) -> None:
        """Ask all to end, wait, and kill the rest with everything they started."""
        for child in self._children:
            if child.process.poll() is None:
                os.kill(child.process.pid, signal.SIGTERM)
        give_up = time.monotonic() + STOP_TIMEOUT_SECONDS
        while any(child.process.poll() is None for child in self._children) and time.monotonic() < give_up:
            time.sleep(POLL_SECONDS)
        for child in self._children:
            _signal_group(child, signal.SIGKILL)
            child.process.wait()
        self._children.clear()

    def _start(self, arguments: Sequence[str], log_file: Path) -> Fork | subprocess.Popen[bytes]:
        """Start in a session of its own: Ctrl-C reaches only us, and we end the children in the right order."""
        if CAN_FORK:
            return Fork(
                lambda: self._main(arguments),
                name=f"uk-{arguments[0]}",
                log_file=log_file,
                environment=self._environment,
            )
        with log_file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", self._module, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def _rotated_size(log_file: Path) -> int:
    """Return where the next start begins to write; a log that has grown too long is put aside."""
    if log_file.exists() and log_file.stat().st_size > MAX_LOG_BYTES:
        log_file.replace(log_file.with_suffix(".log.1"))
    return log_file.stat().st_size if log_file.exists() else 0


def _signal_group(child: Child, number: signal.Signals) -> None:
    """Reach what the process leaves behind: each child leads a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.process.pid, number)
