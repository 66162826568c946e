"""The delivery API behind the real server process: memory while a large file passes, and the documented examples."""

import hashlib
import json
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
from urllib.parse import quote_plus

import pytest
import requests
from flask import Flask
from joserfc.jwk import RSAKey

from tests.factories import access_token, make_company, make_membership, make_service, org_sub
from tests.mailbox.conversations.writing_examples import actor_of
from tests.mailbox.samples import MINIMAL_PDF, message
from unternehmenskonto import create_app
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.conversations.actions import Writing, save
from unternehmenskonto.mailbox.conversations.sending import send
from unternehmenskonto.mailbox.conversations.targets import reply_target
from unternehmenskonto.mailbox.models import Message
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

    def deliver(self, file: tuple[str, bytes]) -> requests.Response:
        message_part = (None, json.dumps(message({"org_sub": self.recipient})), "application/json")
        return requests.post(
            f"{self.url}/api/v1/messages",
            headers={"Authorization": f"Bearer {self.token}", "Idempotency-Key": uuid.uuid4().hex},
            files=[("message", message_part), ("attachments", file)],
            timeout=60,
        )


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
            make_membership(company=company)
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


def documented(language: str) -> str:
    """Return the blocks of this language in the guide, in their order."""
    guide = (ROOT / "docs" / "deliver-messages.md").read_text()
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert blocks
    return "\n".join(blocks)


def run(command: list[str], *, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def register(server: Server, **client: object) -> dict[str, str]:
    """Register a mailbox sender; return what the guide's examples read from their environment."""
    with server.app.app_context():
        company = make_company()
        make_membership(company=company)
        service = make_service(
            is_mailbox_sender=True, client={"scopes": ["mailbox.deliver", "mailbox.replies"], **client}
        )
        variables = {"KONTO": server.url, "CLIENT_ID": service.slug, "RECIPIENT": org_sub(service, company)}
        db.session.commit()
        db.engine.dispose()
    return variables


def reply_to(server: Server, message_id: uuid.UUID) -> None:
    """Answer the question of the guide for the company that got it."""
    with server.app.app_context():
        message = db.session.scalars(db.select(Message).filter_by(id=message_id)).one()
        membership = db.session.scalars(db.select(Membership).filter_by(company_id=message.company_id)).one()
        message.first_retrieved_at, message.first_retrieved_by = now(), membership.id
        db.session.flush()
        actor, draft_id = actor_of(membership), uuid.uuid4()
        writing = Writing(body="Unsere Antwort", answers={"begin": "2099-01-04", "staff": "nein"})
        target = reply_target(actor, message_id)
        save(actor=actor, draft_id=draft_id, target=target, writing=writing, new_files=[])
        send(actor=actor, draft_id=draft_id, version=2)
        db.session.commit()
        db.engine.dispose()


def test_the_guide_works_with_curl(server: Server, tmp_path: Path) -> None:
    secret = "ein langes Geheimnis / mit + Zeichen"
    variables = register(
        server,
        token_endpoint_auth_method="client_secret_basic",
        client_secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
    )
    (tmp_path / "Bescheid.pdf").write_bytes(MINIMAL_PDF)
    delivering, fetching = documented("bash").split("REPLIES=", 1)
    steps = delivering.replace('"$KONTO/api/v1/messages"\n', '"$KONTO/api/v1/messages" | tee answer.json\n', 1)
    (tmp_path / "guide.sh").write_text("set -eu\n" + steps)
    (tmp_path / "fetch.sh").write_text("set -eu\nREPLIES=" + fetching)
    variables["CLIENT_SECRET"] = quote_plus(secret)
    done = run(["bash", "guide.sh"], cwd=tmp_path, **variables, FILE="Bescheid.pdf")
    delivered = json.loads((tmp_path / "answer.json").read_text())
    assert delivered["sequence_number"] == 1
    assert delivered["attachments"][0]["sha256"] == hashlib.sha256(MINIMAL_PDF).hexdigest()
    state = json.loads(done.stdout.removeprefix((tmp_path / "answer.json").read_text()))
    assert (state["id"], state["is_retrieved"]) == (delivered["id"], False)
    reply_to(server, uuid.UUID(json.loads((tmp_path / "asked.json").read_text())["id"]))
    run(["bash", "fetch.sh"], cwd=tmp_path, **variables, CURSOR="")
    fetched = json.loads((tmp_path / "replies.json").read_text())
    assert (fetched["next"], fetched["replies"][0]["body"]) == ("1", "Unsere Antwort")
    confirmed = json.loads((tmp_path / f"{fetched['replies'][0]['id']}.json").read_text())
    assert confirmed["acknowledged_at"]


def test_the_guide_works_in_python(server: Server, tmp_path: Path) -> None:
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"})
    public = {**key.as_dict(private=False), "kid": key.thumbprint()}
    variables = register(server, token_endpoint_auth_method="private_key_jwt", jwks={"keys": [public]})
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(key.as_pem(private=True))
    (tmp_path / "guide.py").write_text(documented("python"))
    done = run([sys.executable, "guide.py"], cwd=tmp_path, **variables, KEY_FILE=str(key_file))
    assert re.fullmatch(r"1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\n", done.stdout)


def test_a_body_announced_too_large_is_refused_at_once(server: Server) -> None:
    """Announce 200 MiB, send one byte, and get the refusal without sending more."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(
            f"POST /api/v1/messages HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {server.token}\r\n"
            "Idempotency-Key: k\r\nContent-Type: multipart/form-data; boundary=g\r\n"
            f"Content-Length: {200 * MIB}\r\n\r\n-".encode()
        )
        # The answer comes before the body does; otherwise this would wait until the time-out.
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_without_length_is_limited_too(server: Server) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--g\r\nContent-Disposition: form-data; name="attachments"; filename="a.txt"\r\n\r\n'
        for _ in range(26):
            yield b"x" * MIB

    answer = requests.post(
        f"{server.url}/api/v1/messages",
        data=endless(),
        headers={
            "Authorization": f"Bearer {server.token}",
            "Idempotency-Key": "k",
            "Content-Type": "multipart/form-data; boundary=g",
        },
        timeout=30,
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "attachment_too_large")
