"""The lists of a mailbox: inbox and archive, paged by keyset, and the number of unread messages."""

import base64
import binascii
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Row, exists, func, select, tuple_

from unternehmenskonto.db import db, now
from unternehmenskonto.errors import InvalidInput
from unternehmenskonto.mailbox.deadlines import legal_day, provision_end
from unternehmenskonto.mailbox.models import Attachment, Mailbox, Message
from unternehmenskonto.mailbox.rules import rule_for
from unternehmenskonto.mailbox.team.models import Topic
from unternehmenskonto.mailbox.visibility import nearest, topics_of
from unternehmenskonto.permissions import Actor

PAGE_SIZE = 25
#: A deadline this near is marked.
SOON_DAYS = 7
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Direction, microseconds since EPOCH, id of the message at the edge.
_CURSOR = struct.Struct(">cq16s")

Folder = Literal["inbox", "archive"]
Key = tuple[datetime, uuid.UUID]

#: The order of every list: by time, and by id where two came at once.
KEY = tuple_(Message.made_available_at, Message.id)


class InvalidCursor(InvalidInput):
    """The address names no place in the list."""

    code = "invalid_cursor"
    sentence = _l("Diese Adresse einer Listenseite ist unvollständig. Öffnen Sie das Postfach neu.")


@dataclass(frozen=True)
class Entry:
    """One line of the list; `days_left` counts to the end of the remedy period, negative when it is over."""

    id: uuid.UUID
    sender: str
    subject: str
    is_decision: bool
    is_unread: bool
    made_available_at: datetime
    ends_on: date | None
    days_left: int | None
    #: Last day of the provision of a decision that nobody has retrieved (VwVfG section 41(2a)), else None.
    retrieve_until: date | None
    is_ended: bool
    has_attachments: bool

    @property
    def is_soon(self) -> bool:
        """Tell whether the period ends within SOON_DAYS."""
        return self.days_left is not None and 0 <= self.days_left <= SOON_DAYS


@dataclass(frozen=True)
class Page:
    """Up to PAGE_SIZE lines, newest first, and where the list goes on in both directions."""

    entries: list[Entry]
    older: str | None
    newer: str | None


def list_messages(*, actor: Actor, folder: Folder, cursor: str | None = None) -> Page:
    """Return one page of the folder as this person may see it; its cost does not depend on the size of the mailbox.

    Raises InvalidCursor for a cursor that is none of ours.
    """
    if cursor is None:
        return _first(actor, folder)
    direction, key = decode(cursor)
    return _older(actor, folder, key) if direction == b"o" else _newer(actor, folder, key)


def unread_count(actor: Actor) -> int:
    """Return how many of the messages this person may see nobody has read; counted when they change, not here."""
    hidden = select(func.coalesce(func.sum(Topic.unread_count), 0)).where(
        Topic.company_id == actor.company_id, Topic.id.not_in(topics_of(actor))
    )
    query = select(Mailbox.unread_count - hidden.scalar_subquery()).where(Mailbox.company_id == actor.company_id)
    return db.session.scalar(query) or 0


def encode(direction: bytes, key: Key) -> str:
    """Return the cursor for what is older (o) or newer (n) than the message with this key."""
    microseconds = (key[0] - EPOCH) // timedelta(microseconds=1)
    packed = _CURSOR.pack(direction, microseconds, key[1].bytes)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode(cursor: str) -> tuple[bytes, Key]:
    """Return direction and key of a cursor; raise InvalidCursor for anything else."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        direction, microseconds, message_id = _CURSOR.unpack(raw)
        moment = EPOCH + timedelta(microseconds=microseconds)
    except (binascii.Error, ValueError, struct.error, OverflowError):
        raise InvalidCursor from None
    if direction not in (b"o", b"n"):
        raise InvalidCursor
    return direction, (moment, uuid.UUID(bytes=message_id))


def _first(actor: Actor, folder: Folder) -> Page:
    rows = _rows(actor, folder)
    return _page(rows[:PAGE_SIZE], has_newer=False, has_older=len(rows) > PAGE_SIZE)


def _older(actor: Actor, folder: Folder, key: Key) -> Page:
    rows = _rows(actor, folder, key > KEY)
    if not rows:  # the rest was archived or restored meanwhile
        return _first(actor, folder)
    return _page(rows[:PAGE_SIZE], has_newer=True, has_older=len(rows) > PAGE_SIZE)


def _newer(actor: Actor, folder: Folder, key: Key) -> Page:
    rows = _rows(actor, folder, key < KEY, newest_first=False)
    if len(rows) <= PAGE_SIZE:  # the newest page is always a full one
        return _first(actor, folder)
    return _page(rows[PAGE_SIZE - 1 :: -1], has_newer=True, has_older=True)


def _rows(actor: Actor, folder: Folder, *bounds: ColumnElement[bool], newest_first: bool = True) -> Sequence[Row[Any]]:
    """Return what the lines of a page show, never the body, and one more to tell whether there are others."""
    place = Message.archived_at.is_(None) if folder == "inbox" else Message.archived_at.is_not(None)
    keys = nearest(actor, place, *bounds, limit=PAGE_SIZE + 1, newest_first=newest_first)
    attachments = exists().where(Attachment.company_id == Message.company_id, Attachment.message_id == Message.id)
    query: Any = select(
        Message.id,
        Message.made_available_at,
        Message.sender_authority,
        Message.subject,
        Message.kind,
        Message.is_unread,
        Message.remedy_ends_on,
        Message.regime,
        Message.first_retrieved_at,
        attachments.label("has_attachments"),
    ).join(keys, keys.c.id == Message.id)
    order = [Message.made_available_at, Message.id]
    query = query.where(Message.company_id == actor.company_id)
    query = query.order_by(*(column.desc() if newest_first else column.asc() for column in order))
    rows: Sequence[Row[Any]] = db.session.execute(query).all()
    return rows


def _page(rows: list[Row[Any]] | Any, *, has_newer: bool, has_older: bool) -> Page:
    today = legal_day(now())
    return Page(
        entries=[entry(row, today, has_attachments=row.has_attachments) for row in rows],
        older=encode(b"o", (rows[-1].made_available_at, rows[-1].id)) if has_older else None,
        newer=encode(b"n", (rows[0].made_available_at, rows[0].id)) if has_newer else None,
    )


def entry(row: Row[Any] | Message, today: date, *, has_attachments: bool) -> Entry:
    """Return the line for a message, or for a row with what a line shows of it."""
    ends, until = row.remedy_ends_on, _retrieve_until(row)
    return Entry(
        id=row.id,
        sender=row.sender_authority,
        subject=row.subject,
        is_decision=row.kind == "decision",
        is_unread=row.is_unread,
        made_available_at=row.made_available_at,
        ends_on=ends,
        days_left=None if ends is None else (ends - today).days,
        retrieve_until=until,
        is_ended=until is not None and until < today,
        has_attachments=has_attachments,
    )


def _retrieve_until(row: Row[Any] | Message) -> date | None:
    if row.regime is None or row.first_retrieved_at is not None:
        return None
    day = legal_day(row.made_available_at)
    return provision_end(rule_for(row.regime, day), day)
