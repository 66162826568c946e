"""Write a whole mailbox into one ZIP file: JSON, original files, signed proofs, and how to check them."""

import hashlib
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from unternehmenskonto import keys, storage
from unternehmenskonto.db import db
from unternehmenskonto.errors import Unavailable
from unternehmenskonto.mailbox.models import Attachment, ChainLink, Message, Receipt
from unternehmenskonto.mailbox.receipts import utc
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.permissions import Actor

BATCH = 100
#: What a person sees of a message without opening it; everything else stays out of the export until somebody has.
_OUTSIDE = (
    *(
        "sequence_number",
        "service",
        "sender_name",
        "sender_authority",
        "kind",
        "subject",
        "reference",
        "regime",
        "land",
    ),
    *("accepted_at", "made_available_at", "announced_on", "remedy_ends_on", "rule_version"),
    *("first_retrieved_at", "archived_at", "is_unread"),
)
_INSIDE = (
    *("body", "body_format", "remedy_kind", "remedy_length", "remedy_unit", "remedy_instructed", "remedy_addressee"),
)


class Cancelled(Exception):
    """The person does not want the export any more."""


@dataclass
class Progress:
    """What was written so far."""

    written: int = 0
    closed: int = 0
    damaged: int = 0


def count(actor: Actor) -> tuple[int, int]:
    """Return how many messages the person may see, and how many of them nobody has opened."""
    row = db.session.execute(
        select(func.count(), func.count().filter(Message.first_retrieved_at.is_(None))).where(
            Message.company_id == actor.company_id, visible_to(actor)
        )
    ).one()
    return row[0], row[1]


def write(file: BinaryIO, *, actor: Actor, notes: str, report: Callable[[Progress], None]) -> Progress:
    """Write the archive, `report` called after each batch; memory does not grow with the files.

    `report` raises Cancelled to end it. Messages that nobody has opened come without text and files: an export is
    no retrieval. A damaged file is left out, named in the message's JSON and counted.
    """
    progress = Progress()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as packed:
        packed.writestr("LIESMICH.txt", notes)
        packed.writestr("schluessel.json", orjson.dumps(keys.jwks(), option=orjson.OPT_INDENT_2))
        for batch in _batches(actor):
            for message, proofs, salt in batch:
                _write_message(packed, message, {"receipts": proofs, "salt": salt}, progress)
            # Ends the transaction between batches: reading the next files may take long.
            db.session.rollback()
            report(progress)
        with packed.open("kette.jsonl", "w") as entry:
            for line in _chain(actor.company_id):
                entry.write(line)
    return progress


def _batches(actor: Actor) -> Iterator[list[tuple[Message, dict[str, str], str | None]]]:
    """Yield the visible messages in the order of delivery, with their proofs and the salt of their leaf."""
    last = 0
    while True:
        messages = db.session.scalars(
            select(Message)
            .where(Message.company_id == actor.company_id, Message.sequence_number > last, visible_to(actor))
            .order_by(Message.sequence_number)
            .limit(BATCH)
            .options(selectinload(Message.attachments))
        ).all()
        if not messages:
            return
        last = messages[-1].sequence_number
        proofs: dict[uuid.UUID, dict[str, str]] = {message.id: {} for message in messages}
        for proof in db.session.scalars(
            select(Receipt).where(Receipt.company_id == actor.company_id, Receipt.message_id.in_(proofs))
        ):
            proofs[proof.message_id][proof.kind] = proof.jws
        numbers = [message.sequence_number for message in messages]
        salts = dict(
            db.session.execute(
                select(ChainLink.sequence_number, ChainLink.salt).where(
                    ChainLink.company_id == actor.company_id, ChainLink.sequence_number.in_(numbers)
                )
            ).all()
        )
        found = [(one, proofs[one.id], salts.get(one.sequence_number)) for one in messages]
        yield [(one, proof, salt.hex() if salt else None) for one, proof, salt in found]


def _write_message(packed: zipfile.ZipFile, message: Message, proof: dict[str, Any], progress: Progress) -> None:
    folder = f"nachrichten/{message.sequence_number:07d}"
    is_open = message.first_retrieved_at is not None
    record: dict[str, Any] = {"id": message.id, **{name: _plain(message, name) for name in _OUTSIDE}}
    record |= {"is_opened": is_open, "receipts": proof["receipts"]}
    if is_open:
        # Of a closed message the salt stays here: with it, a guess at the text could be tried.
        record["salt"] = proof["salt"]
        record |= {name: _plain(message, name) for name in _INSIDE}
        record["attachments"] = [_write_file(packed, folder, one, progress) for one in message.attachments]
    packed.writestr(f"{folder}/nachricht.json", orjson.dumps(record, option=orjson.OPT_INDENT_2))
    progress.written += 1
    progress.closed += not is_open


def _write_file(packed: zipfile.ZipFile, folder: str, attachment: Attachment, progress: Progress) -> dict[str, Any]:
    """Copy an original file in pieces and return what the message's JSON says of it."""
    name = f"{folder}/{attachment.position:02d}_{attachment.file_name}"
    known = {"file_name": attachment.file_name, "media_type": attachment.media_type, "size": attachment.size}
    known |= {"sha256": attachment.sha256}
    try:
        # Read through once before: a half file never gets into the archive.
        for _ in storage.stream(attachment.path, sha256=attachment.sha256):
            pass
    except storage.DigestMismatch:
        progress.damaged += 1
        return {**known, "path": None, "damaged": True}
    except Unavailable as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        progress.damaged += 1
        return {**known, "path": None, "damaged": True}
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    # Nearly all files are packed already (PDF, pictures).
    info.compress_type = zipfile.ZIP_STORED
    with packed.open(info, "w", force_zip64=attachment.size > 2**31) as entry:
        for chunk in storage.stream(attachment.path, sha256=attachment.sha256):
            entry.write(chunk)
    return {**known, "path": name}


def _chain(company_id: uuid.UUID) -> Iterator[bytes]:
    """Yield the links of the chain of evidence, one JSON object a line; each leaf proves one message."""
    links = db.session.scalars(
        select(ChainLink)
        .filter_by(company_id=company_id)
        .order_by(ChainLink.sequence_number)
        .execution_options(yield_per=1000)
    )
    for link in links:
        values = {name: getattr(link, name).hex() for name in ("leaf", "previous", "hash")}
        yield orjson.dumps({"sequence_number": link.sequence_number, "message_id": link.message_id, **values}) + b"\n"


def _plain(message: Message, name: str) -> Any:
    value = getattr(message, name)
    return utc(value) if name.endswith("_at") and value is not None else value


def digest(file: BinaryIO) -> tuple[str, int]:
    """Return SHA-256 (hex) and size of an open file; leaves it at its beginning."""
    file.seek(0)
    running, size = hashlib.sha256(), 0
    while chunk := file.read(storage.PUT_BYTES):
        running.update(chunk)
        size += len(chunk)
    file.seek(0)
    return running.hexdigest(), size
