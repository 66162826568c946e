"""What a reader does with a message: open it and take its files away."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from unternehmenskonto import audit, storage
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import AppError, Conflict, Gone, NotFound, Unavailable
from unternehmenskonto.mailbox import actions, explanation, places, receipts
from unternehmenskonto.mailbox.deadlines import Deadline, legal_day, provision_end
from unternehmenskonto.mailbox.folders.models import ErasedMessage
from unternehmenskonto.mailbox.inbox import KEY
from unternehmenskonto.mailbox.models import Attachment, Message, Receipt
from unternehmenskonto.mailbox.rules import rule_for
from unternehmenskonto.mailbox.visibility import nearest, remains_visible_to, visible_to
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


class Erased(Gone):
    """Somebody of the company deleted the message for good."""

    code = "erased"
    sentence = _l(
        "Diese Nachricht wurde am %(day)s in Ihrem Unternehmen endgültig gelöscht. Unter „Papierkorb“, „Endgültig "
        "Gelöschtes“ sehen Sie, was von ihr bleibt."
    )


class ChoiceNeeded(Conflict):
    """Opening would announce the decision (VwVfG section 41(2a)), and nobody has said that they want it."""

    code = "choice_needed"
    sentence = _l(
        "Wer diesen Bescheid öffnet, löst seine Bekanntgabe aus. Entscheiden Sie das zuerst auf seiner Seite im "
        "Postfach."
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


def open_message(*, actor: Actor, message_id: uuid.UUID, is_chosen: bool = False) -> Opened:
    """Return the message for reading; the first opening of all is recorded, with receipt and audit event.

    First retrieval is written once, whoever opens at the same moment (OZG section 9(1)); every opening is audited.
    Raises NotFound, also for a message of another company, and ChoiceNeeded where the first opening announces the
    decision and the person has not chosen that.
    """
    message = _message(actor, message_id, with_attachments=True)
    if not is_chosen and announces(message, legal_day(now())):
        raise ChoiceNeeded
    if message.first_retrieved_at is None or message.is_unread:
        message = _lock_unless_read(actor, message_id)
    opened = Opened(message=message, deadline=explanation.deadline_of(message), is_ended=False, today=legal_day(now()))
    _mark_read(message)
    if _has_ended(opened):
        db.session.flush()
        return Opened(message=message, deadline=opened.deadline, is_ended=True, today=opened.today)
    if message.first_retrieved_at is None:
        _record_first_retrieval(message, actor)
        opened = Opened(message=message, deadline=explanation.deadline_of(message), is_ended=False, today=opened.today)
    _audit("message.opened", actor, message)
    db.session.flush()
    return opened


def announces(message: Any, today: date) -> bool:
    """Tell whether opening the message today would announce it: nobody has retrieved it, and it is in time.

    Takes a Message or a row with regime, first_retrieved_at and made_available_at.
    """
    if message.regime is None or message.first_retrieved_at is not None:
        return False
    day = legal_day(message.made_available_at)
    ends = provision_end(rule_for(message.regime, day), day)
    return ends is not None and today <= ends


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
        older=_neighbour(message, actor, newest_first=True),
        newer=_neighbour(message, actor, newest_first=False),
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
        raise missing(actor, message_id)
    return message


def missing(actor: Actor, message_id: uuid.UUID) -> NotFound | Erased:
    """Return what to say of a message that is not there: to those who saw it, that it was deleted and when."""
    erased = select(ErasedMessage.erased_at).where(
        ErasedMessage.company_id == actor.company_id,
        ErasedMessage.message_id == message_id,
        remains_visible_to(actor),
    )
    erased_at = db.session.scalar(erased)
    return NotFound() if erased_at is None else Erased(Erased.sentence % {"day": f"{legal_day(erased_at):%d.%m.%Y}"})


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


def _mark_read(message: Message) -> None:
    """Take the mark away and count; the caller holds the row's lock."""
    if not message.is_unread:
        return
    where = {"archived": message.archived_at is not None, "binned": message.binned_at is not None}
    message.is_unread = False
    db.session.flush()
    places.count(message.company_id, [(places.weight(is_unread=True, **where), (0, 0))])


def _neighbour(message: Message, actor: Actor, *, newest_first: bool) -> uuid.UUID | None:
    """Return the id of the next message of the same folder in one direction."""
    here = (message.made_available_at, message.id)
    bound = here > KEY if newest_first else here < KEY
    keys = nearest(actor, places.lies_in(places.folder_of(message)), bound, limit=1, newest_first=newest_first)
    return db.session.scalar(select(keys.c.id))


def _audit(event: str, actor: Actor, message: Message) -> None:
    audit.record(event, by=_by(actor), company_id=message.company_id, message_id=message.id)


def _by(actor: Actor) -> str:
    return f"person:{actor.person_id}"


def _damaged(attachment: Attachment) -> Damaged:
    return Damaged(message_id=str(attachment.message_id), attachment_id=str(attachment.id))
