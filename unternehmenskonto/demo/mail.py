"""Mail of the demonstration: an SMTP server that delivers nothing, and pages to look at what it was given."""

import re
import secrets
import threading
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask, abort, render_template

from unternehmenskonto.demo import site

KEPT_MAILS = 500
MAX_MAIL_BYTES = 10 * 1024 * 1024
SHOWN_TEXT_CHARACTERS = 100_000
NAME = re.compile(r"[0-9]{20}-[0-9a-f]{8}")
RECIPIENTS = "X-Envelope-To"


@dataclass(frozen=True)
class Mail:
    """One caught mail."""

    name: str
    message: EmailMessage

    def header(self, name: str) -> str:
        """Return a header as people read it, empty where there is none."""
        return str(self.message.get(name, ""))

    @property
    def recipients(self) -> str:
        """Return to whom it would have been delivered, whatever its headers say."""
        return self.header(RECIPIENTS)

    def text(self) -> str:
        """Return the plain text part; HTML is never looked at."""
        part = self.message.get_body(preferencelist=("plain",))
        if part is None:
            return ""
        try:
            content = str(part.get_content())
        except (LookupError, ValueError):
            content = bytes(part.get_payload(decode=True) or b"").decode("ascii", "replace")
        return content[:SHOWN_TEXT_CHARACTERS]


class Letterbox:
    """The caught mails, each a file of a folder; the newest KEPT_MAILS stay."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = threading.Lock()

    def put(self, content: bytes, recipients: list[str]) -> None:
        """Keep one mail; it is complete on disk when this returns."""
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        draft = self.folder / f"{name}.new"
        line = f"{RECIPIENTS}: {', '.join(recipients)}\r\n".encode("ascii", "replace")
        draft.write_bytes(line + content)
        with self._lock:
            draft.replace(self.folder / f"{name}.eml")
            for surplus in self.names()[KEPT_MAILS:]:
                (self.folder / f"{surplus}.eml").unlink()

    def names(self) -> list[str]:
        """Return the names of all mails, newest first."""
        return sorted((file.stem for file in self.folder.glob("*.eml")), reverse=True)

    def get(self, name: str) -> Mail | None:
        """Return a mail, or None where there is none of this name."""
        file = self.folder / f"{name}.eml"
        if not NAME.fullmatch(name) or not file.exists():
            return None
        return Mail(name, message_from_bytes(file.read_bytes(), policy=policy.default))

    def all(self) -> list[Mail]:
        """Return the mails, newest first."""
        return [mail for name in self.names() if (mail := self.get(name))]


class Catcher:
    """What the SMTP server does with a mail (the interface of aiosmtpd)."""

    def __init__(self, letterbox: Letterbox) -> None:
        self.letterbox = letterbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the mail and only then say that it was accepted (RFC 5321, 4.2.5)."""
        self.letterbox.put(bytes(envelope.original_content or b""), list(envelope.rcpt_tos))
        return "250 2.0.0 Caught"


def create_smtp(*, folder: Path, host: str, port: int) -> Controller:
    """Return the SMTP server; start() and stop() it. It has a thread of its own."""
    return Controller(
        Catcher(Letterbox(folder)),
        hostname=host,
        port=port,
        data_size_limit=MAX_MAIL_BYTES,
        ident="Demonstration",
    )


def create_app(*, folder: Path) -> Flask:
    """Return the pages that show the mails of the folder."""
    app = Flask(
        __name__,
        template_folder=str(site.TEMPLATES),
        static_folder=str(site.STATIC),
        static_url_path="/static",
    )
    site.prepare(app, name="E-Mails der Demonstration")
    letterbox = Letterbox(folder)

    @app.get("/")
    def mails() -> str:
        return render_template("mail/mails.html", mails=letterbox.all(), kept=KEPT_MAILS)

    @app.get("/mails/<name>")
    def mail(name: str) -> str:
        found = letterbox.get(name)
        if found is None:
            abort(404)
        return render_template("mail/mail.html", mail=found, headers=found.message.items())

    return app
