"""What can be done with a draft: save it, throw it away, take it back."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, func, select
from sqlalchemy.orm import selectinload

from unternehmenskonto import audit
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import Conflict, NotFound, Unprocessable
from unternehmenskonto.jobs import job
from unternehmenskonto.mailbox.actions import StoredFile
from unternehmenskonto.mailbox.conversations.limits import (
    BODY_CHARACTERS,
    DRAFT_RETURN,
    MAXIMUM_DRAFTS,
    MAXIMUM_FILES,
    MAXIMUM_FILES_BYTES,
    MIB,
    SUBJECT_CHARACTERS,
)
from unternehmenskonto.mailbox.conversations.models import Draft, DraftFile, SentMessage
from unternehmenskonto.mailbox.conversations.questions import Invalid, answer_to, clean
from unternehmenskonto.mailbox.conversations.targets import Target, may_see
from unternehmenskonto.permissions import Actor

#: Fields of the form that are no question.
TOPIC, SUBJECT, BODY, FILES = "topic", "subject", "body", "files"
PURGE_BATCH = 500


class ChangedMeanwhile(Conflict):
    """Somebody else saved the draft since this form was shown."""

    code = "draft_changed"
    sentence = _l("Inzwischen hat jemand anderes diesen Entwurf geändert.")


class AlreadySent(Conflict):
    """The draft has been sent; what was sent does not change."""

    code = "already_sent"
    sentence = _l("Diese Nachricht ist schon gesendet. Sie liegt unter „Gesendet“ und kann nicht mehr geändert werden.")


class TooManyDrafts(Unprocessable):
    """The company keeps as many drafts as it may."""

    code = "too_many_drafts"
    sentence = _l("Ihr Unternehmen hat schon 200 Entwürfe. Senden oder löschen Sie zuerst einen davon.")


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What was typed, raw; `version` is that of the draft when its form was shown, 0 for a new one."""

    topic: str = ""
    subject: str = ""
    body: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    version: int = 0
    #: Files to take out again.
    removed: Sequence[uuid.UUID] = ()


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A stored file and the question it answers, None where it goes along by itself."""

    question: str | None
    file: StoredFile


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A draft as it would be sent, or what is wrong with it: field or id of a question -> sentence."""

    answers: list[dict[str, Any]]
    faults: dict[str, str]


def find_draft(*, actor: Actor, draft_id: uuid.UUID, lock: bool = False, deleted: bool = False) -> Draft | None:
    """Return a draft that the person may see: one's own, or a colleague's with the right to manage the mailbox."""
    query = select(Draft).where(Draft.company_id == actor.company_id, Draft.id == draft_id, may_see(actor, Draft))
    query = query.where(Draft.deleted_at.is_not(None) if deleted else Draft.deleted_at.is_(None))
    if not actor.may("mailbox.manage"):
        query = query.where(Draft.author == actor.membership_id)
    query = query.options(selectinload(Draft.files))
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return db.session.scalar(query)


def own_draft(*, actor: Actor, message_id: uuid.UUID) -> uuid.UUID | None:
    """Return the newest draft of this person to this message."""
    return db.session.scalar(
        select(Draft.id)
        .where(
            Draft.company_id == actor.company_id,
            Draft.message_id == message_id,
            Draft.author == actor.membership_id,
            Draft.deleted_at.is_(None),
        )
        .order_by(Draft.updated_at.desc())
        .limit(1)
    )


def save(
    *, actor: Actor, draft_id: uuid.UUID, target: Target, writing: Writing, new_files: Sequence[NewFile]
) -> tuple[Draft, list[NewFile]]:
    """Keep what was typed, as it was typed; return the draft and the files that found no room in it.

    Raises ChangedMeanwhile, AlreadySent, TooManyDrafts.
    """
    draft = find_draft(actor=actor, draft_id=draft_id, lock=True) or _new(actor, draft_id, target)
    if draft.version != max(writing.version, 1):
        raise ChangedMeanwhile
    draft.topic, draft.subject, draft.body = writing.topic, writing.subject, writing.body
    draft.answers = {name: text for name, text in writing.answers.items() if target.question(name)}
    draft.files = [file for file in draft.files if file.id not in writing.removed]
    left_out = _add_files(draft, target, new_files)
    draft.version += 1
    draft.updated_at = now()
    _audit("draft.saved", actor, draft)
    db.session.flush()
    return draft, left_out


