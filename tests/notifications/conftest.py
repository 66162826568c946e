"""A real mail server in a thread, whose answers a test can choose."""

import socket
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask

from unternehmenskonto.settings import Settings

HOST = "127.0.0.1"
ACCEPTED = "250 accepted"


class Box:
    """What the server was given, and how it answers."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.recipient_answer = ACCEPTED
        self.content_answer = ACCEPTED
        self.before_answer: Callable[[SMTP], None] = lambda server: None

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list) -> str:  # noqa: N802
        if self.recipient_answer == ACCEPTED:
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.before_answer(server)
        if self.content_answer == ACCEPTED:
            self.recipients += envelope.rcpt_tos
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.content_answer


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


def use_port(app: Flask, settings: Settings, port: int) -> None:
    app.extensions["settings"] = settings.model_copy(update={"smtp_host": HOST, "smtp_port": port})


def serve(app: Flask) -> Iterator[Box]:
    """Run a mail server on loopback and let the application use it."""
    before: Settings = app.extensions["settings"]
    box = Box()
    controller = Controller(box, hostname=HOST, port=free_port())
    controller.start()
    use_port(app, before, controller.port)
    yield box
    controller.stop()
    app.extensions["settings"] = before


@pytest.fixture
def box(app: Flask) -> Iterator[Box]:
    """The letterbox of a server that listens on loopback while the test runs."""
    yield from serve(app)


@pytest.fixture
def fresh_box(fresh_app: Flask) -> Iterator[Box]:
    """The same for the application with a database of its own."""
    yield from serve(fresh_app)
