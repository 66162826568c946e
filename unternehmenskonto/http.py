"""The only way out to the network.

Addresses are resolved here and the connection goes to the address that was checked, so a name cannot
change its mind in between (DNS rebinding). Private addresses are refused unless the operator named the
host, redirects are never followed, answers are cut at a size and the whole call at a time.
"""

import contextlib
import ipaddress
import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
import structlog
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.util.connection import create_connection

from unternehmenskonto.settings import get_settings

log = structlog.get_logger()

CONNECT_SECONDS = 5
TOTAL_SECONDS = 10
MAXIMUM_BYTES = 256 * 1024
USER_AGENT = "Unternehmenskonto"
#: Addresses that a gateway translates to IPv4 (RFC 6052 section 2.1).
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class OutboundError(Exception):
    """A call out failed; `kind` is blocked, unreachable, slow, large, status or garbage."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True)
class Answer:
    """A complete answer: status, headers with lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json_object(self) -> dict[str, Any]:
        """Return the body as JSON object; raise OutboundError(garbage) if it is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            raise OutboundError("garbage", "the answer is not JSON") from None
        if not isinstance(value, dict):
            raise OutboundError("garbage", "the answer is not a JSON object")
        return value


def fetch(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    body: bytes | None = None,
    maximum_bytes: int = MAXIMUM_BYTES,
) -> Answer:
    """Call the URL and return its answer, whatever the status; raise OutboundError otherwise."""
    parts = _split(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
        raise OutboundError("blocked", "only https addresses without user name are called")
    if parts.scheme == "http" and not _is_permitted_host(parts.hostname):
        raise OutboundError("blocked", "http is refused")
    try:
        with (
            _Deadline(TOTAL_SECONDS) as deadline,
            _session() as session,
            session.request(
                method,
                url,
                headers={"User-Agent": USER_AGENT, **(headers or {})},
                data=form or body,
                timeout=(CONNECT_SECONDS, TOTAL_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            content = _read(response, maximum_bytes)
            deadline.check()  # a shut socket looks like the end of the body
            return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content)
    except requests.Timeout:
        raise OutboundError("slow", f"no answer within {TOTAL_SECONDS} s") from None
    except (requests.RequestException, Urllib3Error, OSError, ValueError) as error:
        deadline.check()
        blocked = _blocked_cause(error)
        if blocked:
            raise OutboundError("blocked", blocked) from None
        raise OutboundError("unreachable", type(error).__name__) from None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise OutboundError("blocked", "not an address") from None


def _read(response: requests.Response, maximum: int) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(16_384):
        content += chunk
        if len(content) > maximum:
            raise OutboundError("large", f"more than {maximum} bytes")
    return bytes(content)


class _Deadline:
    """Shut the sockets of this thread's call when its time is up.

    The time-outs of the socket start anew with every byte, so a peer that sends one byte every few seconds would
    hold the thread for hours.
    """

    _open = threading.local()

    def __init__(self, seconds: float) -> None:
        self.has_passed = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> "_Deadline":
        self._open.sockets = self._sockets
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        del self._open.sockets
        for opened in self._sockets:
            opened.close()

    @classmethod
    def watch(cls, opened: socket.socket) -> socket.socket:
        """Put the socket under the deadline of the call that is under way in this thread.

        A duplicate is kept, because TLS takes the descriptor out of the socket it wraps.
        """
        cls._open.sockets.append(opened.dup())
        return opened

    def check(self) -> None:
        """Raise OutboundError if the time was up."""
        if self.has_passed:
            raise OutboundError("slow", f"not complete within {TOTAL_SECONDS} s")

    def _end(self) -> None:
        self.has_passed = True
        for opened in self._sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)


class _BlockedAddress(OSError):
    """Raised while connecting; carries why."""


def _is_permitted_host(host: str) -> bool:
    return host in get_settings().outbound_hosts


def _is_public(address: str) -> bool:
    """Tell whether the address, or the IPv4 address that an IPv6 address carries inside, is a public one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        translated = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in NAT64 else None
        ip = ip.ipv4_mapped or ip.sixtofour or translated or ip
    return ip.is_global and not ip.is_multicast


def _connect(connection: HTTPConnection) -> socket.socket:
    host, port = str(getattr(connection, "_dns_host", connection.host)), int(connection.port or 443)
    failure: OSError = _BlockedAddress(f"{host} has no address")
    for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not _is_public(str(address[0])) and not _is_permitted_host(host):
            raise _BlockedAddress(f"{host} is a private address")
        try:
            return _Deadline.watch(create_connection((str(address[0]), port), CONNECT_SECONDS))
        except OSError as error:
            failure = error
    raise failure


class _CheckedHttp(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _CheckedHttps(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _CheckedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedHttps


class _CheckedAdapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


def _session() -> requests.Session:
    session = requests.Session()
    # Proxies, netrc and certificates from the environment would be a second way out.
    session.trust_env = False
    session.mount("https://", _CheckedAdapter())
    session.mount("http://", _CheckedAdapter())
    return session


def _blocked_cause(error: BaseException | None) -> str | None:
    """Find our own refusal below the exceptions that requests and urllib3 wrap around it."""
    for _ in range(10):
        if isinstance(error, _BlockedAddress):
            return str(error)
        if error is None:
            break
        # What ssl.SSLError calls its reason is a text.
        found = (*error.args, getattr(error, "reason", None), error.__cause__, error.__context__)
        error = next((inner for inner in found if isinstance(inner, BaseException)), None)
    return None
