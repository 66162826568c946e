"""Signed proofs of the mailbox: accepted, made available, first retrieved (JWS, ES256, typ receipt+jwt).

Anybody can verify them with the published keys alone; they hold pseudonyms, times and digests, no contents.
"""

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from unternehmenskonto import keys
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.mailbox.folders.models import ErasedMessage
from unternehmenskonto.mailbox.models import Attachment, Message, Receipt
from unternehmenskonto.settings import get_settings

TYP = "receipt+jwt"
ALGORITHM = "ES256"


def issue_for_delivery(
    message: Message, attachments: Sequence[Attachment], *, pseudonym: str, chain_hash: bytes
) -> dict[str, str]:
    """Sign and keep the proofs of acceptance and availability; return kind -> JWS.

    `pseudonym` is the company's org_sub in the sender's sector, `chain_hash` that of the message's link.
    """
    claims = {
        "message_id": str(message.id),
        "sequence_number": message.sequence_number,
        "mailbox": pseudonym,
        "sender": message.service,
        "sender_name": message.sender_name,
        "kind": message.kind,
        "subject_sha256": _digest(message.subject),
        "body_sha256": _digest(message.body),
        "attachments": [{"sha256": file.sha256, "size": file.size} for file in attachments],
        "accepted_at": utc(message.accepted_at),
    }
    accepted = _issue("accepted", message, claims)
    claims |= {"made_available_at": utc(message.made_available_at), "chain_hash": chain_hash.hex()}
    return {"accepted": accepted.jws, "made_available": _issue("made_available", message, claims).jws}


def issue_for_first_retrieval(message: Message) -> Receipt:
    """Sign and keep the proof that somebody of the company opened the message for the first time.

    It repeats what the proof of availability says, so it holds even if the sending service was changed since.
    """
    available = select(Receipt.jws).where(
        Receipt.company_id == message.company_id,
        Receipt.message_id == message.id,
        Receipt.kind == "made_available",
    )
    claims, _ = keys.decode_own(db.session.scalars(available).one())
    if message.first_retrieved_at is None:
        raise ValueError("the message was not retrieved yet")
    return _issue("first_retrieved", message, {**claims, "first_retrieved_at": utc(message.first_retrieved_at)})


def receipts_of(message: Message | ErasedMessage) -> dict[str, str]:
    """Return kind -> JWS of all proofs of a message, also of one that was erased."""
    message_id = message.id if isinstance(message, Message) else message.message_id
    rows = select(Receipt).where(Receipt.company_id == message.company_id, Receipt.message_id == message_id)
    return {receipt.kind: receipt.jws for receipt in db.session.scalars(rows.order_by(Receipt.id))}


def utc(moment: datetime) -> str:
    """Return the time as RFC 3339 writes it, to the microsecond, in UTC."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _issue(kind: str, message: Message, claims: dict[str, Any]) -> Receipt:
    receipt_id, moment = new_id(), now()
    own = {
        "iss": get_settings().base_url,
        "jti": str(receipt_id),
        "iat": int(moment.timestamp()),
        "receipt": kind,
    }
    jws = keys.sign({**claims, **own}, use="receipt", alg=ALGORITHM, typ=TYP)
    return _keep(receipt_id, kind, message, jws, moment)


def _keep(receipt_id: uuid.UUID, kind: str, message: Message, jws: str, moment: datetime) -> Receipt:
    receipt = Receipt(
        company_id=message.company_id, id=receipt_id, message_id=message.id, kind=kind, jws=jws, created_at=moment
    )
    db.session.add(receipt)
    return receipt


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
