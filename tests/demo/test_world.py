"""All demo parties in one process, as the demonstration starts them."""

import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from unternehmenskonto.demo.addresses import OFFSET_VARIABLE, Addresses, addresses
from unternehmenskonto.settings import ROOT

from .person import TIMEOUT

OFFSET = 24_500
PATIENCE_SECONDS = 30


def start(folder: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-m", "unternehmenskonto.demo.world", str(folder)],
        cwd=ROOT,
        env={**os.environ, OFFSET_VARIABLE: str(OFFSET)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            requests.get(f"{addresses(OFFSET).mail.url}/healthz", timeout=TIMEOUT)
            return process
        except requests.ConnectionError:
            assert process.poll() is None, process.communicate()[1].decode()
            assert time.monotonic() < give_up, "the parties do not answer"
            time.sleep(0.1)


def end(process: "subprocess.Popen[bytes]", number: int = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, errors.decode()


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[Addresses]:
    process = start(tmp_path)
    yield addresses(OFFSET)
    code, errors = end(process)
    assert code == 0, errors
    assert "Traceback" not in errors


def test_every_party_answers_at_its_address(parties: Addresses) -> None:
    seen = {}
    for party in (parties.identity_provider, parties.online_service, parties.authority, parties.mail):
        assert requests.get(f"{party.url}/healthz", timeout=TIMEOUT).text == "ok\n"
        seen[party.name] = requests.get(party.url, timeout=TIMEOUT).text
    assert len(set(seen.values())) == 4
    with smtplib.SMTP(parties.smtp.host, parties.smtp.port, timeout=TIMEOUT) as smtp:
        smtp.sendmail("a@example.org", ["b@example.org"], b"Subject: Ein Brief\r\n\r\nText")
    assert "Ein Brief" in requests.get(parties.mail.url, timeout=TIMEOUT).text


def test_keys_are_the_same_after_kill_9(tmp_path: Path) -> None:
    jwks = [
        f"{addresses(OFFSET).identity_provider.url}/jwks",
        f"{addresses(OFFSET).online_service.url}/jwks.json",
        f"{addresses(OFFSET).authority.url}/jwks.json",
    ]
    seen = []
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = start(tmp_path)
        seen.append([requests.get(url, timeout=TIMEOUT).json() for url in jwks])
        end(process, number)
    assert seen[0] == seen[1]
    assert len({key["keys"][0]["kid"] for key in seen[0]}) == 3
