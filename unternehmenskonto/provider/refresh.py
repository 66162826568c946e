"""Refresh tokens: rotated at each use, bound to their client, one family for each grant (RFC 6749 6, RFC 9700 4.14).

Only SHA-256 is stored. A client that asks twice at once, or lost the answer, gets the same successor during a
short grace: the row of the old token keeps the successor under a mask that only the old token takes off. After
the grace an old token is a replay and ends the grant with all its tokens, whoever of the two was the thief.
"""

import hashlib
import hmac
import secrets
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidScopeError
from sqlalchemy import ARRAY, Text, and_, bindparam, cast, exists, func, select, update

from unternehmenskonto import audit
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now, run
from unternehmenskonto.provider import revoking
from unternehmenskonto.provider.clients import Client
from unternehmenskonto.provider.grant_facts import COLUMNS as GRANT_COLUMNS
from unternehmenskonto.provider.grant_facts import GrantFacts
from unternehmenskonto.provider.limits import OFFLINE_IDLE, REFRESH_GRACE
from unternehmenskonto.provider.models import Consent, Grant, RefreshToken, digest
from unternehmenskonto.provider.steps import RIGHTFUL_ROLES

#: 256 bit; the mask is one block of SHA-256, so the two lengths belong together.
TOKEN_BYTES = 32
REFUSED = "The refresh token is unknown, expired, revoked or was used before."

_TEXTS = ARRAY(Text)
_IS_ASKED_SUBSET = func.string_to_array(Grant.scope, " ").op("@>", is_comparison=True)(
    cast(bindparam("asked", type_=_TEXTS), _TEXTS)
)
#: Grant, membership, right and agreement are there; looked at in the statement that spends the token.
IS_LIVING = and_(
    Grant.revoked_at.is_(None),
    Grant.offline_until > bindparam("moment"),
    Membership.id == Grant.membership_id,
    Membership.ended_at.is_(None),
    Membership.roles.overlap(sorted(RIGHTFUL_ROLES)),
    exists().where(
        Consent.membership_id == Grant.membership_id, Consent.service == Grant.service, Consent.withdrawn_at.is_(None)
    ),
)
_MINE = and_(RefreshToken.token_hash == bindparam("hash"), RefreshToken.service == bindparam("client"))
#: Spend the token, store its successor and record it, all at once.
_ROTATE = f"""
    WITH spent AS (
        UPDATE provider_refresh_tokens t SET used_at = %(moment)s, successor = %(masked)s
        FROM provider_grants g JOIN memberships m ON m.id = g.membership_id
        WHERE t.token_hash = %(hash)s AND t.service = %(client)s AND t.used_at IS NULL AND t.issued_at > %(oldest)s
            AND g.id = t.grant_id AND g.revoked_at IS NULL AND g.offline_until > %(moment)s
            AND m.ended_at IS NULL AND m.roles && %(rightful)s::varchar[]
            AND string_to_array(g.scope, ' ') @> %(asked)s::text[]
            AND EXISTS (
                SELECT FROM provider_consents c
                WHERE c.membership_id = g.membership_id AND c.service = g.service AND c.withdrawn_at IS NULL
            )
        RETURNING {", ".join(f"g.{name}" for name in GRANT_COLUMNS.split(", "))}
    ), stored AS (
        INSERT INTO provider_refresh_tokens (token_hash, grant_id, service, issued_at)
        SELECT %(new_hash)s, id, service, %(moment)s FROM spent
    ), recorded AS (
        INSERT INTO {audit.COLUMNS}
        SELECT %(audit_id)s::uuid, %(audit_at)s::timestamptz, %(audit_event)s, %(audit_by)s, company_id,
            %(audit_fields)s::jsonb || jsonb_build_object('scope', coalesce(%(scope)s::text, scope)),
            %(audit_request_id)s
        FROM spent
    )
    SELECT * FROM spent
"""  # noqa: S608 - made of constants
_LIVING = select(Grant, RefreshToken.issued_at).where(
    _MINE,
    RefreshToken.used_at.is_(None),
    RefreshToken.issued_at > bindparam("oldest"),
    Grant.id == RefreshToken.grant_id,
    IS_LIVING,
)
#: The same for a token that could not be spent: why?
_STATE = (
    select(RefreshToken, Grant, exists().where(IS_LIVING).correlate(Grant), _IS_ASKED_SUBSET)
    .join(Grant, Grant.id == RefreshToken.grant_id)
    .where(_MINE)
    .execution_options(populate_existing=True)
)


