"""What a server under test offers to the scenarios: where it is, who may use it, how a person logs in there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from benchmarks.provider.wire import Browser, Connection

CONNECTIONS = 8
REDIRECT_URI = "http://127.0.0.3:9/callback"
OPENID = "openid"
OFFLINE = "openid offline_access"
ID_TOKEN_ALGS = ("RS256", "ES256")
HOST = "127.0.0.1"
#: What userinfo tells.
CLAIMS = ("org_company_name", "org_street", "org_zip_code", "org_city", "given_name", "family_name")


@dataclass(frozen=True)
class Service:
    """A registered client with its credential: a secret or a P-256 key."""

    client_id: str
    secret: str = ""
    key: EllipticCurvePrivateKey | None = None


class Side(Protocol):
    """One server under test, running."""

    #: As the tables call it.
    name: str
    #: Operations that do not count, for each one that does.
    warm_up: float
    port: int
    #: What the server wrote.
    log_file: Path
    #: Process ids whose trees are counted; no database: everything in memory.
    server_pid: int
    database_pid: int | None
    metadata: dict[str, Any]
    #: ID token algorithm -> the service that gets its ID tokens so.
    services: dict[str, Service]
    #: Those that ask in their own name.
    basic: Service
    signing: Service
    #: The scope of client credentials.
    own_scope: str

    def signed_in(self, number: int, connection: Connection) -> Browser:
        """Return the browser of person `number`, signed in, who has agreed to everything before."""
        ...

    def log_in(self, number: int, connection: Connection, path: str) -> str:
        """Begin at this authorization address without a session, log in and agree; return the callback address."""
        ...
