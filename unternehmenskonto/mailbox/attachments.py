"""Attachments on their way into the store, and the sweep of those whose message never came to be."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import structlog
from sqlalchemy import select

from unternehmenskonto import storage
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import Unavailable
from unternehmenskonto.jobs import job
from unternehmenskonto.mailbox.actions import StoredFile
from unternehmenskonto.mailbox.conversations.models import DraftFile, SentFile
from unternehmenskonto.mailbox.copies.models import MailboxExport
from unternehmenskonto.mailbox.intake import Upload
from unternehmenskonto.mailbox.models import Attachment

log = structlog.get_logger()

#: A stored object without a message is left alone for so long: its request may still run.
ORPHAN_AGE = timedelta(days=1)
#: Where the names of objects are written that somebody needs.
PATHS = (Attachment.path, MailboxExport.path, DraftFile.path, SentFile.path)


@contextmanager
def stored(uploads: Sequence[Upload]) -> Iterator[list[StoredFile]]:
    """Put the files into the store; remove them again if the block raises.

    They go in before the database transaction begins, so that a slow disk holds no lock. A commit that fails
    after the block leaves them to the sweep: nobody can tell whether such a commit took place.
    """
    files: list[StoredFile] = []
    try:
        for upload in uploads:
            upload.file.seek(0)
            path = storage.put(upload.file)
            files.append(
                StoredFile(
                    file_name=upload.file_name,
                    media_type=upload.media_type,
                    size=upload.size,
                    sha256=upload.sha256,
                    path=path,
                )
            )
        yield files
    except BaseException:
        discard(files)
        raise


def discard(files: Sequence[StoredFile]) -> None:
    """Remove stored files that no message refers to; what cannot be removed now is left to the sweep."""
    for file in files:
        try:
            storage.delete(file.path)
        except (OSError, Unavailable) as error:
            log.warning("object not removed", kind=type(error).__name__)


@job("mailbox.sweep_orphans", cron="41 3 * * *")
def sweep_orphans() -> None:
    """Remove stored objects older than ORPHAN_AGE that belong to no attachment."""
    count = 0
    for paths in storage.older_objects(now() - ORPHAN_AGE):
        known = {path for column in PATHS for path in db.session.scalars(select(column).where(column.in_(paths)))}
        for path in paths:
            if path not in known:
                storage.delete(path)
                count += 1
    if count:
        log.warning("removed objects without a message", count=count)