def check(draft: Draft, target: Target) -> Checked:
    """Return the draft as it would be sent, with a sentence for each thing that stands in its way."""
    faults: dict[str, str] = {}
    answers = []
    for question in target.asked.questions:
        names = [file.file_name for file in draft.files if file.question == question.id]
        try:
            value = answer_to(question, str(draft.answers.get(question.id, "")), names)
        except Invalid as error:
            faults[question.id] = str(error)
            continue
        answers.append({"id": question.id, "kind": question.kind, "label": question.label, "value": value})
    if target.message is None:
        if draft.topic not in target.topics:
            faults[TOPIC] = gettext("Wählen Sie aus, worum es geht.")
        if not clean(draft.subject, lines=False):
            faults[SUBJECT] = gettext("Geben Sie einen Betreff an.")
        elif len(clean(draft.subject, lines=False)) > SUBJECT_CHARACTERS:
            faults[SUBJECT] = gettext("Kürzen Sie den Betreff auf %(number)s Zeichen.", number=SUBJECT_CHARACTERS)
    if fault := _body_fault(clean(draft.body), is_needed=not target.asked.questions):
        faults[BODY] = fault
    return Checked(answers=answers, faults=faults)


def throw_away(*, actor: Actor, draft_id: uuid.UUID) -> None:
    """Throw the draft away; it can be taken back for DRAFT_RETURN. Raises NotFound."""
    draft = _found(actor, draft_id, deleted=False)
    draft.deleted_at = now()
    _audit("draft.deleted", actor, draft)
    db.session.flush()


def take_back(*, actor: Actor, draft_id: uuid.UUID) -> None:
    """Put the draft back into the list. Raises NotFound."""
    draft = _found(actor, draft_id, deleted=True)
    draft.deleted_at = None
    _audit("draft.restored", actor, draft)
    db.session.flush()


@job("mailbox.purge_drafts", cron="23 3 * * *")
def purge_drafts() -> None:
    """Forget the drafts that people threw away long ago; the sweep of orphans then removes their files."""
    oldest = now() - DRAFT_RETURN
    while keys := db.session.execute(
        select(Draft.company_id, Draft.id).where(Draft.deleted_at < oldest).limit(PURGE_BATCH)
    ).all():
        for company_id, draft_id in keys:
            db.session.execute(delete(DraftFile).filter_by(company_id=company_id, draft_id=draft_id))
            db.session.execute(delete(Draft).filter_by(company_id=company_id, id=draft_id))


def _found(actor: Actor, draft_id: uuid.UUID, *, deleted: bool) -> Draft:
    draft = find_draft(actor=actor, draft_id=draft_id, lock=True, deleted=deleted)
    if draft is None:
        raise NotFound
    return draft


def _new(actor: Actor, draft_id: uuid.UUID, target: Target) -> Draft:
    if db.session.get(SentMessage, (actor.company_id, draft_id)) is not None:
        raise AlreadySent
    if db.session.get(Draft, (actor.company_id, draft_id)) is not None:
        raise NotFound  # thrown away, or somebody else's
    kept = select(Draft.id).where(Draft.company_id == actor.company_id, Draft.deleted_at.is_(None))
    if db.session.scalar(select(func.count()).select_from(kept.limit(MAXIMUM_DRAFTS).subquery())) == MAXIMUM_DRAFTS:
        raise TooManyDrafts
    draft = Draft(
        company_id=actor.company_id,
        id=draft_id,
        message_id=target.message.id if target.message else None,
        service=target.service.slug,
        author=actor.membership_id,
        version=1,
        files=[],
    )
    db.session.add(draft)
    return draft


def _add_files(draft: Draft, target: Target, new_files: Sequence[NewFile]) -> list[NewFile]:
    """Add what the target wants and what there is room for; return the rest."""
    left_out = []
    total = sum(file.size for file in draft.files)
    for new in new_files:
        question = target.question(new.question) if new.question else None
        is_wanted = question.kind == "upload" if question else target.asked.attachments and not new.question
        total += new.file.size
        if not is_wanted or len(draft.files) == MAXIMUM_FILES or total > MAXIMUM_FILES_BYTES:
            total -= new.file.size
            left_out.append(new)
            continue
        draft.files.append(DraftFile(question=new.question, **asdict(new.file)))
    return left_out


def no_room_sentence() -> str:
    """Return what to say about files that found no room."""
    sentence: str = gettext(
        "Mehr Dateien passen nicht hinein: Erlaubt sind %(number)s Dateien und zusammen %(size)s MB. Entfernen Sie "
        "eine Datei oder senden Sie eine zweite Nachricht.",
        number=MAXIMUM_FILES,
        size=MAXIMUM_FILES_BYTES // MIB,
    )
    return sentence


def _body_fault(body: str, *, is_needed: bool) -> str:
    fault = ""
    if not body and is_needed:
        fault = gettext("Schreiben Sie Ihre Nachricht.")
    elif len(body) > BODY_CHARACTERS:
        fault = gettext(
            "Kürzen Sie die Nachricht auf %(maximum)s Zeichen; es sind %(number)s.",
            maximum=BODY_CHARACTERS,
            number=len(body),
        )
    return fault


def _audit(event: str, actor: Actor, draft: Draft) -> None:
    audit.record(event, by=f"person:{actor.person_id}", company_id=draft.company_id, draft_id=draft.id)
