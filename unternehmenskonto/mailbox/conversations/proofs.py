"""The evidence of what a company sent: a chain of its own and signed receipts for both sides."""

import hashlib
import secrets
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import selectinload

from unternehmenskonto import keys
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.mailbox.chain import BATCH, REPORTED_FAULTS, SALT_BYTES, Verdict, hash_of, leaf_of
from unternehmenskonto.mailbox.conversations.models import Outbox, SentFile, SentLink, SentMessage
from unternehmenskonto.mailbox.models import GENESIS
from unternehmenskonto.mailbox.receipts import ALGORITHM, TYP, utc
from unternehmenskonto.settings import get_settings


@dataclass(frozen=True)
class Facts:
    """What a receipt tells; digests in place of contents."""

    sent_id: str
    sequence_number: int
    mailbox: str
    recipient: str
    recipient_name: str
    in_reply_to: str | None
    assurance_level: str
    subject_sha256: str
    body_sha256: str
    answers_sha256: str
    attachments: list[dict[str, Any]]
    sent_at: str


def record_of(sent: SentMessage, files: Sequence[SentFile]) -> bytes:
    """Return what was sent in one canonical form: JSON in a fixed order, times in UTC."""
    fields: list[Any] = [
        sent.company_id.hex,
        sent.sequence_number,
        sent.id.hex,
        sent.service,
        sent.service_number,
        sent.recipient_name,
        sent.recipient_authority,
        sent.message_id.hex if sent.message_id else None,
        sent.reference,
        sent.topic,
        sent.subject,
        sent.body,
        sent.answers,
        sent.org_sub,
        sent.company_name,
        sent.sender_name,
        sent.sent_by.hex,
        sent.assurance_level,
        sent.sent_at.isoformat(),
        [[file.id.hex, file.question, file.file_name, file.media_type, file.size, file.sha256] for file in files],
    ]
    return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)


def locked_outbox(company_id: uuid.UUID) -> Outbox:
    """Return the outbox, made if it is missing, locked until the transaction ends."""
    fresh = insert(Outbox).values(company_id=company_id, last_sequence=0, head=GENESIS)
    db.session.execute(fresh.on_conflict_do_nothing())
    locked = select(Outbox).where(Outbox.company_id == company_id).with_for_update()
    return db.session.scalars(locked.execution_options(populate_existing=True)).one()


def append(outbox: Outbox, sent: SentMessage, files: Sequence[SentFile]) -> bytes:
    """Add the message to the company's chain and return the hash; the caller holds the lock on the outbox."""
    salt = secrets.token_bytes(SALT_BYTES)
    leaf = leaf_of(salt, record_of(sent, files))
    link = SentLink(
        company_id=sent.company_id,
        sequence_number=sent.sequence_number,
        sent_id=sent.id,
        salt=salt,
        leaf=leaf,
        previous=outbox.head,
        hash=hash_of(outbox.head, sent.sequence_number, leaf),
    )
    outbox.head = link.hash
    db.session.add(link)
    return link.hash


def receipt_of_sending(sent: SentMessage, files: Sequence[SentFile], *, chain_hash: bytes) -> str:
    """Sign that this was sent: whose, to whom, when, with which contents (SHA-256)."""
    return _sign("sent", {**asdict(_facts(sent, files)), "chain_hash": chain_hash.hex()})


def receipt_of_arrival(sent: SentMessage) -> str:
    """Sign that the authority has fetched it; repeats what the first receipt says."""
    if sent.acknowledged_at is None:
        raise ValueError("nobody acknowledged the message yet")
    claims, _ = keys.decode_own(sent.receipt)
    return _sign("acknowledged", {**claims, "acknowledged_at": utc(sent.acknowledged_at)})


def verify(company_id: uuid.UUID) -> Verdict:
    """Recompute the chain of what a company sent; streams in batches."""
    outbox = db.session.get(Outbox, company_id, populate_existing=True)
    previous, number, faults = GENESIS, 0, []
    for link, sent in _links(company_id):
        number += 1
        if link.sequence_number != number:
            faults.append(f"sent link {number} is missing")
            number = link.sequence_number
        faults += [f"sent message {link.sequence_number}: {fault}" for fault in _faults(link, sent, previous)]
        previous = link.hash
        if len(faults) >= REPORTED_FAULTS:
            break
    if outbox is not None and not faults and (outbox.last_sequence, outbox.head) != (number, previous):
        faults.append("end of the outbox is not the last sent link")
    return Verdict(company_id=company_id, links=number, head=previous.hex(), faults=faults[:REPORTED_FAULTS])


def _links(company_id: uuid.UUID) -> Iterator[tuple[SentLink, SentMessage | None]]:
    after = 0
    while True:
        links = db.session.scalars(
            select(SentLink)
            .where(SentLink.company_id == company_id, SentLink.sequence_number > after)
            .order_by(SentLink.sequence_number)
            .limit(BATCH)
            .execution_options(populate_existing=True)
        ).all()
        if not links:
            return
        found = db.session.scalars(
            select(SentMessage)
            .where(SentMessage.company_id == company_id, SentMessage.id.in_([link.sent_id for link in links]))
            .options(selectinload(SentMessage.files))
            .execution_options(populate_existing=True)
        )
        messages = {sent.id: sent for sent in found}
        yield from ((link, messages.get(link.sent_id)) for link in links)
        after = links[-1].sequence_number


def _faults(link: SentLink, sent: SentMessage | None, previous: bytes) -> Iterator[str]:
    if link.previous != previous:
        yield "is not linked to the one before it"
    if link.hash != hash_of(link.previous, link.sequence_number, link.leaf):
        yield "hash of the link was changed"
    if link.salt is None:
        if sent is not None:
            yield "salt is gone but the message is still there"
    elif sent is None:
        yield "message is gone but was not erased properly (its salt is still there)"
    elif leaf_of(link.salt, record_of(sent, sent.files)) != link.leaf:
        yield "message or files were changed after sending"


def _facts(sent: SentMessage, files: Sequence[SentFile]) -> Facts:
    return Facts(
        sent_id=str(sent.id),
        sequence_number=sent.sequence_number,
        mailbox=sent.org_sub,
        recipient=sent.service,
        recipient_name=sent.recipient_name,
        in_reply_to=str(sent.message_id) if sent.message_id else None,
        assurance_level=sent.assurance_level,
        subject_sha256=_digest(sent.subject.encode()),
        body_sha256=_digest(sent.body.encode()),
        answers_sha256=_digest(orjson.dumps(sent.answers, option=orjson.OPT_SORT_KEYS)),
        attachments=[{"sha256": file.sha256, "size": file.size} for file in files],
        sent_at=utc(sent.sent_at),
    )


def _sign(kind: str, claims: dict[str, Any]) -> str:
    own = {"iss": get_settings().base_url, "jti": str(new_id()), "iat": int(now().timestamp()), "receipt": kind}
    return keys.sign({**claims, **own}, use="receipt", alg=ALGORITHM, typ=TYP)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