def rotate(token: str, client: Client, *, scope: Collection[str]) -> tuple[GrantFacts, str]:
    """Spend the token; return its grant and the successor. One statement.

    scope is what the request asks for, empty for all of the grant. Raises InvalidScopeError, which spends
    nothing, or InvalidGrantError; a replay revokes the grant.
    """
    raw, moment = secrets.token_bytes(TOKEN_BYTES), now()
    successor = _text(raw)
    known = {**_key(token, client), "asked": list(scope), "moment": moment}
    values = {
        **known,
        "oldest": moment - OFFLINE_IDLE,
        "masked": _mask(token, raw),
        "rightful": sorted(RIGHTFUL_ROLES),
        "new_hash": digest(successor),
        "scope": " ".join(scope) or None,
        **audit.parameters(
            "token.issued", by=f"client:{client.client_id}", service=client.client_id, grant_type="refresh_token"
        ),
    }
    rows = run(_ROTATE, values)
    return (rows[0], successor) if rows else _again(token, known)


@dataclass(frozen=True)
class Living:
    """A refresh token that could be spent now."""

    grant: Grant
    issued_at: datetime
    expires_at: datetime


def find_living(token: str, client: Client) -> Living | None:
    """Return what the token stands for without spending it; None if it could not be spent."""
    moment = now()
    row = db.session.execute(
        _LIVING,
        {**_key(token, client), "moment": moment, "oldest": moment - OFFLINE_IDLE},
    ).first()
    if row is None or row[0].offline_until is None:
        return None
    return Living(row[0], row[1], min(row[1] + OFFLINE_IDLE, row[0].offline_until))


def find_grant(token: str, client: Client) -> uuid.UUID | None:
    """Return the grant of a refresh token of this client, spent or not."""
    return db.session.scalar(select(RefreshToken.grant_id).where(_MINE), _key(token, client))


def forget_successors() -> None:
    """Delete the masked successors whose grace is over."""
    db.session.execute(
        update(RefreshToken)
        .where(RefreshToken.successor.is_not(None), RefreshToken.used_at < now() - REFRESH_GRACE)
        .values(successor=None)
        .execution_options(synchronize_session=False)
    )


def _again(token: str, known: dict[str, object]) -> tuple[GrantFacts, str]:
    """Answer for a token that is not there to be spent: twice at once, replayed, or no longer good."""
    row = db.session.execute(_STATE, known).first()
    if row is None:
        raise InvalidGrantError(REFUSED)
    found, grant, is_living, is_subset = row
    if found.used_at is not None and found.used_at < now() - REFRESH_GRACE:
        _end_family(grant)
        raise InvalidGrantError(REFUSED)
    if is_living and not is_subset:
        raise InvalidScopeError("The scope is wider than what the person agreed to.")
    if not is_living or found.successor is None:
        raise InvalidGrantError(REFUSED)
    return grant, _text(_mask(token, found.successor))


def _end_family(grant: Grant) -> None:
    if revoking.revoke_grant(grant.id, by=f"client:{grant.service}", reason="refresh_token_replayed"):
        audit.record(
            "refresh.replayed", by=f"client:{grant.service}", company_id=grant.company_id, service=grant.service
        )


def _key(token: str, client: Client) -> dict[str, object]:
    return {"hash": digest(token), "client": client.client_id}


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _mask(token: str, content: bytes) -> bytes:
    """Put the mask on or take it off: each token has one successor, so each mask is used once."""
    mask = hmac.digest(token.encode(), b"successor", hashlib.sha256)
    return bytes(left ^ right for left, right in zip(content, mask, strict=True))
