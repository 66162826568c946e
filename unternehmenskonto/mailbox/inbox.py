"""The lists of a mailbox: inbox, archive and bin, paged by keyset."""

import base64
import binascii
import struct
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Row, Subquery, and_, exists, func, select, tuple_

from unternehmenskonto.db import db, now
from unternehmenskonto.errors import InvalidInput
from unternehmenskonto.mailbox.deadlines import legal_day, provision_end
from unternehmenskonto.mailbox.labels.models import MessageLabel
from unternehmenskonto.mailbox.models import Attachment, Message
from unternehmenskonto.mailbox.places import Folder, lies_in
from unternehmenskonto.mailbox.rules import rule_for
from unternehmenskonto.mailbox.visibility import nearest, visible_to
from unternehmenskonto.permissions import Actor

PAGE_SIZE = 25
#: What a person may choose; the last is also the most that can be selected at once.
PAGE_SIZES = (25, 50, 100)
#: A deadline this near is marked.
SOON_DAYS = 7
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Direction, microseconds since EPOCH, id of the message at the edge.
_CURSOR = struct.Struct(">cq16s")

Key = tuple[datetime, uuid.UUID]
#: From limit, direction and edge to the keys of a page.
Keys = Callable[[int, bool, Key | None], Subquery]

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
    is_opened: bool
    is_archived: bool
    labels: tuple[uuid.UUID, ...]

    @property
    def needs_choice(self) -> bool:
        """Tell whether opening it would announce it: the first retrieval counts, and it is in time."""
        return self.retrieve_until is not None and not self.is_ended

    @property
    def is_soon(self) -> bool:
        """Tell whether the period ends within SOON_DAYS."""
        return self.days_left is not None and 0 <= self.days_left <= SOON_DAYS


@dataclass(frozen=True)
class Page:
    """Up to `size` lines, newest first, and where the list goes on in both directions."""

    entries: list[Entry]
    older: str | None
    newer: str | None


def list_messages(*, actor: Actor, folder: Folder, cursor: str | None = None, size: int = PAGE_SIZE) -> Page:
    """Return one page of the folder as this person may see it; its cost does not depend on the size of the mailbox.

    Raises InvalidCursor for a cursor that is none of ours.
    """

    def keys(limit: int, newest_first: bool, key: Key | None) -> Subquery:
        bounds = () if key is None else (key > KEY,) if newest_first else (key < KEY,)
        return nearest(actor, lies_in(folder), *bounds, limit=limit, newest_first=newest_first)

    return _read(actor, keys, cursor, size)


def list_labelled(*, actor: Actor, label_id: uuid.UUID, cursor: str | None = None, size: int = PAGE_SIZE) -> Page:
    """Return one page of the messages with this label, in inbox and archive alike; raises InvalidCursor."""
    place: Any = tuple_(MessageLabel.made_available_at, MessageLabel.message_id)

    def keys(limit: int, newest_first: bool, key: Key | None) -> Subquery:
        query: Any = (
            select(MessageLabel.made_available_at, MessageLabel.message_id.label("id"))
            .join(
                Message,
                and_(Message.company_id == MessageLabel.company_id, Message.id == MessageLabel.message_id),
            )
            .where(MessageLabel.company_id == actor.company_id, MessageLabel.label_id == label_id)
            .where(Message.binned_at.is_(None), visible_to(actor))
        )
        if key is not None:
            query = query.where(key > place if newest_first else key < place)
        order = [MessageLabel.made_available_at, MessageLabel.message_id]
        query = query.order_by(*(column.desc() if newest_first else column.asc() for column in order))
        found: Subquery = query.limit(limit).subquery()
        return found

    return _read(actor, keys, cursor, size)


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


def _read(actor: Actor, keys: Keys, cursor: str | None, size: int) -> Page:
    """Read the page that the cursor names; one more line tells whether there are others."""
    direction, key = (b"o", None) if cursor is None else decode(cursor)
    newest_first = direction == b"o"
    rows = _rows(actor, keys(size + 1, newest_first, key), newest_first=newest_first)
    if key is None:
        return _page(rows[:size], has_newer=False, has_older=len(rows) > size)
    if newest_first and rows:
        return _page(rows[:size], has_newer=True, has_older=len(rows) > size)
    if not newest_first and len(rows) > size:
        return _page(rows[size - 1 :: -1], has_newer=True, has_older=True)
    # The rest was moved meanwhile; or the newest page, which is always a full one.
    return _read(actor, keys, None, size)


def _rows(actor: Actor, keys: Subquery, *, newest_first: bool) -> Sequence[Row[Any]]:
    """Return what the lines of a page show, never the body."""
    attachments = exists().where(Attachment.company_id == Message.company_id, Attachment.message_id == Message.id)
    labels = select(func.array_agg(MessageLabel.label_id)).where(
        MessageLabel.company_id == Message.company_id, MessageLabel.message_id == Message.id
    )
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
        Message.archived_at,
        attachments.label("has_attachments"),
        labels.scalar_subquery().label("labels"),
    ).join(keys, keys.c.id == Message.id)
    order = [Message.made_available_at, Message.id]
    query = query.where(Message.company_id == actor.company_id)
    query = query.order_by(*(column.desc() if newest_first else column.asc() for column in order))
    rows: Sequence[Row[Any]] = db.session.execute(query).all()
    return rows


def _page(rows: list[Row[Any]] | Any, *, has_newer: bool, has_older: bool) -> Page:
    today = legal_day(now())
    return Page(
        entries=[
            entry(row, today, has_attachments=row.has_attachments, labels=tuple(row.labels or ())) for row in rows
        ],
        older=encode(b"o", (rows[-1].made_available_at, rows[-1].id)) if has_older else None,
        newer=encode(b"n", (rows[0].made_available_at, rows[0].id)) if has_newer else None,
    )


def entry(row: Row[Any] | Message, today: date, *, has_attachments: bool, labels: tuple[uuid.UUID, ...] = ()) -> Entry:
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
        is_opened=row.first_retrieved_at is not None,
        is_archived=row.archived_at is not None,
        labels=labels,
    )


def _retrieve_until(row: Row[Any] | Message) -> date | None:
    if row.regime is None or row.first_retrieved_at is not None:
        return None
    day = legal_day(row.made_available_at)
    return provision_end(rule_for(row.regime, day), day)
