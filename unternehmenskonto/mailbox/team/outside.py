"""What an administrator who does not read a topic may know of it: that messages are there, from whom and when."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select

from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.inbox import KEY, decode, encode
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team.models import Topic

PAGE_SIZE = 25
#: Counted no further.
MAXIMUM_COUNT = 10_000
MAXIMUM_SENDERS = 500


@dataclass(frozen=True, kw_only=True)
class Outside:
    """A message without its subject and contents."""

    sender: str
    is_decision: bool
    made_available_at: datetime
    ends_on: date | None
    is_retrieved: bool


@dataclass(frozen=True)
class Page:
    """Up to PAGE_SIZE messages, newest first, and where the list goes on."""

    lines: list[Outside]
    older: str | None


def outsides_of(*, company_id: uuid.UUID, topic_id: uuid.UUID, cursor: str | None) -> Page:
    """Return one page of a topic's messages from outside; opens nothing. Raises InvalidCursor."""
    query: Any = select(
        Message.id, Message.sender_authority, Message.kind, Message.made_available_at, Message.remedy_ends_on,
        Message.first_retrieved_at,
    ).where(Message.company_id == company_id, Message.topic_id == topic_id)  # fmt: skip
    if cursor is not None:
        query = query.where(decode(cursor)[1] > KEY)
    query = query.order_by(Message.made_available_at.desc(), Message.id.desc()).limit(PAGE_SIZE + 1)
    rows = db.session.execute(query).all()
    kept = rows[:PAGE_SIZE]
    lines = [
        Outside(
            sender=row.sender_authority,
            is_decision=row.kind == "decision",
            made_available_at=row.made_available_at,
            ends_on=row.remedy_ends_on,
            is_retrieved=row.first_retrieved_at is not None,
        )
        for row in kept
    ]
    older = encode(b"o", (kept[-1].made_available_at, kept[-1].id)) if len(rows) > PAGE_SIZE else None
    return Page(lines, older)


def count(*, company_id: uuid.UUID, topic_id: uuid.UUID) -> int:
    """Return how many messages lie in a topic, MAXIMUM_COUNT at most."""
    found = select(Message.id).where(Message.company_id == company_id, Message.topic_id == topic_id)
    return db.session.scalar(select(func.count()).select_from(found.limit(MAXIMUM_COUNT).subquery())) or 0


def name_of(company_id: uuid.UUID, topic_id: uuid.UUID) -> str:
    """Return the name of a topic, an ended one too."""
    query = select(Topic.name).where(Topic.company_id == company_id, Topic.id == topic_id)
    return db.session.scalar(query) or ""


def senders() -> list[tuple[str, str]]:
    """Return slug and name of the services that may deliver, to choose from."""
    query = select(OnlineService.slug, OnlineService.name).where(OnlineService.is_mailbox_sender)
    rows = db.session.execute(query.order_by(OnlineService.name).limit(MAXIMUM_SENDERS))
    return [(slug, name) for slug, name in rows]
