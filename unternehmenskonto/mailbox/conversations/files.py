"""Files out of a form: onto our disk, measured, digested and checked as those of deliveries are."""

import hashlib
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from flask_babel import gettext
from werkzeug.datastructures import FileStorage

from unternehmenskonto import storage
from unternehmenskonto.errors import AppError
from unternehmenskonto.mailbox import content, file_names
from unternehmenskonto.mailbox.conversations.limits import MAXIMUM_FILE_BYTES, MAXIMUM_FILES, MIB
from unternehmenskonto.mailbox.intake import PIECE, Upload


@dataclass(frozen=True)
class Taken:
    """The files that are fine, with the question each answers, and a sentence for each that is not."""

    uploads: list[tuple[str | None, Upload]]
    faults: list[tuple[str | None, str]]


def take(given: list[tuple[str | None, list[FileStorage]]], *, closing: ExitStack) -> Taken:
    """Check what was chosen; nothing here holds more than a few pieces of a file in memory."""
    taken = Taken([], [])
    for question, files in given:
        for file in files[:MAXIMUM_FILES]:
            # A field in which nothing was chosen sends a part without a name.
            if not getattr(file, "filename", ""):
                continue
            name = file_names.clean(str(file.filename))
            try:
                taken.uploads.append((question, _take(file, name, closing)))
            except AppError as error:
                sentence = gettext("„%(name)s“ wurde nicht übernommen.", name=name)
                taken.faults.append((question, f"{sentence} {error.sentence}"))
        if len(files) > MAXIMUM_FILES:
            sentence = gettext("Das sind zu viele Dateien. Es geht mit höchstens %(number)s.", number=MAXIMUM_FILES)
            taken.faults.append((question, sentence))
    return taken


class TooLargeFile(AppError):
    """Refuse one file without losing the rest of the form."""

    status = 413
    code = "file_too_large"


def _take(file: FileStorage, name: str, closing: ExitStack) -> Upload:
    own: BinaryIO = closing.enter_context(tempfile.TemporaryFile(dir=storage.folder()))  # noqa: SIM115
    digest, size = hashlib.sha256(), 0
    while piece := file.stream.read(PIECE):
        size += len(piece)
        if size > MAXIMUM_FILE_BYTES:
            raise TooLargeFile(
                gettext(
                    "Sie ist größer als %(size)s MB. Verkleinern oder teilen Sie sie.", size=MAXIMUM_FILE_BYTES // MIB
                )
            )
        digest.update(piece)
        own.write(piece)
    own.flush()
    return Upload(own, name, content.check(own, file_name=name, size=size), size, digest.hexdigest())
