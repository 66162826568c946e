"""The person's own sessions and logins: where they are signed in, how to end that, and how they get in."""

import uuid

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from unternehmenskonto.login import actions, linking, own_sessions
from unternehmenskonto.login.config import providers
from unternehmenskonto.login.views import ATTEMPTS, find_provider, lead_on
from unternehmenskonto.permissions import current_actor, signed_in
from unternehmenskonto.web import limiter

bp = Blueprint("own_sessions", __name__, url_prefix="/sitzungen")

PAGE = "/sitzungen"


@bp.get("")
@signed_in
def show() -> str:
    """Show every living session and every login of this person."""
    actor = current_actor()
    return render_template(
        "login/sessions.html",
        sessions=own_sessions.list_own(actor),
        logins=linking.list_own(actor),
        providers=providers(),
    )


@bp.post("/<uuid:session_id>/beenden")
@signed_in
def end(session_id: uuid.UUID) -> Response:
    """End one session; whoever ends the present one is led to the sign-in page."""
    own_sessions.end_own(current_actor(), session_id)
    flash(_("Die Sitzung ist beendet."), "success")
    return redirect(PAGE, code=303)


@bp.post("/andere-beenden")
@signed_in
def end_others() -> Response:
    """End all sessions but this one."""
    number = own_sessions.end_others(current_actor())
    flash(ngettext("Eine Sitzung ist beendet.", "%(num)d Sitzungen sind beendet.", number), "success")
    return redirect(PAGE, code=303)


@bp.post("/verlaengern")
@signed_in
def extend() -> Response:
    """Keep the session alive for a page that is being filled in; being asked at all is what does it."""
    return Response(status=204)


@bp.post("/anmeldungen/<slug>/hinzufuegen")
@signed_in
@limiter.limit(ATTEMPTS)
def begin_link(slug: str) -> Response:
    """Lead to the identity provider whose login is to be added."""
    actor, provider = current_actor(), find_provider(slug)
    if not linking.is_proved(actor):
        return _prove_first()
    wish = actions.Wish(next_path=PAGE, is_fresh=True)
    return lead_on(provider, wish, linking_session_id=actor.session_id)


@bp.get("/anmeldungen/<uuid:offer_id>")
@signed_in
def show_offer(offer_id: uuid.UUID) -> str:
    """Ask whether the login that was just proved is to be added."""
    offer = linking.find_offer(current_actor(), offer_id)
    return render_template("login/link.html", offer=offer, provider_name=find_provider(offer.identity_provider).name)


@bp.post("/anmeldungen/<uuid:offer_id>/bestaetigen")
@signed_in
def confirm_link(offer_id: uuid.UUID) -> Response:
    """Add the login."""
    linking.confirm(current_actor(), offer_id)
    flash(_("Die Anmeldung gehört jetzt zu Ihnen."), "success")
    return redirect(PAGE, code=303)


@bp.post("/anmeldungen/<uuid:offer_id>/verwerfen")
@signed_in
def refuse_link(offer_id: uuid.UUID) -> Response:
    """Forget the login."""
    linking.refuse(current_actor(), offer_id)
    flash(_("Die Anmeldung wurde nicht hinzugefügt."), "info")
    return redirect(PAGE, code=303)


@bp.post("/anmeldungen/<uuid:identity_id>/entfernen")
@signed_in
def unlink(identity_id: uuid.UUID) -> Response:
    """Take a login away, unless it is the last."""
    actor = current_actor()
    if not linking.is_proved(actor):
        return _prove_first()
    linking.unlink(actor, identity_id)
    flash(_("Die Anmeldung ist entfernt."), "success")
    return redirect(PAGE, code=303)


def _prove_first() -> Response:
    """Let the person prove once more who they are, then come back."""
    return redirect(actions.start_url(PAGE, is_fresh=True, max_age=linking.PROOF_SECONDS), code=303)
