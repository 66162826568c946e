"""Drafts of a company, what it has sent, and the two orders in which that is numbered."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from unternehmenskonto.db import Base, new_id, now
from unternehmenskonto.mailbox.models import GENESIS, Message


class Draft(Base):
    """What somebody is about to write; raw as it was typed, nothing of it is checked for completeness."""

    __tablename__ = "drafts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["company_id", "message_id"], ["messages.company_id", "messages.id"], ondelete="SET NULL (message_id)"
        ),
        Index("ix_drafts_list", "company_id", "updated_at", "id", postgresql_where=text("deleted_at IS NULL")),
        # What a person threw away is forgotten some time later.
        Index("ix_drafts_deleted_at", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    #: Made when the empty form is shown, so that a form sent twice is one draft.
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    #: The message it answers; None for one that the company begins.
    message_id: Mapped[uuid.UUID | None]
    #: Slug of the OnlineService that gets it.
    service: Mapped[str] = mapped_column(String(63))
    author: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    topic: Mapped[str] = mapped_column(Text, default="")
    subject: Mapped[str] = mapped_column(Text, default="")
    body: Mapped[str] = mapped_column(Text, default="")
    #: id of the question -> what was typed
    answers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Grows with every saving, so that nobody overwrites a colleague's work unseen.
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    deleted_at: Mapped[datetime | None]

    files: Mapped[list["DraftFile"]] = relationship(order_by="DraftFile.id", cascade="all, delete-orphan")
    message: Mapped[Message | None] = relationship(viewonly=True)


class DraftFile(Base):
    """A file that shall go with the draft; its bytes lie in the store already."""

    __tablename__ = "draft_files"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "draft_id"], ["drafts.company_id", "drafts.id"]),
        Index("ix_draft_files_draft", "company_id", "draft_id"),
        # The sweep of orphans asks for a stored object by its name.
        Index("ix_draft_files_path", "path"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    draft_id: Mapped[uuid.UUID]
    #: The question it answers; None for a file that goes along by itself.
    question: Mapped[str | None] = mapped_column(String(40))
    file_name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(100))
    #: bytes
    size: Mapped[int] = mapped_column(BigInteger)
    #: 64 hex digits
    sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(100))


class Outbox(Base):
    """One per company, made at the first sending; its row orders and chains what the company sends."""

    __tablename__ = "outboxes"

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)
    #: Hash of the newest SentLink.
    head: Mapped[bytes] = mapped_column(LargeBinary(32), default=GENESIS)


class ServiceIntake(Base):
    """One per service: its row numbers what arrives for it, so that a cursor never passes by anything."""

    __tablename__ = "service_intakes"

    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    last_number: Mapped[int] = mapped_column(BigInteger, default=0)


class SentMessage(Base):
    """What a company has sent. A trigger refuses every change but the acknowledgement."""

    __tablename__ = "sent_messages"
    __table_args__ = (
        UniqueConstraint("company_id", "sequence_number"),
        Index("ix_sent_messages_list", "company_id", "sent_at", "id"),
        Index("ix_sent_messages_message", "company_id", "message_id", "sent_at"),
        # The authority goes through what is its own.
        Index("uq_sent_messages_service", "service", "service_number", unique=True),
        Index("ix_sent_messages_id", "id"),
        CheckConstraint("(acknowledged_at IS NULL) = (acknowledgement IS NULL)", name="acknowledged"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("outboxes.company_id"), primary_key=True)
    #: That of the draft it was: one draft is sent once.
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    #: 1, 2, 3 … without gaps in each company.
    sequence_number: Mapped[int] = mapped_column(BigInteger)
    service: Mapped[str] = mapped_column(String(63))
    #: 1, 2, 3 … without gaps in each service.
    service_number: Mapped[int] = mapped_column(BigInteger)
    #: Name and authority as they were on the day of sending.
    recipient_name: Mapped[str] = mapped_column(String(200))
    recipient_authority: Mapped[str] = mapped_column(String(200))
    #: No foreign key: an answer outlives a message that was erased.
    message_id: Mapped[uuid.UUID | None]
    #: The authority's own file number, taken from its message.
    reference: Mapped[str | None] = mapped_column(String(255))
    topic: Mapped[str | None] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(255))
    body: Mapped[str] = mapped_column(Text)
    #: [{"id", "kind", "label", "value"}] in the order asked; of an upload the value is the list of file names.
    answers: Mapped[list[Any]]
    #: Pseudonym of the company in the service's sector.
    org_sub: Mapped[str] = mapped_column(String(43))
    company_name: Mapped[str] = mapped_column(String(500))
    sender_name: Mapped[str] = mapped_column(String(510))
    sent_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    #: low, substantial or high: how surely the sender was known.
    assurance_level: Mapped[str] = mapped_column(String(15))
    sent_at: Mapped[datetime]
    #: Compact JWS, typ receipt+jwt: that it was sent.
    receipt: Mapped[str] = mapped_column(Text)
    acknowledged_at: Mapped[datetime | None]
    #: Compact JWS, typ receipt+jwt: that the authority has fetched it.
    acknowledgement: Mapped[str | None] = mapped_column(Text)

    files: Mapped[list["SentFile"]] = relationship(order_by="SentFile.position")


class SentFile(Base):
    """A file that went along; its bytes lie in the store under a random name."""

    __tablename__ = "sent_files"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "sent_id"], ["sent_messages.company_id", "sent_messages.id"]),
        UniqueConstraint("company_id", "sent_id", "position"),
        Index("ix_sent_files_path", "path"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sent_id: Mapped[uuid.UUID]
    #: 1, 2, 3 …
    position: Mapped[int] = mapped_column(SmallInteger)
    question: Mapped[str | None] = mapped_column(String(40))
    file_name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(100))


class SentLink(Base):
    """One sent message in its company's chain, built as that of the mailbox: see models.ChainLink."""

    __tablename__ = "sent_links"

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("outboxes.company_id"), primary_key=True)
    sequence_number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    #: No foreign key: the link outlives an erased message.
    sent_id: Mapped[uuid.UUID]
    #: 32 random bytes; None after erasure.
    salt: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    leaf: Mapped[bytes] = mapped_column(LargeBinary(32))
    previous: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
