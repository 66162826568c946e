"""The pages on which a company writes, reviews, sends, and finds what it has sent."""

import uuid
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, stream_with_context
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from unternehmenskonto import errors, storage
from unternehmenskonto.db import db, new_id
from unternehmenskonto.errors import InvalidInput, NotFound
from unternehmenskonto.mailbox import attachments, digests
from unternehmenskonto.mailbox.conversations import actions, files, reading, sending, targets
from unternehmenskonto.mailbox.conversations.actions import ChangedMeanwhile, NewFile
from unternehmenskonto.mailbox.conversations.forms import WritingForm, writing_form
from unternehmenskonto.mailbox.conversations.limits import FORM_BYTES, SAVES_PER_MINUTE
from unternehmenskonto.mailbox.conversations.models import Draft, DraftFile, SentFile
from unternehmenskonto.mailbox.conversations.questions import clean, shown
from unternehmenskonto.mailbox.conversations.targets import Target
from unternehmenskonto.mailbox.reading import Damaged
from unternehmenskonto.mailbox.views import FILE_POLICY, content_disposition
from unternehmenskonto.permissions import current_actor, require
from unternehmenskonto.web import limiter, takes_files

bp = Blueprint("conversations", __name__, url_prefix="/postfach")


def _person_key() -> str:
    return f"person:{current_actor().person_id}"


@bp.get("/<uuid:message_id>/antworten")
@require("mailbox.manage")
def reply(message_id: uuid.UUID) -> str | AnyResponse:
    """Show the empty form for a reply, or lead to the draft this person has begun."""
    actor = current_actor()
    try:
        target = targets.reply_target(actor, message_id)
    except targets.NotOpened:
        return redirect(f"/postfach/{message_id}", code=303)
    begun = actions.own_draft(actor=actor, message_id=message_id)
    if begun is not None:
        return redirect(f"/postfach/entwuerfe/{begun}", code=303)
    form = writing_form(target, None, is_new_message=False)
    return _form_page(form, target, draft_id=new_id(), draft=None)


@bp.get("/neu")
@require("mailbox.manage")
def new_message() -> str:
    """Show the form for a message that the company begins, or to whom it may write."""
    slug = request.args.get("dienst", "")
    if not slug:
        return render_template("mailbox/conversations/recipients.html", services=targets.offered_services())
    target = targets.new_target(slug)
    form = writing_form(target, None, is_new_message=True)
    return _form_page(form, target, draft_id=new_id(), draft=None)


@bp.get("/entwuerfe")
@require("mailbox.manage")
def drafts() -> str:
    """List the drafts, the last changed first."""
    actor = current_actor()
    page = reading.list_drafts(actor=actor, cursor=request.args.get("seite") or None)
    gone = _uuid(request.args.get("geloescht", ""))
    undo = gone if gone and reading.thrown_away_now(actor=actor, draft_id=gone) else None
    return render_template("mailbox/conversations/drafts.html", page=page, undo=undo)


@bp.get("/entwuerfe/<uuid:draft_id>")
@require("mailbox.manage")
def show_draft(draft_id: uuid.UUID) -> str | AnyResponse:
    """Show a draft in its form; one that nobody takes any more, to be copied."""
    draft = actions.find_draft(actor=current_actor(), draft_id=draft_id)
    if draft is None:
        return _sent_or_not_found(draft_id)
    try:
        target = targets.target_of(current_actor(), draft)
    except (targets.NoReply, NotFound):
        return render_template("mailbox/conversations/stale.html", draft=draft)
    form = writing_form(target, draft, is_new_message=draft.message_id is None)
    return _form_page(form, target, draft_id=draft_id, draft=draft)


