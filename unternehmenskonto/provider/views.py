"""The addresses that clients call or send browsers to."""

from functools import cache
from urllib.parse import urlencode

from flask import Blueprint, Response, g, render_template, request
from flask.typing import ResponseReturnValue
from limits import RateLimitItem, RateLimitItemPerMinute

from unternehmenskonto.permissions import Actor, public
from unternehmenskonto.provider import (
    authorize,
    interactions,
    logout,
    metadata,
    pages,
    parameters,
    request_objects,
    responses,
    server,
    throttle,
    token_state,
    userinfo,
)
from unternehmenskonto.provider.limits import (
    LOGOUTS_LIMIT,
    METADATA_SECONDS,
    REQUEST_URI_LIMIT,
)
from unternehmenskonto.settings import get_settings
from unternehmenskonto.web import csrf, for_software, limiter

bp = Blueprint("provider", __name__)

AUTHORIZE_PATH = "/oauth/authorize"


by_logout = limiter.shared_limit(
    LOGOUTS_LIMIT, scope="end session", deduct_when=lambda response: response.status_code != 303
)


@bp.get("/.well-known/openid-configuration")
@bp.get("/.well-known/oauth-authorization-server")
@for_software
@public
def discovery() -> Response:
    """Tell what this provider can do (OpenID Connect Discovery 4, RFC 8414 3)."""
    return responses.metadata(metadata.document(), seconds=METADATA_SECONDS)


@bp.get("/oauth/jwks")
@for_software
@public
def jwks() -> Response:
    """Publish our public keys (RFC 7517 5)."""
    return responses.metadata(metadata.jwks(), seconds=METADATA_SECONDS)


@bp.route(AUTHORIZE_PATH, methods=["GET", "POST"])
@csrf.exempt
@public
def authorize_request() -> ResponseReturnValue:
    """Begin a login at a service (OpenID Connect Core 3.1.2)."""
    found = parameters.authorize_parameters(request)
    _bound(found)
    to = authorize.recipient(found)
    try:
        checked = authorize.check(to)
        if request.method == "POST":
            # A form from another site brings no session cookie (SameSite=Lax); the GET that follows does.
            kept = {name: value for name in authorize.CARRIED if (value := found.get(name))}
            return responses.redirect(responses.with_query(AUTHORIZE_PATH, kept))
        request_objects.use_up(to.parameters, to.client)
        return pages.proceed(checked)
    except responses.AuthorizeError as error:
        return pages.refuse(to, error)


def _bound(found: parameters.Parameters) -> None:
    """Hold the limits of account and address; raises TooManyRequests."""
    actor: Actor | None = g.get("actor")
    if actor is not None:
        throttle.count(_account_limit(get_settings().account_logins_per_minute), f"person:{actor.person_id}")
    if "request_uri" in found.values:
        throttle.count(REQUEST_URI_LIMIT, "request uri", str(request.remote_addr))


@cache
def _account_limit(logins: int) -> RateLimitItem:
    return RateLimitItemPerMinute(logins)


@bp.route("/oauth/weiter/<name>", methods=["GET", "POST"])
@public
def proceed(name: str) -> ResponseReturnValue:
    """Go on with a request that waits: show the page it needs, take the answer of that page."""
    interaction = interactions.find(name)
    to = authorize.recipient(parameters.Parameters(interaction.parameters, None), is_stored=True)
    try:
        checked = authorize.check(to)
        if request.method == "POST":
            return pages.answer(checked, name, interaction)
        return pages.proceed(checked, name, interaction)
    except responses.AuthorizeError as error:
        interactions.end(interaction)
        return pages.refuse(to, error)


@bp.post("/oauth/token")
@for_software
@public
def token() -> Response:
    """Exchange a code, or give an authority its token (RFC 6749 3.2)."""
    return server.token_response()


@bp.post("/oauth/introspect")
@for_software
@public
def introspect() -> Response:
    """Tell a client about its own token (RFC 7662 2)."""
    return token_state.introspect(request)


@bp.post("/oauth/revoke")
@for_software
@public
def revoke() -> Response:
    """End the grant behind a client's own token (RFC 7009 2)."""
    return token_state.revoke(request)


@bp.route("/oauth/userinfo", methods=["GET", "POST"])
@for_software
@public
def claims() -> Response:
    """Return the claims of the grant behind the access token (OpenID Connect Core 5.3)."""
    return userinfo.respond(request)


@bp.route("/oauth/end-session", methods=["GET", "POST"])
@csrf.exempt
@by_logout
@public
def end_session() -> ResponseReturnValue:
    """Log out at the wish of a service (RP-Initiated Logout 2)."""
    found = parameters.authorize_parameters(request)
    asked = logout.check(found)
    if request.method == "POST":
        kept = {name: value for name in logout.READ if (value := found.get(name))}
        return responses.redirect(f"/oauth/end-session?{urlencode(kept)}")
    actor: Actor | None = g.get("actor")
    if logout.needs_question(asked, actor):
        return render_template("provider/logout.html", asked=asked, parameters=found.values, read=logout.READ)
    return logout.finish(asked, actor)


@bp.post("/oauth/abmelden")
@by_logout
@public
def confirm_end_session() -> ResponseReturnValue:
    """Log out after the person said so on our page."""
    return logout.finish(logout.check(parameters.authorize_parameters(request)), g.get("actor"))
