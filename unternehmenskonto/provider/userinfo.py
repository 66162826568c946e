"""The userinfo endpoint: identity data, for a living grant only, each disclosure recorded."""

import time
import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from authlib.oauth2.rfc6749 import InvalidRequestError
from flask import Request, Response

from unternehmenskonto import audit, keys
from unternehmenskonto.db import run
from unternehmenskonto.provider import claims, encryption, holders, responses, tokens
from unternehmenskonto.provider.clients import OPENID_SCOPE, Client, find_client
from unternehmenskonto.settings import get_settings

#: Tells signed claims from ID tokens and access tokens, which have a typ of their own (RFC 8725 3.11).
USERINFO_TYP = "userinfo+jwt"
NO_TOKEN = "Send the access token in the Authorization header."  # noqa: S105 - a sentence
BAD_TOKEN = "The access token is expired, revoked or not meant for this address."  # noqa: S105 - a sentence
NO_SCOPE = "The access token was asked for without the scope openid."


def respond(request: Request) -> Response:
    """Return the claims of the bearer token's grant, or the refusal of RFC 6750 3.1."""
    try:
        token = _token(request)
    except InvalidRequestError as error:
        return responses.bearer_error("invalid_request", error.get_error_description(), status=400)
    if token is None:
        return responses.bearer_error(None, NO_TOKEN)
    content = _verify(token)
    grant_id = grant_id_of(content)
    grant = holders.of_living_grant(grant_id) if grant_id else None
    client = find_client(grant.service) if grant else None
    if grant is None or client is None:
        return responses.bearer_error("invalid_token", BAD_TOKEN)
    scope = str(content.get("scope"))
    if OPENID_SCOPE not in scope.split():
        return responses.bearer_error("insufficient_scope", NO_SCOPE, status=403)
    return _encode(grant, client, scope=scope)


def _token(request: Request) -> str | None:
    """Return the bearer token of header or form (RFC 6750 2.1, 2.2); empty if the header has another scheme.

    Raises InvalidRequestError for a token in the address, twice, or in two places.
    """
    if "access_token" in request.args:
        raise InvalidRequestError("Never send a token in the address.")
    header = request.headers.get("Authorization")
    given = request.form.getlist("access_token")
    if len(given) > 1 or (given and header is not None):
        raise InvalidRequestError("Send one token, in the Authorization header or in the form.")
    if header is None:
        return given[0] if given else None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _encode(grant: Any, client: Client, *, scope: str) -> Response:
    """Return the claims as the registration wants them: plain, signed, encrypted, or both (Core 5.3.2)."""
    try:
        to = encryption.recipient(client, "userinfo")
    except InvalidRequestError as error:
        return responses.bearer_error("invalid_request", error.get_error_description(), status=400)
    content = _disclose(grant, client, scope=scope)
    alg = client.registration.get("userinfo_signed_response_alg")
    if alg is None and to is None:
        return responses.as_json(content)
    body: str | bytes = orjson.dumps(content) if alg is None else _sign(content, client, str(alg))
    closed = encryption.close(body, to, is_token=alg is not None) if to else str(body)
    return responses.as_token(closed)


def _sign(content: Mapping[str, Any], client: Client, alg: str) -> str:
    issued = {"iss": get_settings().base_url, "aud": client.client_id, "iat": int(time.time())}
    return keys.sign({**content, **issued}, use="token", alg=alg, typ=USERINFO_TYP)


def _verify(token: str) -> dict[str, Any]:
    """Return the claims of an access token of ours for this address (RFC 9068 4); empty if it is none."""
    try:
        return keys.verify(token, typ=tokens.ACCESS_TOKEN_TYP, audience=tokens.userinfo_audience())
    except keys.InvalidToken:
        return {}


def grant_id_of(content: Mapping[str, Any]) -> uuid.UUID | None:
    """Return the grant that an access token names; None if it names none."""
    try:
        return uuid.UUID(hex=str(content.get(tokens.GRANT_CLAIM)))
    except ValueError:
        return None


def _disclose(grant: Any, client: Client, *, scope: str) -> dict[str, Any]:
    """Return the values that were granted, that the registration still allows and that the token's scope opens."""
    allowed = set(claims.allowed(client)) - claims.beyond(grant.claims, scope=grant.scope, narrowed=scope)
    found = claims.values(
        [name for name in grant.claims if name in allowed],
        holder=grant,
        org_sub=grant.org_sub,
        login=claims.Login(assurance_level=grant.assurance_level, auth_time=grant.auth_time, amr=tuple(grant.amr)),
    )
    event = audit.parameters(
        "claims.disclosed",
        by=f"client:{grant.service}",
        company_id=grant.company_id,
        service=grant.service,
        claims=sorted(found),
        membership_id=grant.membership_id,
    )
    run(audit.RECORD, event)
    return {"sub": grant.sub, **found}
