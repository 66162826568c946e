"""Show where the words stand that were asked for."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from unternehmenskonto.mailbox.search.queries import Term
from unternehmenskonto.mailbox.search.words import fold

#: Characters before and after the first hit of an excerpt.
BEFORE, AFTER = 60, 160
#: A shorter stem would mark words that only begin alike.
SHORTEST_STEM = 4
_WORD = re.compile(r"[^\W_]+")
_SPACE = re.compile(r"\s+")

Span = tuple[int, int]


def mark(text: str, terms: Sequence[Term]) -> Markup:
    """Return the text, escaped, with <mark> around every hit."""
    return _marked(unicodedata.normalize("NFC", text), terms)


def excerpt(text: str, terms: Sequence[Term]) -> Markup | None:
    """Return the words around the first hit, marked; None where none of the terms stands."""
    plain = _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()
    spans = find_spans(plain, terms)
    if not spans:
        return None
    start, end = max(0, spans[0][0] - BEFORE), min(len(plain), spans[0][1] + AFTER)
    if start > 0:
        start = plain.find(" ", start, spans[0][0]) + 1 or start
    if end < len(plain):
        end = max(plain.rfind(" ", spans[0][1], end), spans[0][1])
    before, after = "… " if start else "", " …" if end < len(plain) else ""
    return Markup("{}{}{}").format(before, _marked(plain[start:end], terms), after)


def find_spans(text: str, terms: Sequence[Term]) -> list[Span]:
    """Return where the terms stand in the text, in order, those that touch as one."""
    folded, places = _fold(text)
    found = [span for term in terms for span in _of_term(folded, term)]
    joined: list[Span] = []
    for start, end in sorted((places[start], places[end - 1] + 1) for start, end in found):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _of_term(folded: str, term: Term) -> Iterable[Span]:
    """Yield the places of one term: as part of a word, as whole short word, or by its stem."""
    inner = re.escape(term.word)
    pattern = inner if term.has_parts else rf"(?<![^\W_]){inner}(?![^\W_])"
    yield from (found.span() for found in re.finditer(pattern, folded))
    stems = tuple(stem for stem in term.stems if len(stem) >= SHORTEST_STEM)
    if stems:
        yield from (found.span() for found in _WORD.finditer(folded) if found[0].startswith(stems))


def _fold(text: str) -> tuple[str, list[int]]:
    """Return the folded text and for each of its characters the place it comes from."""
    pieces = [fold(character) for character in text]
    places = [place for place, piece in enumerate(pieces) for _ in piece]
    return "".join(pieces), places


def _marked(text: str, terms: Sequence[Term]) -> Markup:
    parts, end = [], 0
    for start, stop in find_spans(text, terms):
        parts += [escape(text[end:start]), Markup("<mark>{}</mark>").format(text[start:stop])]
        end = stop
    return Markup("").join([*parts, escape(text[end:])])
