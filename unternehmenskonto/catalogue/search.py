"""Find services by words and region."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, String, and_, case, func, literal, literal_column, or_, select

from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.catalogue.regions import covering
from unternehmenskonto.db import db

MAXIMUM_RESULTS = 50
MAXIMUM_WORDS = 8
MAXIMUM_WORD_LENGTH = 60
#: Shorter parts of words say nothing; such a word must stand there whole.
SHORTEST_PART = 3
SHORTEST_STEM = 4


@dataclass(frozen=True)
class Found:
    """The best services, and how many there are in all."""

    services: Sequence[OnlineService]
    total: int


@dataclass(frozen=True)
class _Word:
    """One word asked for: as stems for whole words, as part for compounds ("" for none)."""

    query: ColumnElement[Any]
    part: str


def find_services(*, words: str = "", region: str = "") -> Found:
    """Return the listed services that match every word and are offered in the region.

    A word matches as a whole in any inflection, or as a part of a longer one; ä and ae are the same. Services
    with the words in their name come first, then those with them in the authority's. region is a regional key:
    what is offered around it, in a part of it, or everywhere belongs to it.
    """
    asked = _words(words)
    conditions = [OnlineService.is_enabled, OnlineService.is_listed, *(_matches(word) for word in asked)]
    if region:
        conditions.append(_offered_in(region))
    total = db.session.scalar(select(func.count()).select_from(OnlineService).where(*conditions)) or 0
    best = select(OnlineService).where(*conditions).order_by(*_order(asked)).limit(MAXIMUM_RESULTS)
    return Found(db.session.scalars(best).all(), total)


def _words(text: str) -> list[_Word]:
    """Return the words that carry meaning; "der" and "eines" are no search words."""
    # Characters such as U+0000 cannot be stored, so no service can contain them.
    plain = "".join(character if character.isalnum() else " " for character in text).split()[:MAXIMUM_WORDS]
    words = []
    for written in plain:
        word = written[:MAXIMUM_WORD_LENGTH]
        query = func.plainto_tsquery("german", word).op("||")(func.plainto_tsquery("german", func.fold(word)))
        row = select(
            func.numnode(query), func.fold(word), func.ts_lexize(literal_column("'german_stem'"), func.fold(word))
        )
        nodes, folded, stems = db.session.execute(row).one()
        if nodes:
            words.append(_Word(query, _part(folded, stems or [])))
    return words


def _part(word: str, stems: list[str]) -> str:
    """Return what is looked for within longer words: the stem where it is the beginning of the word."""
    stem = next((stem for stem in stems if len(stem) >= SHORTEST_STEM and word.startswith(stem)), word)
    return stem if len(stem) >= SHORTEST_PART else ""


def _matches(word: _Word) -> ColumnElement[bool]:
    whole = OnlineService.search.op("@@")(word.query)
    if not word.part:
        return whole
    # The index on trigrams finds the candidates; the comparison after it is exact.
    candidates = func.trigrams(OnlineService.words).op("@>")(func.trigrams(word.part))
    return or_(whole, and_(candidates, OnlineService.words.contains(word.part, autoescape=True)))


def _order(asked: list[_Word]) -> list[ColumnElement[Any]]:
    places = (("'{a}'", OnlineService.name), ("'{b}'", OnlineService.authority))
    hits = [sum((_hit(word, *place) for word in asked), literal(0)).desc() for place in places]
    return [*hits, OnlineService.name.asc(), OnlineService.slug.asc()] if asked else [OnlineService.name.asc()]


def _hit(word: _Word, weight: str, column: Any) -> ColumnElement[int]:
    whole = func.ts_filter(OnlineService.search, literal_column(weight)).op("@@")(word.query)
    part = func.fold(column).contains(word.part, autoescape=True) if word.part else literal(False)
    return case((or_(whole, part), 1), else_=0)


def _offered_in(region: str) -> ColumnElement[bool]:
    around = literal(covering(region), ARRAY(String(12)))
    places = func.unnest(OnlineService.regions).column_valued("place")
    within = select(literal(1)).where(places.startswith(region, autoescape=True)).exists()
    return or_(func.cardinality(OnlineService.regions) == 0, OnlineService.regions.op("&&")(around), within)
