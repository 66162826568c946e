"""Our signing keys: made, encrypted at rest, published and used in one place.

A key has a use: `token` (ID and access tokens), `receipt` (proofs of the mailbox), `client` (our own
assertions at identity providers). Private keys lie in the database under AES-256-GCM only.
"""

import base64
import json
import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask, current_app
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from sqlalchemy import Index, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from unternehmenskonto.db import Base, db, new_id, now
from unternehmenskonto.settings import get_settings

RSA_BITS = 3072
CACHE_SECONDS = 30
#: An unknown kid makes a process look again, at most so often.
REREAD_SECONDS = 1
CLOCK_TOLERANCE_SECONDS = 10
MAXIMUM_TOKEN_BYTES = 16_384
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
PUBLISHED_STATUS = ("next", "active", "retiring")

PrivateKey = RSAKey | ECKey | OKPKey

# RFC 9864 prefers the name Ed25519, but clients in the field know EdDSA; one warning a token helps nobody.
JWSRegistry.algorithms["EdDSA"].security_warning = None


class InvalidToken(Exception):
    """Say why a token is not accepted; for the log, never for the caller."""


class SigningKey(Base):
    """One key pair; at most one key is active for each use and algorithm."""

    __tablename__ = "signing_keys"
    __table_args__ = (
        Index("uq_signing_keys_active", "use", "alg", unique=True, postgresql_where=text("status = 'active'")),
    )

    kid: Mapped[str] = mapped_column(primary_key=True)
    use: Mapped[str]
    alg: Mapped[str]
    #: next (published, not yet used), active, retiring (verifies only), retired (receipts stay verifiable).
    status: Mapped[str]
    public_jwk: Mapped[dict[str, Any]]
    #: Nonce and ciphertext of the private JWK; empty once the key is retired.
    sealed: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(default=now)
    status_since: Mapped[datetime] = mapped_column(default=now)
    retired_at: Mapped[datetime | None]


@dataclass
class _Ring:
    """What this process has read and decrypted; renewed after CACHE_SECONDS."""

    read_at: float
    active: dict[tuple[str, str], PrivateKey]
    public: list[dict[str, Any]]
    verifying: KeySet
    #: Ids of the keys that verify.
    kids: frozenset[str]


def init_app(app: Flask) -> None:
    """Start with an empty ring."""
    app.extensions["key_ring"] = None


def sign(claims: dict[str, Any], *, use: str, alg: str, typ: str) -> str:
    """Return the claims as a compact JWS with the active key of this use; makes the key if there is none."""
    key = _active(use, alg)
    header = {"alg": alg, "typ": typ, "kid": key.kid}
    return jwt.encode(header, claims, key, algorithms=[alg])


def verify(token: str, *, typ: str, audience: str | Collection[str]) -> dict[str, Any]:
    """Return the claims of a token that we signed ourselves for (one of) the audience; raise InvalidToken otherwise.

    Checks signature, algorithm, typ, iss, aud and exp (RFC 9068 section 4, RFC 8725 section 3).
    """
    claims, header = decode_own(token)
    if str(header.get("typ", "")).lower() != typ:
        raise InvalidToken(f"typ is not {typ}")
    if claims.get("iss") != get_settings().base_url:
        raise InvalidToken("foreign issuer")
    found = claims.get("aud")
    wanted = [audience] if isinstance(audience, str) else audience
    if not any(name in wanted for name in (found if isinstance(found, list) else [found])):
        raise InvalidToken("other audience")
    moment = time.time()
    expires, issued = claims.get("exp"), claims.get("iat", 0)
    if not isinstance(expires, int) or expires <= moment:
        raise InvalidToken("expired")
    if not isinstance(issued, int) or issued > moment + CLOCK_TOLERANCE_SECONDS:
        raise InvalidToken("issued in the future")
    return claims


