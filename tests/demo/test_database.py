"""The embedded PostgreSQL with real processes: start, stop, keep, adopt, recover."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from unternehmenskonto.demo import server_binaries
from unternehmenskonto.demo.database import MAX_SOCKET_PATH_BYTES, EmbeddedPostgres
from unternehmenskonto.demo.server_account import Account, DatabaseError, account_for, home_for
from unternehmenskonto.demo.server_binaries import INSTALLATION, WHEEL_PACKAGE, binaries_for

ENDS_WITHIN_SECONDS = 60.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return an empty folder that the server's account can reach (pytest's own are closed to it)."""
    made = Path(tempfile.mkdtemp(prefix="uk-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(folder, fsync=False)
    yield postgres
    postgres.remove()


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))


def query(url: str, statement: str) -> object:
    with connect(url) as connection:
        row = connection.execute(statement).fetchone()
        assert row is not None
        return row[0]


def execute(url: str, statement: str) -> None:
    with connect(url) as connection:
        connection.execute(statement)


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + ENDS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} still runs")


def test_serves_a_safe_utf8_database_to_an_ordinary_role(server: EmbeddedPostgres) -> None:
    url = server.start()
    assert query(url, "SELECT current_setting('server_version_num')::int / 10000") == 18
    assert query(url, "SELECT current_setting('server_encoding')") == "UTF8"
    assert query(url, "SELECT current_setting('data_checksums')") == "on"
    assert query(url, "SELECT current_setting('synchronous_commit')") == "on"
    assert query(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    assert query(url, "SELECT lower('ÄÖÜ')") == "äöü"


def test_no_login_without_the_password(server: EmbeddedPostgres) -> None:
    url = make_url(server.start())
    for changed in (url.set(password="wrong"), url.set(username="postgres", password="")):
        with pytest.raises(psycopg.OperationalError):
            connect(changed.render_as_string(hide_password=False).replace("+psycopg", ""))


def test_a_second_start_keeps_the_data(server: EmbeddedPostgres) -> None:
    first = server.start()
    execute(first, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    assert server.pid is None
    second = server.start()
    assert second == first
    assert query(second, "SELECT answer FROM kept") == 42


def test_the_context_manager_ends_the_server(folder: Path) -> None:
    with EmbeddedPostgres(folder, fsync=False) as server:
        pid = server.pid
        assert pid is not None
    assert server.pid is None
    wait_until_gone(pid)
    server.remove()


def test_starts_again_after_kill_9_of_the_postmaster(server: EmbeddedPostgres) -> None:
    url = server.start()
    execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert query(server.start(), "SELECT answer FROM kept") == 42
    assert server.pid != pid


def test_another_process_starts_again_after_kill_9(server: EmbeddedPostgres, folder: Path) -> None:
    server.start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    code = (
        "import sys, pathlib\n"
        "from unternehmenskonto.demo.database import EmbeddedPostgres\n"
        "EmbeddedPostgres(pathlib.Path(sys.argv[1])).start()\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(folder)], check=True, timeout=60)
    assert query(server.url(), "SELECT 1") == 1


def test_a_server_of_the_tests_ends_with_them(folder: Path) -> None:
    """Only Linux can promise this; elsewhere the server stays, as one with fsync does everywhere."""
    code = (
        "import sys, pathlib\n"
        "from unternehmenskonto.demo.database import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(pathlib.Path(sys.argv[1]), fsync=False)\n"
        "server.start()\n"
        "print(server.pid)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(folder)]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    if sys.platform == "linux":
        wait_until_gone(int(done.stdout))
    EmbeddedPostgres(folder).remove()


def test_adopts_a_server_that_outlived_its_supervisor(server: EmbeddedPostgres, folder: Path) -> None:
    url = server.start()
    follower = EmbeddedPostgres(folder, fsync=False)
    assert follower.start() == url
    assert follower.pid == server.pid
    follower.stop()
    assert server.pid is None


def test_a_pid_file_naming_a_living_stranger_does_not_stop_the_start(server: EmbeddedPostgres, folder: Path) -> None:
    server.start()
    pid_file = server.home / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
        assert query(server.start(), "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_interrupted_creation_is_not_taken_for_data(server: EmbeddedPostgres, folder: Path) -> None:
    (folder / "cluster.draft").mkdir()
    (folder / "cluster.draft" / "PG_VERSION").write_text("18\n")
    assert query(server.start(), "SELECT 1") == 1


def test_a_long_path_gets_a_short_socket(folder: Path) -> None:
    server = EmbeddedPostgres(folder / ("long-" * 12) / ("path-" * 12), fsync=False)
    for part in (folder / ("long-" * 12), folder):
        part.mkdir(exist_ok=True)
        part.chmod(0o755)
    try:
        url = make_url(server.start())
        assert len(f"{url.query['host']}/.s.PGSQL.5432") <= MAX_SOCKET_PATH_BYTES
        assert query(server.url(), "SELECT 1") == 1
    finally:
        server.remove()


def test_the_end_of_the_log_explains_a_failed_start(server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    server.start()
    server.stop()
    (server.home / "cluster" / "postgresql.conf").write_text("shared_buffers = nonsense\n")
    monkeypatch.setattr("unternehmenskonto.demo.database.CRASHED_CHILDREN_TIMEOUT_SECONDS", 0.1)
    with pytest.raises(DatabaseError, match="shared_buffers"):
        server.start()


def test_a_missing_wheel_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_binaries, "WHEEL_PACKAGE", "no_such_wheel")
    with pytest.raises(DatabaseError, match="make setup"):
        binaries_for(Account(os.geteuid(), os.getegid()))


class TestAsRoot:
    """What differs when root starts the server: another account, and folders that account cannot enter."""

    @pytest.fixture(autouse=True)
    def root_or_itself(self) -> None:
        """As a plain user each of these checks the plain user's own, simpler case."""
        self.is_root = os.geteuid() == 0

    def test_the_server_process_is_never_root(self, server: EmbeddedPostgres) -> None:
        server.start()
        assert (server.home / "cluster").stat().st_uid != 0

    def test_a_closed_folder_is_not_opened(self, folder: Path) -> None:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        server = EmbeddedPostgres(closed / "data", fsync=False)
        try:
            assert query(server.start(), "SELECT 1") == 1
            assert closed.stat().st_mode & 0o777 == 0o700
            assert server.home.is_relative_to(closed) is not self.is_root
            assert EmbeddedPostgres(closed / "data").home == server.home
        finally:
            server.remove()
        assert not server.home.exists()

    def test_the_stand_in_of_a_vanished_temporary_folder_is_deleted(self, folder: Path) -> None:
        gone, here = folder / "gone", folder / "here"
        for closed in (gone, here):
            closed.mkdir(mode=0o700)
        account = account_for(gone / "data" / "cluster")
        homes = [home_for(closed / "data", account) for closed in (gone, here)]
        shutil.rmtree(gone)
        home_for(here / "data", account)
        assert [home.exists() for home in homes] == [False, True]
        shutil.rmtree(homes[1])

    def test_unreachable_binaries_are_copied(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        account = account_for(folder / "cluster")
        installed = binaries_for(account)
        site = folder / "closed"
        shutil.copytree(installed, site / WHEEL_PACKAGE / INSTALLATION)
        libraries = installed.parent.parent / server_binaries.LIBRARIES
        if libraries.is_dir():
            shutil.copytree(libraries, site / server_binaries.LIBRARIES)
        (site / WHEEL_PACKAGE / "__init__.py").touch()
        site.chmod(0o700)
        monkeypatch.setattr(sys, "path", [str(site), *sys.path])
        found = binaries_for(account)
        assert found.is_relative_to(site) is not self.is_root
        assert account.can_run([str(found / "bin" / "postgres"), "--version"])
        assert binaries_for(account) == found
        if not found.is_relative_to(site):
            shutil.rmtree(found.parent.parent)


def test_data_of_another_user_is_refused_or_served_by_its_owner(folder: Path) -> None:
    cluster = Path("/") if os.geteuid() else folder
    if os.geteuid() == 0:
        os.chown(folder, 12345, 12345)
        assert account_for(cluster) == Account(12345, 12345)
    else:
        with pytest.raises(DatabaseError, match="another user"):
            account_for(cluster)


def test_a_plain_user_keeps_data_where_asked(folder: Path) -> None:
    own = Account(os.geteuid(), os.getegid())
    assert home_for(folder / "data", own) == folder / "data"
