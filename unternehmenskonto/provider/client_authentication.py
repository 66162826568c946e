"""Who calls the token endpoint: exactly one proof, of exactly the kind that is registered.

Every refusal looks the same from outside, whether the client exists or not (RFC 6749 5.2).
"""

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeGuard
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from flask import request
from joserfc import jws
from joserfc.errors import JoseError
from werkzeug.datastructures import Headers

from unternehmenskonto import audit
from unternehmenskonto.db import run
from unternehmenskonto.provider import client_keys, throttle
from unternehmenskonto.provider.clients import Client, find_client, is_secret
from unternehmenskonto.provider.limits import (
    ASSERTION_SECONDS,
    CLOCK_TOLERANCE_SECONDS,
    MAXIMUM_JTI_CHARACTERS,
    MAXIMUM_KID_CHARACTERS,
    REFUSED_CLIENT_LIMIT,
    REFUSED_CLIENTS_LIMIT,
)
from unternehmenskonto.settings import get_settings

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_TYPS = ("", "jwt", "client-authentication+jwt")
REFUSED = "The client could not be authenticated. Check client_id, the registered method and the credential."


_USE_ONCE = """
    INSERT INTO provider_used_assertions (service, jti_hash, expires_at)
    VALUES (%(service)s, %(jti_hash)s, %(expires_at)s) ON CONFLICT DO NOTHING RETURNING service
"""


class _Refused(Exception):
    """Carry the reason to the log; the caller hears REFUSED."""


@dataclass(frozen=True)
class Proof:
    """What the request offers: method, claimed client, credential."""

    method: str
    client_id: str
    credential: str = ""


def authenticate(headers: Headers, form: Mapping[str, str]) -> Client:
    """Return the client that proved itself.

    Raises InvalidRequestError for two proofs at once or contradicting names (RFC 6749 2.3), else
    InvalidClientError with status 401; TooManyRequests where somebody was refused too often.
    """
    proof = read_proof(headers, form)
    address = str(request.remote_addr)
    guess = (address, hashlib.sha256(proof.client_id.encode(errors="replace")).hexdigest())
    throttle.check(REFUSED_CLIENTS_LIMIT, "refused clients", address)
    throttle.check(REFUSED_CLIENT_LIMIT, "refused client", *guess)
    client = find_client(proof.client_id)
    try:
        _check(client, proof)
    except _Refused as error:
        throttle.count(REFUSED_CLIENTS_LIMIT, "refused clients", address)
        throttle.count(REFUSED_CLIENT_LIMIT, "refused client", *guess)
        service = client.client_id if client else "unknown"
        audit.record("client.refused", by=f"client:{service}", service=service, reason=str(error))
        raise InvalidClientError(description=REFUSED, status_code=401) from None
    assert client is not None  # noqa: S101 - _check refuses None
    return client


def read_proof(headers: Headers, form: Mapping[str, str]) -> Proof:
    """Return the one proof in the request; its client must be the same wherever it is named."""
    found = [
        proof for proof in (_basic(headers.get("Authorization")), _post(form), _assertion(form)) if proof is not None
    ]
    if len(found) > 1:
        raise InvalidRequestError("Use one way of client authentication, not several.")
    proof = found[0] if found else Proof("none", form.get("client_id", ""))
    if "client_id" in form and form["client_id"] != proof.client_id:
        raise InvalidRequestError("client_id differs from the client that authenticates.")
    return proof


def _basic(header: str | None) -> Proof | None:
    """Read RFC 6749 2.3.1: both parts are form-encoded before they are joined."""
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    name, colon, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not colon or "\0" in decoded:
        return Proof("client_secret_basic", "")
    return Proof("client_secret_basic", unquote_plus(name), unquote_plus(secret))


def _post(form: Mapping[str, str]) -> Proof | None:
    if "client_secret" not in form:
        return None
    return Proof("client_secret_post", form.get("client_id", ""), form["client_secret"])


