"""What the provider keeps: running authorizations, grants with their codes, consents, used assertions.

Nothing here can be used by whoever reads it: codes, refresh tokens and interaction ids are stored as SHA-256 only.
"""

import hashlib
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from unternehmenskonto.db import Base, new_id, now


def digest(secret: str) -> bytes:
    """Return the SHA-256 under which a random secret is stored and found."""
    return hashlib.sha256(secret.encode()).digest()


class Interaction(Base):
    """An authorization request that waits for a person: to log in, to choose a company, to agree."""

    __tablename__ = "provider_interactions"

    id_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    service: Mapped[str] = mapped_column(ForeignKey("online_services.slug"))
    #: The request as it was checked, name -> value.
    parameters: Mapped[dict[str, Any]]
    #: The session that was there when it began: a login asked for must bring another one.
    session_id: Mapped[uuid.UUID | None]
    membership_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Grant(Base):
    """What one authorization gave to a service; its tokens live as long as it is not revoked."""

    __tablename__ = "provider_grants"
    __table_args__ = (
        Index("ix_provider_grants_company", "company_id", "created_at"),
        Index("ix_provider_grants_session", "session_id"),
        Index("ix_provider_grants_membership", "membership_id", "service"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"))
    membership_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    service: Mapped[str] = mapped_column(ForeignKey("online_services.slug"))
    session_id: Mapped[uuid.UUID]
    #: Pairwise pseudonyms of the acting person and of the company towards the service's sector.
    sub: Mapped[str] = mapped_column(String(43))
    org_sub: Mapped[str] = mapped_column(String(43))
    scope: Mapped[str] = mapped_column(String(200))
    claims: Mapped[list[str]] = mapped_column(ARRAY(String(64)))
    #: low, substantial or high
    assurance_level: Mapped[str] = mapped_column(String(11))
    amr: Mapped[list[str]] = mapped_column(ARRAY(String(100)), default=list)
    auth_time: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    #: When the last refresh token of this grant ends at the latest; None without offline access.
    offline_until: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AuthorizationCode(Base):
    """The code of a grant (RFC 6749 4.1.2); kept after use, so that a second use is noticed."""

    __tablename__ = "provider_codes"

    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("provider_grants.id", ondelete="CASCADE"), index=True)
    service: Mapped[str] = mapped_column(String(63))
    redirect_uri: Mapped[str] = mapped_column(String(2000))
    nonce: Mapped[str | None] = mapped_column(String(1024))
    code_challenge: Mapped[str] = mapped_column(String(128))
    issued_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class RefreshToken(Base):
    """One refresh token of a grant; used ones stay as long as the grant, so that a replay is noticed."""

    __tablename__ = "provider_refresh_tokens"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("provider_grants.id", ondelete="CASCADE"), index=True)
    service: Mapped[str] = mapped_column(String(63))
    issued_at: Mapped[datetime] = mapped_column(default=now)
    used_at: Mapped[datetime | None]
    #: The next token under a mask made of this one; only for seconds after the use.
    successor: Mapped[bytes | None] = mapped_column(LargeBinary(32))


class Consent(Base):
    """A person's agreement that a company's values go to a service; withdrawn ones stay as evidence."""

    __tablename__ = "provider_consents"
    __table_args__ = (
        Index(
            "uq_provider_consents_living",
            "membership_id",
            "service",
            unique=True,
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), index=True)
    membership_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"))
    service: Mapped[str] = mapped_column(ForeignKey("online_services.slug"))
    #: Sorted names of the claims agreed to.
    claims: Mapped[list[str]] = mapped_column(ARRAY(String(64)))
    given_at: Mapped[datetime] = mapped_column(default=now)
    withdrawn_at: Mapped[datetime | None]


class UsedAssertion(Base):
    """A client assertion or request object that was accepted once (RFC 7523 3, RFC 9101 10.8: jti).

    Forgotten when it would be expired anyway.
    """

    __tablename__ = "provider_used_assertions"

    service: Mapped[str] = mapped_column(String(63), primary_key=True)
    jti_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class EndedSession(Base):
    """A session whose end was noticed and passed on; kept until nobody looks for it any more."""

    __tablename__ = "provider_ended_sessions"

    session_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    noticed_at: Mapped[datetime] = mapped_column(default=now, index=True)
