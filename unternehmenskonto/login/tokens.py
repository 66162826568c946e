"""The check of an ID token: OpenID Connect Core 3.1.3.7, RFC 8725, RFC 9700. In doubt it is refused."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from unternehmenskonto.login import discovery
from unternehmenskonto.login.config import IdentityProvider
from unternehmenskonto.login.errors import TokenInvalid

MAXIMUM_TOKEN_BYTES = 16_384
CLOCK_TOLERANCE_SECONDS = 10
#: The token was made for this login; an older one comes from somewhere else.
MAXIMUM_AGE_SECONDS = 600
MINIMUM_RSA_BITS = 2048
MAXIMUM_SUBJECT = 255
#: The end of the year 9999; also keeps out infinity and NaN, which JSON readers let through.
LAST_SECOND = 253_402_300_800

KEY_TYPES = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
CURVES = {"ES256": "P-256", "EdDSA": "Ed25519"}
#: A key that comes with the token proves nothing; nor does a header that we do not understand.
REFUSED_HEADERS = ("jwk", "jku", "x5u", "x5c", "crit", "b64")
#: An access or logout token is signed by the same key and is no ID token.
ID_TOKEN_TYPES = (None, "jwt")


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What this one login asked for, so that no other login's token fits."""

    nonce: str
    access_token: str
    #: None: not asked; otherwise the oldest proof of identity that is accepted, in seconds since 1970.
    earliest_auth_time: int | None = None


def check_id_token(provider: IdentityProvider, token: str, expected: Expected) -> dict[str, Any]:
    """Return the claims of a good ID token; raise TokenInvalid with the reason for the log."""
    header, claims = verified(provider, token, types=ID_TOKEN_TYPES)
    check_issuer_and_audience(provider, claims)
    if subject_of(claims) is None:
        raise TokenInvalid(detail="sub")
    check_lifetime(claims)
    _check_auth_time(claims, expected)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise TokenInvalid(detail="nonce")
    _check_access_token_hash(claims, header["alg"], expected.access_token)
    return claims


