"""Words as the search compares them: folded, parted at white space, without punctuation around them."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

#: Parts of words are found from this length on; what is shorter must stand there as a whole word.
SHORTEST_PART = 3
#: Longer strings without a space (keys, addresses) are stored in pieces that overlap by this many characters.
LONGEST_TERM = 60
MAXIMUM_TERMS = 8
#: Stands in the words of every document; no folded word begins with it.
EVERY_DOCUMENT = "="
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
#: Accents, soft hyphens and other marks that nobody types into a search box.
_DROPPED = ("Mn", "Cf", "Cs", "Co", "Cn")
_LETTERS = re.compile(r"[^\W\d_]+")
_SHORT = re.compile(r"(?<![^\W_])[^\W_]{1,2}(?![^\W_])")
_SPLIT_AT_LINE_END = re.compile(r"-[ \t]*\n[ \t]*")


@dataclass(frozen=True)
class Words:
    """What a text is found by: folded words, and words as written in lower case for the stemmer."""

    folded: frozenset[str]
    letters: frozenset[str]


def fold(text: str) -> str:
    """Return the text in lower case with ä, ö, ü, ß written as ae, oe, ue, ss and without accents.

    The same is done to what is stored and to what is asked, so both meet whatever the spelling (NFC or NFD).
    """
    lowered = unicodedata.normalize("NFC", text).casefold().translate(_UMLAUTS)
    if lowered.isascii():
        return lowered
    plain = unicodedata.normalize("NFKD", lowered)
    return "".join(c for c in plain if unicodedata.category(c) not in _DROPPED).casefold()


def words_of(texts: Iterable[str]) -> Words:
    """Return the words of all texts together; a word parted at the end of a line counts parted and whole."""
    folded: set[str] = set()
    letters: set[str] = set()
    for text in texts:
        for reading in {text, _SPLIT_AT_LINE_END.sub("", text)}:
            plain = fold(reading)
            folded.update(piece for chunk in set(plain.split()) for piece in _pieces(strip(chunk)))
            folded.update(_SHORT.findall(plain))
            letters.update(_LETTERS.findall(unicodedata.normalize("NFC", reading).lower()))
            letters.update(_LETTERS.findall(plain))
    return Words(frozenset(folded), frozenset(one for one in letters if len(one) <= LONGEST_TERM))


def terms_of(query: str) -> dict[str, str]:
    """Return the words asked for, each once and in their order: folded -> as written in lower case.

    Long ones come in pieces that must all be there.
    """
    terms: dict[str, str] = {}
    for chunk in unicodedata.normalize("NFC", query.replace("\0", " ")).lower().split():
        for part in fold(chunk).split():
            pieces = list(_cut(strip(part)))
            written = strip(chunk) if len(pieces) == 1 and part == fold(chunk) else ""
            terms.update((piece, written or piece) for piece in pieces if piece not in terms)
    return terms


def strip(chunk: str) -> str:
    """Return the chunk without the punctuation around it."""
    start, end = 0, len(chunk)
    while start < end and not chunk[start].isalnum():
        start += 1
    while end > start and not chunk[end - 1].isalnum():
        end -= 1
    return chunk[start:end]


def _cut(term: str) -> Iterable[str]:
    """Return the term, or parts of LONGEST_TERM characters that cover it; the last one reaches to its end."""
    if len(term) <= LONGEST_TERM:
        return (term,) if term else ()
    starts = [*range(0, len(term) - LONGEST_TERM, LONGEST_TERM), len(term) - LONGEST_TERM]
    return (term[start : start + LONGEST_TERM] for start in starts)


def _pieces(word: str) -> Iterable[str]:
    """Return the word, or pieces of a long one that hold every part of up to LONGEST_TERM characters."""
    if len(word) <= 2 * LONGEST_TERM:
        return (word,) if word else ()
    return (word[start : start + 2 * LONGEST_TERM] for start in range(0, len(word) - LONGEST_TERM, LONGEST_TERM))
