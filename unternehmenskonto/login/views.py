"""The pages of signing in and out. The identity provider is reached by a page of ours that leads on.

A form may only lead to ourselves (Content-Security-Policy form-action, which browsers apply to every redirect
after a form), but an identity provider may send people on to any number of places. So POST answers with a
page that leads on by itself, and not with a redirect.
"""

import secrets
import uuid
from dataclasses import replace

import structlog
from flask import Blueprint, g, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response

from unternehmenskonto.companies import assurance
from unternehmenskonto.db import db
from unternehmenskonto.errors import InvalidInput, NotFound, reference
from unternehmenskonto.login import (
    actions,
    breaker,
    claims,
    cookies,
    devices,
    linking,
    logout,
    logout_tokens,
    relying_party,
    sessions,
)
from unternehmenskonto.login.config import IdentityProvider, providers
from unternehmenskonto.login.errors import LoginFailed, TokenInvalid, TransactionUnknown
from unternehmenskonto.permissions import Actor, current_actor, public, signed_in
from unternehmenskonto.web import csrf, current_language, limiter, safe_path

log = structlog.get_logger()
bp = Blueprint("login", __name__)

#: Enough for a whole office behind one address, too little to try out states or to flood a provider.
ATTEMPTS = "30/minute"
#: All logouts of one provider come from a few addresses, at the end of a working day in a rush.
LOGOUT_TOKENS = "600/minute"
MAXIMUM_MAX_AGE = 12 * 3600
CLEAR_SITE_DATA = '"cache", "storage"'


@bp.get("/anmelden")
@public
def choose() -> str | Response:
    """Show where one can sign in; who is signed in already and need not prove it again goes on at once."""
    wish = _wish(request.args)
    if g.actor is not None and actions.is_good_enough(g.actor, wish):
        return redirect(wish.next_path, code=303)
    found = list(providers().values())
    down = {one.slug for one in found if breaker.of(one).seconds_down()}
    return render_template("login/choose.html", providers=found, down=down, wish=wish)


@bp.post("/anmelden/<slug>")
@public
@limiter.limit(ATTEMPTS)
def start(slug: str) -> Response:
    """Begin a login and lead to the identity provider."""
    return lead_on(find_provider(slug), _wish(request.form))


def lead_on(provider: IdentityProvider, wish: actions.Wish, *, linking_session_id: uuid.UUID | None = None) -> Response:
    """Begin a login, or the linking of one to the person of a session, and return the page that leads on."""
    browser = cookies.read(request, cookies.BROWSER) or secrets.token_urlsafe(actions.RANDOM_BYTES)
    _release_database()
    try:
        url = actions.begin_login(
            provider, wish, browser=browser, language=current_language(), linking_session_id=linking_session_id
        )
    except LoginFailed as error:
        return _failed(error, provider, wish, is_linking=linking_session_id is not None)
    response = Response(render_template("login/onward.html", url=url, provider=provider), mimetype="text/html")
    cookies.write(response, cookies.BROWSER, browser, seconds=cookies.BROWSER_SECONDS)
    return response


@bp.get("/anmelden/<slug>/rueckkehr")
@public
@limiter.limit(ATTEMPTS)
def callback(slug: str) -> Response:
    """Take the identity provider's answer; a session begins, or a page says why not."""
    provider, pending = find_provider(slug), None
    try:
        if any(len(values) > 1 for _, values in request.args.lists()):
            raise TransactionUnknown(detail="a parameter is given twice")
        browser = cookies.read(request, cookies.BROWSER)
        pending = actions.take_transaction(provider, state=request.args.get("state", ""), browser=browser)
        if pending.linking_session_id is not None:
            return _offer_link(provider, pending)
        token = _log_in(provider, pending)
    except LoginFailed as error:
        if pending is None:
            return _failed(error, provider, actions.Wish())
        response = _failed(error, provider, pending.wish, is_linking=pending.linking_session_id is not None)
        actions.record_refusal(provider, error.code)
        return response
    if g.actor is not None:
        actions.end_session(g.actor.session_id, "replaced")
    response = redirect(safe_path(pending.wish.next_path), code=303)
    cookies.write(response, cookies.SESSION, token)
    return response


@bp.post("/abmelden")
@public
def sign_out() -> Response:
    """End the session here, then lead to the identity provider to end it there too."""
    url = None
    if g.actor is not None:
        upstream = logout.upstream_login(g.actor.session_id)
        actions.end_session(g.actor.session_id, "signed_out")
        g.actor = None
        _release_database()
        url = logout.upstream_url(upstream)
    if url is None:
        response = redirect("/abgemeldet", code=303)
    else:
        response = Response(render_template("login/onward.html", url=url, provider=None), mimetype="text/html")
    cookies.remove(response, cookies.SESSION)
    response.headers["Clear-Site-Data"] = CLEAR_SITE_DATA
    return response


