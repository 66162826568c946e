"""What the provider remembers while it runs: sessions, open requests, codes, tokens; lost at a restart."""

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .certificates import Certificate

CODE_SECONDS = 60
TOKEN_SECONDS = 300
SESSION_SECONDS = 12 * 3600
INTERACTION_SECONDS = 3600
MAX_ENTRIES = 10_000

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class AuthorizationRequest:
    """A checked authorization request (OpenID Connect Core 3.1.2.1)."""

    client_id: str
    redirect_uri: str
    scope: str
    code_challenge: str
    state: str | None = None
    nonce: str | None = None
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Session:
    """Somebody has shown a certificate in this browser."""

    certificate: Certificate
    auth_time: int
    sid: str = field(default_factory=lambda: secrets.token_urlsafe(16))


@dataclass(frozen=True)
class Interaction:
    """A request that waits for the person to choose a certificate, bound to the browser that brought it."""

    request: AuthorizationRequest
    browser: str


@dataclass(frozen=True)
class Grant:
    """What a code, and later an access token, stands for."""

    request: AuthorizationRequest
    session: Session


class Shelf(Generic[Entry]):
    """Entries under random names, each for a limited time; safe to use from several threads."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._entries: dict[str, tuple[float, Entry]] = {}
        self._lock = threading.Lock()

    def put(self, entry: Entry, name: str | None = None) -> str:
        """Keep an entry and return its name: 256 random bits unless one is given."""
        name = name or secrets.token_urlsafe(32)
        now = time.time()
        with self._lock:
            self._keep(name, entry, now)
        return name

    def put_once(self, entry: Entry, name: str) -> bool:
        """Keep an entry unless the name is taken; return whether it was kept."""
        now = time.time()
        with self._lock:
            if self._entries.get(name, (0.0, None))[0] > now:
                return False
            self._keep(name, entry, now)
        return True

    def _keep(self, name: str, entry: Entry, now: float) -> None:
        if len(self._entries) >= MAX_ENTRIES:
            self._entries = {key: value for key, value in self._entries.items() if value[0] > now}
        self._entries[name] = (now + self.seconds, entry)

    def get(self, name: str | None) -> Entry | None:
        """Return the entry, or None where the name is unknown or its time is over."""
        with self._lock:
            until, entry = self._entries.get(name or "", (0.0, None))
        return entry if until > time.time() else None

    def take(self, name: str | None) -> Entry | None:
        """Return the entry and forget it, so that exactly one of several callers gets it."""
        with self._lock:
            until, entry = self._entries.pop(name or "", (0.0, None))
        return entry if until > time.time() else None


class Memory:
    """The shelves of one provider."""

    def __init__(self) -> None:
        self.sessions: Shelf[Session] = Shelf(SESSION_SECONDS)
        self.interactions: Shelf[Interaction] = Shelf(INTERACTION_SECONDS)
        self.codes: Shelf[Grant] = Shelf(CODE_SECONDS)
        #: code -> its access token, so that a second use of the code can end it (RFC 6749, 4.1.2)
        self.spent_codes: Shelf[str] = Shelf(TOKEN_SECONDS)
        self.access_tokens: Shelf[Grant] = Shelf(TOKEN_SECONDS)
        self.assertions: Shelf[bool] = Shelf(TOKEN_SECONDS + CODE_SECONDS)
