"""The demonstration as `make demo` starts it, on other ports and with data of its own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.ports import free_offset
from unternehmenskonto.demo.addresses import OFFSET_VARIABLE, Addresses, addresses
from unternehmenskonto.settings import ROOT

OFFSET = free_offset()
START_SECONDS = 60
STOP_SECONDS = 30


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Run the demonstration and return where its pieces listen."""
    folder = tmp_path_factory.mktemp("demo")
    process = subprocess.Popen(
        [sys.executable, "-m", "unternehmenskonto.demo", "--data", str(folder)],
        cwd=ROOT, env={**os.environ, OFFSET_VARIABLE: str(OFFSET)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines: list[str] = []
    ready = threading.Event()
    reader = threading.Thread(target=_read, args=(process, lines, ready))
    reader.start()
    if not ready.wait(START_SECONDS) or process.poll() is not None:
        process.kill()
        pytest.fail("the demonstration did not start:\n" + "".join(lines[-40:]), pytrace=False)
    yield addresses(OFFSET)
    process.send_signal(signal.SIGINT)
    status = process.wait(STOP_SECONDS)
    reader.join(STOP_SECONDS)
    assert status in (0, 130), f"the demonstration ended with {status}:\n" + "".join(lines[-40:])


def _read(process: "subprocess.Popen[str]", lines: list[str], ready: threading.Event) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.append(line)
            if line.strip() == "READY":
                ready.set()
    ready.set()
