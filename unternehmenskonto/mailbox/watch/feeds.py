"""The secret calendar address of a person for one company: made, renewed, taken back, read without a login."""

import hashlib
import re
import secrets
import uuid
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import defer

from unternehmenskonto import audit
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import NotFound
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.mailbox.watch import actions
from unternehmenskonto.mailbox.watch.calendar import Style, calendar
from unternehmenskonto.mailbox.watch.due import SHOWN_AFTER_DAYS
from unternehmenskonto.mailbox.watch.models import CalendarFeed
from unternehmenskonto.permissions import Actor
from unternehmenskonto.settings import get_settings

#: 256 bits.
SECRET_BYTES = 32
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
#: The nearest ones; no calendar is helped by more.
MAXIMUM_EVENTS = 500
#: The time of the last use is written down to the hour, so that reading is nearly always only reading.
USE_NOTED_EVERY = timedelta(hours=1)
DETAILS = ("dates", "subjects")


def feed_of(actor: Actor) -> CalendarFeed | None:
    """Return the person's calendar address for this company; None without one."""
    return db.session.get(CalendarFeed, actor.membership_id)


def renew(*, actor: Actor, detail: str, language: str) -> str:
    """Make a new address and return it, the only time it can be seen; the one before ends at once."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    feed = feed_of(actor)
    if feed is None:
        feed = CalendarFeed(membership_id=actor.membership_id)
        db.session.add(feed)
    feed.token_hash, feed.detail, feed.language = _hash(secret), detail, language
    feed.created_at, feed.last_used_at = now(), None
    _audit("calendar.address_made", actor, detail=detail)
    db.session.flush()
    return f"{get_settings().base_url}/kalender/{secret}.ics"


def change(*, actor: Actor, detail: str, language: str) -> None:
    """Change what the calendar tells; the address stays. Raises NotFound without an address."""
    feed = feed_of(actor)
    if feed is None:
        raise NotFound
    if (feed.detail, feed.language) == (detail, language):
        return
    feed.detail, feed.language = detail, language
    _audit("calendar.changed", actor, detail=detail)
    db.session.flush()


def revoke(*, actor: Actor) -> None:
    """End the address; whoever knows it gets nothing from now on."""
    gone = delete(CalendarFeed).where(CalendarFeed.membership_id == actor.membership_id)
    if db.session.execute(gone.returning(CalendarFeed.membership_id)).first():
        _audit("calendar.revoked", actor)
    db.session.flush()


def read(secret: str) -> bytes:
    """Return the calendar behind the address.

    Raises NotFound for an unknown or ended address, and while the person may not read the mailbox.
    """
    if not _SECRET.fullmatch(secret):
        raise NotFound
    feed = db.session.scalar(select(CalendarFeed).where(CalendarFeed.token_hash == _hash(secret)))
    actor = None if feed is None or feed.membership.ended_at else _reader(feed.membership)
    if feed is None or actor is None or not actor.may("mailbox.read"):
        raise NotFound
    _note_use(feed)
    style = Style(
        language=feed.language,
        with_subject=feed.detail == "subjects",
        company=actor.company_name,
        alarm_days=actions.settings_of(actor.company_id).reminder_days,
    )
    return calendar(_messages(actor), style)


def _messages(actor: Actor) -> list[Message]:
    since = legal_day(now()) - timedelta(days=SHOWN_AFTER_DAYS)
    query = (
        select(Message)
        .where(Message.company_id == actor.company_id, visible_to(actor))
        .where(Message.due_on >= since, Message.binned_at.is_(None))
        .options(defer(Message.body))
        .order_by(Message.due_on, Message.id)
        .limit(MAXIMUM_EVENTS)
    )
    return list(db.session.scalars(query))


def _reader(membership: Membership) -> Actor:
    """Return whom the messages are chosen for: the same person with the same rights, but not signed in."""
    return Actor(
        person_id=membership.person_id,
        person_name=membership.person.name,
        company_id=membership.company_id,
        company_name=membership.company.name,
        membership_id=membership.id,
        session_id=uuid.UUID(int=0),
        assurance_level="low",
        auth_time=now(),
        roles=frozenset(membership.roles),
    )


def _note_use(feed: CalendarFeed) -> None:
    moment = now()
    if feed.last_used_at is None or moment - feed.last_used_at >= USE_NOTED_EVERY:
        feed.last_used_at = moment


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _audit(event: str, actor: Actor, **fields: str) -> None:
    audit.record(event, by=f"person:{actor.person_id}", company_id=actor.company_id, **fields)
