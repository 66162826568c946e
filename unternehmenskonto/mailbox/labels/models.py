"""Labels of a company and the messages that carry them."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from unternehmenskonto.db import Base, new_id, now

#: Each has contrast enough in light and dark (tests/mailbox/labels); the name always stands beside it.
COLOURS = ("grey", "blue", "green", "yellow", "red", "violet")
NAME_LENGTH = 40


class Label(Base):
    """A word of the company's own for messages that belong together; everybody who reads the mailbox sees it."""

    __tablename__ = "mailbox_labels"
    __table_args__ = (
        Index("uq_mailbox_labels_name", "company_id", func.lower(text("name")), unique=True),
        CheckConstraint("colour IN ('grey', 'blue', 'green', 'yellow', 'red', 'violet')", name="colour"),
        CheckConstraint("name <> ''", name="name"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    colour: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(default=now)


class MessageLabel(Base):
    """A label on a message."""

    __tablename__ = "message_labels"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "message_id"], ["messages.company_id", "messages.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["company_id", "label_id"], ["mailbox_labels.company_id", "mailbox_labels.id"], ondelete="CASCADE"
        ),
        # All messages with a label, newest first.
        Index("ix_message_labels_label", "company_id", "label_id", "made_available_at", "message_id"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    message_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    label_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    #: That of the message, which never changes.
    made_available_at: Mapped[datetime]
