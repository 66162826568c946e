"""Companies, people and the memberships between them."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from unternehmenskonto.db import Base, new_id, now


class Company(Base):
    """A legal entity with one account; the names of the columns follow the claims of domain.md 2.2."""

    __tablename__ = "companies"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(500))
    #: Three-digit ELSTER code, 310 = Aktiengesellschaft.
    legal_form_code: Mapped[str | None] = mapped_column(String(3))
    legal_form_text: Mapped[str | None] = mapped_column(String(200))
    register_court: Mapped[str | None] = mapped_column(String(200))
    #: HRA, HRB, VR, GnR, PR, GsR
    register_type: Mapped[str | None] = mapped_column(String(4))
    register_number: Mapped[str | None] = mapped_column(String(11))
    street: Mapped[str | None] = mapped_column(String(200))
    building: Mapped[str | None] = mapped_column(String(50))
    zip_code: Mapped[str | None] = mapped_column(String(12))
    city: Mapped[str | None] = mapped_column(String(200))
    city_district: Mapped[str | None] = mapped_column(String(200))
    address_addition: Mapped[str | None] = mapped_column(String(200))
    #: ISO 3166-1 alpha-2
    country: Mapped[str | None] = mapped_column(String(2))
    #: StNr, IdNr or BZStNr: which ring of data the identity provider told.
    datenkranz_type: Mapped[str | None] = mapped_column(String(10))
    #: Name of the identity provider that told these data, and when it told them last.
    data_source: Mapped[str | None] = mapped_column(String(200))
    data_confirmed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    identifiers: Mapped[list["CompanyIdentifier"]] = relationship(back_populates="company")


class CompanyIdentifier(Base):
    """A number by which somebody knows the company, normalised; unique in its scheme.

    Schemes: `w_idnr` (DE900000006-00001), `vat_id` (DE900000006), `register` (court|type|number, lower case)
    and `org:<issuer>` (the organisation id an identity provider gave it).
    """

    __tablename__ = "company_identifiers"

    scheme: Mapped[str] = mapped_column(String(500), primary_key=True)
    value: Mapped[str] = mapped_column(String(500), primary_key=True)
    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), index=True)

    company: Mapped[Company] = relationship(back_populates="identifiers")


def full_name(title: str | None, given_name: str, family_name: str) -> str:
    """Return the three as they are written."""
    return " ".join(part for part in (title, given_name, family_name) if part)


class Person(Base):
    """The natural person at the keyboard, whatever companies they act for."""

    __tablename__ = "people"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    title: Mapped[str | None] = mapped_column(String(100))
    given_name: Mapped[str] = mapped_column(String(200))
    family_name: Mapped[str] = mapped_column(String(200))
    #: The whole name as the identity provider writes it; None: it tells the parts only.
    full_name: Mapped[str | None] = mapped_column(String(500))
    date_of_birth: Mapped[date | None]
    language: Mapped[str] = mapped_column(String(2), default="de")
    created_at: Mapped[datetime] = mapped_column(default=now)

    @property
    def name(self) -> str:
        """Return title, given name and family name as they are written."""
        return full_name(self.title, self.given_name, self.family_name)


class Membership(Base):
    """A person in a company, with rights and perhaps an end; ended ones stay as evidence."""

    __tablename__ = "memberships"
    __table_args__ = (
        Index(
            "uq_memberships_living",
            "company_id",
            "person_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        CheckConstraint(
            "roles <@ ARRAY['administrator', 'correspondence', 'mailbox', 'services']::varchar[]", name="roles"
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"), index=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("people.id"), index=True)
    #: Names out of permissions.ROLES; empty for somebody who just joined.
    roles: Mapped[list[str]] = mapped_column(ARRAY(String(20)), default=list)
    #: Where official notices for this company go (OZG section 9: an address given for this purpose).
    email: Mapped[str | None] = mapped_column(String(320))
    #: The address of which the identity provider said that it is verified; proves `email` while both are the same.
    verified_email: Mapped[str | None] = mapped_column(String(320))
    #: Told by the login for this company, so that nothing told for one company reaches services by another.
    phone_number: Mapped[str | None] = mapped_column(String(50))
    is_phone_verified: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    #: The person's own address, members as in OpenID Connect Core 5.1.1; the company's stands in companies.
    address: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]

    company: Mapped[Company] = relationship(lazy="joined")
    person: Mapped[Person] = relationship(lazy="joined")


class PairwiseSubject(Base):
    """The pseudonym of a company or of a membership towards one sector (OIDC Core 8.1), random and stable."""

    __tablename__ = "pairwise_subjects"
    __table_args__ = (UniqueConstraint("sector", "company_id", "membership_id", postgresql_nulls_not_distinct=True),)

    sector: Mapped[str] = mapped_column(String(255), primary_key=True)
    #: du- and 40 hex digits for a company, ek- and 40 hex digits for a membership.
    value: Mapped[str] = mapped_column(String(43), primary_key=True)
    company_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("companies.id"))
    membership_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("memberships.id"))
