"""Write and send the e-mail of a notice over SMTP (RFC 5321, RFC 5322)."""

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from flask import render_template
from flask_babel import force_locale

from unternehmenskonto.db import now
from unternehmenskonto.notifications.models import Notice
from unternehmenskonto.settings import Settings, get_settings
from unternehmenskonto.web import LEGAL_TIME, show_date

#: Longest wait for one answer of the mail server, and for the whole conversation, however slowly it drips.
ANSWER_SECONDS = 10
CONVERSATION_SECONDS = 30
SENDER_NAME = "Unternehmenskonto"
#: Kinds of notices that do not tell of a new message, with the folder of their texts.
TEMPLATES = {"deadline_reminder": "deadline", "deadline_cover": "deadline", "no_reader": "no_reader", "task": "task"}
#: What follows the address of the message; a task is shown without opening it.
LINK_ENDS = {"task": "/team"}


class SendingFailed(Exception):
    """Say by its kind why an e-mail did not leave; `permanent` when another attempt would be useless."""

    def __init__(self, kind: str, *, permanent: bool = False) -> None:
        super().__init__(kind)
        self.kind = kind
        self.permanent = permanent


def compose(notice: Notice) -> EmailMessage:
    """Return the e-mail in the language of the person; raise SendingFailed if the address cannot stand in one.

    It tells that there is something and where, and nothing of what it says.
    """
    settings = get_settings()
    membership, company = notice.membership, notice.company
    message = EmailMessage()
    message["To"] = _address(notice.address or "")
    message["From"] = Address(SENDER_NAME, addr_spec=settings.mail_from)
    with force_locale(membership.person.language if membership else "de"):
        folder = f"email/{TEMPLATES.get(notice.kind, 'new_message')}"
        context = {
            "notice": notice,
            "company": company,
            "days_left": (notice.due_on - now().astimezone(LEGAL_TIME).date()).days if notice.due_on else None,
            "day": show_date(notice.created_at.astimezone(LEGAL_TIME).date()),
            "link": f"{settings.base_url}/postfach/{notice.message_id}{LINK_ENDS.get(notice.kind, '')}",
            "deadline_link": f"{settings.base_url}/fristen/{notice.message_id}",
            "company_link": f"{settings.base_url}/unternehmen",
        }
        message["Subject"] = _one_line(render_template(f"{folder}/subject.txt", **context))
        message.set_content(render_template(f"{folder}/body.txt", **context).strip() + "\n")
    message["Date"] = format_datetime(now())
    # The same for every attempt, so that a mail server can drop a second copy.
    message["Message-ID"] = f"<notice-{notice.id}@{settings.mail_from.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def send(message: EmailMessage) -> None:
    """Hand the e-mail to the mail server; raise SendingFailed with the kind of the failure.

    A 5xx for recipient or content is permanent (RFC 5321 section 4.2.1); everything else may pass by itself or
    be mended by the operator.
    """
    settings = get_settings()
    try:
        with _connection(settings) as smtp:
            smtp.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise SendingFailed("recipient_refused", permanent=_is_permanent(codes)) from None
    except smtplib.SMTPDataError as error:
        raise SendingFailed("content_refused", permanent=_is_permanent([error.smtp_code])) from None
    except smtplib.SMTPNotSupportedError as error:
        # Without STARTTLS the operator must act; without SMTPUTF8 this address will never be reached.
        permanent = "SMTPUTF8" in str(error)
        raise SendingFailed("address_not_supported" if permanent else "no_tls", permanent=permanent) from None
    except smtplib.SMTPAuthenticationError:
        raise SendingFailed("login_refused") from None
    except smtplib.SMTPSenderRefused:
        raise SendingFailed("sender_refused") from None
    except ssl.SSLError:
        raise SendingFailed("tls_failed") from None
    except (smtplib.SMTPException, OSError) as error:
        kind = "timeout" if isinstance(error, TimeoutError) else "unreachable"
        raise SendingFailed(kind) from None


class _Limited:
    """End the whole conversation after CONVERSATION_SECONDS: a limit for each answer does not stop a slow drip."""

    sock: socket.socket | None
    _watchdog: threading.Timer

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> tuple[int, bytes]:
        """Start the clock before the first byte."""
        self._watchdog = threading.Timer(CONVERSATION_SECONDS, self._cut)
        self._watchdog.daemon = True
        self._watchdog.start()
        answer: tuple[int, bytes] = super().connect(host, port, source_address)  # type: ignore[misc]
        return answer

    def close(self) -> None:
        """Stop the clock with the connection."""
        self._watchdog.cancel()
        super().close()  # type: ignore[misc]

    def _cut(self) -> None:
        with suppress(OSError):
            if self.sock is not None:
                # Below TLS, so that the waiting thread sees an end of file and no half-closed TLS object.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class _Smtp(_Limited, smtplib.SMTP):
    pass


class _SmtpTls(_Limited, smtplib.SMTP_SSL):
    pass


@contextmanager
def _connection(settings: Settings) -> Iterator[smtplib.SMTP]:
    """Open a connection as the settings say; always closed at the end."""
    tls = ssl.create_default_context()
    host, port = settings.smtp_host, settings.smtp_port
    smtp: smtplib.SMTP
    if settings.smtp_security == "tls":
        smtp = _SmtpTls(host, port, timeout=ANSWER_SECONDS, context=tls)
    else:
        smtp = _Smtp(host, port, timeout=ANSWER_SECONDS)
    try:
        if settings.smtp_security == "starttls":
            smtp.starttls(context=tls)
        if settings.smtp_username:
            smtp.login(settings.smtp_username, settings.smtp_password.get_secret_value())
        yield smtp
        # The e-mail is accepted: a server that leaves without a word takes nothing back.
        with suppress(smtplib.SMTPException, OSError):
            smtp.quit()
    finally:
        smtp.close()


def _address(text: str) -> Address:
    """Return the address for a header; raise SendingFailed if it cannot be one."""
    local, _, domain = text.rpartition("@")
    try:
        if not local or not domain or not text.isprintable() or any(character.isspace() for character in text):
            raise ValueError
        return Address(username=local, domain=domain.encode("idna").decode())
    except ValueError:
        raise SendingFailed("bad_address", permanent=True) from None


def _is_permanent(codes: list[int]) -> bool:
    return bool(codes) and all(500 <= code < 600 for code in codes)


def _one_line(text: str) -> str:
    """Keep line breaks of foreign names out of the header."""
    return " ".join(text.split())
