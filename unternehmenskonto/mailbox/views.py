"""The pages of the mailbox."""

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, g, redirect, render_template, request, stream_with_context
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as AnyResponse

from unternehmenskonto import errors, storage
from unternehmenskonto.db import db
from unternehmenskonto.errors import AppError, Forbidden, NotFound, Unavailable
from unternehmenskonto.mailbox import digests, elsewhere, explanation, export, inbox, markup, peek, places, reading
from unternehmenskonto.mailbox.cases.reading import case_of
from unternehmenskonto.mailbox.conversations.reading import correspondence_of
from unternehmenskonto.mailbox.folders.listing import Listing
from unternehmenskonto.mailbox.folders.protection import protection
from unternehmenskonto.mailbox.labels.actions import labels_for
from unternehmenskonto.mailbox.places import Folder
from unternehmenskonto.mailbox.team.marks import marks_for
from unternehmenskonto.permissions import Actor, current_actor, require

bp = Blueprint("mailbox", __name__)

#: A file is shown by the person's own programs, never inside our origin.
FILE_POLICY = "sandbox; default-src 'none'"
PREFETCH_RETRY_SECONDS = 1


@bp.get("/postfach")
@require("mailbox.read")
def show_inbox() -> str:
    """List the messages of the inbox, newest first."""
    return _list("inbox")


@bp.get("/postfach/archiv")
@require("mailbox.read")
def show_archive() -> str:
    """List the messages of the archive, newest first."""
    return _list("archive")


@bp.get("/postfach/papierkorb")
@require("mailbox.read")
def show_bin() -> str:
    """List the messages of the bin, newest first."""
    return _list("bin")


@bp.get("/postfach/<uuid:message_id>")
@require("mailbox.read")
def show_message(message_id: uuid.UUID) -> str | AnyResponse:
    """Open a message: this is the retrieval in the sense of the law."""
    return _open(message_id, "mailbox/message.html")


@bp.get("/postfach/<uuid:message_id>/druck")
@require("mailbox.read")
def print_message(message_id: uuid.UUID) -> str | AnyResponse:
    """Show the message for the printer, everything unfolded."""
    return _open(message_id, "mailbox/print.html")


@bp.get("/postfach/<uuid:message_id>/zip")
@require("mailbox.read")
def download_all(message_id: uuid.UUID) -> Response:
    """Hand out the message with files and proofs as one archive."""
    if _only_looks_ahead():
        return _nothing(message_id)
    actor = current_actor()
    try:
        opened = reading.open_message(actor=actor, message_id=message_id)
        attachments = list(opened.message.attachments)
        reading.prove(opened, attachments)
    except reading.Damaged as error:
        return _damaged(error)
    reading.record_download(actor, attachments)
    packed = export.archive(opened, reading.surroundings(opened.message, actor=actor).receipts)
    return _file(packed.chunks, name=packed.file_name, media_type="application/zip", length=packed.length)


@bp.get("/postfach/<uuid:message_id>/anhang/<uuid:attachment_id>")
@require("mailbox.read")
def download(message_id: uuid.UUID, attachment_id: uuid.UUID) -> Response:
    """Hand out one attachment in its original bytes."""
    if _only_looks_ahead():
        return _nothing(message_id)
    try:
        found = reading.open_attachment(actor=current_actor(), message_id=message_id, attachment_id=attachment_id)
    except reading.Damaged as error:
        return _damaged(error)
    chunks = storage.stream(found.path, sha256=found.sha256)
    response = _file(chunks, name=found.file_name, media_type=found.media_type, length=found.size)
    response.headers["Content-Digest"] = response.headers["Repr-Digest"] = digests.field(found.sha256)
    return response


@bp.get("/postfach/<uuid:message_id>/vorschau")
@require("mailbox.read")
def preview(message_id: uuid.UUID) -> str:
    """Show what is known without opening, and what opening would mean; nothing is retrieved."""
    found = peek.look(actor=current_actor(), message_id=message_id)
    message = found.message
    return render_template(
        "mailbox/preview.html",
        peek=found,
        message=message,
        effects=peek.sentences(found),
        team=marks_for(message.company_id, [message.id]).get(message.id),
    )


