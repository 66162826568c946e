"""One page of results: count, lines with the words marked, and what was searched."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox import inbox, markup
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.labels.models import Label
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.search import highlight, queries
from unternehmenskonto.mailbox.search.filters import Filters
from unternehmenskonto.mailbox.search.models import AttachmentText, SearchBacklog, SearchSegment, SearchSender
from unternehmenskonto.mailbox.search.queries import Asked, Term
from unternehmenskonto.permissions import Actor

PAGE_SIZE = 25
#: Counted exactly up to here; more would cost as much as there is.
MAXIMUM_COUNT = 1000
MAXIMUM_SENDERS = 300


@dataclass(frozen=True)
class Coverage:
    """How much of the mailbox the search knows."""

    searched: int
    total: int
    files_waiting: int
    files_silent: int


@dataclass(frozen=True)
class Hit:
    """One line: the entry as in every list, its subject marked, and where else the words stand."""

    entry: inbox.Entry
    number: int
    subject: Markup
    sender: Markup
    reference: Markup | None
    excerpt: Markup | None
    #: The words stand in the text, but nobody has opened the message, so the text is not shown.
    is_text_closed: bool
    #: Names of attachments in which the words stand.
    files: tuple[Markup, ...]


@dataclass(frozen=True)
class Page:
    """Up to PAGE_SIZE hits, newest first; `older` and `newer` are values of the parameter `vor` (0: from the top)."""

    hits: list[Hit]
    count: int
    older: int | None
    newer: int | None

    @property
    def is_more(self) -> bool:
        """Tell whether there are more than were counted."""
        return self.count > MAXIMUM_COUNT


def search(*, actor: Actor, asked: Asked, filters: Filters, before: int | None = None) -> Page:
    """Return one page of what matches; the number of statements does not depend on what is found."""
    numbers = queries.find(actor=actor, asked=asked, filters=filters, limit=MAXIMUM_COUNT + 1)
    first = [number for number in numbers if before is None or number < before]
    if len(first) <= PAGE_SIZE and len(numbers) > MAXIMUM_COUNT and before is not None:
        first = queries.find(actor=actor, asked=asked, filters=filters, limit=PAGE_SIZE + 1, before=before)
    return Page(
        hits=_hits(actor, first[:PAGE_SIZE], asked.terms),
        count=len(numbers),
        older=first[PAGE_SIZE - 1] if len(first) > PAGE_SIZE else None,
        newer=None if before is None else _newer(numbers, before),
    )


def coverage(actor: Actor) -> Coverage:
    """Return how many messages and files of the mailbox the search knows; reads counters, not messages."""
    columns = (SearchSegment.messages, SearchSegment.files_waiting, SearchSegment.files_silent)
    sums = (func.coalesce(func.sum(column), 0) for column in columns)
    row = db.session.execute(select(*sums).where(SearchSegment.company_id == actor.company_id)).one()
    backlog = db.session.get(SearchBacklog, actor.company_id)
    missing = 0 if backlog is None else backlog.last_sequence - backlog.next_sequence + 1
    return Coverage(searched=row[0], total=row[0] + missing, files_waiting=row[1], files_silent=row[2])


def senders(actor: Actor) -> list[SearchSender]:
    """Return who has written to this mailbox, sorted by authority and service."""
    query = select(SearchSender).where(SearchSender.company_id == actor.company_id)
    ordered = query.order_by(SearchSender.authority, SearchSender.name, SearchSender.service)
    return list(db.session.scalars(ordered.limit(MAXIMUM_SENDERS)))


def labels(actor: Actor) -> list[Label]:
    """Return the labels of the company by name."""
    query = select(Label).where(Label.company_id == actor.company_id).order_by(Label.name)
    return list(db.session.scalars(query.limit(MAXIMUM_SENDERS)))


def _newer(numbers: list[int], before: int) -> int:
    """Return where the page before begins; far down the list only its top can be named."""
    above = [number for number in numbers if number >= before]
    is_known = numbers[-1] <= before if numbers else False
    return above[-PAGE_SIZE - 1] if is_known and len(above) > PAGE_SIZE else 0


def _hits(actor: Actor, numbers: Sequence[int], terms: Sequence[Term]) -> list[Hit]:
    query = (
        select(Message)
        .where(Message.company_id == actor.company_id, Message.sequence_number.in_(numbers))
        .order_by(Message.sequence_number.desc())
        .options(selectinload(Message.attachments))
    )
    messages = db.session.scalars(query).all()
    inside = _files_with(actor, [one.id for message in messages for one in message.attachments], terms)
    return [_hit(message, terms, inside) for message in messages]


def _files_with(actor: Actor, attachments: list[uuid.UUID], terms: Sequence[Term]) -> set[uuid.UUID]:
    """Return the attachments in whose text one of the terms stands."""
    if not terms or not attachments:
        return set()
    found = select(AttachmentText.attachment_id).where(
        AttachmentText.company_id == actor.company_id,
        AttachmentText.attachment_id.in_(attachments),
        queries.contains_one(func.fold(AttachmentText.text), terms),
    )
    return set(db.session.scalars(found))


def _hit(message: Message, terms: Sequence[Term], inside: set[uuid.UUID]) -> Hit:
    body = markup.plain(message.body) if message.body_format == "markdown" else message.body
    excerpt = highlight.excerpt(body, terms) if terms else None
    is_open = message.first_retrieved_at is not None
    reference = message.reference if message.reference and highlight.find_spans(message.reference, terms) else None
    return Hit(
        entry=inbox.entry(message, legal_day(now()), has_attachments=bool(message.attachments)),
        number=message.sequence_number,
        subject=highlight.mark(message.subject, terms),
        sender=highlight.mark(message.sender_authority, terms),
        reference=highlight.mark(reference, terms) if reference else None,
        excerpt=excerpt if is_open else None,
        is_text_closed=excerpt is not None and not is_open,
        files=tuple(
            highlight.mark(one.file_name, terms)
            for one in message.attachments
            if one.id in inside or (terms and highlight.find_spans(one.file_name, terms))
        ),
    )
