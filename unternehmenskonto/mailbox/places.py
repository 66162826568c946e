"""The folders a message can lie in, and the numbers of unread messages that hang on them."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, exists, func, select, true, update

from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Mailbox, Message
from unternehmenskonto.mailbox.team.models import Topic, TopicMember
from unternehmenskonto.mailbox.visibility import topics_of
from unternehmenskonto.permissions import ROLES, Actor

Folder = Literal["inbox", "archive", "bin"]


@dataclass(frozen=True)
class Unread:
    """How many messages nobody has read, in the inbox and in the archive; what lies in the bin is not counted."""

    inbox: int = 0
    archive: int = 0

    @property
    def total(self) -> int:
        """Return the number for the mailbox as a whole."""
        return self.inbox + self.archive


def lies_in(folder: Folder) -> ColumnElement[bool]:
    """Return the condition on Message that holds in this folder; each has an index of its own."""
    if folder == "bin":
        return Message.binned_at.is_not(None)
    archived = Message.archived_at.is_(None) if folder == "inbox" else Message.archived_at.is_not(None)
    return and_(archived, Message.binned_at.is_(None))


def folder_of(message: Any) -> Folder:
    """Return where a message lies; it needs archived_at and binned_at."""
    if message.binned_at is not None:
        return "bin"
    return "inbox" if message.archived_at is None else "archive"


def unread(actor: Actor) -> Unread:
    """Return the numbers of what this person may see; they are kept with every change and not counted here."""
    hidden = (
        select(
            func.coalesce(func.sum(Topic.unread_count), 0).label("all"),
            func.coalesce(func.sum(Topic.unread_archived), 0).label("archived"),
        )
        .where(Topic.company_id == actor.company_id, Topic.id.not_in(topics_of(actor)))
        .subquery()
    )
    query: Any = (
        select(Mailbox.unread_count - hidden.c.all, Mailbox.unread_archived - hidden.c.archived)
        .join(hidden, true())
        .where(Mailbox.company_id == actor.company_id)
    )
    found = db.session.execute(query).first()
    return Unread() if found is None else Unread(inbox=found[0] - found[1], archive=found[1])


def unread_of(memberships: Iterable[Membership]) -> dict[uuid.UUID, int]:
    """Return for each of these memberships that reads its mailbox how much there is unread for it; one statement."""
    readers = [one.id for one in memberships if any("mailbox.read" in ROLES.get(role, ()) for role in one.roles)]
    sees = exists().where(
        TopicMember.company_id == Topic.company_id,
        TopicMember.topic_id == Topic.id,
        TopicMember.membership_id == Membership.id,
    )
    hidden = select(func.coalesce(func.sum(Topic.unread_count), 0)).where(
        Topic.company_id == Mailbox.company_id, ~sees.correlate(Topic, Membership)
    )
    query = (
        select(Membership.id, Mailbox.unread_count - hidden.correlate(Mailbox, Membership).scalar_subquery())
        .join(Mailbox, Mailbox.company_id == Membership.company_id)
        .where(Membership.id.in_(readers))
    )
    return {row[0]: row[1] for row in db.session.execute(query)} if readers else {}


def weight(*, is_unread: bool, archived: bool, binned: bool) -> tuple[int, int]:
    """Return what one message adds to Mailbox.unread_count and Mailbox.unread_archived."""
    counts = is_unread and not binned
    return int(counts), int(counts and archived)


def count(company_id: uuid.UUID, changes: Iterable[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    """Bring the numbers of the mailbox up to date: (weight before, weight after) of each changed message.

    The caller holds the locks on the messages; always first the messages, then the mailbox. Those of the topics
    follow by a trigger.
    """
    all_, archived = 0, 0
    for before, after in changes:
        all_ += after[0] - before[0]
        archived += after[1] - before[1]
    if (all_, archived) == (0, 0):
        return
    db.session.execute(
        update(Mailbox)
        .where(Mailbox.company_id == company_id)
        .values(unread_count=Mailbox.unread_count + all_, unread_archived=Mailbox.unread_archived + archived)
        .execution_options(synchronize_session=False)
    )
