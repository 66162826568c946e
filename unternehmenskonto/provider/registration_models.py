"""Clients that registered themselves, and the tokens by which operators let them."""

import uuid
from datetime import datetime

from sqlalchemy import ARRAY, ForeignKey, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from unternehmenskonto.db import Base, new_id, now


class RegistrationToken(Base):
    """An operator's permission to register clients (RFC 7591 3, initial access token); kept as evidence."""

    __tablename__ = "provider_initial_tokens"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    #: Who may use it, as the operator knows them; people read it before they agree.
    authority: Mapped[str] = mapped_column(String(200))
    #: Claims that clients registered with it may receive.
    claims: Mapped[list[str]] = mapped_column(ARRAY(String(64)), default=list)
    #: Why its clients need no PKCE; None: they need it.
    pkce_exempt_reason: Mapped[str | None] = mapped_column(String(300))
    #: Whether clients registered with it may have refresh tokens.
    allows_offline: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    uses_left: Mapped[int]
    made_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]


class Registration(Base):
    """A service that registered itself, and the secret by which it may look after its registration (RFC 7592)."""

    __tablename__ = "provider_registrations"

    service: Mapped[str] = mapped_column(ForeignKey("online_services.slug"), primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    token_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("provider_initial_tokens.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    ended_at: Mapped[datetime | None]
