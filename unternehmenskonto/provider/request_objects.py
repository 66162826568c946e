"""Signed request objects (RFC 9101, OpenID Connect Core 6): by value, or by an address registered before.

An address that is not registered is never called, so nobody can make us call (attack: SSRF). What is
signed wins over what stands beside it.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any, TypeGuard

from joserfc import jws
from joserfc.errors import JoseError
from sqlalchemy.dialects.postgresql import insert

from unternehmenskonto import http
from unternehmenskonto.db import db
from unternehmenskonto.provider import client_keys, parameters
from unternehmenskonto.provider.clients import Client
from unternehmenskonto.provider.limits import (
    CLOCK_TOLERANCE_SECONDS,
    LONG_VALUES,
    MAXIMUM_JTI_CHARACTERS,
    MAXIMUM_KID_CHARACTERS,
    REQUEST_OBJECT_SECONDS,
)
from unternehmenskonto.provider.models import UsedAssertion, digest
from unternehmenskonto.provider.parameters import Parameters
from unternehmenskonto.provider.responses import AuthorizeError
from unternehmenskonto.settings import get_settings

#: RFC 9101 10.8 asks for the first; older clients send the others.
TYPS = ("oauth-authz-req+jwt", "jwt", "")
_ENVELOPE = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti", "sub", "request", "request_uri"})
REFERENCES = ("request", "request_uri")


class InvalidObject(Exception):
    """The request object cannot be used; error is its code (RFC 9101 6, 7; Core 3.1.2.6)."""

    def __init__(self, description: str, error: str = "invalid_request_object") -> None:
        super().__init__(description)
        self.description = description
        self.error = error


def opened(outside: Parameters, client: Client) -> Parameters:
    """Return what the client asks for: from the signed object and, unless it must be signed, from beside it."""
    try:
        token = _token(outside, client)
        if token is None:
            return outside
        inside, once = _checked(token, client)
        _compare(inside, outside, client)
    except InvalidObject as error:
        return Parameters(outside.values, error.description, error.error)
    beside = {} if client.requires_request_object else outside.values
    merged = {name: value for name, value in {**beside, **inside}.items() if name not in REFERENCES}
    return Parameters({**merged, "client_id": client.client_id}, outside.problem, outside.error, once)


def use_up(found: Parameters, client: Client) -> None:
    """Let a request object with jti begin one login only; raises AuthorizeError where it has begun one before.

    Of parallel requests, in whatever worker, the database lets one pass.
    """
    if found.once is None:
        return
    jti, expires = found.once
    row = insert(UsedAssertion).values(
        service=client.client_id,
        # A client may count its assertions and its request objects apart.
        jti_hash=digest(f"request object {jti}"),
        expires_at=datetime.fromtimestamp(expires + CLOCK_TOLERANCE_SECONDS, UTC),
    )
    if db.session.execute(row.on_conflict_do_nothing().returning(UsedAssertion.service)).first() is None:
        raise AuthorizeError("invalid_request_object", "this jti was used before; sign a new request object")


def _token(outside: Parameters, client: Client) -> str | None:
    value, uri = outside.get("request"), outside.get("request_uri")
    if value and uri:
        raise InvalidObject("send either request or request_uri", "invalid_request")
    if uri is not None:
        return _fetch(uri, client)
    if value is None and client.requires_request_object:
        raise InvalidObject("this client has to send a signed request object", "invalid_request")
    return value


def _fetch(uri: str, client: Client) -> str:
    if uri not in client.request_uris:
        raise InvalidObject("request_uri is not registered for this client", "invalid_request_uri")
    # Nothing is written yet. Whoever waits for a slow client must not hold a database connection meanwhile.
    db.session.rollback()
    try:
        answer = http.fetch("GET", uri, maximum_bytes=LONG_VALUES["request"])
        if answer.status != 200:
            raise http.OutboundError("status", str(answer.status))
        return answer.body.decode("ascii").strip()
    except (http.OutboundError, UnicodeDecodeError):
        raise InvalidObject("request_uri could not be read", "invalid_request_uri") from None


def _checked(token: str, client: Client) -> tuple[dict[str, str], tuple[str, int] | None]:
    """Return the parameters of an object that this client signed for us, just now, and its jti with its end."""
    header, claims = _parts(token)
    alg, kid = header.get("alg"), header.get("kid")
    if isinstance(alg, str) and alg.lower() == "none":
        raise InvalidObject("unsigned request objects are not supported", "request_not_supported")
    if not isinstance(alg, str) or alg not in client_keys.KEY_OF_ALG or alg != (client.request_object_alg or alg):
        raise InvalidObject("the request object is not signed with the registered algorithm")
    if kid is not None and (not isinstance(kid, str) or len(kid) > MAXIMUM_KID_CHARACTERS):
        raise InvalidObject("kid is not usable")
    if str(header.get("typ", "")).lower() not in TYPS:
        raise InvalidObject("typ must be oauth-authz-req+jwt")
    if header.keys() & client_keys.REFUSED_HEADERS:
        raise InvalidObject("crit and b64 are not supported")
    if not any(_is_signed(token, key, alg) for key in client_keys.keys_for(client, alg=alg, kid=kid)):
        raise InvalidObject("the signature does not fit a key of this client")
    _check_envelope(claims, client)
    once = (claims["jti"], int(claims["exp"])) if "jti" in claims else None
    return {name: _text(name, value) for name, value in claims.items() if name not in _ENVELOPE}, once


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        found = jws.extract_compact(token.encode("ascii"))
        header, claims = found.headers(), json.loads(found.payload)
    except (JoseError, ValueError, TypeError, RecursionError):
        raise InvalidObject("the request object is not a signed JWT") from None
    if not isinstance(claims, dict):
        raise InvalidObject("the request object is not a JSON object")
    return dict(header), claims


def _is_signed(token: str, key: client_keys.PublicKey, alg: str) -> bool:
    try:
        jws.deserialize_compact(token, key, algorithms=[alg])
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _check_envelope(claims: dict[str, Any], client: Client) -> None:
    audience = claims.get("aud")
    if claims.get("iss") != client.client_id:
        raise InvalidObject("iss must be the client_id")
    if get_settings().base_url not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidObject("aud must be the issuer")
    moment = time.time()
    expires = claims.get("exp")
    if not _is_time(expires) or not moment < expires <= moment + REQUEST_OBJECT_SECONDS + CLOCK_TOLERANCE_SECONDS:
        raise InvalidObject(f"exp must lie ahead, by {REQUEST_OBJECT_SECONDS} seconds at most")
    for name in ("nbf", "iat"):
        value = claims.get(name, moment)
        if not _is_time(value) or value > moment + CLOCK_TOLERANCE_SECONDS:
            raise InvalidObject(f"{name} lies ahead")
    jti = claims.get("jti", "-")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAXIMUM_JTI_CHARACTERS:
        raise InvalidObject(f"jti must be a text of at most {MAXIMUM_JTI_CHARACTERS} characters")


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e11


def _text(name: str, value: object) -> str:
    """Return a parameter as it would stand in a query: numbers as digits, objects as JSON (RFC 9101 4)."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, (dict, int)) and not isinstance(value, bool):
        text = json.dumps(value)
    else:
        raise InvalidObject("a parameter of the request object has an unknown type")
    if parameters.fault(name, [text]) is not None:
        raise InvalidObject("a parameter of the request object is too long or has control characters")
    return text


def _compare(inside: dict[str, str], outside: Parameters, client: Client) -> None:
    """Hold against each other what stands in both places for routing (Core 6.1, RFC 9101 5)."""
    if inside.get("client_id", client.client_id) != client.client_id:
        raise InvalidObject("client_id differs inside and outside the request object")
    kind = outside.get("response_type")
    if kind is not None and inside.get("response_type", kind) != kind:
        raise InvalidObject("response_type differs inside and outside the request object", "invalid_request")
