"""Logout tokens of an identity provider (OpenID Connect Back-Channel Logout 1.0 sections 2.4 to 2.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from unternehmenskonto.db import db, now
from unternehmenskonto.login import sessions, tokens
from unternehmenskonto.login.config import IdentityProvider
from unternehmenskonto.login.errors import TokenInvalid
from unternehmenskonto.login.models import LoginSession, SeenLogoutToken

EVENT = "http://schemas.openid.net/event/backchannel-logout"
#: The type is recommended only, so old providers send none or the general one; an ID token is kept out by `events`.
TYPES = (None, "jwt", "logout+jwt", "application/logout+jwt")
MAXIMUM_TEXT = 255
#: A token is refused 10 minutes after it was made, so nobody needs to know its name for longer than this.
REMEMBERED = timedelta(hours=1)
REASON = "logged_out_upstream"


@dataclass(frozen=True, kw_only=True)
class LogoutToken:
    """A checked wish of the provider: whom to sign out, by session, by subject, or both."""

    jti: str
    sid: str | None
    subject: str | None


def check(provider: IdentityProvider, token: str) -> LogoutToken:
    """Return what a good logout token says; raise TokenInvalid with the reason for the log.

    Raises other kinds of LoginFailed where the provider's keys cannot be had. Uses the network, not the database.
    """
    _, claims = tokens.verified(provider, token, types=TYPES)
    tokens.check_issuer_and_audience(provider, claims)
    tokens.check_lifetime(claims)
    if "nonce" in claims:
        raise TokenInvalid(detail="a logout token has no nonce")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise TokenInvalid(detail="events")
    jti, sid, subject = _text(claims, "jti"), _text(claims, "sid"), tokens.subject_of(claims)
    if jti is None:
        raise TokenInvalid(detail="jti")
    if (sid is None) != ("sid" not in claims) or (subject is None) != ("sub" not in claims):
        raise TokenInvalid(detail="sid or sub cannot be one")
    if sid is None and subject is None:
        raise TokenInvalid(detail="neither sid nor sub")
    return LogoutToken(jti=jti, sid=sid, subject=subject)


def obey(provider: IdentityProvider, token: LogoutToken) -> int:
    """End the sessions the token names and return how many; raise TokenInvalid if it was used before.

    With a session id that session, else all of the subject. That there is none any more is no fault.
    """
    name = sessions.digest(f"{provider.issuer}\n{token.jti}")
    first = db.session.scalar(
        insert(SeenLogoutToken)
        .values(token_hash=name, seen_at=now())
        .on_conflict_do_nothing()
        .returning(SeenLogoutToken.token_hash)
    )
    if first is None:
        raise TokenInvalid(detail="the logout token was used before")
    conditions = [LoginSession.identity_provider == provider.slug]
    if token.sid is not None:
        conditions.append(LoginSession.upstream_sid == token.sid)
    if token.subject is not None:
        conditions.append(LoginSession.upstream_subject == token.subject)
    return sessions.end_sessions(*conditions, reason=REASON, by="system")


def forget() -> None:
    """Delete the names of tokens that would be refused for their age."""
    db.session.execute(delete(SeenLogoutToken).where(SeenLogoutToken.seen_at < now() - REMEMBERED))


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= MAXIMUM_TEXT else None
