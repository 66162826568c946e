"""The mailbox of a company: messages, attachments, the chain of evidence, receipts, kept answers."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from unternehmenskonto.db import Base, new_id, now
from unternehmenskonto.mailbox.team import models as team_models  # noqa: F401  (its tables belong to the keys below)

#: What the first link of every chain is built on.
GENESIS = bytes(32)
#: With the casts that PostgreSQL adds itself, so that it compares as equal.
DUE_ON = (
    "COALESCE(remedy_ends_on, CASE WHEN ((regime)::text = 'vwvfg41_2a'::text)"
    " THEN ((made_available_at AT TIME ZONE 'Europe/Berlin'::text)::date + 10) ELSE NULL::date END)"
)


class Mailbox(Base):
    """One per company, made at the first delivery or the first look; its row orders the deliveries."""

    __tablename__ = "mailboxes"
    __table_args__ = (
        CheckConstraint(
            "last_sequence >= 0 AND unread_archived >= 0 AND unread_count >= unread_archived", name="counts"
        ),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)
    #: Hash of the newest ChainLink.
    head: Mapped[bytes] = mapped_column(LargeBinary(32), default=GENESIS)
    #: Unread messages in inbox and archive, and those in the archive alone; they change in the transaction that
    #: changes a message (see places.py).
    unread_count: Mapped[int] = mapped_column(default=0)
    unread_archived: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    #: "Done" of a task needs a second person.
    has_four_eyes: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(default=now)


class Message(Base):
    """What an authority delivered. A trigger refuses to change what was delivered and every fact once known."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("company_id", "sequence_number"),
        # One list for each folder, and in it one for each topic: see visibility.nearest.
        Index("ix_messages_inbox", "company_id", "topic_id", "made_available_at", "id",
              postgresql_where=text("archived_at IS NULL AND binned_at IS NULL")),
        Index("ix_messages_archive", "company_id", "topic_id", "made_available_at", "id",
              postgresql_where=text("archived_at IS NOT NULL AND binned_at IS NULL")),
        Index("ix_messages_bin", "company_id", "topic_id", "made_available_at", "id",
              postgresql_where=text("binned_at IS NOT NULL")),
        # Page "Fristen"; the jobs that watch one day over all companies; what nobody has opened.
        Index("ix_messages_due", "company_id", "due_on", "id", postgresql_where=text("due_on IS NOT NULL")),
        Index("ix_messages_due_day", "due_on", "company_id", "id", postgresql_where=text("due_on IS NOT NULL")),
        Index(
            "ix_messages_unopened_day",
            "due_on",
            "company_id",
            "id",
            postgresql_where=text("due_on IS NOT NULL AND first_retrieved_at IS NULL"),
        ),
        # Everything in one topic, whatever its place: counted and moved together.
        Index(
            "ix_messages_topic",
            "company_id",
            "topic_id",
            "made_available_at",
            "id",
            postgresql_where=text("topic_id IS NOT NULL"),
        ),
        ForeignKeyConstraint(["company_id", "case_id"], ["cases.company_id", "cases.id"]),
        Index(
            "ix_messages_case",
            "company_id",
            "case_id",
            "made_available_at",
            "id",
            postgresql_where=text("case_id IS NOT NULL"),
        ),
        # The sender asks for a message by its id alone.
        Index("ix_messages_service", "service", "id"),
        ForeignKeyConstraint(["company_id", "topic_id"], ["mailbox_topics.company_id", "mailbox_topics.id"]),
        # What the search filters by, where it is rare in a mailbox.
        Index("ix_messages_unread", "company_id", "sequence_number", postgresql_where=text("is_unread")),
        Index("ix_messages_sender", "company_id", "service", "sequence_number"),
        CheckConstraint("kind IN ('message', 'decision')", name="kind"),
        CheckConstraint("body_format IN ('text', 'markdown')", name="body_format"),
        CheckConstraint("regime IN ('ozg9', 'ao122a', 'vwvfg41_2a')", name="regime"),
        CheckConstraint(
            "(kind = 'decision') = (num_nonnulls(regime, land, remedy_kind, remedy_length, remedy_unit,"
            " remedy_instructed) = 6)"
            " AND (kind = 'decision' OR num_nonnulls(regime, land, remedy_kind, remedy_length, remedy_unit,"
            " remedy_instructed, remedy_addressee, announced_on, remedy_ends_on, rule_version) = 0)",
            name="decision",
        ),
        CheckConstraint("(first_retrieved_at IS NULL) = (first_retrieved_by IS NULL)", name="first_retrieved"),
    )  # fmt: skip

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("mailboxes.company_id"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    #: 1, 2, 3 … without gaps in each mailbox.
    sequence_number: Mapped[int] = mapped_column(BigInteger)

    #: Slug of the OnlineService. Name and authority are kept as they were on the day of delivery.
    service: Mapped[str] = mapped_column(String(63))
    sender_name: Mapped[str] = mapped_column(String(200))
    sender_authority: Mapped[str] = mapped_column(String(200))
    #: message or decision (an administrative act with legal effect)
    kind: Mapped[str] = mapped_column(String(10))
    subject: Mapped[str] = mapped_column(String(255))
    body: Mapped[str] = mapped_column(Text)
    #: text or markdown
    body_format: Mapped[str] = mapped_column(String(10))
    #: The authority's own file number.
    reference: Mapped[str | None] = mapped_column(String(255))

    #: Of a decision only: ozg9, ao122a or vwvfg41_2a.
    regime: Mapped[str | None] = mapped_column(String(12))
    #: Land whose public holidays count, two letters.
    land: Mapped[str | None] = mapped_column(String(2))
    #: objection or lawsuit
    remedy_kind: Mapped[str | None] = mapped_column(String(10))
    remedy_length: Mapped[int | None] = mapped_column(SmallInteger)
    #: day, week, month or year
    remedy_unit: Mapped[str | None] = mapped_column(String(5))
    #: False: the instruction on remedies is missing or wrong, so the period is a year (VwGO section 58(2)).
    remedy_instructed: Mapped[bool | None]
    remedy_addressee: Mapped[str | None] = mapped_column(String(500))

    #: Whether and how the company may answer (schemas.ReplySchema); None: not at all.
    reply: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    #: The case it belongs to (mailbox/cases).
    case_id: Mapped[uuid.UUID | None]

    accepted_at: Mapped[datetime]
    made_available_at: Mapped[datetime]
    #: None until it is known: under VwVfG section 41(2a) the retrieval decides.
    announced_on: Mapped[date | None]
    remedy_ends_on: Mapped[date | None]
    #: Which version of the rule table gave both dates.
    rule_version: Mapped[str | None] = mapped_column(String(40))
    #: The next day that must not be missed: the end of the remedy period or, before the retrieval that announces,
    #: the end of the provision (the days of rules.py, VwVfG section 41(2a)).
    due_on: Mapped[date | None] = mapped_column(Computed(DUE_ON, persisted=True))
    first_retrieved_at: Mapped[datetime | None]
    first_retrieved_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("memberships.id"))

    is_unread: Mapped[bool] = mapped_column(default=True)
    archived_at: Mapped[datetime | None]
    #: In the bin since then; archived_at tells where it goes when it is restored.
    binned_at: Mapped[datetime | None]
    #: The topic whose members alone see it; None: everybody who reads the mailbox (see visibility.py).
    topic_id: Mapped[uuid.UUID | None]

    attachments: Mapped[list["Attachment"]] = relationship(order_by="Attachment.position", back_populates="message")

    @property
    def is_decision(self) -> bool:
        """Tell whether this is an administrative act with legal effect."""
        return self.kind == "decision"


