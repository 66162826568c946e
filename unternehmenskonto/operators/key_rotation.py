"""Signing keys change without a failed login: published first, used later, verified for as long as tokens live.

next (published, so that everybody's copy of our keys has it) - active (signs) - retiring (verifies what it has
signed) - retired (its private half is deleted). Keys of receipts stay published for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, text

from unternehmenskonto import audit, jobs, keys
from unternehmenskonto.db import db, now
from unternehmenskonto.keys import SigningKey
from unternehmenskonto.provider.limits import ACCESS_TOKEN_SECONDS, ID_TOKEN_SECONDS

USES = ("token", "receipt", "client")
#: Longest time for which services are known to keep a copy of our keys (security.md 1.2: old keys usable 24 h).
PUBLISHED_BEFORE_USE = timedelta(hours=24)
#: The same again, after the last token of the old key has expired.
VERIFIED_AFTER_USE = timedelta(hours=24, seconds=max(ACCESS_TOKEN_SECONDS, ID_TOKEN_SECONDS))
#: After so long every process of ours has read a new key.
SPREAD_SECONDS = keys.CACHE_SECONDS + 5


@dataclass(frozen=True)
class Change:
    """What happened to one key."""

    kid: str
    use: str
    alg: str
    status: str


def publish_next(uses: Iterable[str], *, by: str) -> list[Change]:
    """Publish a next key for every active one of these uses that has none yet."""
    _lock()
    rows = db.session.scalars(select(SigningKey).where(SigningKey.use.in_(tuple(uses)))).all()
    waiting = {(row.use, row.alg) for row in rows if row.status == "next"}
    made = []
    for use, alg in sorted({(row.use, row.alg) for row in rows if row.status == "active"} - waiting):
        row = keys.new_key(use, alg, status="next")
        db.session.add(row)
        made.append(_note(row, by=by))
    db.session.flush()
    return made


def advance(
    *, by: str = "system", uses: Iterable[str] = USES, waited: timedelta = PUBLISHED_BEFORE_USE
) -> list[Change]:
    """Use the next keys that were published long enough, retire those that nobody needs any more."""
    _lock()
    moment, changes = now(), []
    for row in _with_status("next", before=moment - waited):
        if row.use not in uses:
            continue
        for old in db.session.scalars(select(SigningKey).filter_by(use=row.use, alg=row.alg, status="active")):
            changes.append(_become(old, "retiring", moment, by=by))
        # One key is active for each use and algorithm: the old one has to step back first.
        db.session.flush()
        changes.append(_become(row, "active", moment, by=by))
    for row in _with_status("retiring", before=moment - VERIFIED_AFTER_USE):
        changes.append(retire(row, by=by))
    db.session.flush()
    return changes


def retire_compromised(uses: Iterable[str], *, by: str) -> list[Change]:
    """Retire at once what is retiring: whatever those keys have signed is refused from now on."""
    _lock()
    return [retire(row, by=by) for row in _with_status("retiring", before=now()) if row.use in uses]


def retire(row: SigningKey, *, by: str) -> Change:
    """Take a key out of use for good and forget its private half."""
    row.retired_at = now()
    row.sealed = b""
    return _become(row, "retired", row.retired_at, by=by)


@jobs.job("keys.advance", cron="*/10 * * * *")
def advance_keys() -> None:
    """Do what `flask keys rotate` has begun."""
    advance()


def _with_status(status: str, *, before: datetime) -> list[SigningKey]:
    found = select(SigningKey).where(SigningKey.status == status, SigningKey.status_since <= before)
    return list(db.session.scalars(found.order_by(SigningKey.status_since)))


def _become(row: SigningKey, status: str, moment: datetime, *, by: str) -> Change:
    row.status, row.status_since = status, moment
    return _note(row, by=by)


def _note(row: SigningKey, *, by: str) -> Change:
    audit.record("key.rotated", by=by, kid=row.kid, use=row.use, alg=row.alg, status=row.status)
    return Change(row.kid, row.use, row.alg, row.status)


def _lock() -> None:
    """Let one process at a time change the keys."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(hashtext('signing keys'))"))
