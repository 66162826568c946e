"""The public keys with which clients sign: from the registration, or fetched from their jwks_uri and kept."""

import json
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from flask import Flask, current_app
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from unternehmenskonto import http
from unternehmenskonto.db import db
from unternehmenskonto.provider.clients import Client
from unternehmenskonto.provider.limits import (
    JWKS_BYTES,
    JWKS_KEYS,
    JWKS_REFETCH_SECONDS,
    JWKS_SECONDS,
    MINIMUM_RSA_BITS,
)

log = structlog.get_logger()

PublicKey = RSAKey | ECKey | OKPKey
#: Algorithm -> key type and curve. Nothing symmetric, nothing below 128 bit.
KEY_OF_ALG: dict[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}
#: RFC 7515 4.1.11: an extension nobody here understands; RFC 7797 7: b64 has no place in a JWT.
REFUSED_HEADERS = frozenset({"crit", "b64"})
#: Key management algorithm -> key types and curves (RFC 7518 4).
_EC_CURVES = ("P-256", "P-384", "P-521", "X25519")
KEYS_OF_ENCRYPTION: dict[str, tuple[tuple[str, ...], tuple[str, ...] | None]] = {
    "RSA-OAEP-256": (("RSA",), None),
    "ECDH-ES": (("EC", "OKP"), _EC_CURVES),
    "ECDH-ES+A128KW": (("EC", "OKP"), _EC_CURVES),
    "ECDH-ES+A256KW": (("EC", "OKP"), _EC_CURVES),
}
EncryptionKey = PublicKey
_KINDS: dict[str, type[PublicKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
#: Algorithm -> a key to which nobody has the private half: verified where there is none, so that time tells nothing.
#: Verifying needs no primes, so any odd number of the usual length does for RSA.
_RSA_MODULUS = secrets.token_bytes(255)
STAND_INS: dict[str, PublicKey] = {
    "ES256": ECKey.generate_key("P-256", private=False),
    "EdDSA": OKPKey.generate_key("Ed25519", private=False),
    **dict.fromkeys(
        ("RS256", "PS256"),
        RSAKey.import_key(
            {
                "kty": "RSA",
                "e": "AQAB",
                "n": urlsafe_b64encode(b"\xc1" + _RSA_MODULUS[:-1] + b"\x01").decode().rstrip("="),
            }
        ),
    ),
}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})


@dataclass
class _Set:
    """The keys of one client in this process; the lock lets one thread fetch while the others wait."""

    fingerprint: str
    keys: list[PublicKey] = field(default_factory=list)
    fetched_at: float | None = None
    tried_at: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


def init_app(app: Flask) -> None:
    """Start with no keys known."""
    app.extensions["client_keys"] = {}


def keys_for(client: Client, *, alg: str, kid: str | None) -> list[PublicKey]:
    """Return the client's keys that fit algorithm and kid; an unknown kid causes one fetch in 30 seconds."""
    return _find(client, lambda keys: _fitting(keys, alg, kid))


def encryption_key(client: Client, *, alg: str) -> EncryptionKey | None:
    """Return the client's newest key for encrypting to it; its keys are fetched as for signatures.

    Only keys that say use=enc count: encrypting to a signature key would be a second use of it.
    """
    # What the client's proof has written stays: no rollback while the keys are fetched.
    found = _find(client, lambda keys: _fitting_encryption(keys, alg), is_written=True)
    return found[-1] if found else None


def _find(
    client: Client, fitting: Callable[[list[PublicKey]], list[PublicKey]], *, is_written: bool = False
) -> list[PublicKey]:
    known = _set_of(client)
    uri = client.registration.get("jwks_uri")
    if uri and _is_older(known.fetched_at, JWKS_SECONDS):
        _refresh(known, str(uri), is_written=is_written)
    found = fitting(known.keys)
    if not found and uri:
        _refresh(known, str(uri), is_written=is_written)
        found = fitting(known.keys)
    return found


def _set_of(client: Client) -> _Set:
    sets: dict[str, _Set] = current_app.extensions["client_keys"]
    known = sets.get(client.client_id)
    if known is None or known.fingerprint != client.fingerprint:
        known = _Set(client.fingerprint, keys=_import(client.registration.get("jwks")))
        sets[client.client_id] = known
    return known


def _is_older(moment: float | None, seconds: float) -> bool:
    return moment is None or time.monotonic() - moment > seconds


def _refresh(known: _Set, uri: str, *, is_written: bool) -> None:
    """Fetch unless somebody did so just now; what was fetched before stays usable when that fails."""
    if not _is_older(known.tried_at, JWKS_REFETCH_SECONDS) and not known.lock.locked():
        return
    if not is_written:
        # Whoever waits for a slow client must not hold a database connection meanwhile.
        db.session.rollback()
    with known.lock:
        if not _is_older(known.tried_at, JWKS_REFETCH_SECONDS):
            return
        known.tried_at = time.monotonic()
        try:
            answer = http.fetch("GET", uri, headers={"Accept": "application/json"}, maximum_bytes=JWKS_BYTES)
            if answer.status != 200:
                raise http.OutboundError("status", str(answer.status))
            known.keys = _import(answer.json_object())
            known.fetched_at = time.monotonic()
        except http.OutboundError as error:
            log.warning("client keys not readable", kind=error.kind, detail=error.detail)


def _import(jwks: object) -> list[PublicKey]:
    """Return the usable public keys of a JWK Set; others are passed over (RFC 7517 5)."""
    entries = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(entries, list):
        return []
    found = []
    for entry in entries[:JWKS_KEYS]:
        key = _import_one(entry)
        if key is not None:
            found.append(key)
    return found


def _import_one(entry: Any) -> PublicKey | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") not in ("sig", "enc") or entry.keys() & _PRIVATE_MEMBERS:
        return None
    kind = _KINDS.get(str(entry.get("kty")))
    if kind is None:
        return None
    try:
        key = kind.import_key(json.loads(json.dumps(entry)))
        if isinstance(key, RSAKey) and key.public_key.key_size < MINIMUM_RSA_BITS:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


def _fitting(keys: list[PublicKey], alg: str, kid: str | None) -> list[PublicKey]:
    kty, curve = KEY_OF_ALG[alg]
    return [
        key
        for key in keys
        if key.key_type == kty
        and key.get("use") != "enc"
        and (curve is None or key.get("crv") == curve)
        and key.get("alg") in (None, alg)
        and (kid is None or key.kid == kid)
    ]


def _fitting_encryption(keys: list[PublicKey], alg: str) -> list[PublicKey]:
    types, curves = KEYS_OF_ENCRYPTION[alg]
    return [
        key
        for key in keys
        if key.get("use") == "enc"
        and key.key_type in types
        and (curves is None or key.get("crv") in curves)
        and key.get("alg") in (None, alg)
    ]
