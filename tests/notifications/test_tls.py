"""The way to the mail server is encrypted and its certificate checked, with real handshakes."""

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from flask import Flask

from tests.factories import make_membership
from tests.notifications.conftest import HOST, Box, free_port, use_port
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.notifications.actions import notify_new_message, send_notice
from unternehmenskonto.notifications.models import Notice


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the loopback address that nobody trusts by itself; key and certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "mail.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    return file


@contextmanager
def mail_server(app: Flask, security: str, certificate: Path) -> Iterator[Box]:
    before, box = app.extensions["settings"], Box()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    how = {"ssl_context": context} if security == "tls" else {"tls_context": context, "require_starttls": True}
    controller = Controller(box, hostname=HOST, port=free_port(), **how)
    controller.start()
    use_port(app, before.model_copy(update={"smtp_security": security}), controller.port)
    try:
        yield box
    finally:
        controller.stop()
        app.extensions["settings"] = before


def send_one() -> Notice:
    membership = make_membership()
    (notice_id,) = notify_new_message(company_id=membership.company_id, message_id=new_id(), sender="Amt")
    send_notice(str(notice_id))
    return db.session.get_one(Notice, notice_id)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_trusted_server_gets_the_mail(
    app: Flask, certificate: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(app, security, certificate) as box:
        notice = send_one()
    assert notice.last_error is None and notice.sent_at is not None
    assert len(box.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_nobody_vouches_for_gets_nothing(app: Flask, certificate: Path, security: str) -> None:
    with mail_server(app, security, certificate) as box:
        notice = send_one()
    assert (notice.last_error, notice.sent_at, notice.failed_at) == ("tls_failed", None, None)
    assert box.mails == []