def _assertion(form: Mapping[str, str]) -> Proof | None:
    if "client_assertion" not in form and "client_assertion_type" not in form:
        return None
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidRequestError(f"client_assertion_type must be {ASSERTION_TYPE}.")
    token = form.get("client_assertion", "")
    subject = _part(token, 1).get("sub")
    name = subject if isinstance(subject, str) and "\0" not in subject else ""
    return Proof("private_key_jwt", name, token)


def _part(token: str, position: int) -> dict[str, Any]:
    """Return header (0) or payload (1) of a JWS before it is verified; empty if it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        padded = parts[position] + "=" * (-len(parts[position]) % 4)
        value = json.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _check(client: Client | None, proof: Proof) -> None:
    if client is None or proof.method != client.auth_method:
        _work_in_vain(proof)
        raise _Refused("other_method" if client else "unknown_client")
    if proof.method == "private_key_jwt":
        _check_assertion(client, proof.credential)
    elif proof.method != "none" and not client.check_client_secret(proof.credential):
        raise _Refused("wrong_secret")


def _work_in_vain(proof: Proof) -> None:
    """Spend on whoever is unknown, or proves in another way, what the proof of a known client costs."""
    is_secret(proof.credential, None)
    if proof.method == "private_key_jwt":
        with suppress(_Refused):
            alg, _kid = _checked_header(proof.credential)
            _is_signed(proof.credential, client_keys.STAND_INS[alg], alg)


def _check_assertion(client: Client, token: str) -> None:
    """Check RFC 7523 3 and RFC 10070: signature, one audience, short life, used once.

    One signature is verified even if there is no key for it, so that time tells nothing about the client.
    """
    alg, kid = _checked_header(token)
    registered = client.registration.get("token_endpoint_auth_signing_alg")
    keys = client_keys.keys_for(client, alg=alg, kid=kid) if alg == (registered or alg) else []
    if not any(_is_signed(token, key, alg) for key in keys or [client_keys.STAND_INS[alg]]):
        raise _Refused("signature" if alg == (registered or alg) else "algorithm")
    claims = _part(token, 1)
    expires = _check_claims(client, claims)
    _use_once(client, claims["jti"], expires)


def _checked_header(token: str) -> tuple[str, str | None]:
    """Return algorithm and kid of an assertion; raises _Refused for what is refused whoever sends it."""
    header = _part(token, 0)
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str) or alg not in client_keys.KEY_OF_ALG:
        raise _Refused("algorithm")
    if kid is not None and (not isinstance(kid, str) or len(kid) > MAXIMUM_KID_CHARACTERS):
        raise _Refused("kid")
    if str(header.get("typ", "")).lower() not in ASSERTION_TYPS:
        raise _Refused("typ")
    if header.keys() & client_keys.REFUSED_HEADERS:
        raise _Refused("header")
    return alg, kid


def _is_signed(token: str, key: client_keys.PublicKey, alg: str) -> bool:
    """Verify with the registered key only: jwk, jku, x5u and x5c of the header are never looked at."""
    try:
        jws.deserialize_compact(token, key, algorithms=[alg])
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _check_claims(client: Client, claims: dict[str, Any]) -> int:
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        raise _Refused("iss_or_sub")
    if claims.get("aud") != get_settings().base_url:
        raise _Refused("aud")
    moment = time.time()
    expires = claims.get("exp")
    if not _is_time(expires) or expires <= moment or expires > moment + ASSERTION_SECONDS + CLOCK_TOLERANCE_SECONDS:
        raise _Refused("exp")
    for name in ("iat", "nbf"):
        value = claims.get(name, moment)
        if not _is_time(value) or value > moment + CLOCK_TOLERANCE_SECONDS:
            raise _Refused(name)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAXIMUM_JTI_CHARACTERS:
        raise _Refused("jti")
    return int(expires)


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e11


def _use_once(client: Client, jti: str, expires: int) -> None:
    """Insert or refuse; of parallel uses the database lets one pass."""
    used = {
        "service": client.client_id,
        "jti_hash": hashlib.sha256(jti.encode()).digest(),
        "expires_at": datetime.fromtimestamp(expires + CLOCK_TOLERANCE_SECONDS, UTC),
    }
    if not run(_USE_ONCE, used):
        raise _Refused("jti_used")
