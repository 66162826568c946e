"""ID tokens that come back to us as a hint (OpenID Connect Core 3.1.2.1, RP-Initiated Logout 2)."""

from typing import Any

from unternehmenskonto import keys
from unternehmenskonto.settings import get_settings

ID_TOKEN_TYP = "JWT"  # noqa: S105 - a media type


class InvalidHint(Exception):
    """The hint is not an ID token of ours for this client."""


def verify(token: str, *, client_id: str | None = None) -> dict[str, Any]:
    """Return the claims of an ID token that we issued, expired or not; raises InvalidHint otherwise.

    Access tokens, logout tokens and receipts are signed by us too: typ and claims tell them apart
    (RFC 8725 3.11, 3.12).
    """
    try:
        claims, header = keys.decode_own(token)
    except keys.InvalidToken as error:
        raise InvalidHint(str(error)) from None
    if header.get("typ") != ID_TOKEN_TYP or header.get("kid") not in _token_kids():
        raise InvalidHint("another kind of token")
    if claims.get("iss") != get_settings().base_url:
        raise InvalidHint("foreign issuer")
    audience = claims.get("aud")
    if not isinstance(audience, str) or (client_id is not None and audience != client_id):
        raise InvalidHint("other audience")
    if not isinstance(claims.get("sub"), str) or not isinstance(claims.get("sid"), str):
        raise InvalidHint("not an ID token")
    return claims


def _token_kids() -> set[str]:
    return {str(key["kid"]) for key in keys.public_keys("token")}
