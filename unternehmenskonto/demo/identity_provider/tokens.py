"""Signing keys, ID tokens, and reading back an ID token that comes as a hint."""

import base64
import hashlib
import time
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from unternehmenskonto.demo import keyfile

from .memory import Grant
from .misbehaviour import Behaviour

ID_TOKEN_SECONDS = 300


class Keys:
    """The current signing key and, after a rotation, the ones before it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.current = keyfile.load_or_create(path)
        self.retired: list[RSAKey] = []

    def rotate(self, keep_old: bool = True) -> None:
        """Sign with a new key from now on; without keep_old the old one vanishes from the key set."""
        self.retired = [self.current, *self.retired] if keep_old else []
        self.current = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
        keyfile.save(self._path, self.current)

    def published(self) -> dict[str, Any]:
        """Return the public key set (RFC 7517)."""
        return {"keys": [key.as_dict(private=False) for key in (self.current, *self.retired)]}


def at_hash(access_token: str) -> str:
    """Return the left half of the SHA-256 of an access token (OpenID Connect Core 3.1.3.6)."""
    digest = hashlib.sha256(access_token.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def id_token(issuer: str, grant: Grant, access_token: str, keys: Keys, behaviour: Behaviour) -> str:
    """Return the signed ID token for a grant (OpenID Connect Core 2)."""
    now = int(time.time())
    claims = {
        **grant.session.certificate.claims(),
        "iss": issuer,
        "sub": grant.session.certificate.subject,
        "aud": grant.request.client_id,
        "exp": now + ID_TOKEN_SECONDS,
        "iat": now,
        "auth_time": grant.session.auth_time,
        "acr": grant.session.certificate.acr,
        "amr": ["swk"],
        "sid": grant.session.sid,
        "at_hash": at_hash(access_token),
    }
    if grant.request.nonce is not None:
        claims["nonce"] = grant.request.nonce
    header = {"alg": "RS256", "typ": "JWT", "kid": keys.current.kid}
    return behaviour.forge(header, claims, keys.current)


def read_hint(issuer: str, hint: str, keys: Keys) -> dict[str, Any] | None:
    """Return the claims of an ID token of ours, expired or not; None if it is not ours.

    OpenID Connect RP-Initiated Logout 2: an expired ID token is still a good hint.
    """
    try:
        claims = jwt.decode(hint, KeySet([keys.current, *keys.retired]), ["RS256"]).claims
    except (JoseError, ValueError):
        return None
    return claims if claims.get("iss") == issuer else None
