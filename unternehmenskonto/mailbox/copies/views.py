"""The pages of the export: ask, watch, cancel, fetch."""

import uuid

from flask import Blueprint, Response, flash, make_response, redirect, render_template, stream_with_context
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from unternehmenskonto import storage
from unternehmenskonto.mailbox.copies import actions, archive
from unternehmenskonto.permissions import current_actor, require

bp = Blueprint("mailbox_copies", __name__)

ADDRESS = "/postfach/export"
#: The page asks again by itself while an export is made; without JavaScript, by a header.
REFRESH_SECONDS = 5


@bp.get("/postfach/export")
@require("mailbox.read")
def show() -> Response:
    """Show the person's exports and offer a new one."""
    actor = current_actor()
    exports = actions.mine(actor)
    total, closed = archive.count(actor)
    page = render_template(
        "mailbox/copies/export.html",
        exports=exports,
        total=total,
        closed=closed,
        is_running=actions.is_one_running(actor),
        kept_days=actions.KEPT_DAYS,
    )
    response = make_response(page)
    if any(export.is_open for export in exports):
        response.headers["Refresh"] = f"{REFRESH_SECONDS}; url={ADDRESS}"
    return response


@bp.post("/postfach/export")
@require("mailbox.read")
def start() -> AnyResponse:
    """Ask for an export of the whole mailbox."""
    actions.start(actor=current_actor())
    return redirect(ADDRESS, code=303)


@bp.post("/postfach/export/<uuid:export_id>/abbrechen")
@require("mailbox.read")
def cancel(export_id: uuid.UUID) -> AnyResponse:
    """End an export that is being made."""
    actions.cancel(actor=current_actor(), export_id=export_id)
    flash(_("Der Export ist abgebrochen."), "success")
    return redirect(ADDRESS, code=303)


@bp.post("/postfach/export/<uuid:export_id>/datei")
@require("mailbox.read")
def fetch(export_id: uuid.UUID) -> Response:
    """Hand out the file; by POST, because it is written down who fetched it."""
    export = actions.fetch(actor=current_actor(), export_id=export_id)
    chunks = storage.stream(str(export.path), sha256=str(export.sha256))
    response = Response(stream_with_context(chunks), mimetype="application/zip")
    response.headers["Content-Length"] = str(export.size)
    response.headers["Content-Disposition"] = f'attachment; filename="Postfach-{export.created_at:%Y-%m-%d}.zip"'
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
