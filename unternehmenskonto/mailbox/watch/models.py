"""What the watch over deadlines keeps: choices, steps taken, absences, calendar addresses, missing readers."""

import uuid
from datetime import date, datetime

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Uuid,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import Base, new_id, now


class WatchSettings(Base):
    """What a company chose; without a row the defaults of actions.py hold."""

    __tablename__ = "deadline_settings"
    __table_args__ = (
        CheckConstraint("cardinality(reminder_days) <= 5", name="days"),
        CheckConstraint("cover_days BETWEEN 0 AND 30", name="cover"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    #: Days before the end, most first; empty: no reminders.
    reminder_days: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    #: So many days before the end an unopened decision is told to others; 0: never.
    cover_days: Mapped[int] = mapped_column(SmallInteger)


class WatchStep(Base):
    """One step taken for a decision, exactly once: the log of who was told when."""

    __tablename__ = "deadline_steps"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "message_id"], ["messages.company_id", "messages.id"], ondelete="CASCADE"),
        CheckConstraint("kind IN ('reminder', 'substitute', 'administrators', 'everybody')", name="kind"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    message_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    #: The day watched; the retrieval that announces sets a new one (VwVfG section 41(2a)).
    due_on: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(14), primary_key=True)
    #: Of a reminder: how many days before due_on it was to go out. Of any other kind 0.
    days: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    taken_at: Mapped[datetime] = mapped_column(default=now)
    #: Memberships that were written to; empty where there is nobody to write to.
    told: Mapped[list[uuid.UUID]] = mapped_column(ARRAY(Uuid()))


class WatchProgress(Base):
    """The last day a daily watch has looked at, so that days of an outage are made up for."""

    __tablename__ = "deadline_progress"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    #: In German legal time.
    day: Mapped[date]


class Absence(Base):
    """A person is away and a colleague stands in; both days count."""

    __tablename__ = "absences"
    __table_args__ = (
        Index("ix_absences_company", "company_id", "ends_on"),
        CheckConstraint("starts_on <= ends_on", name="order"),
        CheckConstraint("membership_id <> substitute_id", name="somebody_else"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    membership_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    substitute_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    created_at: Mapped[datetime] = mapped_column(default=now)

    membership: Mapped[Membership] = relationship(foreign_keys=[membership_id])
    substitute: Mapped[Membership] = relationship(foreign_keys=[substitute_id])


class CalendarFeed(Base):
    """The secret address under which one person's calendar fetches the deadlines of one company."""

    __tablename__ = "calendar_feeds"
    __table_args__ = (
        CheckConstraint("detail IN ('dates', 'subjects')", name="detail"),
        CheckConstraint("language IN ('de', 'en')", name="language"),
    )

    membership_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"), primary_key=True)
    #: SHA-256 of the secret; the secret itself is shown once.
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    #: dates: who and until when; subjects: also what it is about
    detail: Mapped[str] = mapped_column(String(8))
    language: Mapped[str] = mapped_column(String(2))
    created_at: Mapped[datetime] = mapped_column(default=now)
    #: To the hour; shows the person whether the address is in use.
    last_used_at: Mapped[datetime | None]

    membership: Mapped[Membership] = relationship(lazy="joined")


class MissingReader(Base):
    """A company with messages in which nobody is reached; the row goes when somebody is again."""

    __tablename__ = "missing_readers"
    __table_args__ = (
        CheckConstraint("reason IN ('nobody_may_read', 'nobody_can_log_in', 'nobody_has_address')", name="reason"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    #: Empty: the whole mailbox; else a part of it that has readers of its own.
    area: Mapped[str] = mapped_column(String(36), primary_key=True, default="")
    reason: Mapped[str] = mapped_column(String(20))
    found_at: Mapped[datetime] = mapped_column(default=now)
    #: When the company was written to; None: nobody has an address.
    told_at: Mapped[datetime | None]
