"""Children are started again, never outlive their parent, and end when asked or when not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unternehmenskonto.demo.processes import MAX_RESTARTS, Children, ProcessError, _end_with_parent

SLEEPS = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
FAILS = [sys.executable, "-c", "import sys; sys.exit('no configuration')"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]
PATIENCE_SECONDS = 10.0


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    made = Children(folder=tmp_path, environment=os.environ)
    yield made
    made.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A process nobody has waited for yet is a zombie: it does nothing any more.
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_killed_child_is_started_again(children: Children, tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    children.add("The sleeper", SLEEPS, log)
    wait_until(lambda: log.exists() and log.read_text().count("up") == 1)
    child = children._children[0].process
    assert child is not None
    child.kill()
    child.wait()
    assert children.check() == ["The sleeper"]
    wait_until(lambda: log.read_text().count("up") == 2)
    assert children.check() == []


def test_a_child_that_fails_while_starting_shows_its_log(children: Children, tmp_path: Path) -> None:
    children.add("The failure", FAILS, tmp_path / "failure.log")
    child = children._children[0].process
    assert child is not None
    child.wait()
    with pytest.raises(ProcessError, match=r"The failure ended with code 1 while starting(?s:.)*no configuration"):
        children.require_running()


def test_a_child_that_fails_again_and_again_ends_the_run(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unternehmenskonto.demo.processes.RESTART_PAUSE_SECONDS", 0.0)
    children.add("The failure", FAILS, tmp_path / "failure.log")
    child = children._children[0]
    with pytest.raises(ProcessError, match=f"ended {MAX_RESTARTS + 1} times within a minute"):
        for _ in range(MAX_RESTARTS + 1):
            assert child.process is not None
            child.process.wait()
            children.check()


def test_stopping_ends_even_who_does_not_listen(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unternehmenskonto.demo.processes.STOP_TIMEOUT_SECONDS", 0.3)
    log = tmp_path / "stubborn.log"
    children.add("The stubborn one", STUBBORN, log)
    wait_until(lambda: log.exists() and "up" in log.read_text())
    child = children._children[0].process
    assert child is not None
    children.stop()
    assert child.returncode == -signal.SIGKILL


def test_children_end_with_a_killed_parent(tmp_path: Path) -> None:
    """Only Linux can promise this; elsewhere the next start says which port is still in use."""
    if sys.platform != "linux":
        assert _end_with_parent() is None
        return
    log = tmp_path / "child.log"
    code = (
        "import os, pathlib, sys, time\n"
        "from unternehmenskonto.demo.processes import Children\n"
        "children = Children(folder=pathlib.Path('/'), environment=os.environ)\n"
        "child = [sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(60)']\n"
        "children.add('child', child, pathlib.Path(sys.argv[1]))\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(log)]) as parent:
        wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
        pid = int(log.read_text())
        parent.kill()
    wait_until(lambda: is_gone(pid))
