"""`make demo` as a whole: starts, keeps itself up, refuses a second run, ends, and begins again after kill -9."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil
import pytest

from tests.ports import free_offset
from unternehmenskonto.demo.addresses import OFFSET_VARIABLE, addresses, check_free
from unternehmenskonto.demo.database import EmbeddedPostgres
from unternehmenskonto.settings import ROOT

OFFSET = free_offset()
NEEDED = addresses(OFFSET)
PATIENCE_SECONDS = 120.0
END_SECONDS = 60.0


class Demo:
    """Run the demonstration in `folder` as the Makefile does."""

    def __init__(self, folder: Path, *, offset: int = OFFSET) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "unternehmenskonto.demo", "--data", str(folder)],
            cwd=ROOT,
            env={**os.environ, OFFSET_VARIABLE: str(offset)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.process.stdout.close()

    def wait_for(self, text: str) -> Self:
        """Wait until a line with `text` is printed."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                self.seen.append(self.lines.get(timeout=0.1))
            except queue.Empty:
                assert self.process.poll() is None, self.printed()
                continue
            if text in self.seen[-1]:
                return self
        raise AssertionError(f"never printed {text!r}:\n" + self.printed())

    def printed(self) -> str:
        """Return everything printed until now."""
        self._reader.join(1)
        while not self.lines.empty():
            self.seen.append(self.lines.get())
        return "".join(self.seen)

    def child(self, word: str) -> psutil.Process:
        """Return the child process that calls itself `word`; a fresh one takes a moment to name itself."""
        ends_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends_at:
            for child in psutil.Process(self.process.pid).children():
                if word in child.name():
                    return child
            time.sleep(0.05)
        raise AssertionError(f"no child calls itself {word}")

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal, wait for the end, return the exit status."""
        self.process.send_signal(number)
        code = self.process.wait(END_SECONDS)
        self._reader.join()
        return code


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    started = Demo(tmp_path / "demo")
    try:
        yield started.wait_for("READY")
    finally:
        started.end()
        EmbeddedPostgres(started.folder / "postgres").remove()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


def run_beside(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "unternehmenskonto.demo", "--data", str(folder), *options],
        cwd=ROOT,
        env={**os.environ, OFFSET_VARIABLE: str(OFFSET)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_it_starts_heals_and_ends(demo: Demo, tmp_path: Path) -> None:
    printed = "".join(demo.seen)
    for piece in (
        NEEDED.konto,
        NEEDED.identity_provider,
        NEEDED.online_service,
        NEEDED.authority,
        NEEDED.mail,
    ):
        assert piece.url in printed
        assert get(f"{piece.url}/")
    assert "Erika Beispiel" in printed

    same_folder = run_beside(demo.folder)
    assert (same_folder.returncode, "already runs" in same_folder.stderr) == (1, True)
    reset = run_beside(demo.folder, "--reset")
    assert (reset.returncode, "already runs" in reset.stderr) == (1, True)
    same_ports = run_beside(tmp_path / "other")
    assert same_ports.returncode == 1
    assert f"Port {NEEDED.konto.port} on 127.0.0.1" in same_ports.stderr
    assert len(same_ports.stderr.splitlines()) == 1
    assert not (tmp_path / "other" / "postgres").exists()

    for word, name in (("uk-worker", "The job worker"), ("uk-web", "The web server")):
        demo.child(word).kill()
        demo.wait_for(f"{name} had ended and was started again")
        demo.child(word)

    assert demo.end(signal.SIGTERM) == 0
    check_free(NEEDED)
    assert EmbeddedPostgres(demo.folder / "postgres").pid is None


def test_after_kill_9_it_begins_again_with_its_data(demo: Demo) -> None:
    before = get(f"{NEEDED.konto.url}/oauth/jwks")
    pieces = [demo.child(word) for word in ("uk-worker", "uk-web", "uk-parties")]
    demo.process.kill()
    demo.process.wait()
    assert psutil.wait_procs(pieces, timeout=END_SECONDS)[1] == []
    again = Demo(demo.folder).wait_for("READY")
    try:
        assert get(f"{NEEDED.konto.url}/oauth/jwks") == before
    finally:
        assert again.end() == 0
    assert EmbeddedPostgres(demo.folder / "postgres").pid is None
