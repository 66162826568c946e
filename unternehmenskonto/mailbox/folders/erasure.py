"""The final deletion of messages that lie in the bin: what the authority wrote goes, what proves the delivery stays.

Gone afterwards: subject, text, reference, attachments with their bytes, labels, comments, and the salt of the chain,
without which the link tells nothing. Left: number, sender, times, dates, who deleted it, the signed receipts (digests
alone), the link. Triggers refuse every other way to delete a message.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import load_only

from unternehmenskonto import audit, storage
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import Conflict, NotFound
from unternehmenskonto.jobs import defer, job
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.folders.actions import BULK_MAXIMUM, NothingSelected, TooManySelected
from unternehmenskonto.mailbox.folders.models import ErasedMessage
from unternehmenskonto.mailbox.folders.protection import protected_until, protection
from unternehmenskonto.mailbox.models import Attachment, ChainLink, Message
from unternehmenskonto.mailbox.search import index
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.permissions import Actor


class NotErasable(Conflict):
    """A message is not in the bin any more, or its deadline runs."""

    code = "not_erasable"
    sentence = _l(
        "Es wurde nichts gelöscht: Mindestens eine der Nachrichten liegt nicht mehr im Papierkorb, oder ihre Frist "
        "läuft. Öffnen Sie den Papierkorb neu und wählen Sie noch einmal aus."
    )


@dataclass(frozen=True)
class Doomed:
    """What a person sees before a message is deleted for good; `size` is that of all files in bytes."""

    id: uuid.UUID
    subject: str
    sender: str
    is_decision: bool
    is_opened: bool
    made_available_at: datetime
    files: int
    size: int


def look(*, actor: Actor, message_ids: Sequence[uuid.UUID]) -> list[Doomed]:
    """Return what would be deleted, newest first, without opening anything.

    Raises NothingSelected, TooManySelected, NotFound, and NotErasable unless all of them may be deleted now.
    """
    found = _found(actor, message_ids, lock=False)
    query = (
        select(Attachment.message_id, func.count(), func.sum(Attachment.size))
        .where(Attachment.company_id == actor.company_id, Attachment.message_id.in_([one.id for one in found]))
        .group_by(Attachment.message_id)
    )
    files = {row[0]: (row[1], int(row[2])) for row in db.session.execute(query)}
    return [
        Doomed(
            id=message.id,
            subject=message.subject,
            sender=message.sender_authority,
            is_decision=message.is_decision,
            is_opened=message.first_retrieved_at is not None,
            made_available_at=message.made_available_at,
            files=files.get(message.id, (0, 0))[0],
            size=files.get(message.id, (0, 0))[1],
        )
        for message in sorted(found, key=lambda one: (one.made_available_at, one.id), reverse=True)
    ]


def erase(*, actor: Actor, message_ids: Sequence[uuid.UUID]) -> int:
    """Delete these messages for good, all or none, and return how many; the files follow by a job after the commit.

    Raises what `look` raises.
    """
    messages = _found(actor, message_ids, lock=True)
    moment, ids = now(), [message.id for message in messages]
    files = db.session.execute(
        select(Attachment.message_id, Attachment.path).where(
            Attachment.company_id == actor.company_id, Attachment.message_id.in_(ids)
        )
    ).all()
    owners = [row.message_id for row in files]
    db.session.add_all(_remains(message, actor, moment, owners.count(message.id)) for message in messages)
    for message in messages:
        audit.record(
            "message.erased",
            by=f"person:{actor.person_id}",
            company_id=actor.company_id,
            message_id=message.id,
            sequence_number=message.sequence_number,
            kind=message.kind,
        )
    db.session.flush()
    db.session.execute(
        update(ChainLink)
        .where(
            ChainLink.company_id == actor.company_id,
            ChainLink.sequence_number.in_([message.sequence_number for message in messages]),
        )
        .values(salt=None)
    )
    index.forget(actor.company_id, [message.sequence_number for message in messages])
    for message in messages:
        db.session.expunge(message)
    db.session.execute(
        delete(Message)
        .where(Message.company_id == actor.company_id, Message.id.in_(ids))
        .execution_options(synchronize_session=False)
    )
    if files:
        defer("mailbox.remove_objects", paths=[row.path for row in files])
    return len(ids)


@job("mailbox.remove_objects")
def remove_objects(paths: list[str]) -> None:
    """Remove the stored files of erased messages; one that still belongs to an attachment stays."""
    known = set(db.session.scalars(select(Attachment.path).where(Attachment.path.in_(paths))))
    for path in paths:
        if path not in known:
            storage.delete(path)


def _found(actor: Actor, message_ids: Sequence[uuid.UUID], *, lock: bool) -> list[Message]:
    wanted = list(dict.fromkeys(message_ids))
    if not wanted:
        raise NothingSelected
    if len(wanted) > BULK_MAXIMUM:
        raise TooManySelected
    query = (
        select(Message)
        .where(Message.company_id == actor.company_id, Message.id.in_(wanted), visible_to(actor))
        .order_by(Message.id)
        .options(load_only(*_COLUMNS))
        .execution_options(populate_existing=True)
    )
    found = list(db.session.scalars(query.with_for_update() if lock else query))
    if not found:
        raise NotFound
    today: date = legal_day(now())
    if len(found) < len(wanted) or any(one.binned_at is None or protection(one, today) for one in found):
        raise NotErasable
    return found


def _remains(message: Message, actor: Actor, moment: datetime, files: int) -> ErasedMessage:
    return ErasedMessage(
        company_id=message.company_id,
        message_id=message.id,
        sequence_number=message.sequence_number,
        service=message.service,
        sender_authority=message.sender_authority,
        kind=message.kind,
        accepted_at=message.accepted_at,
        made_available_at=message.made_available_at,
        announced_on=message.announced_on,
        remedy_ends_on=message.remedy_ends_on,
        rule_version=message.rule_version,
        first_retrieved_at=message.first_retrieved_at,
        attachment_count=files,
        topic_id=message.topic_id,
        protected_until=protected_until(message),
        erased_at=moment,
        erased_by=actor.membership_id,
    )


#: Never the body.
_COLUMNS = (
    Message.sequence_number,
    Message.service,
    Message.sender_authority,
    Message.kind,
    Message.subject,
    Message.regime,
    Message.accepted_at,
    Message.made_available_at,
    Message.announced_on,
    Message.remedy_ends_on,
    Message.rule_version,
    Message.first_retrieved_at,
    Message.topic_id,
    Message.binned_at,
)
