"""One effect per Idempotency-Key: a repeated request gets the first answer again, byte by byte.

The key's row is written in the transaction of the effect, so both exist or neither does (concept:
draft-ietf-httpapi-idempotency-key-header).
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from psycopg.errors import LockNotAvailable, QueryCanceled
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from unternehmenskonto.db import db, now
from unternehmenskonto.jobs import job
from unternehmenskonto.mailbox.models import IdempotencyKey
from unternehmenskonto.mailbox.problems import refusal

#: Longer than any sender goes on repeating.
IDEMPOTENCY_DAYS = 14
MAXIMUM_KEY = 255
RUNNING_RETRY_SECONDS = 2


@dataclass(frozen=True)
class Answer:
    """Status and body as they leave."""

    status: int
    body: bytes
    is_replay: bool = False


@dataclass(frozen=True, kw_only=True)
class RequestKey:
    """Which request this is: whose, where, under which key, with which content."""

    client: str
    route: str
    key: str
    #: SHA-256 of everything that has an effect.
    fingerprint: bytes


def checked_key(value: str | None) -> str:
    """Return the header's value; raise the problem `idempotency_key_missing` unless it is visible ASCII."""
    if value is None or not 1 <= len(value) <= MAXIMUM_KEY or not all("!" <= c <= "~" for c in value):
        raise refusal("idempotency_key_missing")
    return value


def fingerprint(content: Any) -> bytes:
    """Return the SHA-256 of a plain value in canonical form."""
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def kept_answer(request: RequestKey) -> Answer | None:
    """Return the answer given before, if any; raise `idempotency_key_reused` if it was to something else."""
    row = db.session.execute(
        select(IdempotencyKey.fingerprint, IdempotencyKey.status, IdempotencyKey.body).where(*_same(request))
    ).first()
    if row is None or row.status is None:
        return None
    if row.fingerprint != request.fingerprint:
        raise refusal("idempotency_key_reused")
    return Answer(row.status, row.body, is_replay=True)


def claim(request: RequestKey) -> Answer | None:
    """Take the key for this transaction and return None, or return the answer that was given under it.

    Waits for a running request with the same key; raises `request_in_progress` after the lock time-out and
    `idempotency_key_reused` if the key stands for something else.
    """
    row = insert(IdempotencyKey).values(
        client=request.client,
        route=request.route,
        key=request.key,
        fingerprint=request.fingerprint,
        created_at=now(),
    )
    try:
        taken = db.session.execute(row.on_conflict_do_nothing().returning(IdempotencyKey.key)).first()
    except DBAPIError as error:
        if isinstance(error.orig, (LockNotAvailable, QueryCanceled)):
            raise refusal("request_in_progress", retry_after=RUNNING_RETRY_SECONDS) from None
        raise
    return kept_answer(request) if taken is None else None


def keep(request: RequestKey, answer: Answer) -> None:
    """Keep the answer with the key that this transaction claimed."""
    db.session.execute(
        update(IdempotencyKey)
        .where(*_same(request))
        .values(status=answer.status, body=answer.body)
        .execution_options(synchronize_session=False)
    )


@job("mailbox.forget_keys", cron="17 3 * * *")
def forget_keys() -> None:
    """Remove the keys nobody repeats any more."""
    oldest = now() - timedelta(days=IDEMPOTENCY_DAYS)
    db.session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < oldest))


def _same(request: RequestKey) -> tuple[Any, ...]:
    return (
        IdempotencyKey.client == request.client,
        IdempotencyKey.route == request.route,
        IdempotencyKey.key == request.key,
    )
