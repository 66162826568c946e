"""The endpoints that people's browsers visit: start page, choice of certificate, logout."""

import secrets
import time
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from .authorization import AuthorizationError, UnsafeRequestError, check, needs_person
from .logout import tell_clients
from .memory import AuthorizationRequest, Grant, Interaction, Session
from .misbehaviour import changed
from .provider import Provider, current_provider
from .tokens import read_hint

SESSION_COOKIE = "demo_zertifikat_session"
BROWSER_COOKIE = "demo_zertifikat_browser"

pages = Blueprint("pages", __name__)


@pages.get("/")
def start() -> str:
    """Say what this is and who is logged in."""
    provider = current_provider()
    session = provider.memory.sessions.get(request.cookies.get(SESSION_COOKIE))
    return render_template("identity_provider/start.html", session=session, certificates=provider.certificates.values())


@pages.route("/authorize", methods=["GET", "POST"])
def authorize() -> ResponseReturnValue:
    """Answer an authorization request at once, or ask for a certificate first (OpenID Connect Core 3.1.2)."""
    provider = current_provider()
    wanted = check(request.values if request.method == "POST" else request.args, provider.clients)
    session = provider.memory.sessions.get(request.cookies.get(SESSION_COOKIE))
    if session and not needs_person(wanted, session, time.time()):
        return _send_code(provider, wanted, session)
    if "none" in wanted.prompt:
        return _send_back(provider, wanted, {"error": "login_required"})
    browser = request.cookies.get(BROWSER_COOKIE) or secrets.token_urlsafe(32)
    page = Response(
        render_template(
            "identity_provider/choose.html",
            interaction=provider.memory.interactions.put(Interaction(wanted, browser)),
            client=provider.clients[wanted.client_id],
            certificates=provider.certificates.values(),
        ),
        mimetype="text/html",
    )
    page.set_cookie(BROWSER_COOKIE, browser, httponly=True, samesite="Lax")
    return page


@pages.post("/certificate")
def certificate() -> ResponseReturnValue:
    """Take the choice of a certificate, start a session and go back to the client."""
    provider = current_provider()
    name = request.form.get("interaction")
    interaction = provider.memory.interactions.get(name)
    browser = request.cookies.get(BROWSER_COOKIE, "")
    # Another site must not log this browser in as somebody: the choice counts only where the page was shown.
    if interaction is None or not secrets.compare_digest(interaction.browser, browser):
        raise UnsafeRequestError("Diese Anmeldung ist abgelaufen oder gehört zu einem anderen Browser.")
    if "cancel" in request.form:
        provider.memory.interactions.take(name)
        return _send_back(provider, interaction.request, {"error": "access_denied"})
    chosen = provider.certificates.get(request.form.get("certificate", ""))
    if chosen is None:
        raise UnsafeRequestError("Bitte wählen Sie eines der Zertifikate der Liste.")
    if provider.memory.interactions.take(name) is None:
        raise UnsafeRequestError("Diese Auswahl wurde schon verwendet.")
    provider.memory.sessions.take(request.cookies.get(SESSION_COOKIE))
    session = Session(chosen, auth_time=int(time.time()))
    answer = _send_code(provider, interaction.request, session)
    answer.set_cookie(SESSION_COOKIE, provider.memory.sessions.put(session), httponly=True, samesite="Lax")
    return answer


@pages.route("/end-session", methods=["GET", "POST"])
def end_session() -> ResponseReturnValue:
    """End the session (RP-Initiated Logout 2); without a fitting hint only after a question."""
    provider = current_provider()
    session = provider.memory.sessions.get(request.cookies.get(SESSION_COOKIE))
    hint = request.values.get("id_token_hint")
    claims = read_hint(provider.issuer, hint, provider.keys) if hint else None
    if hint and claims is None:
        raise UnsafeRequestError("Der Nachweis der Anmeldung (id_token_hint) ist nicht gültig.")
    confirmed = request.method == "POST" and "confirm" in request.form
    if session and not confirmed and (claims is None or claims.get("sid") != session.sid):
        return render_template("identity_provider/confirm_logout.html", session=session)
    target = _logout_target(provider, claims, request.values)
    page = Response(render_template("identity_provider/logged_out.html"), mimetype="text/html")
    answer = redirect(target, 303) if target else page
    ended = provider.memory.sessions.take(request.cookies.get(SESSION_COOKIE))
    if ended is not None:
        tell_clients(provider, ended, knows=str(claims["aud"]) if claims else None)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="Lax")
    return answer


def _logout_target(
    provider: Provider, claims: Mapping[str, object] | None, parameters: Mapping[str, str]
) -> str | None:
    """Return where to go after logout, or None for a page of our own.

    Only an address registered for the client of a valid hint counts; all else would be an open redirector.
    """
    uri = parameters.get("post_logout_redirect_uri")
    client = provider.clients.get(str(claims.get("aud"))) if claims else None
    if uri is None or client is None:
        return None
    if parameters.get("client_id", client.client_id) != client.client_id:
        raise UnsafeRequestError("Die Angaben zum Dienst widersprechen sich.")
    if uri not in client.post_logout_redirect_uris:
        raise UnsafeRequestError("Die Rückkehradresse nach der Abmeldung gehört nicht zu diesem Dienst.")
    return _with_parameters(uri, {"state": parameters.get("state")})


def _send_code(provider: Provider, wanted: AuthorizationRequest, session: Session) -> Response:
    return _send_back(provider, wanted, {"code": provider.memory.codes.put(Grant(wanted, session))})


def _send_back(provider: Provider, wanted: AuthorizationRequest, parameters: dict[str, str]) -> Response:
    # RFC 9207: the issuer tells the client which provider answered.
    honest = {**parameters, "state": wanted.state, "iss": provider.issuer}
    return redirect(_with_parameters(wanted.redirect_uri, changed(honest, provider.behaviour.callback)), 303)


def _with_parameters(uri: str, parameters: Mapping[str, str | None]) -> str:
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    if not query:
        return uri
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{query}"


@pages.errorhandler(AuthorizationError)
def tell_client(error: AuthorizationError) -> ResponseReturnValue:
    """Send an error back to the client."""
    answer = {
        "error": error.error,
        "error_description": str(error),
        "state": error.state,
        "iss": current_provider().issuer,
    }
    return redirect(_with_parameters(error.redirect_uri, answer), 303)


@pages.errorhandler(UnsafeRequestError)
def tell_person(error: UnsafeRequestError) -> ResponseReturnValue:
    """Show an error to the person, because there is nobody to send it to."""
    return render_template("identity_provider/refused.html", reason=str(error)), 400
