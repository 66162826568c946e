"""Logout at the wish of a service (OpenID Connect RP-Initiated Logout 1.0)."""

import time
from dataclasses import dataclass

from flask import Response, g, render_template, request, session
from flask_babel import lazy_gettext as _l

from unternehmenskonto import audit
from unternehmenskonto.db import db
from unternehmenskonto.errors import InvalidInput
from unternehmenskonto.login import actions as login
from unternehmenskonto.login import cookies
from unternehmenskonto.login.logout import upstream_login, upstream_url
from unternehmenskonto.permissions import Actor
from unternehmenskonto.provider import backchannel, hints, responses, tokens
from unternehmenskonto.provider.clients import Client, find_client
from unternehmenskonto.provider.limits import LOGOUT_DETOUR_SECONDS, MAXIMUM_LOGOUT_STATE_CHARACTERS
from unternehmenskonto.provider.parameters import Parameters

READ = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")
SIGNED_OUT_PATH = "/abgemeldet"
#: Entry in the browser's signed cookie: where to go on when the identity provider has logged out too.
DETOUR = "logout_target"
CLEAR_SITE_DATA = '"cache", "storage"'


@dataclass(frozen=True, kw_only=True)
class LogoutRequest:
    """A checked wish to log out: from whom (None if nobody is proven), for which session, where to go on."""

    client: Client | None
    sid: str | None
    target: str | None


def check(parameters: Parameters) -> LogoutRequest:
    """Return the checked request; raises InvalidInput, shown as a page, before anything is ended.

    Without a valid hint nobody knows who asks, so nobody is sent anywhere (section 3, section 6).
    """
    hint, state = parameters.get("id_token_hint"), parameters.get("state")
    if parameters.problem or len(state or "") > MAXIMUM_LOGOUT_STATE_CHARACTERS:
        raise _refusal(parameters.problem or "state is too long")
    if hint is None:
        return LogoutRequest(client=None, sid=None, target=None)
    try:
        claims = hints.verify(hint, client_id=parameters.get("client_id"))
    except hints.InvalidHint as error:
        raise _refusal(str(error)) from None
    client = find_client(claims["aud"])
    uri = parameters.get("post_logout_redirect_uri")
    if client is None or (uri is not None and uri not in client.post_logout_redirect_uris):
        raise _refusal("post_logout_redirect_uri is not registered")
    target = responses.with_query(uri, {"state": state} if state else {}) if uri else None
    return LogoutRequest(client=client, sid=claims["sid"], target=target)


def needs_question(asked: LogoutRequest, actor: Actor | None) -> bool:
    """Tell whether the person has to confirm: somebody is here, and the hint is not of this very session."""
    if actor is None:
        return False
    if asked.client is None or asked.sid is None:
        return True
    return asked.sid != tokens.session_name(actor.session_id, asked.client.client_id)


def finish(asked: LogoutRequest, actor: Actor | None) -> Response:
    """End the session here and at the identity provider, then go on to where the service wants the browser."""
    upstream = None
    if actor is not None:
        upstream = upstream_login(actor.session_id)
        login.end_session(actor.session_id, "signed_out")
        backchannel.close(actor.session_id)
        service = asked.client.client_id if asked.client else None
        audit.record(
            "provider.logged_out", by=f"person:{actor.person_id}", company_id=actor.company_id, service=service
        )
        g.actor = None
        # The logout stands, and no connection waits for a foreign server.
        db.session.commit()
    response = _onward(upstream_url(upstream), asked.target)
    cookies.remove(response, cookies.SESSION)
    response.headers["Clear-Site-Data"] = CLEAR_SITE_DATA
    return response


def _onward(upstream: str | None, target: str | None) -> Response:
    """Lead on; after a form by a page, because form-action holds redirects to the last (CSP 3, 4.2.7)."""
    if upstream is not None and target is not None:
        session[DETOUR] = {"to": target, "until": int(time.time()) + LOGOUT_DETOUR_SECONDS}
    url = upstream or target
    if url is None:
        return responses.redirect(SIGNED_OUT_PATH)
    if request.method == "POST":
        return Response(render_template("login/onward.html", url=url, provider=None), mimetype="text/html")
    return responses.redirect(url)


def return_to_service() -> Response | None:
    """Send a browser that comes back from the identity provider on to the service; before the page is shown."""
    if request.path != SIGNED_OUT_PATH or DETOUR not in session:
        return None
    detour = session.pop(DETOUR)
    return responses.redirect(detour["to"]) if detour["until"] >= time.time() else None


def _refusal(detail: str) -> InvalidInput:
    return InvalidInput(
        _l(
            "Ein Online-Dienst wollte Sie abmelden, aber seine Anfrage ist fehlerhaft. Sie sind noch angemeldet. "
            "Mit „Abmelden“ oben auf der Seite beenden Sie Ihre Sitzung selbst."
        ),
        code="invalid_logout_request",
        detail=detail,
    )
