"""The rows of the table: what one operation is, on any side."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.provider.load import Operation
from benchmarks.provider.relying_party import PublicKey, RelyingParty
from benchmarks.provider.sides import OFFLINE, OPENID, Side
from benchmarks.provider.wire import Connection


@dataclass(frozen=True)
class Ground:
    """Where an operation is done: a side, its keys, the number of the connection."""

    side: Side
    keys: dict[str, PublicKey]
    number: int

    def service(self, alg: str) -> RelyingParty:
        """Return the service that gets its ID tokens with this algorithm."""
        return RelyingParty(self.side, self.side.services[alg], self.keys)

    def connection(self) -> Connection:
        """Return a connection of its own for a browser."""
        return Connection("127.0.0.1", self.side.port)


@dataclass(frozen=True)
class Row:
    """One line of the table: how to make its operation for one connection, and how many are enough."""

    name: str
    text: str
    make: Callable[[Ground], Operation]
    operations: int
    #: The algorithm of the ID tokens; empty where there are none.
    alg: str = ""


def code_flow(ground: Ground, alg: str) -> Operation:
    """Authorize, token, userinfo of a person who is signed in and has agreed before."""
    service = ground.service(alg)
    browser = ground.side.signed_in(ground.number, ground.connection())

    def flow() -> None:
        answer = browser.get(service.authorize_path(OPENID)).expect(303)
        service.userinfo(service.redeem(answer.location)["access_token"])

    return flow


def login(ground: Ground, alg: str) -> Operation:
    """Authorize without a session, log in, agree, token, userinfo."""
    service, connection = ground.service(alg), ground.connection()

    def flow() -> None:
        callback = ground.side.log_in(ground.number, connection, service.authorize_path(OPENID))
        service.userinfo(service.redeem(callback)["access_token"])

    return flow


def refresh(ground: Ground, alg: str) -> Operation:
    """Spend a refresh token; each connection has a family of its own."""
    service = ground.service(alg)
    callback = ground.side.log_in(ground.number, ground.connection(), service.authorize_path(OFFLINE))
    newest = [service.redeem(callback)["refresh_token"]]

    def flow() -> None:
        newest[0] = service.refresh(newest[0])

    return flow


def client_basic(ground: Ground) -> Operation:
    """Client credentials, proven by a secret."""
    service = RelyingParty(ground.side, ground.side.basic, ground.keys)
    return lambda: _drop(service.own_token())


def client_signed(ground: Ground) -> Operation:
    """Client credentials, proven by a signature."""
    service = RelyingParty(ground.side, ground.side.signing, ground.keys)
    return lambda: _drop(service.own_token())


def introspection(ground: Ground) -> Operation:
    """Ask again and again about one living access token."""
    service = ground.service("ES256")
    token = _access_token(ground, service)
    return lambda: service.introspect(token)


def userinfo(ground: Ground) -> Operation:
    """Read the claims again and again with one access token."""
    service = ground.service("ES256")
    token = _access_token(ground, service)
    return lambda: service.userinfo(token)


def discovery(ground: Ground) -> Operation:
    """Read the metadata."""
    return ground.service("ES256").discover


def _access_token(ground: Ground, service: RelyingParty) -> str:
    browser = ground.side.signed_in(ground.number, ground.connection())
    answer = browser.get(service.authorize_path(OPENID)).expect(303)
    return str(service.redeem(answer.location)["access_token"])


def _drop(_: object) -> None:
    """Forget a result that nobody needs."""


def _with(make: Callable[[Ground, str], Operation], alg: str) -> Callable[[Ground], Operation]:
    return lambda ground: make(ground, alg)


ROWS: tuple[Row, ...] = (
    *(Row(f"code-flow-{a.lower()}", f"Code flow, signed in, {a}", _with(code_flow, a), 600, a)
      for a in ("RS256", "ES256")),
    *(Row(f"login-{a.lower()}", f"Code flow with login and consent, {a}", _with(login, a), 320, a)
      for a in ("RS256", "ES256")),
    Row("client-basic", "Client credentials, client_secret_basic", client_basic, 2400),
    Row("client-jwt", "Client credentials, private_key_jwt", client_signed, 2400),
    *(Row(f"refresh-{a.lower()}", f"Refresh with rotation, {a}", _with(refresh, a), 1200, a)
      for a in ("RS256", "ES256")),
    Row("introspection", "Introspection", introspection, 2400),
    Row("userinfo", "Userinfo", userinfo, 2400),
    Row("discovery", "Discovery", discovery, 6000),
)  # fmt: skip