@bp.post("/entwuerfe/<uuid:draft_id>")
@takes_files(FORM_BYTES)
@limiter.limit(f"{SAVES_PER_MINUTE} per minute", key_func=_person_key)
@require("mailbox.manage")
def save_draft(draft_id: uuid.UUID) -> tuple[str, int] | AnyResponse:
    """Save what was typed whatever it is; then go on to the review, or say what is missing."""
    actor = current_actor()
    draft = actions.find_draft(actor=actor, draft_id=draft_id)
    target = targets.target_of(actor, draft) if draft else _posted_target()
    form = writing_form(target, draft, is_new_message=target.message is None)
    try:
        draft, faults = _save(form, target, draft_id)
    except ChangedMeanwhile:
        return _changed(form, target, draft_id)
    if request.form.get("weiter") == "pruefen":
        checked = actions.check(draft, target)
        if not checked.faults and not faults:
            return redirect(f"/postfach/entwuerfe/{draft_id}/pruefen", code=303)
        faults = {**checked.faults, **faults}
    elif not faults:
        flash(_("Der Entwurf ist gespeichert."), "success")
        return redirect(f"/postfach/entwuerfe/{draft_id}", code=303)
    fresh = writing_form(target, draft, is_new_message=target.message is None)
    fresh.version.data = str(draft.version)
    fresh.offer_removal(draft)
    fresh.blame(faults)
    return _form_page(fresh, target, draft_id=draft_id, draft=draft), 422


@bp.get("/entwuerfe/<uuid:draft_id>/pruefen")
@require("mailbox.manage")
def review(draft_id: uuid.UUID) -> str | AnyResponse:
    """Show exactly what will be sent, to whom, by whom and for whom (OZG section 9a(2) and (3))."""
    actor = current_actor()
    draft = actions.find_draft(actor=actor, draft_id=draft_id)
    if draft is None:
        return _sent_or_not_found(draft_id)
    target = targets.target_of(actor, draft)
    checked = actions.check(draft, target)
    if checked.faults:
        flash(_("Der Entwurf ist noch nicht vollständig."), "warning")
        return redirect(f"/postfach/entwuerfe/{draft_id}", code=303)
    return render_template(
        "mailbox/conversations/review.html",
        draft=draft,
        target=target,
        subject=target.subject or clean(draft.subject, lines=False),
        body=clean(draft.body),
        answers=checked.answers,
        shown=shown,
    )


