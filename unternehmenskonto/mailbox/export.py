"""A message with everything that belongs to it as one ZIP archive, streamed."""

from collections.abc import Iterator
from dataclasses import dataclass

import flask_babel
from flask import render_template
from zipstream import ZipStream

from unternehmenskonto import storage
from unternehmenskonto.mailbox import markup
from unternehmenskonto.mailbox.explanation import LAND_NAMES, sentences
from unternehmenskonto.mailbox.models import Attachment, Receipt
from unternehmenskonto.mailbox.reading import Opened

#: Folder of the attachments and of the proofs inside the archive.
FILES = "anhaenge"
PROOFS = "nachweise"


@dataclass(frozen=True)
class Archive:
    """The chunks of the archive and its exact length in bytes."""

    chunks: Iterator[bytes]
    length: int
    file_name: str


def archive(opened: Opened, receipts: list[Receipt]) -> Archive:
    """Return the archive: message as page and as text, original files, signed proofs, digests.

    Nothing is compressed, so the length is known before the first byte and PDF files lose no time.
    """
    message = opened.message
    attachments = list(message.attachments)
    context = {
        "opened": opened,
        "message": message,
        "attachments": attachments,
        "receipts": receipts,
        "sentences": sentences(message, opened.deadline, opened.today) if opened.deadline else [],
        "land": LAND_NAMES.get(message.land or "", ""),
        "names": {attachment.id: _name(attachment) for attachment in attachments},
    }
    body = markup.render(message.body, message.body_format)
    packed = ZipStream(sized=True)
    packed.add(render_template("mailbox/export.html", body=body, **context), "nachricht.html")
    packed.add(render_template("mailbox/export.txt", **context), "nachricht.txt")
    for attachment in attachments:
        content = storage.stream(attachment.path, sha256=attachment.sha256)
        packed.add(content, f"{FILES}/{_name(attachment)}", size=attachment.size)
    for receipt in receipts:
        packed.add(receipt.jws, f"{PROOFS}/{receipt.kind}.jws")
    if attachments:
        packed.add(_digests(attachments), "SHA256SUMS")
    return Archive(chunks=iter(packed), length=len(packed), file_name=_archive_name(opened))


def _name(attachment: Attachment) -> str:
    """Return a name that no other attachment of the message has."""
    return f"{attachment.position:02d}_{attachment.file_name}"


def _digests(attachments: list[Attachment]) -> str:
    """Return the digests as `sha256sum --check` reads them."""
    return "".join(f"{one.sha256}  {FILES}/{_name(one)}\n" for one in attachments)


def _archive_name(opened: Opened) -> str:
    kind = flask_babel.gettext("Bescheid") if opened.message.is_decision else flask_babel.gettext("Nachricht")
    return f"{kind}-{opened.message.sequence_number}.zip"
