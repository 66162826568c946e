"""The pages of the calendar: one deadline as a file, the personal address, and what lies behind it."""

import hashlib
import uuid

from flask import Blueprint, Response, flash, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from unternehmenskonto.mailbox.watch import actions, due, feeds
from unternehmenskonto.mailbox.watch.calendar import MEDIA_TYPE, Style, calendar
from unternehmenskonto.mailbox.watch.forms import FeedForm
from unternehmenskonto.permissions import current_actor, public, require
from unternehmenskonto.web import current_language, limiter

bp = Blueprint("watch_calendar", __name__)

#: A calendar asks a few times an hour; somebody who guesses asks more often.
READS_LIMIT = "120 per hour"
MISSES_LIMIT = "30 per minute"


def _address() -> str:
    secret = str((request.view_args or {}).get("secret", ""))
    return f"calendar:{hashlib.sha256(secret.encode()).hexdigest()}"


@bp.get("/fristen/<uuid:message_id>/kalender.ics")
@require("mailbox.read")
def download(message_id: uuid.UUID) -> Response:
    """Hand out one deadline as a calendar file, with the subject only if it is asked for; opens nothing."""
    actor = current_actor()
    message = due.decision_of(actor=actor, message_id=message_id)
    style = Style(
        language=current_language(),
        with_subject=request.args.get("betreff") == "ja",
        company=actor.company_name,
        alarm_days=actions.settings_of(actor.company_id).reminder_days,
    )
    response = Response(calendar([message], style), content_type=MEDIA_TYPE)
    response.headers["Content-Disposition"] = f'attachment; filename="frist-{message.due_on}.ics"'
    return response


@bp.get("/kalender/<secret>.ics")
@limiter.limit(READS_LIMIT, key_func=_address)
@limiter.limit(MISSES_LIMIT, deduct_when=lambda response: response.status_code == 404)
@public
def feed(secret: str) -> Response:
    """Hand out the deadlines to whoever knows the address; 304 while nothing has changed (RFC 9110 section 13.1.2)."""
    response = Response(feeds.read(secret), content_type=MEDIA_TYPE)
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["X-Robots-Tag"] = "noindex"
    response.add_etag()
    response.make_conditional(request)
    return response


@bp.route("/fristen/kalender", methods=["GET", "POST"])
@require("mailbox.read")
def edit_feed() -> tuple[str, int] | AnyResponse:
    """Show the calendar address of the person; make it, or change what it tells."""
    actor = current_actor()
    found = feeds.feed_of(actor)
    form = FeedForm(
        data={"detail": found.detail if found else "dates", "language": found.language if found else current_language()}
    )
    if not form.validate_on_submit():
        return _page(form, found, ""), 422 if form.errors else 200
    if found is None:
        address = feeds.renew(actor=actor, detail=form.detail.data, language=form.language.data)
        return _page(form, feeds.feed_of(actor), address), 200
    feeds.change(actor=actor, detail=form.detail.data, language=form.language.data)
    flash(_("Gespeichert. Ihr Kalender zeigt es beim nächsten Abruf."), "success")
    return redirect("/fristen/kalender", code=303)


@bp.post("/fristen/kalender/erneuern")
@require("mailbox.read")
def renew_feed() -> str:
    """Replace the address by a new one; the old one is dead."""
    actor = current_actor()
    found = feeds.feed_of(actor)
    detail, language = (found.detail, found.language) if found else ("dates", current_language())
    address = feeds.renew(actor=actor, detail=detail, language=language)
    return _page(FeedForm(formdata=None, data={"detail": detail, "language": language}), feeds.feed_of(actor), address)


@bp.post("/fristen/kalender/widerrufen")
@require("mailbox.read")
def revoke_feed() -> AnyResponse:
    """End the address."""
    feeds.revoke(actor=current_actor())
    flash(_("Die Kalenderadresse gilt nicht mehr. Löschen Sie das Abonnement auch in Ihrem Kalender."), "success")
    return redirect("/fristen/kalender", code=303)


def _page(form: FeedForm, found: object, address: str) -> str:
    return render_template("mailbox/watch/calendar.html", form=form, feed=found, address=address)
