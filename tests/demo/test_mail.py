"""The mail catcher, fed by a real SMTP client."""

import smtplib
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import requests

from unternehmenskonto.demo import mail
from unternehmenskonto.demo.serving import Listener

from .person import TIMEOUT

HOST = "127.0.0.5"


@pytest.fixture
def smtp_port(tmp_path: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    smtp = mail.create_smtp(folder=tmp_path, host=HOST, port=port)
    smtp.start()
    yield port
    smtp.stop()


@pytest.fixture
def viewer(tmp_path: Path) -> Iterator[str]:
    with Listener(HOST) as listener:
        listener.serve(mail.create_app(folder=tmp_path))
        yield listener.url


def send(port: int, message: EmailMessage | bytes, to: str = "erika.beispiel@musterbau.example") -> None:
    content = message if isinstance(message, bytes) else message.as_bytes(policy=message.policy)
    with smtplib.SMTP(HOST, port, timeout=TIMEOUT) as client:
        client.sendmail("konto@unternehmenskonto.example", [to], content)


def make_message(subject: str, html: str | None = None) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Unternehmenskonto <konto@unternehmenskonto.example>"
    message["To"] = "erika.beispiel@musterbau.example"
    message["Subject"] = subject
    message.set_content("Im Postfach von Müller & Söhne liegt etwas: http://127.0.0.1:8000/postfach\n")
    if html:
        message.add_alternative(html, subtype="html")
    return message


def test_caught_mail_can_be_read(smtp_port: int, viewer: str) -> None:
    send(smtp_port, make_message("Neue Nachricht für die Prüfstelle"))
    overview = requests.get(viewer, timeout=TIMEOUT).text
    assert "Neue Nachricht für die Prüfstelle" in overview
    link = overview.split('<a href="/mails/')[1].split('"')[0]
    page = requests.get(f"{viewer}/mails/{link}", timeout=TIMEOUT)
    assert "Müller &amp; Söhne" in page.text
    assert '<a href="http://127.0.0.1:8000/postfach" rel="noopener">' in page.text
    assert "erika.beispiel@musterbau.example" in page.text


def test_html_is_never_rendered(smtp_port: int, viewer: str, tmp_path: Path) -> None:
    send(smtp_port, make_message("<b>fett</b>", html="<p>HTML-Teil</p><script>alert(1)</script>"))
    name = mail.Letterbox(tmp_path).names()[0]
    page = requests.get(f"{viewer}/mails/{name}", timeout=TIMEOUT).text
    assert "HTML-Teil" not in page
    assert "<script" not in page
    assert "&lt;b&gt;fett&lt;/b&gt;" in page


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no header at all",
        b"Subject: =?utf-8?q?broken\r\n\r\n\xff\xfe",
        b"Content-Type: text/plain; charset=klingon\r\n\r\nabc\xe9",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Date: yesterday\r\nTo: <<<>>>\r\n\r\n.",
    ],
    ids=["empty", "no header", "broken subject", "unknown charset", "no boundary", "broken headers"],
)
def test_strange_mail_does_not_break_the_pages(smtp_port: int, viewer: str, tmp_path: Path, content: bytes) -> None:
    send(smtp_port, content)
    assert requests.get(viewer, timeout=TIMEOUT).status_code == 200
    name = mail.Letterbox(tmp_path).names()[0]
    assert requests.get(f"{viewer}/mails/{name}", timeout=TIMEOUT).status_code == 200


def test_only_the_newest_mails_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "KEPT_MAILS", 3)
    letterbox = mail.Letterbox(tmp_path)
    for number in range(5):
        letterbox.put(f"Subject: {number}\r\n\r\n".encode(), ["a@b.example"])
    assert [caught.header("Subject") for caught in letterbox.all()] == ["4", "3", "2"]


@pytest.mark.parametrize("name", ["x", "../../../etc/passwd", "0" * 20 + "-" + "0" * 8])
def test_unknown_mail_is_not_found(viewer: str, name: str) -> None:
    answer = requests.get(f"{viewer}/mails/{name}", timeout=TIMEOUT)
    assert answer.status_code == 404
    assert "Diese Seite gibt es nicht" in answer.text


def test_pages_forbid_scripts_and_frames(viewer: str) -> None:
    answer = requests.get(viewer, timeout=TIMEOUT)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert requests.get(f"{viewer}/healthz", timeout=TIMEOUT).text == "ok\n"
    assert requests.get(f"{viewer}/static/demo.css", timeout=TIMEOUT).status_code == 200
