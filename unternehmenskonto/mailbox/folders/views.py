"""Acts on messages from lists and from the page of one message, taking them back, and the final deletion."""

import uuid
from typing import get_args
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import ngettext
from werkzeug.wrappers import Response

from unternehmenskonto.errors import AppError, InvalidInput
from unternehmenskonto.mailbox.folders import actions, erasure, remains, results
from unternehmenskonto.permissions import current_actor, require
from unternehmenskonto.web import safe_path

bp = Blueprint("folders", __name__, url_prefix="/postfach")


@bp.post("/auswahl")
@require("mailbox.manage")
def act_on_selection() -> Response:
    """Do one act on the ticked messages and show the result above the same list."""
    action, back = request.form.get("aktion", ""), _back()
    if action == "delete":
        return redirect("/postfach/papierkorb/loeschen?" + urlencode([("n", one) for one in _ticked()]), code=303)
    if action not in get_args(actions.Action):
        raise InvalidInput
    try:
        bulk = actions.act(
            actor=current_actor(),
            action=action,  # type: ignore[arg-type]
            message_ids=_ticked(),
            label_id=_uuid(request.form.get("etikett", "")) if action in ("label", "unlabel") else None,
        )
    except (actions.NothingSelected, actions.TooManySelected) as error:
        flash(str(error.sentence), "danger")
        return redirect(back, code=303)
    return redirect(_with(back, ergebnis=str(bulk.id)), code=303)


@bp.post("/auswahl/<uuid:bulk_id>/rueckgaengig")
@require("mailbox.manage")
def undo(bulk_id: uuid.UUID) -> Response:
    """Take an act back and go to the list it was done from."""
    bulk = actions.undo(actor=current_actor(), bulk_id=bulk_id)
    flash(results.undone(bulk), "success")
    return redirect(_back(), code=303)


@bp.post("/<uuid:message_id>/archivieren")
@require("mailbox.manage")
def archive(message_id: uuid.UUID) -> Response:
    """Move the message into the archive."""
    return _act(message_id, "archive", "/postfach")


@bp.post("/<uuid:message_id>/papierkorb")
@require("mailbox.manage")
def move_to_bin(message_id: uuid.UUID) -> Response:
    """Move the message into the bin."""
    return _act(message_id, "bin", "/postfach")


@bp.post("/<uuid:message_id>/wiederherstellen")
@require("mailbox.manage")
def restore(message_id: uuid.UUID) -> Response:
    """Bring the message back from the bin to where it was, or from the archive into the inbox."""
    return _act(message_id, "restore", "/postfach")


@bp.post("/<uuid:message_id>/ungelesen")
@require("mailbox.manage")
def mark_unread(message_id: uuid.UUID) -> Response:
    """Mark the message unread for everybody."""
    return _act(message_id, "unread", "/postfach")


@bp.get("/papierkorb/loeschen")
@require("mailbox.manage")
def confirm_erasure() -> str | Response:
    """Say what is lost and what stays, and ask once more."""
    try:
        doomed = erasure.look(actor=current_actor(), message_ids=_ids(request.args.getlist("n")))
    except (actions.NothingSelected, actions.TooManySelected) as error:
        return _to_bin(error)
    return render_template("mailbox/folders/erase.html", doomed=doomed)


@bp.post("/papierkorb/loeschen")
@require("mailbox.manage")
def erase() -> Response:
    """Delete the messages for good."""
    try:
        count = erasure.erase(actor=current_actor(), message_ids=_ticked())
    except (actions.NothingSelected, actions.TooManySelected) as error:
        return _to_bin(error)
    flash(
        ngettext(
            "Eine Nachricht ist endgültig gelöscht. Die Nachweise ihrer Zustellung bleiben.",
            "%(num)d Nachrichten sind endgültig gelöscht. Die Nachweise ihrer Zustellung bleiben.",
            count,
        ),
        "success",
    )
    return redirect("/postfach/papierkorb", code=303)


@bp.get("/papierkorb/geloescht")
@require("mailbox.read")
def list_erased() -> str:
    """List what is left of the messages that were deleted for good, the last ones first."""
    page = remains.list_erased(actor=current_actor(), cursor=request.args.get("seite") or None)
    return render_template("mailbox/folders/erased.html", page=page)


def _act(message_id: uuid.UUID, action: actions.Action, back: str) -> Response:
    """Do the act on one message; one that is refused is shown on its own page with the reason."""
    bulk = actions.act(actor=current_actor(), action=action, message_ids=[message_id])
    if bulk.refused:
        for sentence in results.reasons(bulk):
            flash(sentence, "warning")
        return redirect(f"/postfach/{message_id}", code=303)
    return redirect(_with(back, ergebnis=str(bulk.id)), code=303)


def _to_bin(error: AppError) -> Response:
    flash(str(error.sentence), "danger")
    return redirect("/postfach/papierkorb", code=303)


def _ticked() -> list[uuid.UUID]:
    return _ids(request.form.getlist("nachricht"))


def _ids(values: list[str]) -> list[uuid.UUID]:
    """Return the ids; the form sends nothing else, so anything else is refused."""
    found = [_uuid(value) for value in values]
    if None in found:
        raise InvalidInput
    return [one for one in found if one is not None]


def _uuid(value: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except ValueError:
        return None


def _back() -> str:
    """Return the list that the form stood on."""
    target = safe_path(request.form.get("weiter", ""))
    return target if target == "/postfach" or target.startswith(("/postfach/", "/postfach?")) else "/postfach"


def _with(address: str, **parameters: str) -> str:
    """Return the address with these parameters set, and without what ticks all boxes."""
    parts = urlsplit(address)
    query = {name: value for name, value in parse_qsl(parts.query) if name != "auswahl"} | parameters
    return f"{parts.path}?{urlencode(query)}"
