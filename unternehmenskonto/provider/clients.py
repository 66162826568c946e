"""Online services as OpenID clients: read from the catalogue, never written here."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin
from flask import Flask, current_app
from sqlalchemy import event

from unternehmenskonto.catalogue.claims import STANDARD_SCOPES
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import run
from unternehmenskonto.provider.limits import CLIENT_SECONDS

DELIVERY_SCOPE = "mailbox.deliver"
REPLIES_SCOPE = "mailbox.replies"
CASES_SCOPE = "cases.write"
#: What software may ask for in its own name (RFC 6749 4.4).
API_SCOPES = (DELIVERY_SCOPE, REPLIES_SCOPE, CASES_SCOPE)
OPENID_SCOPE = "openid"
#: OpenID Connect Core 11: tokens that work while the person is away.
OFFLINE_SCOPE = "offline_access"
#: Every scope of a login, in the order told.
LOGIN_SCOPES = (OPENID_SCOPE, *STANDARD_SCOPES, OFFLINE_SCOPE)
AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
#: RFC 7591 2, where the registration names none.
DEFAULT_AUTH_METHOD = "client_secret_basic"
DEFAULT_ID_TOKEN_ALG = "RS256"  # noqa: S105 - an algorithm

#: Under this name the application keeps client_id -> when it was read, client.
EXTENSION = "clients"
_BY_SLUG = """
    SELECT slug, name, authority, client, sector, claims, is_enabled, is_mailbox_sender, start_url, fingerprint
    FROM online_services WHERE slug = %(slug)s
