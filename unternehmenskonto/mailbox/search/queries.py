"""Find the messages that have all words and fulfil all filters: exactly, newest first.

The mailbox is searched segment by segment, newest first, until enough is found. In each segment the trigrams of a
term lead to the words it is a part of; these and the stems lead to the messages. A term that is part of very many
words of a segment is as good as everywhere: there the newest messages are read through instead. Either way no
step costs more than one segment, so neither a frequent word nor a large mailbox makes a search slow.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    Subquery,
    and_,
    any_,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.search.filters import Filters
from unternehmenskonto.mailbox.search.models import SEGMENT_BITS, SearchDocument, SearchSegment
from unternehmenskonto.mailbox.search.words import MAXIMUM_TERMS, SHORTEST_PART, terms_of
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.permissions import Actor

#: A term that is part of more words of one segment than this is looked for by reading.
MAXIMUM_KEYS = 200
#: Higher than any sequence number.
NEWEST = 2**62


@dataclass(frozen=True)
class Term:
    """One word asked for, and its stems where it is a word."""

    word: str
    stems: tuple[str, ...]

    @property
    def has_parts(self) -> bool:
        """Tell whether it is looked for inside longer words too."""
        return len(self.word) >= SHORTEST_PART

    @property
    def patterns(self) -> list[str]:
        """Return LIKE patterns of which a document with this term fulfils one."""
        inner = _escape(self.word)
        own = f"%{inner}%" if self.has_parts else f"% {inner} %"
        return [own, *(f"% ={_escape(stem)} %" for stem in self.stems)]


@dataclass(frozen=True)
class Asked:
    """The terms that are looked for, and those beyond the maximum."""

    terms: tuple[Term, ...]
    left_out: tuple[str, ...]


def ask(words: str) -> Asked:
    """Return what is looked for; filling words ("der", "und") only where nothing else was asked."""
    all_terms = terms_of(words)
    chosen, rest = dict(list(all_terms.items())[:MAXIMUM_TERMS]), list(all_terms)[MAXIMUM_TERMS:]
    if not chosen:
        return Asked((), ())
    stems = _stems({*chosen, *chosen.values()})
    terms = [Term(word, tuple({*stems[word], *stems[plain]})) for word, plain in chosen.items()]
    meaning = [term for term in terms if stems[chosen[term.word]] or not chosen[term.word].isalpha()]
    return Asked(tuple(meaning or terms), tuple(rest))


def find(*, actor: Actor, asked: Asked, filters: Filters, limit: int, before: int = NEWEST) -> list[int]:
    """Return the sequence numbers of up to `limit` matching messages below `before`, newest first.

    Two statements, whatever there is.
    """
    segment = _segments(actor.company_id, filters, before)
    # Long words are rare: where one of them is missing, the others are not looked for.
    terms = sorted(asked.terms, key=lambda term: len(term.word), reverse=True)
    keys = [_keys(actor.company_id, segment, term, number) for number, term in enumerate(terms)]
    wanted = [
        Message.company_id == actor.company_id,
        Message.sequence_number < before,
        Message.sequence_number >= segment.c.segment.op("<<")(SEGMENT_BITS),
        Message.sequence_number < (segment.c.segment + 1).op("<<")(SEGMENT_BITS),
        *filters.conditions(),
        visible_to(actor),
    ]
    hit = _hits(wanted, (actor.company_id, terms), keys, segment, limit).lateral("hit")
    source: Any = segment
    is_possible: ColumnElement[bool] = true()
    for key in keys:
        source = source.join(key, is_possible)
        is_possible = func.cardinality(key.c.tokens) > 0
    source = source.join(hit, is_possible)
    # A plan kept for any words walks every segment in full: it is made for a limit nobody knows yet.
    db.session.execute(_PLAN_ANEW)
    newest_first = (segment.c.segment.desc(), hit.c.sequence_number.desc())
    return list(
        db.session.scalars(select(hit.c.sequence_number).select_from(source).order_by(*newest_first).limit(limit))
    )


def contains_one(column: Any, terms: Sequence[Term]) -> ColumnElement[bool]:
    """Return the condition that one of the terms stands in a folded text."""
    matches: ColumnElement[bool] = column.like(any_(_texts([f"%{_escape(term.word)}%" for term in terms])))
    return matches


def _segments(company_id: uuid.UUID, filters: Filters, before: int) -> Subquery:
    """Select the segments that may hold something of the period, newest first."""
    query = select(SearchSegment.segment).where(
        SearchSegment.company_id == company_id, SearchSegment.segment <= literal(before >> SEGMENT_BITS, BigInteger)
    )
    earliest, latest = filters.period()
    if earliest is not None:
        query = query.where(SearchSegment.last_at >= earliest)
    if latest is not None:
        query = query.where(SearchSegment.first_at < latest)
    return query.order_by(SearchSegment.segment.desc()).subquery("segment")


def _keys(company_id: uuid.UUID, segment: Subquery, term: Term, number: int) -> Any:
    """Select what stands for the term in the index of one segment, and whether that is all of it."""
    known = [f"={stem}" for stem in term.stems] + ([] if term.has_parts else [term.word])
    part = term.word if term.has_parts else ""
    pattern = f"%{_escape(term.word)}%"
    keys = func.search_keys(company_id, segment.c.segment, part, pattern, _texts(known), MAXIMUM_KEYS)
    return keys.table_valued("tokens", "is_all", name=f"keys_{number}").lateral()


def _hits(
    wanted: list[ColumnElement[bool]],
    asked: tuple[uuid.UUID, Sequence[Term]],
    keys: list[Any],
    segment: Subquery,
    limit: int,
) -> Select[Any]:
    """Select the messages of one segment, newest first: by the index, or by reading where that says nothing."""
    company_id, terms = asked
    newest_first = select(Message.sequence_number).order_by(Message.sequence_number.desc()).limit(limit).where(*wanted)
    if not terms:
        return newest_first
    around = (segment, *keys)
    # Fenced off by OFFSET: taken alone, only the index can answer it, whatever the planner thinks of the tables.
    by_index = select(*_DOCUMENT).where(*(_TOKENS.op("&&")(key.c.tokens) for key in keys)).offset(0)
    by_reading = select(*_DOCUMENT).where(
        SearchDocument.company_id == company_id, SearchDocument.segment == segment.c.segment
    )
    some, none = or_(*(key.c.is_all for key in keys)), and_(*(~key.c.is_all for key in keys))
    both = []
    for source, way in ((by_index, some), (by_reading, none)):
        document = source.correlate(*around).lateral()
        same = and_(document.c.company_id == Message.company_id, document.c.sequence_number == Message.sequence_number)
        stands = (or_(key.c.is_all, _has(document.c.words, term)) for term, key in zip(terms, keys, strict=True))
        hits = newest_first.join(document, same).where(document.c.segment == segment.c.segment, way, *stands)
        both.append(hits.correlate(*around).lateral())
    found = union_all(*(select(one).correlate(*around) for one in both)).lateral()
    return select(found.c.sequence_number).correlate(*around).order_by(found.c.sequence_number.desc()).limit(limit)


def _has(words: ColumnElement[Any], term: Term) -> ColumnElement[bool]:
    return words.like(any_(_texts(term.patterns)))


def _stems(words: Iterable[str]) -> dict[str, list[str]]:
    """Return the German stems of each word; none at all for a filling word or what is no word."""
    word = func.unnest(_texts(sorted(words))).column_valued("word")
    rows = db.session.execute(select(word, func.ts_lexize(literal_column("'german_stem'"), word)))
    return {found: list(stems or []) if found.isalpha() else [] for found, stems in rows}


def _texts(values: Sequence[str]) -> ColumnElement[Any]:
    return literal(list(values), ARRAY(String))


def _escape(term: str) -> str:
    """Return the term as LIKE takes it literally."""
    return term.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


_PLAN_ANEW = text("SET LOCAL plan_cache_mode = force_custom_plan")
_DOCUMENT = (
    SearchDocument.company_id,
    SearchDocument.sequence_number,
    SearchDocument.segment,
    SearchDocument.words,
)
_TOKENS: ColumnElement[Any] = literal_column(
    "search_tokens(search_documents.company_id, search_documents.segment,"
    " string_to_array(search_documents.words, ' '::text))"
)
