"""What a reader does with a message: open it, mark it unread, put it into the archive and back."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select, update
from sqlalchemy.orm import selectinload

from unternehmenskonto import audit, storage
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import AppError, Gone, NotFound, Unavailable
from unternehmenskonto.mailbox import actions, explanation, receipts
from unternehmenskonto.mailbox.deadlines import Deadline, legal_day
from unternehmenskonto.mailbox.inbox import KEY
from unternehmenskonto.mailbox.models import Attachment, Mailbox, Message, Receipt
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.permissions import Actor


class Damaged(AppError):
    """The stored bytes are not those the authority delivered, or they are gone; they are never handed out."""

    code = "attachment_damaged"
    sentence = _l(
        "Diese Datei ist in unserem Speicher beschädigt und wird deshalb nicht ausgegeben. Der Betrieb sieht den "
        "Vorfall im Protokoll. Bitte wenden Sie sich an die Behörde, die Ihnen die Nachricht gesandt hat."
    )


class ProvisionEnded(Gone):
    """Nobody retrieved the decision in time (VwVfG section 41(2a))."""

    code = "provision_ended"
    sentence = _l(
        "Die Bereitstellung dieses Bescheids ist beendet, weil ihn niemand rechtzeitig abgerufen hat. Er ist nicht "
        "bekannt gegeben. Bitte wenden Sie sich an die Behörde."
    )


@dataclass(frozen=True)
class Opened:
    """A message as its reader sees it; `is_ended`: the provision is over, body and files are not shown."""

    message: Message
    deadline: Deadline | None
    is_ended: bool
    today: date

    @property
    def days_left(self) -> int | None:
        """Return the days to the end of the remedy period, negative when it is over."""
        ends = self.deadline.remedy_ends_on if self.deadline else None
        return None if ends is None else (ends - self.today).days


@dataclass(frozen=True)
class Surroundings:
    """What stands around the text of a message."""

    receipts: list[Receipt]
    first_reader: str
    older: uuid.UUID | None
    newer: uuid.UUID | None


def open_message(*, actor: Actor, message_id: uuid.UUID) -> Opened:
    """Return the message for reading; the first opening of all is recorded, with receipt and audit event.

    First retrieval is written once, whoever opens at the same moment (OZG section 9(1)); every opening is audited.
    Raises NotFound, also for a message of another company.
    """
    message = _message(actor, message_id, with_attachments=True)
    if message.first_retrieved_at is None or message.is_unread:
        message = _lock_unless_read(actor, message_id)
    opened = Opened(message=message, deadline=explanation.deadline_of(message), is_ended=False, today=legal_day(now()))
    _set_unread(message, False)
    if _has_ended(opened):
        db.session.flush()
        return Opened(message=message, deadline=opened.deadline, is_ended=True, today=opened.today)
    if message.first_retrieved_at is None:
        _record_first_retrieval(message, actor)
        opened = Opened(message=message, deadline=explanation.deadline_of(message), is_ended=False, today=opened.today)
    _audit("message.opened", actor, message)
    db.session.flush()
    return opened


def open_attachment(*, actor: Actor, message_id: uuid.UUID, attachment_id: uuid.UUID) -> Attachment:
    """Return an attachment whose stored bytes were just proved; counts as opening the message.

    Raises NotFound, ProvisionEnded, or Damaged.
    """
    opened = open_message(actor=actor, message_id=message_id)
    found = [one for one in opened.message.attachments if one.id == attachment_id]
    if not found:
        raise NotFound
    prove(opened, found)
    record_download(actor, found)
    return found[0]


def prove(opened: Opened, attachments: list[Attachment]) -> None:
    """Read the stored files once and hold them against the digests of the day of delivery.

    Raises ProvisionEnded, or Damaged with the attachment. Only then the first byte leaves: a reader gets a whole
    file or a page that says why not.
    """
    if opened.is_ended:
        raise ProvisionEnded
    for attachment in attachments:
        try:
            for _ in storage.stream(attachment.path, sha256=attachment.sha256):
                pass
        except storage.DigestMismatch:
            raise _damaged(attachment) from None
        except Unavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise _damaged(attachment) from None
            raise


def record_download(actor: Actor, attachments: list[Attachment]) -> None:
    """Write down that these files went to the reader."""
    for attachment in attachments:
        audit.record(
            "attachment.downloaded",
            by=_by(actor),
            company_id=actor.company_id,
            message_id=attachment.message_id,
            attachment_id=attachment.id,
        )
    db.session.flush()


def record_damage(*, actor: Actor, message_id: str, attachment_id: str) -> None:
    """Write down that a stored file is not what was delivered."""
    audit.record(
        "attachment.damaged",
        by="system",
        company_id=actor.company_id,
        message_id=message_id,
        attachment_id=attachment_id,
    )
    db.session.flush()


def surroundings(message: Message, *, actor: Actor) -> Surroundings:
    """Return the proofs of a message, who opened it first, and its neighbours in the same folder."""
    proofs = db.session.scalars(
        select(Receipt).filter_by(company_id=message.company_id, message_id=message.id).order_by(Receipt.created_at)
    )
    reader = db.session.get(Membership, message.first_retrieved_by) if message.first_retrieved_by else None
    return Surroundings(
        receipts=list(proofs),
        first_reader=reader.person.name if reader else "",
        older=_neighbour(message, actor, lambda mine, other: other < mine, newest_first=True),
        newer=_neighbour(message, actor, lambda mine, other: other > mine, newest_first=False),
    )


def mark_unread(*, actor: Actor, message_id: uuid.UUID) -> None:
    """Mark the message unread for everybody in the company; the first retrieval stays on record."""
    message = _message(actor, message_id, lock=True)
    if message.is_unread:
        return
    _set_unread(message, True)
    _audit("message.marked_unread", actor, message)
    db.session.flush()


def archive(*, actor: Actor, message_id: uuid.UUID) -> None:
    """Move the message into the archive; deadlines go on."""
    _move(actor, message_id, archived_at=now(), event="message.archived")


def restore(*, actor: Actor, message_id: uuid.UUID) -> None:
    """Move the message from the archive back into the inbox."""
    _move(actor, message_id, archived_at=None, event="message.restored")


def archived_subject(*, actor: Actor, message_id: uuid.UUID) -> str | None:
    """Return the subject of a message of this company that lies in the archive; None for any other."""
    return db.session.scalar(
        select(Message.subject).where(
            Message.company_id == actor.company_id,
            Message.id == message_id,
            Message.archived_at.is_not(None),
            visible_to(actor),
        )
    )


def require_message(*, actor: Actor, message_id: uuid.UUID) -> None:
    """Raise NotFound unless the company has this message; opens nothing."""
    found = select(Message.id).where(
        Message.company_id == actor.company_id, Message.id == message_id, visible_to(actor)
    )
    if db.session.scalar(found) is None:
        raise NotFound


def _message(actor: Actor, message_id: uuid.UUID, *, with_attachments: bool = False, lock: bool = False) -> Message:
    """Return the message of the actor's own company, the row locked and read anew where it will be changed."""
    query = select(Message).where(Message.company_id == actor.company_id, Message.id == message_id, visible_to(actor))
    if with_attachments:
        query = query.options(selectinload(Message.attachments))
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    message = db.session.scalar(query)
    if message is None:
        raise NotFound
    return message


