"""Dynamic registration (RFC 7591, RFC 7592): with an operator's token only, and never beyond what it allows.

A registered service is not listed, gets no claims but those its token allows, and is told so. Only hashes of
tokens and secrets are kept.
"""

import hashlib
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
from flask_babel import gettext as _
from sqlalchemy import select, update

from unternehmenskonto import audit
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db, now
from unternehmenskonto.provider import revoking, schemas, sectors
from unternehmenskonto.provider.models import digest
from unternehmenskonto.provider.registration_models import Registration, RegistrationToken
from unternehmenskonto.settings import get_settings

SECRET_BYTES = 32
REGISTER_PATH = "/oauth/register"
CLIENT_ID_PREFIX = "dyn-"
MINIMUM_ASSURANCE = "substantial"
MAXIMUM_TOKEN = 200
NO_OFFLINE = (
    "The operator's token does not allow refresh tokens. Leave refresh_token out of grant_types and offline_access "
    "out of scope, or ask the operator for a token made with --offline-access."
)


class Unauthorized(Exception):
    """No token, or none that is good for this."""


@dataclass(frozen=True)
class Registered:
    """A client after its request, and what only the answer shows; None where nothing was made."""

    service: OnlineService
    created_at: int
    secret: str | None = None
    access_token: str | None = None


def make_token(
    *,
    uses: int,
    days: int,
    authority: str,
    claims: Iterable[str],
    by: str,
    pkce_exempt_reason: str | None = None,
    allows_offline: bool = False,
) -> str:
    """Make an initial access token and return it, which is shown once."""
    token = secrets.token_urlsafe(SECRET_BYTES)
    row = RegistrationToken(
        token_hash=digest(token),
        authority=authority,
        claims=list(claims),
        pkce_exempt_reason=pkce_exempt_reason,
        allows_offline=allows_offline,
        uses_left=uses,
        made_by=by,
        expires_at=now() + timedelta(days=days),
    )
    db.session.add(row)
    db.session.flush()
    audit.record("registration.token_made", by=by, token_id=row.id, uses=uses, days=days, claims=row.claims)
    return token


def register(values: object, token: str | None) -> Registered:
    """Make a client; raises Unauthorized or schemas.InvalidMetadata.

    A refused request costs the token nothing.
    """
    initial = _living_token(token)
    token_id, exempt = initial.id, initial.pkce_exempt_reason
    metadata = _parse(values, initial)
    sector = _sector(metadata)
    initial = _spend(token_id)
    secret = secrets.token_urlsafe(SECRET_BYTES) if _has_secret(metadata) else None
    access_token = secrets.token_urlsafe(SECRET_BYTES)
    slug = CLIENT_ID_PREFIX + secrets.token_hex(16)
    purpose = _("Vom Betreiber für diesen Dienst freigegeben.")
    service = OnlineService(
        slug=slug,
        authority=initial.authority,
        is_listed=False,
        claims=[{"name": name, "purpose": purpose} for name in initial.claims],
    )
    pkce = {"pkce_exempt": True, "pkce_exempt_reason": exempt} if exempt else {}
    _write(service, metadata, sector=sector, more={**_digest_of(secret), **pkce})
    db.session.add(service)
    db.session.flush()
    row = Registration(service=slug, token_hash=digest(access_token), token_id=token_id)
    db.session.add(row)
    db.session.flush()
    audit.record("client.registered", by=f"client:{slug}", service=slug, token_id=token_id)
    return Registered(service, int(row.created_at.timestamp()), secret, access_token)


def read(client_id: str, token: str | None) -> Registered:
    """Return the registration that this token looks after; raises Unauthorized (RFC 7592 2.1)."""
    row = _own(client_id, token)
    return Registered(db.session.get_one(OnlineService, client_id), int(row.created_at.timestamp()))


def change(client_id: str, token: str | None, values: object) -> Registered:
    """Replace the metadata as a whole; raises Unauthorized or schemas.InvalidMetadata (RFC 7592 2.2)."""
    row = _own(client_id, token)
    created_at = int(row.created_at.timestamp())
    metadata = _parse(values, db.session.get_one(RegistrationToken, row.token_id))
    if not isinstance(values, dict) or values.get("client_id") != client_id:
        raise schemas.InvalidMetadata("invalid_client_metadata", "client_id must be sent, and be this client's.")
    sector = _sector(metadata)
    service = db.session.get_one(OnlineService, client_id, with_for_update=True)
    known = service.client or {}
    kept: dict[str, Any] = {name: known[name] for name in ("pkce_exempt", "pkce_exempt_reason") if name in known}
    secret = None
    if _has_secret(metadata):
        if "client_secret_sha256" in known:
            kept["client_secret_sha256"] = known["client_secret_sha256"]
        else:
            secret = secrets.token_urlsafe(SECRET_BYTES)
    _write(service, metadata, sector=sector, more={**kept, **_digest_of(secret)})
    db.session.get_one(Registration, client_id).updated_at = now()
    audit.record("client.changed", by=f"client:{client_id}", service=client_id)
    db.session.flush()
    return Registered(service, created_at, secret)


def end(client_id: str, token: str | None) -> None:
    """Switch the client off and end its grants; raises Unauthorized (RFC 7592 2.3)."""
    _own(client_id, token)
    remove(client_id, by=f"client:{client_id}")


