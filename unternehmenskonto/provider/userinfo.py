"""The userinfo endpoint: identity data, for a living grant only, each disclosure recorded."""

import uuid
from collections.abc import Mapping
from typing import Any

from flask import Request, Response
from sqlalchemy import bindparam, select

from unternehmenskonto import audit, keys
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.permissions import ROLES
from unternehmenskonto.provider import claims, responses, tokens
from unternehmenskonto.provider.clients import OPENID_SCOPE, client_of
from unternehmenskonto.provider.models import Grant
from unternehmenskonto.provider.steps import PERMISSION

NO_TOKEN = "Send the access token in the Authorization header."  # noqa: S105 - a sentence
BAD_TOKEN = "The access token is expired, revoked or not meant for this address."  # noqa: S105 - a sentence
NO_SCOPE = "The access token was asked for without the scope openid."

_LIVING = (
    select(Membership, OnlineService)
    .join(OnlineService, OnlineService.slug == bindparam("service"))
    .where(Membership.id == bindparam("membership_id"), Membership.ended_at.is_(None), OnlineService.is_enabled)
)


def respond(request: Request) -> Response:
    """Return the claims of the bearer token's grant, or the refusal of RFC 6750 3.1."""
    if "access_token" in request.args:
        return responses.bearer_error("invalid_request", "Never send a token in the address.", status=400)
    header = request.headers.get("Authorization")
    if header is None:
        return responses.bearer_error(None, NO_TOKEN)
    scheme, _, token = header.partition(" ")
    content = _verify(token.strip()) if scheme.lower() == "bearer" else {}
    grant = grant_of(content)
    found = find_living(grant) if grant else None
    if grant is None or found is None:
        return responses.bearer_error("invalid_token", BAD_TOKEN)
    if OPENID_SCOPE not in str(content.get("scope")).split():
        return responses.bearer_error("insufficient_scope", NO_SCOPE, status=403)
    return responses.as_json(_disclose(grant, *found))


def _verify(token: str) -> dict[str, Any]:
    """Return the claims of an access token of ours for this address (RFC 9068 4); empty if it is none."""
    try:
        return keys.verify(token, typ=tokens.ACCESS_TOKEN_TYP, audience=tokens.userinfo_audience())
    except keys.InvalidToken:
        return {}


def grant_of(content: Mapping[str, Any]) -> Grant | None:
    """Return the grant that an access token names; None if there is none."""
    try:
        return db.session.get(Grant, uuid.UUID(hex=str(content.get(tokens.GRANT_CLAIM))))
    except ValueError:
        return None


def find_living(grant: Grant) -> tuple[Membership, OnlineService] | None:
    """Return whose values these are and who asks; None if grant, membership, right or service has ended."""
    if grant.revoked_at is not None:
        return None
    row = db.session.execute(_LIVING, {"membership_id": grant.membership_id, "service": grant.service}).first()
    if row is None or not any(PERMISSION in ROLES.get(role, ()) for role in row[0].roles):
        return None
    return row[0], row[1]


def _disclose(grant: Grant, membership: Membership, service: OnlineService) -> dict[str, Any]:
    """Return the values that were granted and that the registration still allows."""
    client = client_of(service)
    allowed = claims.granted(client) if client else []
    found = claims.values(
        [name for name in grant.claims if name in allowed],
        membership=membership,
        pseudonyms=claims.Subjects(sub=grant.sub, org_sub=grant.org_sub),
        login=claims.Login(assurance_level=grant.assurance_level, auth_time=grant.auth_time, amr=tuple(grant.amr)),
    )
    audit.record(
        "claims.disclosed",
        by=f"client:{grant.service}",
        company_id=grant.company_id,
        service=grant.service,
        claims=sorted(found),
    )
    return {"sub": grant.sub, **found}