def verified(
    provider: IdentityProvider, token: str, *, types: tuple[str | None, ...]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token that the provider has signed; raise TokenInvalid otherwise.

    `types` are the accepted values of the header `typ` in lower case, None for its absence. Asks the provider for
    its keys where they are not known, so no database connection should wait meanwhile.
    """
    header = _header(token)
    return header, _verified(provider, token, header, types)


def _header(token: str) -> dict[str, Any]:
    if len(token) > MAXIMUM_TOKEN_BYTES:
        raise TokenInvalid(detail="token too long")
    segment = token.partition(".")[0]
    try:
        header = json.loads(_decoded(segment))
    except (binascii.Error, ValueError, RecursionError):
        raise TokenInvalid(detail="token is no JWS") from None
    if not isinstance(header, dict):
        raise TokenInvalid(detail="token header")
    return header


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _verified(
    provider: IdentityProvider, token: str, header: Mapping[str, Any], types: tuple[str | None, ...]
) -> dict[str, Any]:
    alg = header.get("alg")
    if alg not in provider.id_token_algorithms:
        raise TokenInvalid(detail="algorithm of the token")
    refused = [name for name in REFUSED_HEADERS if name in header]
    if refused:
        raise TokenInvalid(detail=f"header {refused[0]} of the token")
    kind = header.get("typ")
    if (kind.lower() if isinstance(kind, str) else kind) not in types:
        raise TokenInvalid(detail="typ of the token")
    try:
        key = _key(provider, alg, header.get("kid"))
        claims = json.loads(jws.deserialize_compact(token, key, algorithms=[alg]).payload)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise TokenInvalid(detail=f"signature of the token: {type(error).__name__}") from None
    if not isinstance(claims, dict):
        raise TokenInvalid(detail="token is no object")
    return claims


def _key(provider: IdentityProvider, alg: str, kid: object) -> RSAKey | ECKey | OKPKey:
    """Return the one key that fits; asks the provider once more if the token names a key we do not know."""
    fitting = [jwk for jwk in discovery.keys(provider) if _fits(jwk, alg, kid)]
    if not fitting:
        fitting = [jwk for jwk in discovery.keys(provider, is_missing=True) if _fits(jwk, alg, kid)]
    if len(fitting) != 1:
        raise TokenInvalid(detail=f"{len(fitting)} keys fit the token")
    jwk = fitting[0]
    if jwk["kty"] == "EC":
        return ECKey.import_key(jwk)
    if jwk["kty"] == "OKP":
        return OKPKey.import_key(jwk)
    if int.from_bytes(_decoded(str(jwk["n"]))).bit_length() < MINIMUM_RSA_BITS:
        raise TokenInvalid(detail="RSA key too short")
    return RSAKey.import_key(jwk)


def _fits(jwk: Mapping[str, Any], alg: str, kid: object) -> bool:
    return (
        jwk.get("kty") == KEY_TYPES[alg]
        and jwk.get("crv") == CURVES.get(alg)
        and jwk.get("use") in (None, "sig")
        and jwk.get("alg") in (None, alg)
        and (kid is None or jwk.get("kid") == kid)
    )


def subject_of(claims: Mapping[str, Any]) -> str | None:
    """Return the subject; None if there is none or it cannot be one."""
    subject = claims.get("sub")
    return subject if isinstance(subject, str) and 0 < len(subject) <= MAXIMUM_SUBJECT else None


def check_issuer_and_audience(provider: IdentityProvider, claims: Mapping[str, Any]) -> None:
    """Raise TokenInvalid unless this provider made the token, and for us (OpenID Connect Core 3.1.3.7)."""
    if claims.get("iss") != provider.issuer:
        raise TokenInvalid(detail="iss")
    found = claims.get("aud")
    audiences = found if isinstance(found, list) else [found]
    if provider.client_id not in audiences:
        raise TokenInvalid(detail="aud")
    strangers = [one for one in audiences if one != provider.client_id and one not in provider.trusted_audiences]
    if strangers:
        raise TokenInvalid(detail="aud names somebody we do not know")
    if len(audiences) > 1 and "azp" not in claims:
        raise TokenInvalid(detail="azp is missing")
    if claims.get("azp", provider.client_id) != provider.client_id:
        raise TokenInvalid(detail="azp")


def check_lifetime(claims: Mapping[str, Any]) -> None:
    """Raise TokenInvalid unless the token is valid now and was made just now."""
    moment = time.time()
    expires, issued = _seconds(claims, "exp"), _seconds(claims, "iat")
    if expires is None or expires <= moment - CLOCK_TOLERANCE_SECONDS:
        raise TokenInvalid(detail="exp")
    if issued is None or not -MAXIMUM_AGE_SECONDS <= issued - moment <= CLOCK_TOLERANCE_SECONDS:
        raise TokenInvalid(detail="iat")
    if "nbf" in claims:
        begins = _seconds(claims, "nbf")
        if begins is None or begins > moment + CLOCK_TOLERANCE_SECONDS:
            raise TokenInvalid(detail="nbf")


def _check_auth_time(claims: Mapping[str, Any], expected: Expected) -> None:
    moment = time.time()
    proved = _seconds(claims, "auth_time")
    if "auth_time" in claims and (proved is None or proved > moment + CLOCK_TOLERANCE_SECONDS):
        raise TokenInvalid(detail="auth_time")
    if expected.earliest_auth_time is not None and (
        proved is None or proved < expected.earliest_auth_time - CLOCK_TOLERANCE_SECONDS
    ):
        raise TokenInvalid(detail="auth_time is too old")


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return value if 0 <= value < LAST_SECOND else None


def _check_access_token_hash(claims: Mapping[str, Any], alg: str, access_token: str) -> None:
    """Compare at_hash where it stands: optional in the code flow (OpenID Connect Core 3.1.3.6)."""
    if "at_hash" not in claims:
        return
    algorithm = hashlib.sha512 if alg == "EdDSA" else hashlib.sha256
    left = algorithm(access_token.encode()).digest()
    computed = base64.urlsafe_b64encode(left[: len(left) // 2]).rstrip(b"=")
    if not hmac.compare_digest(str(claims["at_hash"]).encode(), computed):
        raise TokenInvalid(detail="at_hash")
