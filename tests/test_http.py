"""The only way out: no private addresses, no redirects, bounded in size and time; against real servers."""

import gzip
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from flask import Flask
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from unternehmenskonto import http
from unternehmenskonto.http import OutboundError, fetch

PUBLIC_ADDRESS = "93.184.216.34"


def failure(url: str, **options: Any) -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        fetch("GET", url, **options)
    return caught.value


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let the system's resolver give these addresses one after the other; return the names it was asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        address = answers[min(len(asked), len(answers)) - 1]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a server that handles one connection with plain socket calls."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    serve(connection)
            except OSError:
                return

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    thread.join(timeout=5)


def test_answer_comes_with_status_headers_and_body(app: Flask, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a").respond_with_json({"a": 1}, status=418, headers={"X-Test": "yes"})
    answer = fetch("GET", httpserver.url_for("/a"))
    assert (answer.status, answer.headers["x-test"], answer.json_object()) == (418, "yes", {"a": 1})


def test_form_and_headers_are_sent(app: Flask, httpserver: HTTPServer) -> None:
    def echo(request: Request) -> Response:
        told = {"form": request.form.to_dict(), "agent": request.headers["User-Agent"], "x": request.headers["X-A"]}
        return Response(json.dumps(told))

    httpserver.expect_request("/a", method="POST").respond_with_handler(echo)
    answer = fetch("POST", httpserver.url_for("/a"), form={"grant": "ä&="}, headers={"X-A": "1"})
    assert answer.json_object() == {"form": {"grant": "ä&="}, "agent": http.USER_AGENT, "x": "1"}


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "127.0.0.9", "0.0.0.0",  # noqa: S104
        "100.64.0.1", "2130706441", "0x7f000009", "017700000011", "127.9", "[::1]", "[::]", "[fe80::1]", "[fd00::1]",
        "[::ffff:127.0.0.9]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "[ff02::1]",
        "255.255.255.255",
    ],
)  # fmt: skip
@pytest.mark.attack("registered address of an inner server")
def test_private_addresses_are_refused_however_they_are_written(app: Flask, host: str) -> None:
    assert failure(f"https://{host}/").kind == "blocked"


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "127.0.0.1", "::1", "fd00::5", "::ffff:192.168.0.1", "169.254.169.254"]
)
def test_name_of_a_private_address_is_refused(app: Flask, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolve_to(monkeypatch, address)
    assert failure("https://dienst.example/").kind == "blocked"


def test_name_is_resolved_once_and_the_checked_address_is_called(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that changes its mind between check and call (DNS rebinding) leads nowhere."""
    called: list[Any] = []

    def create_connection(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        called.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(http, "create_connection", create_connection)
    asked = resolve_to(monkeypatch, PUBLIC_ADDRESS, "127.0.0.1")
    assert failure("https://dienst.example/").kind == "unreachable"
    assert asked == ["dienst.example"]
    assert called == [(PUBLIC_ADDRESS, 443)]


@pytest.mark.attack("registered address of an inner server")
def test_second_answer_of_a_rebinding_name_is_checked_too(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.1", PUBLIC_ADDRESS)
    assert failure("https://dienst.example/").kind == "blocked"


@pytest.mark.parametrize(
    "url",
    [
        "http://dienst.example/",
        "ftp://dienst.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:25/",
        "dienst.example",
        "https:///pfad",
        "https://benutzer:geheim@dienst.example/",
        "https://dienst.example@127.0.0.1/",
        "",
    ],
)
def test_other_addresses_are_refused_before_anything_is_asked(
    app: Flask, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    asked = resolve_to(monkeypatch, PUBLIC_ADDRESS)
    assert failure(url).kind == "blocked"
    assert asked == []


@pytest.mark.parametrize("url", ["https://dienst.example:99999/", "https://[::1/", "https://a b/", "https://\n/"])
def test_addresses_that_are_none_are_refused(app: Flask, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    resolve_to(monkeypatch, PUBLIC_ADDRESS)
    monkeypatch.setattr(http, "create_connection", lambda *_: pytest.fail("was called"))
    assert failure(url).kind in ("blocked", "unreachable")


def test_private_host_is_called_where_the_operator_named_it(app: Flask, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data("fine")
    assert fetch("GET", httpserver.url_for("/")).body == b"fine"


def test_naming_a_host_opens_no_other(app: Flask) -> None:
    assert failure("http://127.0.0.99/").kind == "blocked"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.attack("registered address of an inner server")
def test_redirects_are_not_followed(app: Flask, httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/a").respond_with_data("", status=status, headers={"Location": "/b"})
    assert fetch("GET", httpserver.url_for("/a")).status == status
    assert [request.path for request, _ in httpserver.log] == ["/a"]


def test_proxy_of_the_environment_is_no_second_way_out(
    app: Flask, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    httpserver.expect_request("/").respond_with_data("direct")
    assert fetch("GET", httpserver.url_for("/")).body == b"direct"


def test_answer_of_the_largest_size_is_read(app: Flask, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data(b"x" * http.MAXIMUM_BYTES)
    assert len(fetch("GET", httpserver.url_for("/")).body) == http.MAXIMUM_BYTES


def test_larger_answer_is_cut(app: Flask, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data(b"x" * (http.MAXIMUM_BYTES + 1))
    assert failure(httpserver.url_for("/")).kind == "large"


def test_packed_answer_is_measured_unpacked(app: Flask, httpserver: HTTPServer) -> None:
    packed = gzip.compress(bytes(20 * http.MAXIMUM_BYTES))
    assert len(packed) < http.MAXIMUM_BYTES
    httpserver.expect_request("/").respond_with_data(packed, headers={"Content-Encoding": "gzip"})
    assert failure(httpserver.url_for("/")).kind == "large"


def test_endless_answer_is_cut(app: Flask) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    with raw_server(endless) as url:
        assert failure(url).kind == "large"


def test_silent_server_is_left_in_time(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 1)
    started = time.monotonic()
    with raw_server(lambda connection: time.sleep(4)) as url:
        assert failure(url).kind == "slow"
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_dripping_server_is_left_in_time(app: Flask, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    """Each byte comes within the time-out of the socket; the whole takes too long."""
    monkeypatch.setattr(http, "TOTAL_SECONDS", 1)

    def drip(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(40):
            connection.sendall(b"X")
            time.sleep(0.1)

    started = time.monotonic()
    with raw_server(drip) as url:
        assert failure(url).kind == "slow"
        assert time.monotonic() - started < 3


def test_closed_port_is_unreachable(app: Flask) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert failure(f"http://127.0.0.1:{port}/").kind == "unreachable"


def test_name_that_does_not_exist_is_unreachable(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert failure("https://gibtesnicht.example/").kind == "unreachable"


@pytest.mark.parametrize("answer", [b"garbage\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
def test_broken_answer_is_unreachable(app: Flask, answer: bytes) -> None:
    with raw_server(lambda connection: connection.sendall(answer)) as url:
        assert failure(url).kind == "unreachable"


@pytest.mark.parametrize("body", ["[]", "no", "", '"a"', "null", "[" * 100_000, "\x00"])
def test_body_that_is_no_object_is_garbage(app: Flask, httpserver: HTTPServer, body: str) -> None:
    httpserver.expect_request("/").respond_with_data(body)
    answer = fetch("GET", httpserver.url_for("/"))
    with pytest.raises(OutboundError) as caught:
        answer.json_object()
    assert caught.value.kind == "garbage"


def test_certificate_that_nobody_vouches_for_is_refused(app: Flask) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    moment = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    with tls_server(certificate, key) as url:
        refused = failure(url)
    assert (refused.kind, refused.detail) == ("unreachable", "SSLError")


@contextmanager
def tls_server(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Iterator[str]:
    """Run a server with this certificate."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(private + certificate.public_bytes(Encoding.PEM))
        file.flush()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file.name)
    server = HTTPServer(ssl_context=context)
    server.expect_request("/").respond_with_data("read")
    server.start()
    yield server.url_for("/").replace("localhost", "127.0.0.1")
    server.stop()
