"""Collect the German texts of the program, merge them into the English catalogue, compile it.

`update` after texts changed, then write the English in translations/en/LC_MESSAGES/messages.po;
`compile` at set-up (the compiled file is not committed).
"""

import argparse
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "translations" / "en" / "LC_MESSAGES" / "messages.po"
KEYWORDS = {**DEFAULT_KEYWORDS, "_l": None, "lazy_gettext": None, "lazy_ngettext": (1, 2)}
LINE_WIDTH = 110
HEADER = "# English texts of Unternehmenskonto; the German ones in the program are the source."


def extract() -> Catalog:
    """Return all texts marked in Python and templates; without line numbers, so that differences stay readable."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = Catalog(project="Unternehmenskonto", charset="utf-8")
    extracted = extract_from_dir(
        ROOT, methods, options, keywords=KEYWORDS, directory_filter=is_source, strip_comment_tags=True
    )
    for name, _line, message, _comments, context in extracted:
        found.add(message, None, [(name, 0)], context=context)
    return found


def is_source(folder: str) -> bool:
    """Tell whether texts may stand in the folder: the program and its templates, nothing installed."""
    path = Path(folder).relative_to(ROOT)
    return not path.parts or path.parts[0] in ("unternehmenskonto", "templates")


def read_catalogue() -> Catalog:
    """Return the English catalogue as it is."""
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="en")


def update() -> int:
    """Merge the texts into the catalogue; return how many still want their English."""
    template, catalogue = extract(), read_catalogue()
    template.creation_date = catalogue.creation_date
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.header_comment = HEADER
    with CATALOGUE.open("wb") as file:
        write_po(file, catalogue, width=LINE_WIDTH, include_lineno=False, sort_output=True)
    return sum(1 for message in catalogue if message.id and not is_translated(message.string))


def is_translated(string: str | tuple[str, ...] | list[str]) -> bool:
    """Tell whether each plural form has a text."""
    return all(string) if isinstance(string, (tuple, list)) else bool(string)


def compile_catalogue() -> None:
    """Write the file Flask-Babel reads, unless it is newer than the catalogue."""
    target = CATALOGUE.with_suffix(".mo")
    if target.exists() and target.stat().st_mtime >= CATALOGUE.stat().st_mtime:
        return
    with target.open("wb") as file:
        write_mo(file, read_catalogue())


def main() -> int:
    """Run the command of the command line."""
    parser = argparse.ArgumentParser(description="German texts and their English catalogue")
    parser.add_argument("command", choices=("update", "compile"))
    if parser.parse_args().command == "compile":
        compile_catalogue()
        return 0
    missing = update()
    print(f"{missing} texts want their English in {CATALOGUE.relative_to(ROOT)}." if missing else "All in English.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
