"""Which files may go into a mailbox: by extension, by first bytes, and by reading them through.

Archives, programs, macro documents and everything else not on the list stay out (BSI TR-03172 A3.8).
"""

import codecs
from collections.abc import Callable
from typing import BinaryIO
from xml.parsers import expat

import puremagic

from unternehmenskonto.mailbox import images, pdf
from unternehmenskonto.mailbox.file_names import extension
from unternehmenskonto.mailbox.problems import refusal

HEAD = 2048
PIECE = 64 * 1024
#: Control characters that a text file may hold: tab, line feed, form feed, carriage return.
_TEXT_CONTROLS = "\t\n\f\r"
_FORBIDDEN_TEXT = {code for code in range(0x20) if chr(code) not in _TEXT_CONTROLS} | {0x7F}
#: Elements may stand in each other so deep.
MAXIMUM_XML_DEPTH = 200

Check = Callable[[BinaryIO, int], None]


class Damaged(Exception):
    """The text or XML cannot be read."""


class Active(Exception):
    """The XML brings a DTD, and with it entities."""


def check(file: BinaryIO, *, file_name: str, size: int) -> str:
    """Return the media type of an open file; raise the problem that keeps it out.

    Problems: attachment_empty, attachment_type, attachment_damaged, attachment_active.
    """
    if size == 0:
        raise refusal("attachment_empty", part=file_name)
    kind = _KINDS.get(extension(file_name))
    if kind is None:
        raise refusal("attachment_type", part=file_name)
    media_type, reader = kind
    if not _looks_like(file, media_type):
        raise refusal("attachment_type", part=file_name, detail="first bytes")
    try:
        reader(file, size)
    except (pdf.Active, Active):
        raise refusal("attachment_active", part=file_name) from None
    except (pdf.Damaged, images.Damaged, Damaged) as error:
        raise refusal("attachment_damaged", part=file_name, detail=str(error)) from None
    finally:
        file.seek(0)
    return media_type


def _looks_like(file: BinaryIO, media_type: str) -> bool:
    """Hold the first bytes against the known signatures; a text must not look like any binary format."""
    file.seek(0)
    try:
        found = {match.mime_type for match in puremagic.magic_string(file.read(HEAD))}
    except (puremagic.PureError, ValueError):
        found = set()
    if media_type.startswith("text/") or media_type == "application/xml":
        return not any(_is_binary(other) for other in found)
    return media_type in found


def _is_binary(media_type: str) -> bool:
    prefixes = ("image/", "audio/", "video/", "application/vnd.microsoft.portable-executable", "application/zip")
    return media_type.startswith(prefixes) and not media_type.endswith("xml")


def _check_text(file: BinaryIO, size: int) -> None:
    """Demand UTF-8 without control characters."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    while True:
        piece = file.read(PIECE)
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError:
            raise Damaged("not UTF-8") from None
        if not _FORBIDDEN_TEXT.isdisjoint(map(ord, set(text))):
            raise Damaged("control character")
        if not piece:
            return


def _check_xml(file: BinaryIO, size: int) -> None:
    """Demand well-formed XML without a document type: no entities, nothing loaded from elsewhere."""
    file.seek(0)
    depth = 0

    def opened(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > MAXIMUM_XML_DEPTH:
            raise Damaged("nested too deep")

    def closed(*_: object) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise Active

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    try:
        parser.ParseFile(file)
    except expat.ExpatError:
        raise Damaged("not well-formed") from None


#: Extension -> media type and the function that reads the file through.
_KINDS: dict[str, tuple[str, Check]] = {
    "pdf": ("application/pdf", pdf.check),
    "png": ("image/png", images.check_png),
    "jpg": ("image/jpeg", images.check_jpeg),
    "jpeg": ("image/jpeg", images.check_jpeg),
    "txt": ("text/plain", _check_text),
    "csv": ("text/csv", _check_text),
    "xml": ("application/xml", _check_xml),
}
