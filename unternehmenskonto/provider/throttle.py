"""How often somebody may try: counted in the store of the rate limits, where a request is refused or makes us wait.

Flask-Limiter's decorators look at every request; on the hot path that would cost as much as the rest of Flask.
"""

import time

from limits import RateLimitItem

from unternehmenskonto.errors import TooManyRequests
from unternehmenskonto.web import limiter


def check(limit: RateLimitItem, *names: str) -> None:
    """Raise TooManyRequests if these names have used the limit up; counts nothing."""
    if not limiter.limiter.test(limit, *names):
        raise _refusal(limit, names)


def count(limit: RateLimitItem, *names: str) -> None:
    """Count one for these names; raises TooManyRequests if the limit was used up before."""
    if not limiter.limiter.hit(limit, *names):
        raise _refusal(limit, names)


def _refusal(limit: RateLimitItem, names: tuple[str, ...]) -> TooManyRequests:
    reset_at, _ = limiter.limiter.get_window_stats(limit, *names)
    return TooManyRequests(retry_after=max(1, int(reset_at - time.time())))
