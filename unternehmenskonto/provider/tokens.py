"""Our tokens: ID token (OpenID Connect Core 2) and access token (RFC 9068)."""

import base64
import hashlib
import hmac
import time
import uuid
from typing import Any

from unternehmenskonto import keys
from unternehmenskonto.companies import assurance
from unternehmenskonto.db import new_id
from unternehmenskonto.provider.claims import ORG_SUB
from unternehmenskonto.provider.clients import Client
from unternehmenskonto.provider.grant_facts import GrantFacts
from unternehmenskonto.provider.hints import ID_TOKEN_TYP
from unternehmenskonto.provider.limits import ACCESS_TOKEN_SECONDS, ID_TOKEN_SECONDS
from unternehmenskonto.settings import get_settings

ACCESS_TOKEN_ALG = "ES256"  # noqa: S105 - an algorithm
ACCESS_TOKEN_TYP = "at+jwt"  # noqa: S105 - a media type
#: Private claim: which grant a token belongs to; an id, good for nothing by itself.
GRANT_CLAIM = "grant_id"


def userinfo_audience() -> str:
    """Return the resource for which tokens of the code flow are good, and no other."""
    return f"{get_settings().base_url}/oauth/userinfo"


def api_audience() -> str:
    """Return the resource for which tokens of client credentials are good, and no other."""
    return f"{get_settings().base_url}/api/v1"


def audiences() -> tuple[str, ...]:
    """Return every resource that our access tokens are made for."""
    return userinfo_audience(), api_audience()


def access_token_for_grant(grant: GrantFacts, scope: str) -> str:
    """Return a token that reads the claims of this grant for five minutes; scope is the grant's or less."""
    more: dict[str, Any] = {
        GRANT_CLAIM: grant.id.hex,
        "auth_time": int(grant.auth_time.timestamp()),
        "acr": assurance.eidas_uri(grant.assurance_level),
    }
    if grant.amr:
        more["amr"] = grant.amr
    return _access_token(client_id=grant.service, sub=grant.sub, audience=userinfo_audience(), scope=scope, more=more)


def access_token_for_client(client: Client, scope: str) -> str:
    """Return a token for the API in the client's own name (RFC 9068 2.2: sub is the client)."""
    return _access_token(client_id=client.client_id, sub=client.client_id, audience=api_audience(), scope=scope)


def _access_token(*, client_id: str, sub: str, audience: str, scope: str, more: dict[str, Any] | None = None) -> str:
    moment = int(time.time())
    claims = {
        "iss": get_settings().base_url,
        "sub": sub,
        "aud": audience,
        "client_id": client_id,
        "scope": scope,
        "iat": moment,
        "exp": moment + ACCESS_TOKEN_SECONDS,
        "jti": new_id().hex,
        **(more or {}),
    }
    return keys.sign(claims, use="token", alg=ACCESS_TOKEN_ALG, typ=ACCESS_TOKEN_TYP)


def id_token(grant: GrantFacts, client: Client, *, nonce: str | None, access_token: str) -> str:
    """Return the proof of this login: protocol facts and pseudonyms, no identity data.

    The token travels through browsers as id_token_hint; names and addresses are read at userinfo.
    """
    moment = int(time.time())
    claims: dict[str, Any] = {
        "iss": get_settings().base_url,
        "sub": grant.sub,
        "aud": client.client_id,
        "iat": moment,
        "exp": moment + ID_TOKEN_SECONDS,
        "auth_time": int(grant.auth_time.timestamp()),
        "acr": assurance.eidas_uri(grant.assurance_level),
        "sid": session_name(grant.session_id, client.client_id),
        "at_hash": half_hash(access_token, client.id_token_alg),
    }
    if grant.amr:
        claims["amr"] = grant.amr
    if nonce is not None:
        claims["nonce"] = nonce
    if ORG_SUB in grant.claims:
        claims[ORG_SUB] = grant.org_sub
    return keys.sign(claims, use="token", alg=client.id_token_alg, typ=ID_TOKEN_TYP)


def half_hash(value: str, alg: str) -> str:
    """Return at_hash (OpenID Connect Core 3.1.3.6): the left half of the hash that belongs to the algorithm."""
    full = hashlib.sha512(value.encode()) if alg == "EdDSA" else hashlib.sha256(value.encode())
    half = full.digest()[: full.digest_size // 2]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()


def session_name(session_id: uuid.UUID, client_id: str) -> str:
    """Return the sid of a session towards one client: another for each, so that they cannot be compared."""
    secret = get_settings().pairwise_secret.get_secret_value().encode()
    return hmac.new(secret, f"sid|{session_id.hex}|{client_id}".encode(), hashlib.sha256).hexdigest()[:40]
