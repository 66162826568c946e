"""The lists of drafts and of what was sent, one page at a time, and what a message's own page shows of them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, exists, func, select, tuple_

from unternehmenskonto import audit, storage
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Membership, Person
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import NotFound, Unavailable
from unternehmenskonto.mailbox.conversations.actions import find_draft
from unternehmenskonto.mailbox.conversations.limits import MAXIMUM_DRAFTS, PAGE_SIZE
from unternehmenskonto.mailbox.conversations.models import Draft, DraftFile, SentFile, SentMessage
from unternehmenskonto.mailbox.conversations.questions import Asked, asked_by
from unternehmenskonto.mailbox.conversations.sending import sent_message
from unternehmenskonto.mailbox.conversations.targets import may_see
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.inbox import decode, encode
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.reading import Damaged
from unternehmenskonto.permissions import Actor


@dataclass(frozen=True)
class Page:
    """Up to PAGE_SIZE rows, newest first, and where the list goes on in both directions."""

    rows: Sequence[Row[Any]]
    older: str | None
    newer: str | None


@dataclass(frozen=True)
class Correspondence:
    """What stands on the page of a message: whether it can be answered, and what was answered."""

    asked: Asked
    is_over: bool
    sent: Sequence[Any]
    draft_id: uuid.UUID | None


def list_drafts(*, actor: Actor, cursor: str | None) -> Page:
    """Return one page of the drafts that the person may see. Raises InvalidCursor."""
    query: Any = (
        select(
            Draft.id,
            Draft.updated_at.label("at"),
            Draft.subject,
            Draft.topic,
            Message.subject.label("answered"),
            func.coalesce(Message.sender_authority, OnlineService.authority, Draft.service).label("recipient"),
            _name().label("author"),
            exists()
            .where(DraftFile.company_id == Draft.company_id, DraftFile.draft_id == Draft.id)
            .label("has_attachments"),
        )
        .join(Membership, Membership.id == Draft.author)
        .join(Person, Person.id == Membership.person_id)
        .outerjoin(Message, (Message.company_id == Draft.company_id) & (Message.id == Draft.message_id))
        .outerjoin(OnlineService, OnlineService.slug == Draft.service)
        .where(Draft.company_id == actor.company_id, Draft.deleted_at.is_(None), may_see(actor, Draft))
    )
    if not actor.may("mailbox.manage"):
        query = query.where(Draft.author == actor.membership_id)
    return keyset(query, (Draft.updated_at, Draft.id), cursor)


def list_sent(*, actor: Actor, cursor: str | None) -> Page:
    """Return one page of what the company has sent. Raises InvalidCursor."""
    query: Any = select(
        SentMessage.id,
        SentMessage.sent_at.label("at"),
        SentMessage.subject,
        SentMessage.recipient_authority.label("recipient"),
        SentMessage.sender_name.label("author"),
        SentMessage.acknowledged_at,
        exists()
        .where(SentFile.company_id == SentMessage.company_id, SentFile.sent_id == SentMessage.id)
        .label("has_attachments"),
    ).where(SentMessage.company_id == actor.company_id, may_see(actor, SentMessage))
    return keyset(query, (SentMessage.sent_at, SentMessage.id), cursor)


def draft_count(actor: Actor) -> int:
    """Return how many drafts the company has; counts no further than it may have."""
    kept = select(Draft.id).where(Draft.company_id == actor.company_id, Draft.deleted_at.is_(None))
    return db.session.scalar(select(func.count()).select_from(kept.limit(MAXIMUM_DRAFTS).subquery())) or 0


def correspondence_of(message: Message, actor: Actor) -> Correspondence | None:
    """Return what belongs to an open message; None for one that takes no answers."""
    asked = asked_by(message)
    if asked is None:
        return None
    sent = db.session.execute(
        select(SentMessage.id, SentMessage.sent_at, SentMessage.sender_name, SentMessage.acknowledged_at)
        .where(SentMessage.company_id == message.company_id, SentMessage.message_id == message.id)
        .order_by(SentMessage.sent_at.desc())
        .limit(PAGE_SIZE)
    ).all()
    draft_id = db.session.scalar(
        select(Draft.id)
        .where(
            Draft.company_id == message.company_id,
            Draft.message_id == message.id,
            Draft.deleted_at.is_(None),
            Draft.author == actor.membership_id,
        )
        .limit(1)
    )
    return Correspondence(asked, asked.is_over(legal_day(now())), sent, draft_id)


def thrown_away_now(*, actor: Actor, draft_id: uuid.UUID) -> bool:
    """Tell whether this is a draft of the company that was thrown away and can be taken back."""
    query = select(Draft.id).where(
        Draft.company_id == actor.company_id, Draft.id == draft_id, Draft.deleted_at.is_not(None), may_see(actor, Draft)
    )
    return db.session.scalar(query) is not None


def sent_file(*, actor: Actor, sent_id: uuid.UUID, file_id: uuid.UUID) -> SentFile:
    """Return a file of the company's own copy whose stored bytes were just proved. Raises NotFound or Damaged."""
    found = [file for file in sent_message(actor=actor, sent_id=sent_id).files if file.id == file_id]
    if not found:
        raise NotFound
    prove(found[0])
    return found[0]


