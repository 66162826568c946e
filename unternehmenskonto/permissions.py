"""Who may do what: roles, the permissions they give, and the door before every route.

Every view names one of @public, @signed_in, @require(permission) or @api_scope(scope). A view that names
none is refused for everybody.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import structlog
from flask import Flask, current_app, g, request
from flask_babel import lazy_gettext as _l

from unternehmenskonto import keys
from unternehmenskonto.db import db
from unternehmenskonto.errors import Forbidden, SignInRequired
from unternehmenskonto.settings import get_settings

log = structlog.get_logger()
View = TypeVar("View", bound=Callable[..., Any])

PERMISSIONS = {
    "company.manage": _l("Personen und Rechte verwalten"),
    "mailbox.read": _l("Nachrichten lesen"),
    "mailbox.manage": _l("Nachrichten bearbeiten (ungelesen, Archiv)"),
    "mailbox.send": _l("Nachrichten für das Unternehmen an Behörden senden (zusammen mit „Postfach“)"),
    "services.use": _l("Online-Dienste für das Unternehmen nutzen"),
}
ROLES: dict[str, frozenset[str]] = {
    "administrator": frozenset({"company.manage"}),
    "mailbox": frozenset({"mailbox.read", "mailbox.manage"}),
    # Sending binds the company, reading does not: a right of its own.
    "correspondence": frozenset({"mailbox.send"}),
    "services": frozenset({"services.use"}),
}
ROLE_NAMES = {
    "administrator": _l("Verwaltung"),
    "mailbox": _l("Postfach"),
    "correspondence": _l("Nachrichten senden"),
    "services": _l("Online-Dienste"),
}
SCOPES = ("mailbox.deliver", "mailbox.replies", "cases.write")


@dataclass(frozen=True, kw_only=True)
class Actor:
    """The person at the keyboard and the company they act for in this session."""

    person_id: uuid.UUID
    person_name: str
    company_id: uuid.UUID
    company_name: str
    membership_id: uuid.UUID
    session_id: uuid.UUID
    assurance_level: str
    auth_time: datetime
    #: How they proved who they are (RFC 8176).
    amr: tuple[str, ...] = ()
    roles: frozenset[str] = field(default_factory=frozenset)
    #: Whether the person may act for another company too.
    has_other_companies: bool = False
    #: When the session ends however busy the person is; None where there is no such end.
    session_ends_at: datetime | None = None

    @property
    def permissions(self) -> frozenset[str]:
        """Return what the roles of this membership allow."""
        return frozenset().union(*(ROLES.get(role, frozenset()) for role in self.roles))

    def may(self, permission: str) -> bool:
        """Tell whether the roles of this membership give the permission."""
        return permission in self.permissions


@dataclass(frozen=True, kw_only=True)
class ApiClient:
    """The software at the API: an access token of ours, already verified (RFC 9068)."""

    client_id: str
    scopes: frozenset[str]


@dataclass(frozen=True)
class Access:
    """What a view asks of its caller; kind is public, signed_in, permission or scope."""

    kind: str
    name: str = ""


def public(view: View) -> View:
    """Open the view to everybody."""
    return _mark(view, Access("public"))


def signed_in(view: View) -> View:
    """Open the view to every person with a session."""
    return _mark(view, Access("signed_in"))


def require(permission: str) -> Callable[[View], View]:
    """Open the view to persons whose roles give the permission."""
    if permission not in PERMISSIONS:
        raise ValueError(f"unknown permission {permission}")
    return lambda view: _mark(view, Access("permission", permission))


def api_scope(scope: str) -> Callable[[View], View]:
    """Open the view to software with an access token of this scope."""
    if scope not in SCOPES:
        raise ValueError(f"unknown scope {scope}")
    return lambda view: _mark(view, Access("scope", scope))


def access_of(view: Callable[..., Any]) -> Access | None:
    """Return what the view declared; None if it declared nothing."""
    found: Access | None = getattr(view, "access", None)
    return found


def current_actor() -> Actor:
    """Return who is signed in; raise SignInRequired if nobody is."""
    actor: Actor | None = g.get("actor")
    if actor is None:
        raise SignInRequired
    return actor


def current_client() -> ApiClient:
    """Return the software that calls the API; only inside views marked with @api_scope."""
    client: ApiClient = g.api_client
    return client


def init_app(app: Flask) -> None:
    """Put the door before every route."""
    public(app.view_functions["static"])
    app.before_request(check)


def _mark(view: View, access: Access) -> View:
    view.access = access  # type: ignore[attr-defined]
    return view


def check() -> None:
    """Let the caller through to the view, or raise SignInRequired or Forbidden."""
    if request.endpoint is None:
        return  # no such address (404) or not with this method (405): Flask tells it after us
    access = access_of(current_app.view_functions[request.endpoint])
    if access is None:
        log.error("route without permission", endpoint=request.endpoint)
        raise Forbidden(code="no_permission_declared")
    if access.kind == "scope":
        g.api_client = _bearer(access.name)
        # Gives the connection back: what follows may be an upload that takes minutes.
        db.session.commit()
    elif access.kind != "public":
        actor = current_actor()
        if access.kind == "permission" and not actor.may(access.name):
            raise Forbidden(detail=access.name)


def _bearer(scope: str) -> ApiClient:
    """Verify the access token of the Authorization header (RFC 6750 section 2.1, RFC 9068 section 4)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise SignInRequired(_l("Es fehlt ein Zugriffstoken (Authorization: Bearer …)."), code="invalid_token")
    try:
        claims = keys.verify(token, typ="at+jwt", audience=f"{get_settings().base_url}/api/v1")
    except keys.InvalidToken as error:
        raise SignInRequired(
            _l("Das Zugriffstoken ist ungültig oder abgelaufen. Holen Sie ein neues an /oauth/token."),
            code="invalid_token",
            detail=str(error),
        ) from None
    scopes = frozenset(str(claims.get("scope", "")).split())
    if scope not in scopes:
        raise Forbidden(
            _l("Dem Zugriffstoken fehlt der Scope für diese Adresse."), code="insufficient_scope", scope=scope
        )
    return ApiClient(client_id=str(claims["client_id"]), scopes=scopes)
