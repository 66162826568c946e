"""What the search reads in place of the messages: words of documents, parted by company and segment."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from unternehmenskonto.db import Base, new_id, now

#: 8,192 neighbouring messages of a mailbox are one segment: sequence_number >> SEGMENT_BITS.
SEGMENT_BITS = 13


class SearchSegment(Base):
    """One stretch of a mailbox, with what lets the search pass it by and what the statement of coverage counts."""

    __tablename__ = "search_segments"

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("mailboxes.company_id"), primary_key=True)
    segment: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: Messages whose words are in the index.
    messages: Mapped[int]
    #: PDF files that nobody has read yet.
    files_waiting: Mapped[int] = mapped_column(default=0)
    #: PDF files without readable text: pictures of pages, damaged or too large ones.
    files_silent: Mapped[int] = mapped_column(default=0)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]


class SearchDocument(Base):
    """All words of one message and its files, each once: ` = wort1 wort2 =stamm1 =stamm2 `."""

    __tablename__ = "search_documents"
    __table_args__ = (
        ForeignKeyConstraint(
            ["company_id", "sequence_number"],
            ["messages.company_id", "messages.sequence_number"],
            name="fk_search_documents_messages",
            ondelete="CASCADE",
        ),
        # Without a pending list: searching it through would cost more than it saves at the delivery.
        Index(
            "ix_search_documents_tokens",
            text("search_tokens(company_id, segment, string_to_array(words, ' '::text))"),
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        ),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sequence_number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    segment: Mapped[int]
    words: Mapped[str] = mapped_column(Text)


class SearchWord(Base):
    """One word that some message of the segment has; its trigrams lead from a part to the whole word."""

    __tablename__ = "search_words"
    __table_args__ = (
        Index(
            "ix_search_words_trigrams",
            text("search_tokens(company_id, segment, trigrams(word))"),
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        ),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    segment: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    word: Mapped[str] = mapped_column(Text, primary_key=True)


class SearchSender(Base):
    """Who has ever written to this mailbox, for the lists to choose from."""

    __tablename__ = "search_senders"

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("mailboxes.company_id"), primary_key=True)
    #: As Message: slug of the service, names as on the day of delivery.
    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    authority: Mapped[str] = mapped_column(String(200), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)


class SearchBacklog(Base):
    """A mailbox with messages from before there was an index; the row goes when they are in it."""

    __tablename__ = "search_backlog"

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("mailboxes.company_id"), primary_key=True)
    #: The next message to put into the index.
    next_sequence: Mapped[int] = mapped_column(BigInteger)
    #: The last one that was there when the index began.
    last_sequence: Mapped[int] = mapped_column(BigInteger)


class AttachmentText(Base):
    """What a PDF file says, as far as it can be read."""

    __tablename__ = "attachment_texts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["company_id", "attachment_id"],
            ["attachments.company_id", "attachments.id"],
            name="fk_attachment_texts_attachments",
            ondelete="CASCADE",
        ),
        CheckConstraint("state IN ('read', 'partly', 'silent')", name="state"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    attachment_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    #: read, partly (beyond a limit), or silent (no readable text)
    state: Mapped[str] = mapped_column(String(6))
    text: Mapped[str] = mapped_column(Text)
    read_at: Mapped[datetime] = mapped_column(default=now)


class SavedSearch(Base):
    """A search that a person keeps under a name."""

    __tablename__ = "saved_searches"
    __table_args__ = (
        Index(
            "uq_saved_searches_name", "membership_id", "name", unique=True, postgresql_where=text("deleted_at IS NULL")
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"))
    membership_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    name: Mapped[str] = mapped_column(String(80))
    #: Fields of the search form that are filled.
    fields: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)
    #: Kept until the next deletion, so that this one can be taken back.
    deleted_at: Mapped[datetime | None]