class Attachment(Base):
    """A file of a message; its bytes lie in the store under a random name."""

    __tablename__ = "attachments"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "message_id"], ["messages.company_id", "messages.id"], ondelete="CASCADE"),
        UniqueConstraint("company_id", "message_id", "position"),
        # The sweep of orphans asks for a stored object by its name.
        Index("ix_attachments_path", "path"),
        CheckConstraint("size > 0", name="size"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    message_id: Mapped[uuid.UUID]
    #: 1, 2, 3 … in the order of delivery.
    position: Mapped[int] = mapped_column(SmallInteger)
    file_name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(100))
    #: bytes
    size: Mapped[int] = mapped_column(BigInteger)
    #: 64 hex digits
    sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(100))

    message: Mapped[Message] = relationship(back_populates="attachments")


class ChainLink(Base):
    """One delivered message in its mailbox's chain: hash = SHA-256(previous || sequence number || leaf).

    leaf = SHA-256(salt || canonical record). Without message and salt a leaf tells nothing, so both can be
    erased and the chain still verifies. A trigger refuses every change but the erasure of the salt.
    """

    __tablename__ = "chain_links"

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("mailboxes.company_id"), primary_key=True)
    sequence_number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    #: No foreign key: the link outlives an erased message.
    message_id: Mapped[uuid.UUID]
    #: 32 random bytes; None after erasure.
    salt: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    leaf: Mapped[bytes] = mapped_column(LargeBinary(32))
    previous: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    recorded_at: Mapped[datetime] = mapped_column(default=now)


class Receipt(Base):
    """A signed proof for sender and company: accepted, made available, first retrieved; one of each at most."""

    __tablename__ = "receipts"
    __table_args__ = (
        UniqueConstraint("company_id", "message_id", "kind"),
        CheckConstraint("kind IN ('accepted', 'made_available', 'first_retrieved')", name="kind"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("mailboxes.company_id"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    #: No foreign key: proofs hold no contents and outlive an erased message.
    message_id: Mapped[uuid.UUID]
    kind: Mapped[str] = mapped_column(String(15))
    #: Compact JWS, typ receipt+jwt, verifiable with the published keys alone.
    jws: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)


class IdempotencyKey(Base):
    """The answer that a repeated request gets again; kept for IDEMPOTENCY_DAYS."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    #: Slug of the client: two clients may use the same key.
    client: Mapped[str] = mapped_column(String(63), primary_key=True)
    route: Mapped[str] = mapped_column(String(100), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    #: SHA-256 of the message and of the digests of its attachments.
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    status: Mapped[int | None] = mapped_column(SmallInteger)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=now)