def draft_file(*, actor: Actor, draft_id: uuid.UUID, file_id: uuid.UUID) -> DraftFile:
    """Return a file of a draft, to be looked at before it is sent. Raises NotFound or Damaged."""
    draft = find_draft(actor=actor, draft_id=draft_id)
    found = [file for file in draft.files if file.id == file_id] if draft else []
    if not found:
        raise NotFound
    prove(found[0])
    return found[0]


def prove(file: SentFile | DraftFile) -> None:
    """Read the stored file once and hold it against its digest; raise Damaged before a byte leaves."""
    try:
        for _ in storage.stream(file.path, sha256=file.sha256):
            pass
    except (storage.DigestMismatch, Unavailable) as error:
        is_missing = isinstance(error, Unavailable) and isinstance(error.__cause__, FileNotFoundError)
        if isinstance(error, Unavailable) and not is_missing:
            raise
        owner = file.sent_id if isinstance(file, SentFile) else file.draft_id
        raise Damaged(message_id=str(owner), attachment_id=str(file.id)) from None


def record_damage(*, company_id: uuid.UUID, error: Damaged) -> None:
    """Write down that a stored file is not what was sent."""
    audit.record("attachment.damaged", by="system", company_id=company_id, **error.members)
    db.session.flush()


def keyset(query: Select[Any], key: tuple[Any, Any], cursor: str | None) -> Page:
    """Return the page of the query that the cursor names, newest first; its cost does not depend on the rest.

    The query must have columns `at` and `id` that are the key. Raises InvalidCursor.
    """
    time, row_id = key
    newest_first = query.order_by(time.desc(), row_id.desc()).limit(PAGE_SIZE + 1)
    if cursor is None:
        rows = db.session.execute(newest_first).all()
        return _page(rows[:PAGE_SIZE], has_newer=False, has_older=len(rows) > PAGE_SIZE)
    direction, edge = decode(cursor)
    if direction == b"o":
        rows = db.session.execute(newest_first.where(tuple_(*key) < edge)).all()
        if rows:
            return _page(rows[:PAGE_SIZE], has_newer=True, has_older=len(rows) > PAGE_SIZE)
        return keyset(query, key, None)
    oldest_first = query.where(tuple_(*key) > edge).order_by(time, row_id).limit(PAGE_SIZE + 1)
    rows = db.session.execute(oldest_first).all()
    if len(rows) <= PAGE_SIZE:
        return keyset(query, key, None)
    return _page(rows[PAGE_SIZE - 1 :: -1], has_newer=True, has_older=True)


def _page(rows: Sequence[Row[Any]], *, has_newer: bool, has_older: bool) -> Page:
    older = encode(b"o", (rows[-1].at, rows[-1].id)) if has_older else None
    newer = encode(b"n", (rows[0].at, rows[0].id)) if has_newer else None
    return Page(rows, older, newer)


def _name() -> Any:
    return func.concat_ws(" ", func.nullif(Person.title, ""), Person.given_name, Person.family_name)
