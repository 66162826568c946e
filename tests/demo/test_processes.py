"""Children are started again, never outlive their parent, and end when asked or when not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from unternehmenskonto.demo import processes
from unternehmenskonto.demo.processes import MAX_RESTARTS, Children, ProcessError
from unternehmenskonto.settings import ROOT


def play(arguments: Sequence[str]) -> None:
    """Be one of the processes of these tests."""
    print("up", os.getpid(), flush=True)
    match arguments[0]:
        case "sleeper":
            time.sleep(60)
        case "failure":
            sys.exit("no configuration")
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("deaf", flush=True)
            time.sleep(60)
        case "mistake":
            raise ValueError("a mistake")


PATIENCE_SECONDS = 60.0


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    made = Children(play, module=__name__, environment=os.environ, logs=tmp_path)
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


def words(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


@pytest.fixture(params=[True, False], ids=["forked", "loaded"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take both ways of starting where the system has both."""
    monkeypatch.setattr(processes, "CAN_FORK", request.param and sys.platform == "linux")


@pytest.mark.usefixtures("way")
def test_a_killed_child_is_started_again(children: Children, tmp_path: Path) -> None:
    log = tmp_path / "sleeper.log"
    child = children.add("The sleeper", "sleeper")
    wait_until(lambda: words(log).count("up") == 1)
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.wait()
    assert children.check() == ["The sleeper"]
    wait_until(lambda: words(log).count("up") == 2)
    assert children.check() == []


@pytest.mark.usefixtures("way")
def test_a_child_that_fails_while_starting_shows_its_log(children: Children) -> None:
    children.add("The failure", "failure").process.wait()
    with pytest.raises(ProcessError, match=r"The failure ended with code 1 while starting(?s:.)*no configuration"):
        children.require_running()


@pytest.mark.usefixtures("way")
def test_a_mistake_leaves_its_trace_in_the_log(children: Children, tmp_path: Path) -> None:
    assert children.add("The mistake", "mistake").process.wait() == 1
    assert "ValueError: a mistake" in (tmp_path / "mistake.log").read_text()


def test_only_the_last_start_is_shown(children: Children, tmp_path: Path) -> None:
    (tmp_path / "failure.log").write_text("an old story\n")
    child = children.add("The failure", "failure")
    child.process.wait()
    assert "an old story" not in child.log_tail()
    assert "no configuration" in child.log_tail()


def test_a_child_that_fails_again_and_again_ends_the_run(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "RESTART_PAUSE_SECONDS", 0.0)
    child = children.add("The failure", "failure")
    with pytest.raises(ProcessError, match=f"ended {MAX_RESTARTS + 1} times within a minute"):
        for _ in range(MAX_RESTARTS + 1):
            child.process.wait()
            children.check()


@pytest.mark.usefixtures("way")
def test_stopping_ends_even_who_does_not_listen(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT_SECONDS", 0.3)
    child = children.add("The stubborn one", "stubborn")
    wait_until(lambda: "deaf" in words(tmp_path / "stubborn.log"))
    children.stop()
    assert child.process.returncode == -signal.SIGKILL


def test_children_end_with_a_killed_parent(tmp_path: Path) -> None:
    """Only Linux can promise this; elsewhere the next start says which port is still in use."""
    code = (
        "import os, pathlib, sys, time\n"
        "from tests.demo.test_processes import Children, play\n"
        "children = Children(play, module='-', environment=os.environ, logs=pathlib.Path(sys.argv[1]))\n"
        "children.add('The sleeper', 'sleeper')\n"
        "time.sleep(60)\n"
    )
    if not processes.CAN_FORK:
        return
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], cwd=ROOT) as parent:
        wait_until(lambda: len(words(tmp_path / "sleeper.log")) == 2)
        pid = int(words(tmp_path / "sleeper.log")[1])
        parent.kill()
    wait_until(lambda: is_gone(pid))


if __name__ == "__main__":
    play(sys.argv[1:])