@bp.post("/postfach/<uuid:message_id>/abrufen")
@require("mailbox.read")
def retrieve(message_id: uuid.UUID) -> AnyResponse:
    """Open a message whose first retrieval announces it; the person has said that they want that."""
    reading.open_message(actor=current_actor(), message_id=message_id, is_chosen=True)
    return redirect(f"/postfach/{message_id}", code=303)


def unread_badge() -> dict[str, Any]:
    """Tell every page how many messages are unread; also an error page must come out when the database is away."""
    actor = g.get("actor")
    if actor is None or not actor.may("mailbox.read"):
        return {}
    try:
        found = places.unread(actor)
    except SQLAlchemyError:
        db.session.rollback()
        return {}
    return {"unread_count": found.total, "unread": found}


@bp.errorhandler(NotFound)
@bp.errorhandler(Forbidden)
def offer_company(error: AppError) -> str | Response:
    """Offer the company to which the message of a link belongs, if the person may read it there."""
    actor: Actor | None = g.get("actor")
    if actor is not None and request.endpoint == f"{bp.name}.{show_message.__name__}":
        found = elsewhere.find(actor=actor, message_id=(request.view_args or {})["message_id"])
        if found is not None:
            return render_template("mailbox/elsewhere.html", found=found)
    return errors.refuse(error)


def other_companies() -> dict[str, Any]:
    """Let the page where people change the company say how much is unread in each."""
    return {"unread_of": places.unread_of}


def _list(folder: Folder) -> str:
    listing = Listing.asked()
    page = inbox.list_messages(actor=current_actor(), folder=folder, cursor=listing.cursor, size=listing.size)
    return render_template("mailbox/list.html", page=page, folder=folder, **listing.context())


def _open(message_id: uuid.UUID, template: str) -> str | AnyResponse:
    if _only_looks_ahead():
        return _nothing(message_id)
    try:
        opened = reading.open_message(actor=current_actor(), message_id=message_id)
    except reading.ChoiceNeeded:
        return redirect(f"/postfach/{message_id}/vorschau", code=303)
    message = opened.message
    return render_template(
        template,
        opened=opened,
        message=message,
        body=None if opened.is_ended else markup.render(message.body, message.body_format),
        sentences=explanation.sentences(message, opened.deadline, opened.today) if opened.deadline else [],
        land=explanation.LAND_NAMES.get(message.land or "", ""),
        surroundings=reading.surroundings(message, actor=current_actor()),
        correspondence=correspondence_of(message, current_actor()),
        protection=protection(message, opened.today),
        labels=labels_for(actor=current_actor(), message_id=message.id),
        result=Listing.asked().result(),
        team=marks_for(message.company_id, [message.id]).get(message.id),
        case=case_of(message),
    )


def _only_looks_ahead() -> bool:
    """Tell whether no person asks: a HEAD request, or a browser that fetches what might be wanted next."""
    purposes = (request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))
    return request.method == "HEAD" or any(word in value.lower() for value in purposes for word in _AHEAD)


def _nothing(message_id: uuid.UUID) -> Response:
    """Answer a look ahead without opening anything; browsers throw a 503 away and ask again when needed."""
    reading.require_message(actor=current_actor(), message_id=message_id)
    if request.method == "HEAD":
        return Response(status=200, mimetype="text/html")
    raise Unavailable(retry_after=PREFETCH_RETRY_SECONDS, detail="prefetch")


def _damaged(error: reading.Damaged) -> Response:
    """Throw away what the request did, keep the alarm, and say why there is no file."""
    db.session.rollback()
    reading.record_damage(actor=current_actor(), **error.members)
    return errors.answer(error)


def _file(chunks: Iterator[bytes], *, name: str, media_type: str, length: int) -> Response:
    """Return a download that no browser opens inside our origin."""
    response = Response(stream_with_context(chunks), mimetype=media_type)
    response.headers["Content-Length"] = str(length)
    response.headers["Content-Disposition"] = content_disposition(name)
    response.headers["Content-Security-Policy"] = FILE_POLICY
    return response


def content_disposition(name: str) -> str:
    """Return the header for a download of this name: an ASCII one for old programs, the true one for others.

    RFC 6266 sections 4.3 and 5, RFC 8187 section 3.2.1. A name can neither end the header nor its quotes.
    """
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;' else "_" for c in name) or "datei"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"


_AHEAD = ("prefetch", "prerender", "preview")
