"""The chain of evidence of a mailbox: each delivery is bound to all before it; nobody can change, drop or insert one.

Concept: one link per message, leaf = SHA-256(salt || canonical record), hash = SHA-256(previous || number || leaf).
"""

import hashlib
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from unternehmenskonto.db import db
from unternehmenskonto.mailbox.folders.models import ErasedMessage
from unternehmenskonto.mailbox.models import GENESIS, Attachment, ChainLink, Mailbox, Message

SALT_BYTES = 32
#: A message has up to 100,000 characters, so a batch stays below 40 MB.
BATCH = 100
REPORTED_FAULTS = 20


@dataclass(frozen=True)
class Verdict:
    """What the verifier found in one mailbox; `faults` names the first bad places, empty means intact."""

    company_id: uuid.UUID
    links: int
    head: str
    faults: list[str]


def record_of(message: Message, attachments: list[Attachment]) -> bytes:
    """Return what was delivered in one canonical form: JSON in a fixed order, times in UTC."""
    fields: list[Any] = [
        message.company_id.hex,
        message.sequence_number,
        message.id.hex,
        message.service,
        message.sender_name,
        message.sender_authority,
        message.kind,
        message.subject,
        message.body,
        message.body_format,
        message.reference,
        message.regime,
        message.land,
        message.remedy_kind,
        message.remedy_length,
        message.remedy_unit,
        message.remedy_instructed,
        message.remedy_addressee,
        message.accepted_at.isoformat(),
        message.made_available_at.isoformat(),
        [[file.id.hex, file.file_name, file.media_type, file.size, file.sha256] for file in attachments],
    ]
    # What was added later stands at the end, and only where there is any: older records stay as they are.
    later = {"reply": message.reply, "case": message.case_id.hex if message.case_id else None}
    if added := {name: value for name, value in later.items() if value is not None}:
        fields.append(added)
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)


def append(mailbox: Mailbox, message: Message, attachments: list[Attachment]) -> ChainLink:
    """Add the message to the mailbox's chain; the caller holds the lock on the mailbox."""
    salt = secrets.token_bytes(SALT_BYTES)
    leaf = leaf_of(salt, record_of(message, attachments))
    link = ChainLink(
        company_id=mailbox.company_id,
        sequence_number=message.sequence_number,
        message_id=message.id,
        salt=salt,
        leaf=leaf,
        previous=mailbox.head,
        hash=hash_of(mailbox.head, message.sequence_number, leaf),
        recorded_at=message.made_available_at,
    )
    mailbox.head = link.hash
    db.session.add(link)
    return link


def verify(company_id: uuid.UUID) -> Verdict:
    """Recompute one mailbox's chain from the messages as they lie there; streams in batches."""
    mailbox = db.session.get(Mailbox, company_id, populate_existing=True)
    previous, number, faults = GENESIS, 0, []
    for link, message, is_erased in _links(company_id):
        number += 1
        if link.sequence_number != number:
            faults.append(f"link {number} is missing")
            number = link.sequence_number
        found = _faults(link, message, previous, is_erased=is_erased)
        faults += [f"message {link.sequence_number}: {fault}" for fault in found]
        previous = link.hash
        if len(faults) >= REPORTED_FAULTS:
            break
    if mailbox is not None and len(faults) < REPORTED_FAULTS:
        faults += _end_faults(mailbox, number, previous)
    return Verdict(company_id=company_id, links=number, head=previous.hex(), faults=faults[:REPORTED_FAULTS])


def _links(company_id: uuid.UUID) -> Iterator[tuple[ChainLink, Message | None, bool]]:
    """Yield each link with its message in the order of the chain; None for one that is gone, and whether by erasure."""
    after = 0
    while True:
        links = db.session.scalars(
            select(ChainLink)
            .where(ChainLink.company_id == company_id, ChainLink.sequence_number > after)
            .order_by(ChainLink.sequence_number)
            .limit(BATCH)
            .execution_options(populate_existing=True)
        ).all()
        if not links:
            return
        found = db.session.scalars(
            select(Message)
            .where(Message.company_id == company_id, Message.id.in_([link.message_id for link in links]))
            .options(selectinload(Message.attachments))
            .execution_options(populate_existing=True)
        ).all()
        messages = {message.id: message for message in found}
        gone = [link.message_id for link in links if link.message_id not in messages]
        erased = set(
            db.session.scalars(
                select(ErasedMessage.message_id).where(
                    ErasedMessage.company_id == company_id, ErasedMessage.message_id.in_(gone)
                )
            )
        )
        yield from ((link, messages.get(link.message_id), link.message_id in erased) for link in links)
        after = links[-1].sequence_number


def _faults(link: ChainLink, message: Message | None, previous: bytes, *, is_erased: bool) -> Iterator[str]:
    if link.previous != previous:
        yield "is not linked to the one before it"
    if link.hash != hash_of(link.previous, link.sequence_number, link.leaf):
        yield "hash of the link was changed"
    if link.salt is None:
        if message is not None:
            yield "salt is gone but the message is still there"
        elif not is_erased:
            yield "message and salt are gone but nothing tells who erased them"
        return
    if message is None:
        yield "message is gone but was not erased properly (its salt is still there)"
    elif leaf_of(link.salt, record_of(message, list(message.attachments))) != link.leaf:
        yield "message or attachments were changed after delivery"


def _end_faults(mailbox: Mailbox, number: int, head: bytes) -> Iterator[str]:
    if mailbox.last_sequence != number:
        yield f"links {number + 1} to {mailbox.last_sequence} are missing at the end"
    if mailbox.head != head:
        yield "head of the mailbox is not the last link"
    unlinked = select(Message.sequence_number).where(
        Message.company_id == mailbox.company_id,
        ~select(ChainLink.leaf)
        .where(
            ChainLink.company_id == Message.company_id,
            ChainLink.sequence_number == Message.sequence_number,
            ChainLink.message_id == Message.id,
        )
        .exists(),
    )
    for stray in db.session.scalars(unlinked.limit(REPORTED_FAULTS)):
        yield f"message {stray}: was inserted without a link"


def leaf_of(salt: bytes, record: bytes) -> bytes:
    """Return the salted commitment to a canonical record."""
    return hashlib.sha256(salt + record).digest()


def hash_of(previous: bytes, number: int, leaf: bytes) -> bytes:
    """Return the hash of a link: what went before, its number, its leaf."""
    return hashlib.sha256(previous + number.to_bytes(8, "big") + leaf).digest()
