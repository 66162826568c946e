"""Telling clients that a session is over (OpenID Connect Back-Channel Logout 1.0)."""

import logging
import secrets
import time

import requests
from joserfc import jwt

from .memory import Session
from .provider import Provider

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYP = "logout+jwt"
TOKEN_SECONDS = 120
#: The person waits meanwhile: this is a demonstration; a real provider would leave it to a queue.
TIMEOUT_SECONDS = 3

log = logging.getLogger(__name__)


def tell_clients(provider: Provider, session: Session, *, knows: str | None) -> None:
    """Send every client that wants it a logout token; `knows` is the client that asked for the logout itself."""
    for client in provider.clients.values():
        uri = client.backchannel_logout_uri
        if uri is None or client.client_id == knows:
            continue
        try:
            token = logout_token(provider, session, audience=client.client_id)
            status = str(requests.post(uri, data={"logout_token": token}, timeout=TIMEOUT_SECONDS).status_code)
        except requests.RequestException as error:
            status = type(error).__name__
        log.info("told %s of a logout: %s", client.client_id, status)


def logout_token(provider: Provider, session: Session, *, audience: str) -> str:
    """Return a logout token (section 2.4): who and which session, never a nonce."""
    moment = int(time.time())
    claims = {
        "iss": provider.issuer,
        "sub": session.certificate.subject,
        "aud": audience,
        "iat": moment,
        "exp": moment + TOKEN_SECONDS,
        "jti": secrets.token_urlsafe(16),
        "events": {EVENT: {}},
        "sid": session.sid,
    }
    key = provider.keys.current
    return jwt.encode({"alg": "RS256", "typ": TYP, "kid": key.kid}, claims, key, algorithms=["RS256"])
