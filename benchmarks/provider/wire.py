"""A small HTTP/1.1 client on one kept connection: the load must cost less than what it measures."""

import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

TIMEOUT_SECONDS = 30.0
READ_BYTES = 65_536
#: A connection that nobody used for so long may be closed from the other side: take a new one.
IDLE_SECONDS = 2.0
BODY_BEGINS = b"\r\n\r\n"
FORM_TYPE = "application/x-www-form-urlencoded"


class WireError(Exception):
    """The server answered with something else than HTTP, or with an unexpected status."""


@dataclass(frozen=True)
class Answer:
    """What came back: status, the headers by lower-case name, cookies by name, and the body."""

    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    body: bytes

    def expect(self, status: int) -> "Answer":
        """Return the answer if it has this status; raise WireError with the beginning of the body otherwise."""
        if self.status != status:
            raise WireError(f"status {self.status} instead of {status}: {self.body[:300]!r} {self.headers}")
        return self

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def location(self) -> str:
        """Return where a redirect leads."""
        return self.headers["location"]


class Connection:
    """One connection to one server; opened at the first request, and again after the server closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._host = f"{host}:{port}"
        self._socket: socket.socket | None = None
        self._used_at = 0.0

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        """Send a GET."""
        return self._send("GET", path, headers or {}, b"")

    def post(self, path: str, form: dict[str, str], headers: dict[str, str] | None = None) -> Answer:
        """Send a form."""
        return self._send("POST", path, {"Content-Type": FORM_TYPE, **(headers or {})}, urlencode(form).encode())

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(self._address, TIMEOUT_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall("\r\n".join(lines).encode() + BODY_BEGINS + body)
        answer = self._read()
        self._used_at = time.monotonic()
        return answer

    def _read(self) -> Answer:
        data = b""
        while (end := data.find(BODY_BEGINS)) < 0:
            data += self._more()
        head, rest = data[:end].decode("latin-1"), data[end + len(BODY_BEGINS) :]
        first, *lines = head.split("\r\n")
        headers: dict[str, str] = {}
        cookies: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            if name == "set-cookie":
                key, _, content = value.partition(";")[0].partition("=")
                cookies[key] = content
            headers[name] = value
        body = self._chunks(rest) if headers.get("transfer-encoding") == "chunked" else self._body(rest, headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(first.split(" ", 2)[1]), headers, cookies, body)

    def _body(self, rest: bytes, headers: dict[str, str]) -> bytes:
        length = int(headers.get("content-length", 0))
        while len(rest) < length:
            rest += self._more()
        return rest

    def _chunks(self, rest: bytes) -> bytes:
        body = b""
        while True:
            while (end := rest.find(b"\r\n")) < 0:
                rest += self._more()
            size, rest = int(rest[:end], 16), rest[end + 2 :]
            while len(rest) < size + 2:
                rest += self._more()
            body, rest = body + rest[:size], rest[size + 2 :]
            if size == 0:
                return body

    def _more(self) -> bytes:
        data = self._socket.recv(READ_BYTES) if self._socket is not None else b""
        if not data:
            self.close()
            raise WireError("the server closed the connection in the middle of an answer")
        return data


@dataclass
class Browser:
    """A browser's cookies on one connection; follows nothing by itself."""

    connection: Connection
    #: Sent with every request.
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> Answer:
        """Load a page and keep its cookies."""
        return self._keep(self.connection.get(path, self._headers()))

    def post(self, path: str, form: dict[str, str]) -> Answer:
        """Send a form and keep the cookies of the answer."""
        return self._keep(self.connection.post(path, form, self._headers()))

    def _headers(self) -> dict[str, str]:
        if not self.cookies:
            return self.headers
        return {**self.headers, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}

    def _keep(self, answer: Answer) -> Answer:
        for name, value in answer.cookies.items():
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return answer
