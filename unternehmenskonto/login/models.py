"""What a login leaves behind: the transaction while it runs, the identity, the session."""

import uuid
from datetime import datetime

from sqlalchemy import ARRAY, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from unternehmenskonto.companies.models import Membership, Person
from unternehmenskonto.db import Base, new_id, now


class LoginTransaction(Base):
    """One way to an identity provider and back; lives ten minutes and is used once."""

    __tablename__ = "login_transactions"

    #: SHA-256 of the state parameter; the state itself lies with the browser and the identity provider only.
    state_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    #: SHA-256 of the cookie of the browser that began.
    browser_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    identity_provider: Mapped[str] = mapped_column(String(63))
    #: Nonce and PKCE verifier, encrypted.
    sealed: Mapped[bytes]
    next_path: Mapped[str] = mapped_column(String(4000))
    #: The person has to prove again who they are (prompt=login).
    is_fresh: Mapped[bool]
    #: Seconds since the last proof that are accepted.
    max_age: Mapped[int | None]
    #: The lowest trust level this login may have.
    wanted_level: Mapped[str] = mapped_column(String(11))
    #: The session that wants to add this login to its person; None for a login.
    linking_session_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    used_at: Mapped[datetime | None]


class Identity(Base):
    """A person as one identity provider knows them. The key is (issuer, sub), never a name or an e-mail address."""

    __tablename__ = "identities"

    issuer: Mapped[str] = mapped_column(String(500), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    #: What pages call it, so that no subject stands in an address.
    id: Mapped[uuid.UUID] = mapped_column(unique=True, default=new_id)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("people.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)

    person: Mapped[Person] = relationship(lazy="joined")


class LinkOffer(Base):
    """Another login somebody has just proved while signed in; becomes an identity when they confirm it."""

    __tablename__ = "link_offers"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("login_sessions.id"), index=True)
    identity_provider: Mapped[str] = mapped_column(String(63))
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(255))
    #: Whom and which company the identity provider names, to be read before the answer.
    person_name: Mapped[str] = mapped_column(String(510))
    company_name: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)


class SeenLogoutToken(Base):
    """A logout token that was taken already; it works once."""

    __tablename__ = "seen_logout_tokens"

    #: SHA-256 of issuer and jti.
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(default=now, index=True)


class LoginSession(Base):
    """Somebody is signed in; ends by sign-out, by time, or when the membership ends."""

    __tablename__ = "login_sessions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    #: SHA-256 of the cookie.
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    membership_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("memberships.id"), index=True)
    identity_provider: Mapped[str] = mapped_column(String(63))
    #: low, substantial, high
    assurance_level: Mapped[str] = mapped_column(String(11))
    #: When the person proved who they are, as the identity provider tells.
    auth_time: Mapped[datetime]
    #: How they proved it (RFC 8176), as the identity provider tells.
    amr: Mapped[list[str]] = mapped_column(ARRAY(String(100)), default=list)
    #: Session id and ID token of the identity provider, encrypted; needed to sign out there.
    upstream_sid: Mapped[str | None] = mapped_column(String(255))
    #: The subject of the identity that signed in.
    upstream_subject: Mapped[str | None] = mapped_column(String(255))
    #: What browser and system called themselves, in a word each; never the whole User-Agent, never an address.
    browser: Mapped[str | None] = mapped_column(String(30))
    system: Mapped[str | None] = mapped_column(String(30))
    sealed_id_token: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_seen_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    #: signed_out, replaced, company_changed, expired, ended_elsewhere, logged_out_upstream, login_removed
    ended_reason: Mapped[str | None] = mapped_column(String(40))

    membership: Mapped[Membership] = relationship(lazy="joined")
