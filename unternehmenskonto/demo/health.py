"""Ask every piece of the demonstration whether it answers."""

import contextlib
import http.client
import smtplib

from unternehmenskonto.demo.addresses import Address, Addresses

TIMEOUT_SECONDS = 2.0
READY_PATH = "/healthz/ready"
PARTY_PATH = "/healthz"
SMTP_OK = 250


def silent(needed: Addresses) -> list[str]:
    """Return the names of the pieces that do not answer yet."""
    parties = (needed.identity_provider, needed.online_service, needed.authority, needed.mail)
    waiting = [address.name for address in parties if not _answers(address, PARTY_PATH)]
    if not _answers(needed.konto, READY_PATH):
        waiting.append(needed.konto.name)
    if not _greets(needed.smtp):
        waiting.append(needed.smtp.name)
    return waiting


def _answers(address: Address, path: str) -> bool:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=TIMEOUT_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False


def _greets(address: Address) -> bool:
    try:
        with smtplib.SMTP(address.host, address.port, timeout=TIMEOUT_SECONDS) as server:
            return server.noop()[0] == SMTP_OK
    except (OSError, smtplib.SMTPException):
        return False
