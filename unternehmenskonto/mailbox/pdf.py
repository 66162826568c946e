"""PDF files without active content: no scripts, no program starts, no embedded files, no passwords.

The names of ISO 32000-2 are looked for in the raw file and in compressed object streams, also where letters are
written as #xx. Reads in pieces, so the size of the file costs time and not memory.
"""

import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

WINDOW = 512 * 1024
#: A name, or the dictionary of a stream, may lie across two windows.
OVERLAP = 8 * 1024
DICTIONARY = 4 * 1024
#: The longest name looked for, with every letter written as #xx.
LONGEST_NAME = 64
TAIL = 2048
PROBE = 256
PIECE = 64 * 1024
INFLATE_PIECE = 256 * 1024
#: What all object streams of one file may unpack to; a bomb ends here.
MAXIMUM_INFLATED = 96 * 1024 * 1024


class Damaged(Exception):
    """The file is no complete PDF, or parts of it cannot be checked."""


class Active(Exception):
    """The file holds something that acts by itself."""


def _name(name: str) -> bytes:
    """Return a pattern for a PDF name in which each letter may be written as #xx (ISO 32000-2 section 7.3.5)."""
    letters = (f"(?:{re.escape(c)}|#{_any_case(f'{ord(c):02x}')})" for c in name)
    return f"/{''.join(letters)}".encode()


def _any_case(digits: str) -> str:
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in digits)


_END = rb"(?=[\x00\t\n\x0c\r ()<>\[\]{}/%]|\Z)"
#: Rendition and XFA carry scripts under other names; a 3D or RichMedia annotation runs a player.
_ACTIVE = re.compile(
    b"|".join(
        _name(name) + _END
        for name in (
            "JavaScript",
            "Launch",
            "EmbeddedFile",
            "EmbeddedFiles",
            "Rendition",
            "RichMedia",
            "XFA",
            "ImportData",
            "SubmitForm",
        )
    )
)
_ENCRYPTED = re.compile(_name("Encrypt") + _END)
_OBJECT_STREAM = re.compile(_name("ObjStm") + _END)
_STREAM = re.compile(rb"(?<!end)stream\r?\n")
#: An object stream begins with the numbers and offsets of its objects (ISO 32000-2 section 7.5.7).
_LIKE_OBJECTS = re.compile(rb"[\s\x00%0-9]")
#: The same behind a PNG predictor, whose first byte names the row's filter.
_LIKE_PREDICTED_OBJECTS = re.compile(rb"[\x00-\x04][\s0-9][\s0-9]")


def check(file: BinaryIO, size: int) -> None:
    """Raise Damaged or Active if the open file should not reach a mailbox."""
    file.seek(0)
    if not file.read(8).startswith(b"%PDF-"):
        raise Damaged("no header")
    file.seek(max(0, size - TAIL))
    tail = file.read()
    if b"%%EOF" not in tail or b"startxref" not in tail:
        raise Damaged("no end")
    room, done = MAXIMUM_INFLATED, 0
    for start, window in _windows(file):
        if _ACTIVE.search(window):
            raise Active
        if _ENCRYPTED.search(window):
            raise Damaged("encrypted")
        for keyword in _STREAM.finditer(window):
            offset = start + keyword.end()
            if offset > done:
                before = window[max(0, keyword.start() - DICTIONARY) : keyword.start()]
                room -= _check_stream(file, offset, room, is_packed=bool(_OBJECT_STREAM.search(before)))
                done = offset


def _windows(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes; the last OVERLAP bytes of a window begin the next one."""
    offset = 0
    while True:
        file.seek(offset)
        window = file.read(WINDOW)
        yield offset, window
        if len(window) < WINDOW:
            return
        offset += WINDOW - OVERLAP


def _check_stream(file: BinaryIO, offset: int, room: int, *, is_packed: bool) -> int:
    """Unpack a stream if it may hold objects, whatever its dictionary says; return how much it unpacked to."""
    file.seek(offset)
    unpacker = zlib.decompressobj()
    try:
        piece = unpacker.decompress(file.read(PROBE), PROBE)
        if _LIKE_PREDICTED_OBJECTS.match(piece):
            raise Damaged("object stream with predictor")
        if not _LIKE_OBJECTS.match(piece):
            return len(piece)
        return _check_objects(file, unpacker, piece, room)
    except zlib.error:
        # Plain streams were searched already; pictures and fonts have filters of their own.
        if is_packed:
            raise Damaged("object stream is not Flate") from None
        return 0


def _check_objects(file: BinaryIO, unpacker: Any, piece: bytes, room: int) -> int:
    """Look for active names in all that the stream unpacks to; raises zlib.error for what is not Flate."""
    total, kept = len(piece), b""
    while True:
        if _ACTIVE.search(kept + piece):
            raise Active
        if unpacker.eof:
            return total
        compressed = unpacker.unconsumed_tail or file.read(PIECE)
        if not compressed:
            raise Damaged("stream without end")
        kept = piece[-LONGEST_NAME:]
        piece = unpacker.decompress(compressed, INFLATE_PIECE)
        total += len(piece)
        if total > room:
            raise Damaged("unpacks to too much")