@bp.post("/anmelden/<slug>/abmeldung")
@csrf.exempt
@public
@limiter.limit(LOGOUT_TOKENS)
def back_channel_logout(slug: str) -> Response:
    """End the sessions that the identity provider has ended (OpenID Connect Back-Channel Logout 1.0 section 2.8)."""
    provider, given = find_provider(slug), request.form.getlist("logout_token")
    _release_database()
    try:
        if len(given) != 1:
            raise TokenInvalid(detail=f"{len(given)} logout tokens")
        number = logout_tokens.obey(provider, logout_tokens.check(provider, given[0]))
    except LoginFailed as error:
        db.session.rollback()
        log.warning("logout refused", identity_provider=provider.slug, code=error.code, detail=error.detail)
        return _logout_refused(error)
    log.info("logout of the identity provider", identity_provider=provider.slug, sessions=number)
    return Response(status=200, headers={"Cache-Control": "no-store"})


@bp.get("/abgemeldet")
@public
def signed_out() -> str:
    """Say that it is over; the identity provider comes back to here."""
    is_confirmed = logout.is_confirmed(request.args.get("state"))
    return render_template("login/signed_out.html", is_doubtful=is_confirmed is False)


@bp.post("/unternehmen/wechseln")
@signed_in
def change_company() -> Response:
    """Act for another company from now on."""
    try:
        membership_id = uuid.UUID(request.form.get("membership_id", ""))
    except ValueError:
        raise InvalidInput from None
    token = sessions.change_company(session_id=current_actor().session_id, membership_id=membership_id)
    response = redirect(safe_path(request.form.get("next", "/")), code=303)
    cookies.write(response, cookies.SESSION, token)
    return response


def _log_in(provider: IdentityProvider, pending: actions.Pending) -> str:
    """Return the cookie of a new session."""
    login, told = _prove(provider, pending)
    return actions.finish_login(
        provider,
        login,
        told,
        wanted_level=pending.wish.level,
        language=current_language(),
        device=devices.recognise(request.user_agent.string),
    )


def _offer_link(provider: IdentityProvider, pending: actions.Pending) -> Response:
    """Ask the person of the session that began whether this login is to be theirs too."""
    actor: Actor | None = g.actor
    if actor is None or actor.session_id != pending.linking_session_id:
        raise TransactionUnknown(detail="not the session that wants to add a login")
    login, told = _prove(provider, pending)
    offer = linking.make_offer(actor, provider, login, told)
    return redirect(f"/sitzungen/anmeldungen/{offer.id}", code=303)


def _prove(provider: IdentityProvider, pending: actions.Pending) -> tuple[relying_party.Login, claims.Told]:
    """Return who the provider says this is. The database is let go while the network is used."""
    authentication = relying_party.client_authentication(provider)
    _release_database()
    code = relying_party.check_response(provider, request.args)
    login = relying_party.exchange(
        provider,
        pending.request,
        code=code,
        authentication=authentication,
        earliest_auth_time=pending.earliest_auth_time,
    )
    actions.check_level(claims.level(provider, login.claims), pending.wish.level)
    return login, claims.understand(provider, login.claims)


def _logout_refused(error: LoginFailed) -> Response:
    """Tell software what went wrong: 400 for its token, 503 where its keys cannot be had and it may come again."""
    is_away = error.status == 503
    body = {
        "error": "temporarily_unavailable" if is_away else "invalid_request",
        "error_description": f"Reference {reference()}",
    }
    response = jsonify(body)
    response.status_code = 503 if is_away else 400
    response.headers["Cache-Control"] = "no-store"
    if is_away:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _release_database() -> None:
    """Commit what is done so far: a used transaction stays used, and no connection waits for a foreign server."""
    db.session.commit()


def find_provider(slug: str) -> IdentityProvider:
    """Return the identity provider of this address; raise NotFound if there is none."""
    found = providers().get(slug)
    if found is None:
        raise NotFound
    return found


def _wish(values: dict[str, str]) -> actions.Wish:
    """Read what the sign-in page was asked for; anything odd counts as not asked."""
    max_age, level = values.get("max_age", ""), values.get("level", "")
    is_number = max_age.isascii() and max_age.isdigit() and len(max_age) < 6
    return actions.Wish(
        next_path=safe_path(values.get("next", "/")),
        is_fresh=values.get("fresh") == "1",
        max_age=min(int(max_age), MAXIMUM_MAX_AGE) if is_number else None,
        level=level if level in assurance.LEVELS else "low",
        login_hint=actions.usable_hint(values.get("login_hint", "")),
    )


def _failed(
    error: LoginFailed, provider: IdentityProvider, wish: actions.Wish, *, is_linking: bool = False
) -> Response:
    """Show why a login failed and what to do; nothing that it wrote stays."""
    db.session.rollback()
    log.warning("login failed", identity_provider=provider.slug, code=error.code, detail=error.detail)
    others = [one for one in providers().values() if one.slug != provider.slug]
    page = render_template(
        "login/failed.html",
        error=error,
        provider=provider,
        others=[] if is_linking else others,
        is_linking=is_linking,
        wish=replace(wish, is_fresh=wish.is_fresh or error.needs_other_login),
        reference=reference(),
    )
    response = Response(page, status=error.status, mimetype="text/html")
    if error.status == 503:
        response.headers["Retry-After"] = str(error.retry_after)
    return response