@bp.post("/entwuerfe/<uuid:draft_id>/senden")
@limiter.limit(f"{SAVES_PER_MINUTE} per minute", key_func=_person_key)
@require("mailbox.send")
def send(draft_id: uuid.UUID) -> AnyResponse:
    """Send what was reviewed; pressing twice sends once."""
    version = request.form.get("version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise InvalidInput
    try:
        sent = sending.send(actor=current_actor(), draft_id=draft_id, version=int(version))
    except ChangedMeanwhile:
        flash(_("Inzwischen hat jemand anderes den Entwurf geändert. Prüfen Sie ihn noch einmal."), "warning")
        return redirect(f"/postfach/entwuerfe/{draft_id}/pruefen", code=303)
    except sending.Incomplete:
        return redirect(f"/postfach/entwuerfe/{draft_id}/pruefen", code=303)
    return redirect(f"/postfach/gesendet/{sent.id}?neu=1", code=303)


@bp.post("/entwuerfe/<uuid:draft_id>/loeschen")
@require("mailbox.manage")
def throw_away(draft_id: uuid.UUID) -> AnyResponse:
    """Throw the draft away and offer to take it back."""
    actions.throw_away(actor=current_actor(), draft_id=draft_id)
    return redirect(f"/postfach/entwuerfe?geloescht={draft_id}", code=303)


@bp.post("/entwuerfe/<uuid:draft_id>/zurueckholen")
@require("mailbox.manage")
def take_back(draft_id: uuid.UUID) -> AnyResponse:
    """Put the draft back into the list."""
    actions.take_back(actor=current_actor(), draft_id=draft_id)
    flash(_("Der Entwurf ist wieder da."), "success")
    return redirect("/postfach/entwuerfe", code=303)


@bp.get("/gesendet")
@require("mailbox.read")
def sent_list() -> str:
    """List what the company has sent, newest first."""
    page = reading.list_sent(actor=current_actor(), cursor=request.args.get("seite") or None)
    return render_template("mailbox/conversations/sent_list.html", page=page)


@bp.get("/gesendet/<uuid:sent_id>")
@require("mailbox.read")
def show_sent(sent_id: uuid.UUID) -> str:
    """Show the company's own copy with its proofs (OZG section 9a(4))."""
    sent = sending.sent_message(actor=current_actor(), sent_id=sent_id)
    is_new = request.args.get("neu") == "1"
    return render_template("mailbox/conversations/sent.html", sent=sent, shown=shown, is_new=is_new)


@bp.get("/gesendet/<uuid:sent_id>/nachweis/<kind>")
@require("mailbox.read")
def proof(sent_id: uuid.UUID, kind: str) -> Response:
    """Hand out one of the two signed receipts."""
    sent = sending.sent_message(actor=current_actor(), sent_id=sent_id)
    jws = {"gesendet": sent.receipt, "eingegangen": sent.acknowledgement}.get(kind)
    if jws is None:
        raise NotFound
    return _download(Response(jws, mimetype="application/jose"), f"nachweis-{kind}-{sent.sequence_number}.jws")


@bp.get("/gesendet/<uuid:sent_id>/anhang/<uuid:file_id>")
@require("mailbox.read")
def sent_file(sent_id: uuid.UUID, file_id: uuid.UUID) -> Response:
    """Hand out a file of the company's own copy."""
    return _file(lambda: reading.sent_file(actor=current_actor(), sent_id=sent_id, file_id=file_id))


@bp.get("/entwuerfe/<uuid:draft_id>/anhang/<uuid:file_id>")
@require("mailbox.manage")
def draft_file(draft_id: uuid.UUID, file_id: uuid.UUID) -> Response:
    """Hand out a file of a draft: who sends it may look at it before."""
    return _file(lambda: reading.draft_file(actor=current_actor(), draft_id=draft_id, file_id=file_id))


def _file(find: Callable[[], SentFile | DraftFile]) -> Response:
    try:
        found = find()
    except Damaged as error:
        db.session.rollback()
        reading.record_damage(company_id=current_actor().company_id, error=error)
        return errors.answer(error)
    chunks = storage.stream(found.path, sha256=found.sha256)
    response = Response(stream_with_context(chunks), mimetype=found.media_type)
    response.headers["Content-Length"] = str(found.size)
    response.headers["Repr-Digest"] = digests.field(found.sha256)
    return _download(response, found.file_name)


def _save(form: WritingForm, target: Target, draft_id: uuid.UUID) -> tuple[Draft, dict[str, str]]:
    """Take the files in, then save everything; return the draft and what is wrong with files."""
    # Looking through files takes a while: no database connection waits for it.
    db.session.commit()
    with ExitStack() as closing:
        given = [(question, list(field.data or ())) for question, field in form.upload_fields()]
        taken = files.take(given, closing=closing)
        with attachments.stored([upload for _question, upload in taken.uploads]) as stored:
            new = [NewFile(question=one[0], file=file) for one, file in zip(taken.uploads, stored, strict=True)]
            draft, left_out = actions.save(
                actor=current_actor(), draft_id=draft_id, target=target, writing=form.writing(), new_files=new
            )
        attachments.discard([one.file for one in left_out])
    sentences = [*taken.faults, *((one.question, actions.no_room_sentence()) for one in left_out[:1])]
    faults: dict[str, str] = {}
    for question, sentence in sentences:
        name = question or actions.FILES
        faults[name] = f"{faults[name]} {sentence}" if name in faults else sentence
    return draft, faults


def _posted_target() -> Target:
    """Return whom a new draft is for, as its form says."""
    message_id = _uuid(request.form.get("message_id", ""))
    if message_id is not None:
        return targets.reply_target(current_actor(), message_id)
    return targets.new_target(request.form.get("service", ""))


def _changed(form: WritingForm, target: Target, draft_id: uuid.UUID) -> tuple[str, int]:
    """Show what was typed again; saving once more replaces the colleague's version."""
    db.session.rollback()
    draft = actions.find_draft(actor=current_actor(), draft_id=draft_id)
    if draft is None:
        raise NotFound
    form.version.data = str(draft.version)
    form.offer_removal(draft)
    return _form_page(form, target, draft_id=draft_id, draft=draft, is_changed=True), 409


def _form_page(form: WritingForm, target: Target, *, draft_id: uuid.UUID, draft: Draft | None, **more: Any) -> str:
    return render_template(
        "mailbox/conversations/form.html", form=form, target=target, draft_id=draft_id, draft=draft, **more
    )


def _sent_or_not_found(draft_id: uuid.UUID) -> AnyResponse:
    """Lead from the address of a draft to what it became."""
    sent = sending.sent_message(actor=current_actor(), sent_id=draft_id)
    return redirect(f"/postfach/gesendet/{sent.id}", code=303)


def _download(response: Response, name: str) -> Response:
    response.headers["Content-Disposition"] = content_disposition(name)
    response.headers["Content-Security-Policy"] = FILE_POLICY
    return response


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
