"""What is left of messages that were deleted for good."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, tuple_

from unternehmenskonto.companies.models import Membership, Person
from unternehmenskonto.db import db
from unternehmenskonto.mailbox import inbox
from unternehmenskonto.mailbox.folders.models import ErasedMessage
from unternehmenskonto.mailbox.visibility import remains_visible_to
from unternehmenskonto.permissions import Actor


@dataclass(frozen=True)
class Remains:
    """One message that is gone; `erased_by` is the name of the person who deleted it."""

    message_id: uuid.UUID
    sequence_number: int
    sender: str
    is_decision: bool
    made_available_at: datetime
    first_retrieved_at: datetime | None
    remedy_ends_on: date | None
    files: int
    erased_at: datetime
    erased_by: str


@dataclass(frozen=True)
class Page:
    """Up to inbox.PAGE_SIZE lines, the last deleted first, and where the list goes on."""

    entries: list[Remains]
    older: str | None


def list_erased(*, actor: Actor, cursor: str | None = None) -> Page:
    """Return one page of what the person could see before it was deleted; raises inbox.InvalidCursor."""
    query: Any = (
        select(ErasedMessage, Person)
        .join(Membership, Membership.id == ErasedMessage.erased_by)
        .join(Person, Person.id == Membership.person_id)
        .where(ErasedMessage.company_id == actor.company_id)
        .where(remains_visible_to(actor))
    )
    if cursor is not None:
        _direction, key = inbox.decode(cursor)
        query = query.where(tuple_(ErasedMessage.erased_at, ErasedMessage.message_id) < key)
    query = query.order_by(ErasedMessage.erased_at.desc(), ErasedMessage.message_id.desc())
    rows = db.session.execute(query.limit(inbox.PAGE_SIZE + 1)).all()
    entries = [_entry(erased, person.name) for erased, person in rows[: inbox.PAGE_SIZE]]
    is_more = len(rows) > inbox.PAGE_SIZE
    return Page(
        entries=entries,
        older=inbox.encode(b"o", (entries[-1].erased_at, entries[-1].message_id)) if is_more else None,
    )


def _entry(erased: ErasedMessage, name: str) -> Remains:
    return Remains(
        message_id=erased.message_id,
        sequence_number=erased.sequence_number,
        sender=erased.sender_authority,
        is_decision=erased.kind == "decision",
        made_available_at=erased.made_available_at,
        first_retrieved_at=erased.first_retrieved_at,
        remedy_ends_on=erased.remedy_ends_on,
        files=erased.attachment_count,
        erased_at=erased.erased_at,
        erased_by=name,
    )
