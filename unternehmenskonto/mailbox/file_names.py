"""Names of attachments: made harmless for every system on which they may be saved."""

import re
import unicodedata

MAXIMUM_FILE_NAME = 255
#: Names that Windows keeps for devices, with any extension.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_FORBIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_FORBIDDEN = '<>:"|?*'


def clean(name: str) -> str:
    """Return the name without path, control and direction characters, NFC, at most 255 bytes of UTF-8.

    The extension stays; a name of nothing usable becomes empty.
    """
    name = unicodedata.normalize("NFC", name)
    name = "".join(c for c in name if unicodedata.category(c) not in _FORBIDDEN_CATEGORIES)
    name = re.split(r"[/\\]", name)[-1]
    name = "".join("_" if c in _FORBIDDEN else c for c in name)
    name = " ".join(name.split()).strip(". ")
    if _DEVICES.fullmatch(name):
        name = f"_{name}"
    return _shorten(name)


def extension(name: str) -> str:
    """Return the last extension in lower case without dot; empty if there is none."""
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem else ""


def _shorten(name: str) -> str:
    """Cut the stem, never inside a character."""
    if len(name.encode()) <= MAXIMUM_FILE_NAME:
        return name
    stem, dot, last = name.rpartition(".")
    if not dot or len(last.encode()) > 20:
        stem, dot, last = name, "", ""
    room = MAXIMUM_FILE_NAME - len(f"{dot}{last}".encode())
    stem = stem.encode()[:room].decode(errors="ignore").rstrip(". ")
    return unicodedata.normalize("NFC", f"{stem}{dot}{last}")
