"""Take a request's body in as it arrives: limits while reading, files straight to disk, digests on the way.

Nothing here holds more than a few pieces of the body in memory, whatever its size.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData, Preamble

from unternehmenskonto.errors import Unavailable
from unternehmenskonto.mailbox import content, digests, file_names
from unternehmenskonto.mailbox.problems import refusal

MIB = 1024 * 1024
MAXIMUM_MESSAGE_BYTES = MIB
MAXIMUM_ATTACHMENT_BYTES = 25 * MIB
MAXIMUM_ATTACHMENTS = 20
MAXIMUM_ATTACHMENTS_BYTES = 100 * MIB
#: Boundaries and headers of the parts.
FRAME_BYTES = MIB
MAXIMUM_REQUEST_BYTES = MAXIMUM_ATTACHMENTS_BYTES + MAXIMUM_MESSAGE_BYTES + FRAME_BYTES
#: A body that takes longer to arrive is given up.
MAXIMUM_SECONDS = 600
PIECE = 64 * 1024
#: Headers of one part.
MAXIMUM_BUFFER = 4 * PIECE
JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Upload:
    """One attachment on disk, checked; the file vanishes when it is closed."""

    file: BinaryIO
    file_name: str
    media_type: str
    size: int
    #: 64 hex digits
    sha256: str


class Meter:
    """Read a body while counting, timing and digesting it."""

    def __init__(self, stream: IO[bytes], *, digest: str | None, length: int | None, maximum: int) -> None:
        self._stream = stream
        self._digest = digests.Running(digests.parse(digest))
        self._length = length
        self._maximum = maximum
        self._count = 0
        self._ends_at = time.monotonic() + MAXIMUM_SECONDS

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body; raise what is wrong with it as soon as it is known."""
        while piece := self._read():
            self._count += len(piece)
            if self._count > self._maximum:
                raise refusal("too_large")
            if time.monotonic() > self._ends_at:
                raise refusal("too_slow")
            self._digest.update(piece)
            yield piece
        if self._length is not None and self._count != self._length:
            raise refusal("invalid_multipart", detail="body is shorter than its Content-Length")
        self._digest.check(what="")

    def _read(self) -> bytes:
        try:
            return self._stream.read(PIECE)
        except RequestEntityTooLarge:
            raise refusal("too_large") from None


def read_json(meter: Meter) -> bytes:
    """Return the whole body; the meter's maximum must be that of a message."""
    return b"".join(meter)


class MultipartReader:
    """Sort the parts of multipart/form-data (RFC 7578) into the message and files on disk."""

    def __init__(self, *, boundary: str, folder: Any, closing: ExitStack) -> None:
        self._decoder = _decoder(boundary)
        self._folder = folder
        self._closing = closing
        self._message: bytearray | None = None
        self._part: _Part | None = None
        self._total = 0
        self.uploads: list[Upload] = []

    def read(self, meter: Meter) -> bytes:
        """Return the bytes of the part `message`; the files are in `uploads` afterwards."""
        try:
            for piece in meter:
                self._decoder.receive_data(piece)
                self._events()
            self._decoder.receive_data(None)
            self._events()
        except ValueError:
            raise refusal("invalid_multipart") from None
        except RequestEntityTooLarge:
            raise refusal("too_large", detail="headers of a part") from None
        except OSError as error:
            raise Unavailable(detail=f"spool: {type(error).__name__}") from error
        if self._message is None:
            raise refusal("invalid_multipart", detail="no part message")
        return bytes(self._message)

    def _events(self) -> None:
        while not isinstance(event := self._decoder.next_event(), (NeedData, Epilogue)):
            if isinstance(event, (Field, File)):
                self._begin(event)
            elif isinstance(event, Data):
                self._data(event)
            elif isinstance(event, Preamble) and event.data.strip():
                raise ValueError("text before the first part")

    def _begin(self, event: Field | File) -> None:
        digest = digests.Running(digests.parse(event.headers.get("Content-Digest")))
        if event.name == "message" and self._message is None:
            _check_json_type(event.headers)
            self._message = bytearray()
            self._part = _Part("message", None, digest)
        elif event.name == "attachments" and isinstance(event, File):
            if len(self.uploads) == MAXIMUM_ATTACHMENTS:
                raise refusal("too_many_attachments")
            file = self._closing.enter_context(tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
            self._part = _Part(file_names.clean(event.filename), file, digest)
        else:
            raise refusal("unknown_part", part=file_names.clean(str(event.name)))

    def _data(self, event: Data) -> None:
        part = self._part
        if part is None:
            raise ValueError("data outside a part")
        part.size += len(event.data)
        part.digest.update(event.data)
        if part.file is None:
            self._add_to_message(event.data)
        else:
            self._total += len(event.data)
            if part.size > MAXIMUM_ATTACHMENT_BYTES:
                raise refusal("attachment_too_large", part=part.name)
            if self._total > MAXIMUM_ATTACHMENTS_BYTES:
                raise refusal("too_large")
            part.file.write(event.data)
        if not event.more_data:
            self._end(part)

    def _add_to_message(self, data: bytes) -> None:
        message = self._message if self._message is not None else bytearray()
        message.extend(data)
        if len(message) > MAXIMUM_MESSAGE_BYTES:
            raise refusal("too_large")

    def _end(self, part: "_Part") -> None:
        part.digest.check(what=part.name)
        self._part = None
        if part.file is not None:
            part.file.flush()
            media_type = content.check(part.file, file_name=part.name, size=part.size)
            self.uploads.append(Upload(part.file, part.name, media_type, part.size, part.digest.sha256.hexdigest()))


@dataclass
class _Part:
    """The part being read; the message has no file."""

    name: str
    file: BinaryIO | None
    digest: digests.Running
    size: int = 0


def _decoder(boundary: str) -> MultipartDecoder:
    if not boundary or len(boundary) > 70 or not boundary.isascii():
        raise refusal("invalid_multipart", detail="boundary")
    return MultipartDecoder(boundary.encode(), max_form_memory_size=MAXIMUM_BUFFER, max_parts=MAXIMUM_ATTACHMENTS + 2)


def _check_json_type(headers: Headers) -> None:
    """Accept a message part without type (RFC 7578 section 4.4) or with that of JSON."""
    media_type = headers.get("Content-Type", JSON_TYPE).partition(";")[0].strip().lower()
    if media_type not in (JSON_TYPE, "text/plain"):
        raise refusal("unsupported_type", part="message")
