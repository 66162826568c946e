"""The outbox of e-mail notices: one row for each person who is to hear of one message."""

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from unternehmenskonto.companies.models import Company, Membership
from unternehmenskonto.db import Base, new_id, now


class Notice(Base):
    """One e-mail to one person. Who delivered is kept here, because this part does not know the mailbox.

    A row without membership stands for a company in which nobody has an address; it has failed from the start.
    """

    __tablename__ = "notices"
    __table_args__ = (
        UniqueConstraint("message_id", "membership_id", "kind", "occasion", postgresql_nulls_not_distinct=True),
        Index("ix_notices_membership", "membership_id", "created_at"),
        Index("ix_notices_failed", "company_id", "created_at", postgresql_where=text("failed_at IS NOT NULL")),
        CheckConstraint(
            "kind IN ('message', 'decision', 'decision_by_retrieval', 'deadline_reminder', 'deadline_cover',"
            " 'no_reader', 'task')",
            name="kind",
        ),
        CheckConstraint("(kind = 'no_reader') = (message_id IS NULL)", name="message"),
        CheckConstraint("(membership_id IS NULL) = (address IS NULL)", name="address"),
        CheckConstraint("sent_at IS NULL OR failed_at IS NULL", name="outcome"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    #: message; decision (its period runs by itself); decision_by_retrieval (VwVfG section 41(2a));
    #: deadline_reminder; deadline_cover (nobody has opened a decision); no_reader (nobody can read the mailbox);
    #: task (a colleague gave the message to this person)
    kind: Mapped[str] = mapped_column(String(21))
    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"))
    membership_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("memberships.id"))
    #: The address on the day of the notice; a later change is no matter for what was sent.
    address: Mapped[str | None] = mapped_column(String(320))
    #: No foreign key: the notice is evidence of OZG section 9(1) and outlives an erased message.
    message_id: Mapped[uuid.UUID | None]
    #: What tells notices of one kind about one message apart: the day and the step.
    occasion: Mapped[str] = mapped_column(String(40), default="")
    #: The day on which something ends, of reminder and cover; never sent after it.
    due_on: Mapped[date | None]
    #: Authority; of no_reader the part of the mailbox, empty for the whole.
    sender: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(default=now)
    sent_at: Mapped[datetime | None]
    #: How often sending was tried.
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    failed_at: Mapped[datetime | None]
    #: The kind of the last failure (see email.py), never the words of the mail server.
    last_error: Mapped[str | None] = mapped_column(String(40))

    company: Mapped[Company] = relationship()
    membership: Mapped[Membership | None] = relationship()
