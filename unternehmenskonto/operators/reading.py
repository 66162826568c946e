"""From files to declared services: every fault with file, line, reason and what to write instead."""

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from unternehmenskonto.operators.schema import ClaimTable, ClientTable, Location, ServiceTable

SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MAXIMUM_FILE_BYTES = 256 * 1024
_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\"'-]+)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")
_SYNTAX_PLACE = re.compile(r"\(at line (\d+), column \d+\)")
_SECRET_KEYS = ("client_secret", "secret", "password", "private_key")
_TYPES = {
    "string_type": 'must be a text in quotation marks, for example "…"',
    "list_type": 'must be a list in square brackets, for example ["…"]',
    "bool_type": "must be true or false, without quotation marks",
    "dict_type": "must be a table",
    "model_type": "must be a table; see the other files in config/services",
}


@dataclass(frozen=True, order=True)
class Fault:
    """One reason why a file is refused."""

    file: str
    line: int
    place: str
    reason: str

    def __str__(self) -> str:
        """Return the fault as editors and people read it."""
        where = f"{self.place}: " if self.place else ""
        return f"{self.file}:{self.line}: {where}{self.reason}."


@dataclass(frozen=True)
class DeclaredService:
    """One service as its file declares it: the values of its row and the digest of the file."""

    slug: str
    columns: dict[str, Any]
    fingerprint: str


class FaultyServices(Exception):
    """The files cannot be applied; `faults` names every reason."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = sorted(faults)
        super().__init__("\n".join(map(str, self.faults)))


def read_services(directory: Path, *, is_local: bool) -> list[DeclaredService]:
    """Return the services declared in the directory, by slug; raise FaultyServices naming every fault.

    A directory that is missing or empty is a fault: applying it would switch off every service.
    """
    files = sorted(directory.glob("*.toml"))
    if not files:
        reason = "there is no file *.toml here; set services_dir to the folder with the files of the services"
        raise FaultyServices([Fault(str(directory), 1, "", reason)])
    services: list[DeclaredService] = []
    faults: list[Fault] = []
    for file in files:
        try:
            services.append(read_service(file, is_local=is_local))
        except FaultyServices as error:
            faults += error.faults
    if faults:
        raise FaultyServices(faults)
    return services


def read_service(file: Path, *, is_local: bool) -> DeclaredService:
    """Return the service declared in the file; raise FaultyServices naming every fault."""
    if not SLUG.fullmatch(file.stem):
        reason = "the file's name is the service's id; rename it to lower-case letters, digits and hyphens, at most 63"
        raise FaultyServices([Fault(str(file), 1, "", reason)])
    text = _text(file)
    values = _toml(file, text)
    lines = key_lines(text)
    try:
        table = ServiceTable.parse(values, is_local=is_local)
    except ValidationError as error:
        found = [(tuple(fault["loc"]), _reason(fault)) for fault in error.errors(include_url=False)]
    else:
        found = list(table.broken_rules())
    if found:
        raise FaultyServices(
            Fault(str(file), _line(text, lines, values, place), _name(place), reason) for place, reason in found
        )
    return DeclaredService(file.stem, table.columns(file.stem), hashlib.sha256(text.encode()).hexdigest())


def key_lines(text: str) -> dict[Location, int]:
    """Return the line, counted from 1, of each table header and key of a TOML text.

    Lines inside a text of several lines are passed over. Written for files that people write by hand; a key it
    does not find is reported at its table.
    """
    lines: dict[Location, int] = {}
    table: Location = ()
    counts: dict[str, int] = {}
    quote = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if quote:
            quote = "" if quote in line else quote
            continue
        header, key = _HEADER.match(line), _KEY.match(line)
        if header and header[1] == "[[":
            counts[header[2]] = counts.get(header[2], -1) + 1
            table = (header[2], counts[header[2]])
            lines.setdefault((header[2],), number)
            lines[table] = number
        elif header:
            table = _path(header[2])
            lines[table] = number
        elif key:
            lines.setdefault((*table, *_path(key[1])), number)
        quote = next((mark for mark in ('"""', "'''") if line.count(mark) % 2), "")
    return lines


def _path(dotted: str) -> Location:
    return tuple(part.strip("\"'") for part in dotted.split("."))


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > MAXIMUM_FILE_BYTES:
            reason = f"is larger than {MAXIMUM_FILE_BYTES} bytes; shorten it"
            raise FaultyServices([Fault(str(file), 1, "", reason)])
        return file.read_text(encoding="utf-8")
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); correct its permissions"
        raise FaultyServices([Fault(str(file), 1, "", reason)]) from None
    except UnicodeDecodeError:
        raise FaultyServices([Fault(str(file), 1, "", "is not UTF-8; save it with that encoding")]) from None


def _toml(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _SYNTAX_PLACE.search(str(error))
        line = int(place[1]) if place else len(text.splitlines()) or 1
        reason = _SYNTAX_PLACE.sub("", str(error)).strip().rstrip(".")
        raise FaultyServices([Fault(str(file), line, "", f"is not TOML here: {reason}; see toml.io")]) from None


def _line(text: str, lines: dict[Location, int], values: Any, place: Location) -> int:
    """Return the line of the place, of the value within a list of several lines, or of the table around it."""
    end = len(place)
    while end and place[:end] not in lines:
        end -= 1
    line = lines.get(place[:end], 1)
    for step in place:
        try:
            values = values[step]
        except (KeyError, IndexError, TypeError):
            return line
    if end < len(place) and isinstance(values, str):
        later = enumerate(text.splitlines()[line - 1 :], start=line)
        return next((number for number, content in later if values in content), line)
    return line


def _name(place: Location) -> str:
    """Return the place as people write it: client.redirect_uris[0]."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def _reason(fault: ErrorDetails) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(tuple(fault["loc"]))
    if kind == "missing":
        return "is missing; add it"
    if kind == "literal_error":
        return f"must be one of {context['expected']}"
    if kind == "string_too_short":
        return f"must have at least {context['min_length']} characters"
    if kind in ("string_too_long", "too_long"):
        return f"is too long; at most {context['max_length']} are accepted"
    return _TYPES.get(kind, fault["msg"].removeprefix("Value error, "))


def _unknown(place: Location) -> str:
    """Say what to write in place of an unknown key; a secret is refused without repeating it."""
    name = str(place[-1])
    if name in _SECRET_KEYS:
        return (
            "a secret must not stand in a file; remove it, choose a new one and write only "
            "client_secret_sha256 = the output of: printf %s SECRET | sha256sum"
        )
    tables: dict[str, type[BaseModel]] = {"client": ClientTable, "claims": ClaimTable}
    table = tables.get(str(place[0]), ServiceTable) if len(place) > 1 else ServiceTable
    known = list(table.model_fields)
    near = difflib.get_close_matches(name, known, n=1)
    return f'is not known; write "{near[0]}"' if near else f"is not known; remove it, known here: {', '.join(known)}"
