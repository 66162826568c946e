"""Exports of whole mailboxes: who asked, how far they are, where the file lies."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from unternehmenskonto.db import Base, new_id, now


class MailboxExport(Base):
    """One export, from the request to the removal of its file."""

    __tablename__ = "mailbox_exports"
    __table_args__ = (
        Index("ix_mailbox_exports_membership", "membership_id", "created_at"),
        # A company makes one export at a time.
        Index(
            "uq_mailbox_exports_open",
            "company_id",
            unique=True,
            postgresql_where=text("state IN ('waiting', 'running')"),
        ),
        Index("ix_mailbox_exports_path", "path"),
        CheckConstraint("state IN ('waiting', 'running', 'done', 'failed', 'cancelled', 'removed')", name="state"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"))
    #: Only this person may fetch it: it holds what this person may see.
    membership_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    #: de or en, for the notes inside.
    language: Mapped[str] = mapped_column(String(2))
    #: waiting, running, done, failed, cancelled, or removed (after KEPT_DAYS)
    state: Mapped[str] = mapped_column(String(9), default="waiting")
    #: Messages to write and written; `closed` of them without content, because nobody has opened them.
    total: Mapped[int] = mapped_column(default=0)
    written: Mapped[int] = mapped_column(default=0)
    closed: Mapped[int] = mapped_column(default=0)
    #: Files that are damaged in the store and therefore missing in the export.
    damaged: Mapped[int] = mapped_column(default=0)
    path: Mapped[str | None] = mapped_column(String(100))
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]

    @property
    def is_open(self) -> bool:
        """Tell whether it is still being made."""
        return self.state in ("waiting", "running")

    @property
    def percent(self) -> int:
        """Return how far it is, 0 to 100."""
        return 100 * self.written // self.total if self.total else 0
