"""What an authority gets of what companies wrote to it: its own, in the order of arrival."""

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from unternehmenskonto.db import db
from unternehmenskonto.mailbox.conversations.limits import MAXIMUM_REPLIES_PER_PAGE, REPLIES_PER_PAGE
from unternehmenskonto.mailbox.conversations.models import SentFile, SentMessage
from unternehmenskonto.mailbox.conversations.reading import prove
from unternehmenskonto.mailbox.problems import refusal

MAXIMUM_CURSOR_DIGITS = 18


def replies_after(*, client_id: str, after: str, limit: str) -> tuple[Sequence[SentMessage], bool]:
    """Return up to `limit` messages after the cursor, and whether there are more; raise invalid_cursor.

    Numbers are given in the order of commits, so nothing appears later behind a cursor that was handed out.
    """
    number, size = _number(after, default=0), _number(limit, default=REPLIES_PER_PAGE)
    if not 1 <= size <= MAXIMUM_REPLIES_PER_PAGE:
        raise refusal("invalid_cursor", detail="limit")
    found = db.session.scalars(
        select(SentMessage)
        .where(SentMessage.service == client_id, SentMessage.service_number > number)
        .order_by(SentMessage.service_number)
        .limit(size + 1)
        .options(selectinload(SentMessage.files))
    ).all()
    return found[:size], len(found) > size


def reply(*, client_id: str, sent_id: uuid.UUID) -> SentMessage:
    """Return one message; raise reply_unknown for anybody else's."""
    found = db.session.scalar(
        select(SentMessage)
        .where(SentMessage.id == sent_id, SentMessage.service == client_id)
        .options(selectinload(SentMessage.files))
    )
    if found is None:
        raise refusal("reply_unknown")
    return found


def file_of_reply(*, client_id: str, sent_id: uuid.UUID, file_id: uuid.UUID) -> SentFile:
    """Return a file whose stored bytes were just proved; raise reply_unknown or Damaged."""
    found = [file for file in reply(client_id=client_id, sent_id=sent_id).files if file.id == file_id]
    if not found:
        raise refusal("reply_unknown")
    prove(found[0])
    return found[0]


def _number(text: str, *, default: int) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= MAXIMUM_CURSOR_DIGITS):
        raise refusal("invalid_cursor")
    return int(text)