def decode_own(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return claims and header of a JWS signed by one of our published keys; raise InvalidToken otherwise."""
    if len(token) > MAXIMUM_TOKEN_BYTES:
        raise InvalidToken("too long")
    try:
        decoded = jwt.decode(token, _ring_for(token).verifying, algorithms=ALGORITHMS)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise InvalidToken(type(error).__name__) from None
    return decoded.claims, decoded.header


def public_keys(*uses: str) -> list[dict[str, Any]]:
    """Return the public JWKs (RFC 7517) of the uses named, of all uses if none is."""
    return [key for key in _ring().public if not uses or key["unternehmenskonto_use"] in uses]


def jwks() -> dict[str, Any]:
    """Return our JWK Set as published."""
    return {"keys": [{k: v for k, v in key.items() if k != "unternehmenskonto_use"} for key in public_keys()]}


def ensure_keys() -> None:
    """Make the keys every installation needs, so that discovery and JWKS are complete from the start."""
    for use, alg in (*(("token", alg) for alg in ALGORITHMS), ("receipt", "ES256"), ("client", "ES256")):
        _active(use, alg)


def new_key(use: str, alg: str, *, status: str) -> SigningKey:
    """Return a new key pair that is not in the database yet, its private half sealed."""
    kid = new_id().hex
    key = _generate(alg, kid)
    private = json.dumps(key.as_dict(private=True)).encode()
    return SigningKey(
        kid=kid,
        use=use,
        alg=alg,
        status=status,
        public_jwk=key.as_dict(private=False),
        sealed=seal(private, context=f"signing key {kid}"),
    )


def seal(plain: bytes, *, context: str) -> bytes:
    """Encrypt a secret for the database; the context must be the same when it is opened (AES-256-GCM)."""
    nonce = os.urandom(12)
    return nonce + AESGCM(_encryption_key()).encrypt(nonce, plain, context.encode())


def unseal(sealed: bytes, *, context: str) -> bytes:
    """Decrypt a secret from the database; raise InvalidToken if key or context differ."""
    try:
        return AESGCM(_encryption_key()).decrypt(sealed[:12], sealed[12:], context.encode())
    except InvalidTag:
        raise InvalidToken("sealed under another encryption_key") from None


def _encryption_key() -> bytes:
    return base64.b64decode(get_settings().encryption_key.get_secret_value())


def _active(use: str, alg: str) -> PrivateKey:
    key = _ring().active.get((use, alg))
    if key is None:
        _make(use, alg)
        current_app.extensions["key_ring"] = None
        key = _ring().active[(use, alg)]
    return key


def _make(use: str, alg: str) -> None:
    """Insert a key pair unless another process was first.

    In a transaction of its own: a request that fails later must not take back a key that was used already.
    """
    with Session(db.engine) as session, session.begin():
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"key {use} {alg}"})
        taken = select(SigningKey.kid).filter_by(use=use, alg=alg, status="active")
        if session.scalar(taken) is not None:
            return
        session.add(new_key(use, alg, status="active"))


def _generate(alg: str, kid: str) -> PrivateKey:
    parameters: Any = {"kid": kid, "use": "sig", "alg": alg}
    if alg in ("RS256", "PS256"):
        return RSAKey.generate_key(RSA_BITS, parameters)
    if alg == "ES256":
        return ECKey.generate_key("P-256", parameters)
    return OKPKey.generate_key("Ed25519", parameters)


def _ring() -> _Ring:
    ring: _Ring | None = current_app.extensions["key_ring"]
    if ring is None or time.monotonic() - ring.read_at > CACHE_SECONDS:
        ring = current_app.extensions["key_ring"] = _read(ring)
    return ring


def _ring_for(token: str) -> _Ring:
    """Return the ring, read anew if the token names a key that another process may have made since."""
    ring = _ring()
    kid = _kid(token)
    if kid in ring.kids or time.monotonic() - ring.read_at < REREAD_SECONDS:
        return ring
    ring = current_app.extensions["key_ring"] = _read(ring)
    return ring


def _kid(token: str) -> object:
    """Return the kid in the header of a token that is not verified yet; None if there is none."""
    head = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError):
        return None
    kid = header.get("kid") if isinstance(header, dict) else None
    return kid if isinstance(kid, str) else None


def _read(previous: _Ring | None) -> _Ring:
    """Read all keys; those already decrypted are taken over, because checking an RSA key is slow."""
    known = {key.kid: key for key in previous.active.values()} if previous else {}
    rows = db.session.scalars(select(SigningKey).order_by(SigningKey.created_at)).all()
    active: dict[tuple[str, str], PrivateKey] = {}
    public = []
    for row in rows:
        if _is_published(row):
            public.append({**row.public_jwk, "unternehmenskonto_use": row.use})
        if row.status == "active":
            active[(row.use, row.alg)] = known.get(row.kid) or _import(_private(row))
    kids = frozenset(row.kid for row in rows if _is_published(row))
    verifying = KeySet([_import(row.public_jwk) for row in rows if _is_published(row)])
    return _Ring(read_at=time.monotonic(), active=active, public=public, verifying=verifying, kids=kids)


def _is_published(row: SigningKey) -> bool:
    return row.status in PUBLISHED_STATUS or row.use == "receipt"


def _private(row: SigningKey) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unseal(row.sealed, context=f"signing key {row.kid}"))
    return found


def _import(private: dict[str, Any]) -> PrivateKey:
    kinds: dict[str, type[PrivateKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    return kinds[private["kty"]].import_key(private)
