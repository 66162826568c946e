"""Jobs of the search: read PDF files, and bring mailboxes from before the search into the index."""

import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import BinaryIO

import structlog
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from unternehmenskonto import storage
from unternehmenskonto.db import db
from unternehmenskonto.errors import Unavailable
from unternehmenskonto.jobs import defer, job
from unternehmenskonto.mailbox.models import Attachment, Message
from unternehmenskonto.mailbox.search import index
from unternehmenskonto.mailbox.search.models import AttachmentText, SearchBacklog, SearchSegment

log = structlog.get_logger()

#: A larger file is not read; sending it into the reader would take more memory than the reader has.
MAXIMUM_BYTES = 64 * 1024 * 1024
#: About 100 printed pages.
MAXIMUM_CHARACTERS = 400_000
#: The reader stops itself after CPU_SECONDS; this is for one that waits.
SECONDS = 60
BACKLOG_BATCH = 200
_READER = Path(__file__).with_name("pdf_reader.py")
_STATES = ("read", "partly", "silent")


@job("search.read_file")
def read_file(company_id: str, attachment_id: str) -> None:
    """Put the text of a PDF file into the index, once; a file that nobody can read counts as without text."""
    key = (uuid.UUID(company_id), uuid.UUID(attachment_id))
    attachment = db.session.get(Attachment, key)
    if attachment is None or db.session.get(AttachmentText, key) is not None:
        return
    path, sha256, size = attachment.path, attachment.sha256, attachment.size
    # Nothing was written: the connection goes back, because reading may take a minute.
    db.session.rollback()
    state, content = read(path, sha256=sha256, size=size)
    index.add_file(db.session.get_one(Attachment, key), state=state, content=content)


def read(path: str, *, sha256: str, size: int) -> tuple[str, str]:
    """Return state (read, partly or silent) and text of a stored PDF file.

    Raises Unavailable where the store does not answer, so that the job is tried again.
    """
    if size > MAXIMUM_BYTES:
        return "silent", ""
    with tempfile.TemporaryFile(dir=storage.folder()) as file:
        try:
            for chunk in storage.stream(path, sha256=sha256):
                file.write(chunk)
        except storage.DigestMismatch:
            return "silent", ""  # the reader of the message is told; here it only has no text
        except Unavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return "silent", ""
            raise
        file.seek(0)
        return _run(file)


def _run(file: BinaryIO) -> tuple[str, str]:
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_READER), str(MAXIMUM_CHARACTERS)],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=True,
            env={},
            cwd="/",
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        log.info("file without readable text", reason=type(error).__name__)
        return "silent", ""
    state, _, content = done.stdout.decode(errors="ignore").partition("\n")
    return (state, content.replace("\0", " ")) if state in _STATES else ("silent", "")


@job("search.catch_up", cron="* * * * *")
def catch_up() -> None:
    """Put the next messages of a mailbox that was filled before the search into the index; go on at once."""
    waiting = db.session.scalar(select(SearchBacklog).limit(1).with_for_update(skip_locked=True))
    if waiting is None:
        return
    last = min(waiting.next_sequence + BACKLOG_BATCH - 1, waiting.last_sequence)
    messages = db.session.scalars(
        select(Message)
        .where(Message.company_id == waiting.company_id, Message.sequence_number.between(waiting.next_sequence, last))
        .order_by(Message.sequence_number)
        .options(selectinload(Message.attachments))
    )
    for message in messages:
        if not index.is_indexed(message.company_id, message.sequence_number):
            index.add(message, message.attachments)
    waiting.next_sequence = last + 1
    if last == waiting.last_sequence:
        db.session.delete(waiting)
    defer("search.catch_up")


@job("search.forget_words")
def forget_words(company_id: str, segment: int) -> None:
    """Remove the words of erased messages from the vocabulary of a segment."""
    # A delivery adds its words before its document is seen; it waits for the segment, and so does this.
    key = (uuid.UUID(company_id), segment)
    if db.session.get(SearchSegment, key, with_for_update=True) is not None:
        index.forget_words(*key)
