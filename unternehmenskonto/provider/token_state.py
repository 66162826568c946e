"""What a client may ask and say about its own tokens: introspection (RFC 7662) and revocation (RFC 7009).

Tokens of others, unknown ones and dead ones look the same: inactive, and nothing to revoke.
"""

from collections.abc import Callable, Mapping
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from flask import Request, Response

from unternehmenskonto import keys
from unternehmenskonto.provider import (
    client_authentication,
    holders,
    parameters,
    refresh,
    responses,
    revoking,
    tokens,
    userinfo,
)
from unternehmenskonto.provider.clients import Client
from unternehmenskonto.settings import get_settings

INACTIVE = {"active": False}
#: Of an access token's claims, what introspection repeats (RFC 7662 2.2).
REPEATED = ("scope", "client_id", "sub", "aud", "iss", "exp", "iat", "jti", "auth_time", "acr", "amr")


class UnsupportedTokenType(OAuth2Error):
    """RFC 7009 2.2.1; Authlib's own class of this name answers 401."""

    error = "unsupported_token_type"


def introspect(request: Request) -> Response:
    """Tell the client whether its token is active now, and what it is good for."""
    return _answer(request, _introspect)


def revoke(request: Request) -> Response:
    """End the grant behind the client's token: every refresh and access token of it."""
    return _answer(request, _revoke)


def _answer(request: Request, act: Callable[[Client, str], Mapping[str, Any] | None]) -> Response:
    try:
        form = parameters.token_parameters(request)
        client = client_authentication.authenticate(request.headers, form)
        if not form.get("token"):
            raise InvalidRequestError("token is missing.")
        found = act(client, form["token"])
    except OAuth2Error as error:
        description = error.get_error_description() or ""
        return responses.token_error(error.error, description, status=error.status_code)
    return responses.as_json(found) if found is not None else responses.nothing()


def _introspect(client: Client, token: str) -> Mapping[str, Any]:
    if client.auth_method == "none":
        # RFC 7662 2.1: whoever may ask has to prove it; else tokens could be tried out.
        raise InvalidClientError(description="Only clients with a credential may ask.", status_code=401)
    content = _own_access_token(client, token)
    if content:
        return {"active": True, "token_type": "Bearer", **{n: content[n] for n in REPEATED if n in content}}
    living = refresh.find_living(token, client)
    if living is None:
        return INACTIVE
    return {
        "active": True,
        "scope": living.grant.scope,
        "client_id": client.client_id,
        "sub": living.grant.sub,
        "iss": get_settings().base_url,
        "iat": int(living.issued_at.timestamp()),
        "exp": int(living.expires_at.timestamp()),
    }


def _own_access_token(client: Client, token: str) -> Mapping[str, Any]:
    """Return the claims of a token of this client that is good at its address now; empty if it is none."""
    try:
        content = keys.verify(token, typ=tokens.ACCESS_TOKEN_TYP, audience=tokens.audiences())
    except keys.InvalidToken:
        return {}
    if content.get("client_id") != client.client_id:
        return {}
    if tokens.GRANT_CLAIM not in content:
        return content
    grant_id = userinfo.grant_id_of(content)
    return content if grant_id is not None and holders.living_grant(grant_id) is not None else {}


def _revoke(client: Client, token: str) -> None:
    content = _own_access_token(client, token)
    if content and tokens.GRANT_CLAIM not in content:
        # RFC 7009 2.2.1: it is good for five minutes, and nothing stands behind it that could be ended.
        raise UnsupportedTokenType("A token of client credentials ends by itself within five minutes.")
    grant_id = userinfo.grant_id_of(content) or refresh.find_grant(token, client)
    if grant_id is not None:
        revoking.revoke_grant(grant_id, by=f"client:{client.client_id}", reason="revoked_by_client")
