"""A circuit breaker for each identity provider: one that is away or slow must not hold the threads of all others.

Each process counts for itself: it learns of an outage from its own calls, and a process that is new tries again.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from flask import current_app

from unternehmenskonto import http
from unternehmenskonto.login.config import IdentityProvider
from unternehmenskonto.login.errors import ProviderDown

log = structlog.get_logger()

EXTENSION = "identity_provider_breakers"
#: So many failures in a row and the provider counts as down ...
FAILURES = 5
#: ... for so long; then one request may try, and the others wait for what it finds.
DOWN_SECONDS = 30
#: Half of the four threads a worker process has (docs/operating.md); whoever comes beyond waits a moment only.
CALLS_AT_ONCE = 2
WAIT_SECONDS = 1.0
BUSY_SECONDS = 5
#: What holds threads or will: no connection, no answer in time, a gateway with nobody behind. An answer that is
#: merely wrong costs no time, and a stranger with forged codes must not be able to switch a provider off.
BAD_KINDS = ("unreachable", "slow")
BAD_STATUS = (502, 503, 504)


class Breaker:
    """What this process knows about one identity provider."""

    def __init__(self, slug: str) -> None:
        self._slug = slug
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(CALLS_AT_ONCE)
        self._failures = 0
        self._down_until = 0.0

    def seconds_down(self) -> int:
        """Return for how many seconds the provider will not be asked; 0 if it is believed to work."""
        return max(0, round(self._down_until - time.time() + 0.5)) if time.time() < self._down_until else 0

    def check(self) -> None:
        """Raise ProviderDown while the provider is down; asks nobody."""
        seconds = self.seconds_down()
        if seconds:
            raise ProviderDown(retry_after=seconds, detail=f"down for {seconds} s more")

    @contextmanager
    def call(self) -> Iterator[None]:
        """Hold one of the places for a call; raise ProviderDown if the provider is down or all places are taken."""
        self.check()
        if not self._slots.acquire(timeout=WAIT_SECONDS):
            raise ProviderDown(retry_after=BUSY_SECONDS, detail=f"{CALLS_AT_ONCE} calls are under way")
        try:
            self._take_turn()
            yield
        finally:
            self._slots.release()

    def note(self, *, is_good: bool) -> None:
        """Take in how a call went."""
        with self._lock:
            was_down = self._failures >= FAILURES
            self._failures = 0 if is_good else self._failures + 1
            is_down = self._failures >= FAILURES
            self._down_until = time.time() + DOWN_SECONDS if is_down else 0.0
        if is_down != was_down:
            log.warning("identity provider is down" if is_down else "identity provider is back", slug=self._slug)

    def _take_turn(self) -> None:
        """Let one caller try after the time is up, and keep the others out until that one knows."""
        with self._lock:
            self.check()
            if self._failures >= FAILURES:
                self._down_until = time.time() + DOWN_SECONDS


def of(provider: IdentityProvider) -> Breaker:
    """Return the breaker of this provider in this process."""
    breakers: dict[str, Breaker] = current_app.extensions[EXTENSION]
    return breakers.setdefault(provider.issuer, Breaker(provider.slug))


def fetch(provider: IdentityProvider, method: str, url: str, **options: object) -> http.Answer:
    """Call the provider as http.fetch does, under its breaker; raise ProviderDown or OutboundError."""
    breaker = of(provider)
    with breaker.call():
        try:
            answer = http.fetch(method, url, **options)  # type: ignore[arg-type]
        except http.OutboundError as error:
            breaker.note(is_good=error.kind not in BAD_KINDS)
            raise
        breaker.note(is_good=answer.status not in BAD_STATUS)
        return answer
