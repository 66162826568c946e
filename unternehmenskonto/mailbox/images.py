"""Pictures that are one picture and nothing else: PNG and JPEG walked from their first to their last byte.

Source: PNG specification (third edition) section 5, ITU-T T.81 annex B. No pixel is decoded.
"""

import struct
import zlib
from typing import BinaryIO

MAXIMUM_PIXELS = 100_000_000
MAXIMUM_PNG_CHUNKS = 100_000
PIECE = 64 * 1024
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Markers of a JPEG frame header; C4, C8 and CC mean other things.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Damaged(Exception):
    """The file is no complete picture, too large a picture, or more than a picture."""


def check_png(file: BinaryIO, size: int) -> None:
    """Raise Damaged unless the file is signature, IHDR, chunks with right checksums, IEND, and then ends."""
    file.seek(0)
    if file.read(8) != PNG_SIGNATURE:
        raise Damaged("signature")
    for number in range(MAXIMUM_PNG_CHUNKS):
        kind = _png_chunk(file, first=number == 0, left=size - file.tell())
        if kind == b"IEND":
            break
    else:
        raise Damaged("too many chunks")
    if file.read(1):
        raise Damaged("bytes behind the end")


def _png_chunk(file: BinaryIO, *, first: bool, left: int) -> bytes:
    header = file.read(8)
    if len(header) != 8:
        raise Damaged("cut off")
    length, kind = struct.unpack(">I4s", header)
    if length > left - 12 or first != (kind == b"IHDR") or (first and length != 13):
        raise Damaged("chunk")
    checksum, remaining = zlib.crc32(kind), length
    while remaining:
        piece = file.read(min(PIECE, remaining))
        if first:
            _check_pixels(*struct.unpack(">II", piece[:8]))
        checksum, remaining = zlib.crc32(piece, checksum), remaining - len(piece)
    if file.read(4) != struct.pack(">I", checksum):
        raise Damaged("checksum")
    return bytes(kind)


def check_jpeg(file: BinaryIO, size: int) -> None:
    """Raise Damaged unless the file has a frame of sane size, a scan, and ends with the end of an image."""
    file.seek(0)
    if file.read(2) != b"\xff\xd8":
        raise Damaged("signature")
    has_frame = False
    while True:
        marker = _jpeg_marker(file)
        if marker == 0xDA and has_frame:
            break
        (length,) = struct.unpack(">H", _exactly(file, 2))
        if length < 2 or marker in (0xD9, 0xDA):
            raise Damaged("segment")
        if marker in _FRAMES:
            _, height, width = struct.unpack(">BHH", _exactly(file, 5))
            _check_pixels(width, height)
            has_frame, length = True, length - 5
        file.seek(length - 2, 1)
        if file.tell() >= size:
            raise Damaged("cut off")
    file.seek(size - 2)
    if file.read(2) != b"\xff\xd9":
        raise Damaged("no end")


def _jpeg_marker(file: BinaryIO) -> int:
    """Return the next marker; fill bytes FF may stand before it."""
    if _exactly(file, 1) != b"\xff":
        raise Damaged("marker")
    for _ in range(PIECE):
        byte = _exactly(file, 1)[0]
        if byte != 0xFF:
            return byte
    raise Damaged("marker")


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise Damaged("cut off")
    return data


def _check_pixels(width: int, height: int) -> None:
    if not 0 < width * height <= MAXIMUM_PIXELS:
        raise Damaged("size of the picture")