def remove(client_id: str, *, by: str) -> bool:
    """Switch a registered client off and end its grants; tell whether there was one. The rows stay as evidence."""
    row = db.session.get(Registration, client_id)
    if row is None or row.ended_at is not None:
        return False
    row.ended_at = now()
    db.session.get_one(OnlineService, client_id).is_enabled = False
    revoking.revoke_all_of(client_id, by=by, reason="client_removed")
    audit.record("client.removed", by=by, service=client_id)
    db.session.flush()
    return True


def grant_claims(client_id: str, purposes: dict[str, str], *, by: str) -> bool:
    """Let a registered client receive these claims and no others; tell whether there is such a client."""
    row = db.session.get(Registration, client_id)
    if row is None or row.ended_at is not None:
        return False
    service = db.session.get_one(OnlineService, client_id)
    service.claims = [{"name": name, "purpose": purpose} for name, purpose in purposes.items()]
    audit.record("client.claims_granted", by=by, service=client_id, claims=sorted(purposes))
    db.session.flush()
    return True


def answer(registered: Registered) -> dict[str, Any]:
    """Return the client information (RFC 7591 3.2.1, RFC 7592 3); secrets only when they were made just now."""
    service = registered.service
    hidden = {"client_secret_sha256", "minimum_assurance", "scopes", "offline_access"}
    found: dict[str, Any] = {
        "client_id": service.slug,
        "client_id_issued_at": registered.created_at,
        "client_name": service.name,
        **{name: value for name, value in (service.client or {}).items() if name not in hidden},
        "scope": " ".join((service.client or {})["scopes"]),
        "registration_client_uri": f"{get_settings().base_url}{REGISTER_PATH}/{service.slug}",
        # Ours: a registration alone discloses nothing; an operator says what may be passed on.
        "granted_claims": service.claim_names,
        "listed": service.is_listed,
    }
    if registered.secret is not None:
        found |= {"client_secret": registered.secret, "client_secret_expires_at": 0}
    if registered.access_token is not None:
        found["registration_access_token"] = registered.access_token
    return found


def _living_token(token: str | None) -> RegistrationToken:
    found = db.session.scalar(
        select(RegistrationToken).where(
            RegistrationToken.token_hash == digest(token or ""),
            RegistrationToken.uses_left > 0,
            RegistrationToken.expires_at > now(),
        )
    )
    if found is None:
        raise Unauthorized
    return found


def _spend(token_id: uuid.UUID) -> RegistrationToken:
    """Take one use; of parallel requests the last one gets nothing."""
    spent: RegistrationToken | None = db.session.scalar(
        update(RegistrationToken)
        .where(RegistrationToken.id == token_id, RegistrationToken.uses_left > 0)
        .values(uses_left=RegistrationToken.uses_left - 1)
        .returning(RegistrationToken)
    )
    if spent is None:
        raise Unauthorized
    return spent


def _own(client_id: str, token: str | None) -> Registration:
    """Return the living registration; the token of another client is as good as none (RFC 7592 3)."""
    found = db.session.scalar(
        select(Registration).where(
            Registration.service == client_id,
            Registration.token_hash == digest(token or ""),
            Registration.ended_at.is_(None),
        )
    )
    if found is None:
        raise Unauthorized
    return found


def _parse(values: object, token: RegistrationToken) -> schemas.ClientMetadata:
    """Return the metadata if they are good and the operator's token allows them; raises InvalidMetadata."""
    metadata = schemas.parse(values, is_local=get_settings().is_local)
    if "refresh_token" in metadata.grant_types and not token.allows_offline:
        raise schemas.InvalidMetadata("invalid_client_metadata", NO_OFFLINE)
    return metadata


def _sector(metadata: schemas.ClientMetadata) -> str:
    """Return the sector (Core 8.1): proven by its list, or the one host of the redirect URIs."""
    if metadata.sector_identifier_uri is not None:
        try:
            return sectors.check(metadata.sector_identifier_uri, metadata.redirect_uris)
        except sectors.InvalidSector as error:
            raise schemas.InvalidMetadata("invalid_client_metadata", f"{error}.") from None
    hosts = {str(urlsplit(uri).hostname) for uri in metadata.redirect_uris}
    if len(hosts) != 1:
        reason = "redirect_uris have several hosts; send sector_identifier_uri"
        raise schemas.InvalidMetadata("invalid_client_metadata", reason)
    return hosts.pop()


def _has_secret(metadata: schemas.ClientMetadata) -> bool:
    return metadata.token_endpoint_auth_method.startswith("client_secret")


def _digest_of(secret: str | None) -> dict[str, str]:
    return {"client_secret_sha256": hashlib.sha256(secret.encode()).hexdigest()} if secret else {}


def _write(service: OnlineService, metadata: schemas.ClientMetadata, *, sector: str, more: dict[str, Any]) -> None:
    service.name = metadata.client_name or service.slug
    service.sector = sector
    service.client = {**metadata.registration(), **more, "minimum_assurance": MINIMUM_ASSURANCE}
    service.fingerprint = hashlib.sha256(orjson.dumps(service.client, option=orjson.OPT_SORT_KEYS)).hexdigest()
