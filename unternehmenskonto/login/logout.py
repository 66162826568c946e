"""Signing out at the identity provider too (OpenID Connect RP-Initiated Logout 1.0)."""

import secrets
import uuid
from dataclasses import dataclass

import structlog
from flask import session

from unternehmenskonto.db import db
from unternehmenskonto.keys import InvalidToken
from unternehmenskonto.login import relying_party, sessions
from unternehmenskonto.login.config import IdentityProvider, providers
from unternehmenskonto.login.errors import LoginFailed
from unternehmenskonto.login.models import LoginSession

log = structlog.get_logger()

#: Entry in the browser's signed cookie: the state of a sign-out that is under way.
STATE = "sign_out_state"
STATE_BYTES = 32


@dataclass(frozen=True)
class UpstreamLogin:
    """What the identity provider wants to see before it signs somebody out."""

    provider: IdentityProvider
    id_token: str


def upstream_login(session_id: uuid.UUID) -> UpstreamLogin | None:
    """Return what is needed to sign out upstream, read before the session ends and forgets it."""
    row = db.session.get(LoginSession, session_id)
    provider = providers().get(row.identity_provider) if row else None
    if row is None or provider is None:
        return None
    try:
        id_token = sessions.upstream_id_token(row)
    except InvalidToken:
        log.warning("ID token sealed under another key", identity_provider=provider.slug)
        return None
    return UpstreamLogin(provider, id_token) if id_token else None


def upstream_url(login: UpstreamLogin | None) -> str | None:
    """Return where this login ends at its identity provider; None where there is no such place.

    Signing out here never fails because a foreign server does. The browser keeps the state it has to come back with.
    """
    session.pop(STATE, None)
    if login is None:
        return None
    try:
        state = secrets.token_urlsafe(STATE_BYTES)
        url = relying_party.end_session_url(login.provider, id_token=login.id_token, state=state)
    except LoginFailed as error:
        log.warning("no sign-out at the identity provider", identity_provider=login.provider.slug, code=error.code)
        return None
    if url is not None:
        session[STATE] = state
    return url


def is_confirmed(state: str | None) -> bool | None:
    """Tell whether the identity provider has brought the browser back; None if it was not sent there."""
    expected = session.pop(STATE, None)
    if expected is None:
        return None
    return state is not None and secrets.compare_digest(str(expected).encode(), state.encode())
