"""The person's own sessions: where they are signed in, and how to end that."""

import uuid

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from unternehmenskonto.login import own_sessions
from unternehmenskonto.login.config import providers
from unternehmenskonto.permissions import current_actor, signed_in

bp = Blueprint("own_sessions", __name__, url_prefix="/sitzungen")

PAGE = "/sitzungen"


@bp.get("")
@signed_in
def show() -> str:
    """Show every living session of this person."""
    return render_template(
        "login/sessions.html", sessions=own_sessions.list_own(current_actor()), providers=providers()
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
