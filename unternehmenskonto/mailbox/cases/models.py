"""Applications as services see them, and every state they had."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from unternehmenskonto.db import Base, new_id, now

#: In the order in which most applications pass through them; the newest by its own time counts, whatever it is.
STATES = ("initiated", "submitted", "received", "processing", "action_required", "completed")
COMPLETED = "completed"
_STATE_LIST = ", ".join(f"'{state}'" for state in STATES)


class Case(Base):
    """One application; the services of a sector share it, as they share the company's pseudonym."""

    __tablename__ = "cases"
    __table_args__ = (
        Index("uq_cases_external", "sector", "external_id", unique=True),
        Index("ix_cases_list", "company_id", "is_open", "changed_at", "id"),
        CheckConstraint(f"state IN ({_STATE_LIST})", name="state"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    #: OIDC Core 8.1, that of the service; the services' own name for the case is unique in it.
    sector: Mapped[str] = mapped_column(String(255))
    external_id: Mapped[str] = mapped_column(String(100))
    #: What the newest report says.
    title: Mapped[str] = mapped_column(String(255))
    service_name: Mapped[str] = mapped_column(String(200))
    authority: Mapped[str] = mapped_column(String(200))
    #: LeiKa key, 99 and twelve digits.
    public_service: Mapped[str | None] = mapped_column(String(14))
    #: Where the person goes on.
    link: Mapped[str | None] = mapped_column(String(2000))
    state: Mapped[str] = mapped_column(String(15))
    changed_at: Mapped[datetime]
    is_open: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(default=now)


class CaseEvent(Base):
    """One state at one time, as a service reported it. A trigger refuses every change."""

    __tablename__ = "case_events"
    __table_args__ = (
        ForeignKeyConstraint(["company_id", "case_id"], ["cases.company_id", "cases.id"]),
        UniqueConstraint("company_id", "case_id", "at", "state"),
        CheckConstraint(f"state IN ({_STATE_LIST})", name="state"),
    )

    company_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[uuid.UUID]
    #: Slug of the OnlineService; its name as it was that day.
    service: Mapped[str] = mapped_column(String(63))
    service_name: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(15))
    #: When it happened, as the service says.
    at: Mapped[datetime]
    text: Mapped[str | None] = mapped_column(String(500))
    received_at: Mapped[datetime] = mapped_column(default=now)
