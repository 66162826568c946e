"""What stays of an erased message, and what an act on many messages changed."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from unternehmenskonto.db import Base, new_id, now


class ErasedMessage(Base):
    """A message that a person of the company deleted for good: who, when, and the facts of its delivery.

    Nothing of what the authority wrote. Without this row a trigger refuses to delete a message; the row itself
    never changes and never goes. Its receipts and its link in the chain stay too.
    """

    __tablename__ = "erased_messages"
    __table_args__ = (
        UniqueConstraint("company_id", "sequence_number"),
        # The sender asks by the id alone, as for a message that is still there.
        Index("ix_erased_messages_service", "service", "message_id"),
        Index("ix_erased_messages_erased_at", "company_id", "erased_at", "message_id"),
        CheckConstraint("(kind = 'decision') = (protected_until IS NOT NULL)", name="kind"),
        CheckConstraint(
            "protected_until < (erased_at AT TIME ZONE 'Europe/Berlin')::date"
            " AND (remedy_ends_on IS NULL OR remedy_ends_on <= protected_until)",
            name="protected",
        ),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("mailboxes.company_id"), primary_key=True)
    message_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sequence_number: Mapped[int] = mapped_column(BigInteger)
    service: Mapped[str] = mapped_column(String(63))
    sender_authority: Mapped[str] = mapped_column(String(200))
    #: message or decision
    kind: Mapped[str] = mapped_column(String(10))
    accepted_at: Mapped[datetime]
    made_available_at: Mapped[datetime]
    announced_on: Mapped[date | None]
    remedy_ends_on: Mapped[date | None]
    rule_version: Mapped[str | None] = mapped_column(String(40))
    first_retrieved_at: Mapped[datetime | None]
    attachment_count: Mapped[int] = mapped_column(SmallInteger)
    #: Who saw the message sees that it is gone; no foreign key, a topic may end.
    topic_id: Mapped[uuid.UUID | None]
    #: Of a decision: the last day on which it could not be deleted (see protection.py).
    protected_until: Mapped[date | None]
    erased_at: Mapped[datetime]
    erased_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))


class BulkAction(Base):
    """One act on one or many messages, kept for UNDO_PERIOD so that it can be taken back exactly."""

    __tablename__ = "bulk_actions"
    __table_args__ = (
        # Those that are too old go, whosever they are.
        Index("ix_bulk_actions_made_at", "made_at"),
        CheckConstraint("action IN ('archive', 'restore', 'bin', 'read', 'unread', 'label', 'unlabel')", name="action"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("mailboxes.company_id"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    #: Only who did it takes it back.
    membership_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    action: Mapped[str] = mapped_column(String(10))
    #: No foreign key: a label may be deleted meanwhile.
    label_id: Mapped[uuid.UUID | None]
    #: [id, field, value before, value after] of each message that was changed; times as text.
    changes: Mapped[list[Any]]
    #: [id, reason, day until which or None] of each that was not.
    refused: Mapped[list[Any]]
    made_at: Mapped[datetime] = mapped_column(default=now)
    undone_at: Mapped[datetime | None]
    #: How many of the changes were left alone, because somebody had changed the message since.
    left_alone: Mapped[int] = mapped_column(default=0)
