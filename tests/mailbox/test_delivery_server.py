"""The delivery API behind the real server process: memory while a large file passes, and the documented examples."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from flask import Flask

from tests.factories import access_token, make_company, make_service, org_sub
from tests.mailbox.samples import MINIMAL_PDF, message
from unternehmenskonto import create_app
from unternehmenskonto.db import db
from unternehmenskonto.settings import ROOT, Settings

MIB = 1024 * 1024
#: What a worker may need above its rest while 25 MiB pass through it.
ALLOWED_GROWTH_KB = 10 * 1024
START_SECONDS = 30


@dataclass
class Server:
    """A granian process of one worker on a database of its own."""

    url: str
    pid: int
    token: str
    recipient: str
    app: Flask

    def worker(self) -> int:
        """Return the process that answers: granian's child."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for child in children:
            if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        return self.pid

    def memory(self) -> tuple[int, int]:
        """Return resident memory now and at its highest since `forget_peak`, kB."""
        status = Path(f"/proc/{self.worker()}/status").read_text()
        numbers = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.MULTILINE))
        return int(numbers["VmRSS"]), int(numbers["VmHWM"])

    def forget_peak(self) -> None:
        Path(f"/proc/{self.worker()}/clear_refs").write_text("5")

    def deliver(self, file: tuple[str, bytes], body: dict[str, object] | None = None) -> requests.Response:
        import_json = (None, _json(body or message({"org_sub": self.recipient})), "application/json")
        return requests.post(
            f"{self.url}/api/v1/messages",
            headers={"Authorization": f"Bearer {self.token}", "Idempotency-Key": uuid.uuid4().hex},
            files=[("message", import_json), ("attachments", file)],
            timeout=60,
        )


def _json(value: object) -> str:
    return requests.models.complexjson.dumps(value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(committed_app: Flask, settings: Settings) -> Iterator[Server]:
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    database = committed_app.config["SQLALCHEMY_DATABASE_URI"].replace("postgresql+psycopg", "postgresql")
    values = {
        "BASE_URL": url,
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "ENCRYPTION_KEY": settings.encryption_key.get_secret_value(),
        "PAIRWISE_SECRET": settings.pairwise_secret.get_secret_value(),
        "ATTACHMENT_DIR": str(settings.attachment_dir),
        "LOG_LEVEL": "WARNING",
    }
    environment = {f"UNTERNEHMENSKONTO_{name}": value for name, value in values.items()}
    arguments = ["--interface", "wsgi", "--port", str(port), "--workers", "1", "--blocking-threads", "2", "--no-ws"]
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "granian"), *arguments, "wsgi:application"],
        cwd=ROOT,
        env={**os.environ, **environment, "DATABASE_URL": database},
    )
    try:
        _wait_until_ready(url, process)
        app = create_app(
            settings.model_copy(
                update={"base_url": url, "database_url": committed_app.config["SQLALCHEMY_DATABASE_URI"]}
            )
        )
        with app.app_context():
            service, company = make_service(is_mailbox_sender=True), make_company()
            recipient, token = org_sub(service, company), access_token(service, lifetime=3600)
            db.session.commit()
            db.engine.dispose()
        yield Server(url, process.pid, token, recipient, app)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + START_SECONDS
    while time.monotonic() < ends_at:
        assert process.poll() is None, "granian ended"
        try:
            if requests.get(f"{url}/healthz/live", timeout=1).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("granian did not start")


def _large_pdf(size: int) -> bytes:
    """Return a PDF that is mostly one stream, as scans are."""
    room = size - len(MINIMAL_PDF) - 200
    noise = hashlib.shake_128(b"scan").digest(room)
    large = b"9 0 obj\n<< /Length %d /Filter /DCTDecode >>\nstream\n%s\nendstream\nendobj\n" % (room, noise)
    return MINIMAL_PDF.replace(b"trailer", large + b"trailer")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures with Linux' /proc")
def test_memory_stays_flat_while_a_large_file_passes(server: Server) -> None:
    pdf, text = _large_pdf(25 * MIB), b"Zeile\n" * (25 * MIB // 6)
    for warm_up in (("a.pdf", MINIMAL_PDF), ("a.txt", b"a")):
        assert server.deliver(warm_up).status_code == 201
    server.forget_peak()
    before, _ = server.memory()
    for file in (("Scan.pdf", pdf), ("Liste.txt", text)) * 3:
        started = time.monotonic()
        answer = server.deliver(file)
        took = time.monotonic() - started
        _, peak = server.memory()
        assert answer.status_code == 201, answer.text
        assert answer.json()["attachments"][0]["sha256"] == hashlib.sha256(file[1]).hexdigest()
        print(f"{file[0]}: {len(file[1])} bytes in {took:.2f} s, worker {before} kB, peak +{peak - before} kB")
    assert peak - before < ALLOWED_GROWTH_KB
