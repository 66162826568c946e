"""A copy of this process that does something else: what `subprocess` is for programs, for loaded Python
code.

Loading the application takes more than a second of processor time. The pieces of the demonstration need
the same modules, so on Linux they are forked from the supervisor, which has loaded them, and run at once.
Fork only before threads exist.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
POLL_SECONDS = 0.02
INHERITED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Fork:
    """Run ``function`` in a child process that leads a session of its own and ends with this process.

    Has what is used of ``subprocess.Popen``: pid, poll, wait, returncode.
    """

    def __init__(
        self, function: Callable[[], None], *, name: str, log_file: Path, environment: Mapping[str, str]
    ) -> None:
        self.returncode: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _become(function, name=name, log_file=log_file, environment=environment, parent=parent)

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal; None while the process runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self) -> int:
        """Wait for the end and return the exit status."""
        while (code := self.poll()) is None:
            time.sleep(POLL_SECONDS)
        return code


def _become(
    function: Callable[[], None], *, name: str, log_file: Path, environment: Mapping[str, str], parent: int
) -> None:
    """Turn the fresh copy into the piece; never returns."""
    code = 1
    try:
        os.setsid()
        end_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode("ascii"))
        for number in INHERITED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        _redirect(log_file)
        os.environ.update(environment)
        function()
        code = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not sys.exit: what the supervisor has registered to happen at its end must not happen here.
        os._exit(code)


def _redirect(log_file: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    # What the parent had put in their place (a test runner does) must not swallow what is written from now on.
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)


def end_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed; other systems have nothing like it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