"""


@dataclass(frozen=True, kw_only=True)
class Client(ClientMixin):
    """A client as it was when the request came; no database object, so it may outlive the transaction."""

    client_id: str
    name: str
    authority: str
    sector: str
    start_url: str | None
    fingerprint: str
    is_mailbox_sender: bool
    registration: Mapping[str, Any]
    #: Claim name -> why the service needs it, in the order shown.
    purposes: Mapping[str, str] = field(default_factory=dict)

    @property
    def redirect_uris(self) -> list[str]:
        """Return the addresses that may receive a code."""
        return list(self.registration.get("redirect_uris") or ())

    @property
    def post_logout_redirect_uris(self) -> list[str]:
        """Return the addresses that may receive the browser after a logout."""
        return list(self.registration.get("post_logout_redirect_uris") or ())

    @property
    def auth_method(self) -> str:
        """Return the one way in which this client proves itself (RFC 7591 2)."""
        return str(self.registration.get("token_endpoint_auth_method") or DEFAULT_AUTH_METHOD)

    @property
    def minimum_assurance(self) -> str:
        """Return the lowest trust level the service accepts."""
        return str(self.registration.get("minimum_assurance") or "low")

    @property
    def id_token_alg(self) -> str:
        """Return the algorithm of this client's ID tokens."""
        return str(self.registration.get("id_token_signed_response_alg") or DEFAULT_ID_TOKEN_ALG)

    @property
    def may_work_offline(self) -> bool:
        """Tell whether the registration allows refresh tokens."""
        return bool(self.redirect_uris) and self.registration.get("offline_access") is True

    @property
    def request_uris(self) -> list[str]:
        """Return the addresses from which request objects may be fetched (OpenID Connect Registration 2)."""
        return list(self.registration.get("request_uris") or ())

    @property
    def request_object_alg(self) -> str | None:
        """Return the only algorithm for this client's request objects; None allows each that we know."""
        return self.registration.get("request_object_signing_alg")

    @property
    def requires_request_object(self) -> bool:
        """Tell whether nothing unsigned is taken from this client (RFC 9101 10.5)."""
        return self.registration.get("require_signed_request_object") is True

    @property
    def is_pkce_exempt(self) -> bool:
        """Tell whether the operator lets this one client go without PKCE."""
        return self.registration.get("pkce_exempt") is True

    @property
    def claim_names(self) -> list[str]:
        """Return the claims that the registration allows, in the order shown."""
        return list(self.purposes)

    @property
    def claim_scopes(self) -> frozenset[str]:
        """Return the registered scopes that ask for groups of claims; those claims come on request only."""
        return frozenset(STANDARD_SCOPES).intersection(self.registration.get("scopes") or ())

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return what of the asked scope this client may have; unknown values are left out (Core 3.1.2.1)."""
        allowed = {OPENID_SCOPE} if self.redirect_uris else set()
        if self.is_mailbox_sender:
            allowed |= {DELIVERY_SCOPE, REPLIES_SCOPE}
        # Whoever takes messages or reports cases without delivering: the registration names the scope.
        allowed |= {REPLIES_SCOPE, CASES_SCOPE}.intersection(self.registration.get("scopes") or ())
        if self.registration.get("scopes"):
            allowed &= set(self.registration["scopes"])
        if OPENID_SCOPE in allowed:
            allowed |= self.claim_scopes
        if self.may_work_offline:
            allowed.add(OFFLINE_SCOPE)
        return " ".join(value for value in dict.fromkeys((scope or "").split()) if value in allowed)

    def login_scope(self, scope: str | None) -> str:
        """Return what of the asked scope a login gives: openid, groups of claims and offline_access as registered."""
        found = self.get_allowed_scope(scope).split()
        return " ".join(name for name in LOGIN_SCOPES if name in found)

    def api_scope(self, scope: str | None) -> str:
        """Return what of the asked scope the client may have in its own name."""
        return " ".join(name for name in self.get_allowed_scope(scope).split() if name in API_SCOPES)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Tell whether the address is registered, character by character (RFC 9700 2.1)."""
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare the secret with the registered SHA-256 in constant time."""
        return is_secret(client_secret, self.registration.get("client_secret_sha256"))

    def check_grant_type(self, grant_type: str) -> bool:
        """Allow codes to whoever has an address, refresh to whom they are registered, the rest to mailbox senders."""
        if grant_type == "refresh_token":
            return bool(self.get_allowed_scope(OFFLINE_SCOPE))
        if grant_type == "authorization_code":
            return bool(self.get_allowed_scope(OPENID_SCOPE))
        is_proven = self.auth_method != "none"
        return grant_type == "client_credentials" and is_proven and bool(self.api_scope(" ".join(API_SCOPES)))


def is_secret(given: str, expected_sha256: object) -> bool:
    """Compare in constant time; without an expected value the same work is done in vain."""
    expected = expected_sha256 if isinstance(expected_sha256, str) and expected_sha256 else "-" * 64
    found = hashlib.sha256(given.encode()).hexdigest()
    return hmac.compare_digest(found.encode(), expected.lower().encode())


def init_app(app: Flask) -> None:
    """Start without having read any client."""
    app.extensions[EXTENSION] = {}


def find_client(client_id: str | None) -> Client | None:
    """Return the enabled client of this name; None if there is none. At most one query in CLIENT_SECONDS."""
    if not client_id:
        return None
    read: dict[str, tuple[float, Client]] = current_app.extensions[EXTENSION]
    known = read.get(client_id)
    if known is not None and time.monotonic() - known[0] < CLIENT_SECONDS:
        return known[1]
    rows = run(_BY_SLUG, {"slug": client_id})
    client = client_of(rows[0]) if rows else None
    if client is not None:
        read[client_id] = time.monotonic(), client
    else:
        read.pop(client_id, None)
    return client


@event.listens_for(OnlineService, "after_update")
@event.listens_for(OnlineService, "after_delete")
def _forget(_mapper: object, _connection: object, service: OnlineService) -> None:
    """Let this process see at once what it has changed itself."""
    if current_app:
        current_app.extensions[EXTENSION].pop(service.slug, None)


def client_of(service: Any) -> Client | None:
    """Return the client side of a catalogue entry or its row; None if it has none or is switched off."""
    if service is None or not service.is_enabled or not service.client:
        return None
    return Client(
        client_id=service.slug,
        name=service.name,
        authority=service.authority,
        sector=service.sector,
        start_url=service.start_url,
        fingerprint=service.fingerprint,
        is_mailbox_sender=service.is_mailbox_sender,
        registration=service.client,
        purposes={claim["name"]: claim.get("purpose", "") for claim in service.claims},
    )
