"""Registered clients and how they prove who they are at the token endpoint."""

import base64
import binascii
import hmac
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import requests
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from .memory import Shelf

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS = ["RS256", "PS256", "ES256", "Ed25519", "EdDSA"]
MAX_ASSERTION_SECONDS = 300
CLOCK_TOLERANCE_SECONDS = 10
FETCH_TIMEOUT_SECONDS = 5
KEYS_FRESH_SECONDS = 300
KEYS_REFETCH_SECONDS = 10


class ClientError(Exception):
    """The client did not prove its identity; becomes `invalid_client`."""


@dataclass(frozen=True)
class Client:
    """A relying party. It has a `jwks_uri`, a fixed key set or a secret."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...] = ()
    #: Where it wants to be told that a session is over; None: nowhere.
    backchannel_logout_uri: str | None = None
    jwks_uri: str | None = None
    jwks: Mapping[str, Any] | None = None
    secret: str | None = None


class ClientAuthenticator:
    """Check client_secret_basic (RFC 6749, 2.3.1) and private_key_jwt (OpenID Connect Core 9)."""

    def __init__(self, issuer: str, clients: dict[str, Client], assertions: Shelf[bool]) -> None:
        self.issuer = issuer
        self.clients = clients
        self._assertions = assertions
        self._key_sets: dict[str, tuple[float, KeySet]] = {}
        self._lock = threading.Lock()

    def authenticate(self, authorization: str | None, form: Mapping[str, str]) -> Client:
        """Return the client that sent this token request; raises ClientError."""
        assertion = form.get("client_assertion")
        if authorization and assertion:
            raise ClientError("use one way of authentication, not two")
        if assertion:
            client = self._by_assertion(form.get("client_assertion_type"), assertion)
        elif authorization:
            client = self._by_secret(authorization)
        else:
            raise ClientError("no client authentication; use private_key_jwt or client_secret_basic")
        if form.get("client_id", client.client_id) != client.client_id:
            raise ClientError("client_id names another client")
        return client

    def _by_secret(self, authorization: str) -> Client:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            raise ClientError("the Authorization header must use Basic")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ClientError("the Authorization header is not readable") from error
        client = self.clients.get(unquote_plus(user))
        expected = client.secret if client else None
        if not client or not expected:
            raise ClientError("unknown client, or a client without a secret")
        if not hmac.compare_digest(expected.encode(), unquote_plus(password).encode()):
            raise ClientError("wrong secret")
        return client

    def _by_assertion(self, assertion_type: str | None, assertion: str) -> Client:
        if assertion_type != ASSERTION_TYPE:
            raise ClientError("client_assertion_type must be " + ASSERTION_TYPE)
        client = self.clients.get(_claimed_issuer(assertion))
        if client is None:
            raise ClientError("unknown client")
        try:
            claims = self._verified(client, assertion)
        except (JoseError, ValueError, KeyError, TypeError, requests.RequestException) as error:
            raise ClientError(f"the client assertion does not verify: {error}") from error
        self._check_claims(client, claims)
        return client

    def _verified(self, client: Client, assertion: str) -> dict[str, Any]:
        try:
            return jwt.decode(assertion, self._keys(client, 0), ASSERTION_ALGORITHMS).claims
        except (JoseError, ValueError):
            # A new key of the client may be younger than our copy of its key set.
            return jwt.decode(assertion, self._keys(client, 1), ASSERTION_ALGORITHMS).claims

    def _keys(self, client: Client, attempt: int) -> KeySet:
        if client.jwks is not None:
            return KeySet.import_key_set({"keys": list(client.jwks["keys"])})
        if client.jwks_uri is None:
            raise ClientError("this client has no keys")
        with self._lock:
            fetched_at, keys = self._key_sets.get(client.jwks_uri, (0.0, None))
        age = time.time() - fetched_at
        if keys is not None and age < (KEYS_FRESH_SECONDS, KEYS_REFETCH_SECONDS)[attempt]:
            return keys
        answer = requests.get(client.jwks_uri, timeout=FETCH_TIMEOUT_SECONDS, allow_redirects=False)
        answer.raise_for_status()
        keys = KeySet.import_key_set(answer.json())
        with self._lock:
            self._key_sets[client.jwks_uri] = (time.time(), keys)
        return keys

    def _check_claims(self, client: Client, claims: dict[str, Any]) -> None:
        now = time.time()
        if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
            raise ClientError("iss and sub of the assertion must be the client_id")
        # RFC 10070: the issuer as a single string; anything else could be meant for another server.
        if claims.get("aud") != self.issuer:
            raise ClientError("aud of the assertion must be exactly the issuer")
        exp, jti = claims.get("exp"), claims.get("jti")
        if not isinstance(exp, int) or not now - CLOCK_TOLERANCE_SECONDS < exp <= now + (
            MAX_ASSERTION_SECONDS + CLOCK_TOLERANCE_SECONDS
        ):
            raise ClientError("exp of the assertion must lie within the next 5 minutes")
        if not isinstance(jti, str) or not jti:
            raise ClientError("the assertion needs a jti")
        if not self._assertions.put_once(True, name=f"{client.client_id} {jti}"):
            raise ClientError("this assertion was used before")


def _claimed_issuer(assertion: str) -> str:
    """Return `iss` as it stands in the unverified assertion; only to find the keys that decide."""
    try:
        payload = assertion.split(".")[1]
        issuer = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))).get("iss")
    except (IndexError, ValueError, AttributeError) as error:
        raise ClientError("the client assertion is not a JWT") from error
    return str(issuer)