def _lock_unless_read(actor: Actor, message_id: uuid.UUID) -> Message:
    """Return the message with its row locked, or without if somebody read it while we waited.

    Going back to the savepoint lets the row go at once; else those behind would wait until our page is rendered.
    """
    savepoint = db.session.begin_nested()
    message = _message(actor, message_id, with_attachments=True, lock=True)
    if message.first_retrieved_at is None or message.is_unread:
        savepoint.commit()
        return message
    savepoint.rollback()
    return _message(actor, message_id, with_attachments=True)


def _has_ended(opened: Opened) -> bool:
    ends = opened.deadline.provision_ends_on if opened.deadline else None
    return ends is not None and ends < opened.today and opened.message.first_retrieved_at is None


def _record_first_retrieval(message: Message, actor: Actor) -> None:
    """Write the fact, the dates that hang on it, and the signed proof; the caller holds the row's lock."""
    # Two servers never agree to the millisecond; nothing is read before it was there.
    message.first_retrieved_at = max(now(), message.made_available_at)
    message.first_retrieved_by = actor.membership_id
    if message.regime is not None and message.announced_on is None:
        _keep_dates(message, message.first_retrieved_at)
    db.session.flush()
    receipts.issue_for_first_retrieval(message)
    _audit("message.first_retrieved", actor, message)


def _keep_dates(message: Message, retrieved_at: datetime) -> None:
    deadline = actions.deadline(message, retrieved_on=legal_day(retrieved_at))
    message.announced_on = deadline.announced_on
    message.remedy_ends_on = deadline.remedy_ends_on
    message.rule_version = message.rule_version or deadline.rule_version


def _move(actor: Actor, message_id: uuid.UUID, *, archived_at: datetime | None, event: str) -> None:
    message = _message(actor, message_id, lock=True)
    if (message.archived_at is None) == (archived_at is None):
        return
    message.archived_at = archived_at
    _audit(event, actor, message)
    db.session.flush()


def _set_unread(message: Message, is_unread: bool) -> None:
    """Change the mark and the counter together; always first the message, then the mailbox."""
    if message.is_unread == is_unread:
        return
    message.is_unread = is_unread
    db.session.flush()
    db.session.execute(
        update(Mailbox)
        .where(Mailbox.company_id == message.company_id)
        .values(unread_count=Mailbox.unread_count + (1 if is_unread else -1))
        .execution_options(synchronize_session=False)
    )


def _neighbour(
    message: Message, actor: Actor, before: Callable[[Any, Any], Any], *, newest_first: bool
) -> uuid.UUID | None:
    """Return the id of the next message of the same folder in one direction."""
    place = Message.archived_at.is_(None) if message.archived_at is None else Message.archived_at.is_not(None)
    order = (Message.made_available_at, Message.id)
    return db.session.scalar(
        select(Message.id)
        .where(Message.company_id == message.company_id, visible_to(actor), place)
        .where(before((message.made_available_at, message.id), KEY))
        .order_by(*(column.desc() if newest_first else column.asc() for column in order))
        .limit(1)
    )


def _audit(event: str, actor: Actor, message: Message) -> None:
    audit.record(event, by=_by(actor), company_id=message.company_id, message_id=message.id)


def _by(actor: Actor) -> str:
    return f"person:{actor.person_id}"


def _damaged(attachment: Attachment) -> Damaged:
    return Damaged(message_id=str(attachment.message_id), attachment_id=str(attachment.id))
