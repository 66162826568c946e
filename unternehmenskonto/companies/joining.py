"""The way of a company and its people into the account: found it, join it, keep its data up to date."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from unternehmenskonto import audit
from unternehmenskonto.companies.identifiers import REGISTER, VAT_ID, W_IDNR
from unternehmenskonto.companies.models import Company, CompanyIdentifier, Membership, Person
from unternehmenskonto.db import db, now
from unternehmenskonto.permissions import ROLES

log = structlog.get_logger()

#: What the first person of a company may do; everybody after them starts with nothing.
FOUNDER_ROLES = sorted(ROLES)
#: The id an identity provider gave comes first, then the numbers, the strongest first.
PRECEDENCE = (W_IDNR, VAT_ID, REGISTER)


@dataclass(frozen=True, kw_only=True)
class CompanyData:
    """What an identity provider tells about a company; None is "not told", never "has none"."""

    name: str
    legal_form_code: str | None = None
    legal_form_text: str | None = None
    register_court: str | None = None
    register_type: str | None = None
    register_number: str | None = None
    street: str | None = None
    building: str | None = None
    zip_code: str | None = None
    city: str | None = None
    city_district: str | None = None
    address_addition: str | None = None
    country: str | None = None
    datenkranz_type: str | None = None
    #: Scheme -> value in normal form (identifiers.py); at least one.
    identifiers: Mapping[str, str] = field(default_factory=dict)

    def columns(self) -> dict[str, str]:
        """Return what was told, by name of the column."""
        told = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "identifiers"}
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class PersonData:
    """What an identity provider tells about a person."""

    given_name: str
    family_name: str
    title: str | None = None
    full_name: str | None = None
    date_of_birth: date | None = None


@dataclass(frozen=True, kw_only=True)
class ContactData:
    """How a login for one company says the person can be reached; None is "not told"."""

    email: str | None = None
    #: Whether the identity provider has proved that the e-mail address is the person's; None: it does not say.
    is_email_verified: bool | None = None
    phone_number: str | None = None
    is_phone_verified: bool = False
    #: Members as in OpenID Connect Core 5.1.1.
    address: Mapping[str, str] | None = None


def create_person(data: PersonData, *, language: str) -> Person:
    """Add a person; who they are is for the identity provider to know."""
    person = Person(
        title=data.title,
        given_name=data.given_name,
        family_name=data.family_name,
        full_name=data.full_name,
        date_of_birth=data.date_of_birth,
        language=language,
    )
    db.session.add(person)
    db.session.flush()
    return person


def update_person(person: Person, data: PersonData) -> None:
    """Follow a change of name that the identity provider tells."""
    is_renamed = (person.given_name, person.family_name) != (data.given_name, data.family_name)
    person.given_name, person.family_name = data.given_name, data.family_name
    person.full_name = data.full_name or (None if is_renamed else person.full_name)
    person.title = data.title or person.title
    person.date_of_birth = data.date_of_birth or person.date_of_birth
    db.session.flush()


def found_or_join(*, data: CompanyData, person: Person, contact: ContactData, source: str) -> Membership:
    """Return the person's membership in the company of these data; make company and membership where missing.

    The first person of a company gets all rights, everybody later none. Safe against simultaneous first
    logins: whoever names one of the same identifiers waits. `source` is the name of the identity provider.
    """
    if not data.identifiers:
        raise ValueError("a company without identifier cannot be found again")
    _lock(data.identifiers)
    company = _find(data.identifiers)
    if company is None:
        company = _found(data, person, source)
    else:
        _refresh(company, data, person, source)
    _remember_identifiers(company, data.identifiers)
    membership = _join(company, person, contact)
    _update_contact(membership, contact)
    return membership


def _lock(identifiers: Mapping[str, str]) -> None:
    """Make others with the same identifiers wait for our commit; in one order, so that nobody waits in a circle."""
    for name in sorted(f"company {scheme} {value}" for scheme, value in identifiers.items()):
        db.session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def _find(identifiers: Mapping[str, str]) -> Company | None:
    order = sorted(identifiers, key=lambda scheme: PRECEDENCE.index(scheme) if scheme in PRECEDENCE else -1)
    for scheme in order:
        known = select(CompanyIdentifier.company_id).filter_by(scheme=scheme, value=identifiers[scheme])
        company_id = db.session.scalar(known)
        if company_id is not None:
            return db.session.scalars(
                select(Company)
                .where(Company.id == company_id)
                .with_for_update()
                .execution_options(populate_existing=True)
            ).one()
    return None


def _found(data: CompanyData, person: Person, source: str) -> Company:
    company = Company(**data.columns(), data_source=source, data_confirmed_at=now())
    db.session.add(company)
    db.session.flush()
    audit.record("company.founded", by=f"person:{person.id}", company_id=company.id, identity_provider=source)
    return company


def _refresh(company: Company, data: CompanyData, person: Person, source: str) -> None:
    changed = [name for name, value in data.columns().items() if getattr(company, name) != value]
    for name in changed:
        setattr(company, name, getattr(data, name))
    company.data_source, company.data_confirmed_at = source, now()
    if changed:
        audit.record("company.updated", by=f"person:{person.id}", company_id=company.id, fields=sorted(changed))
    db.session.flush()


def _remember_identifiers(company: Company, identifiers: Mapping[str, str]) -> None:
    """Add what is new; a number that another company has stays there, and the operator can read it in the log."""
    for scheme, value in identifiers.items():
        row = insert(CompanyIdentifier).values(scheme=scheme, value=value, company_id=company.id)
        db.session.execute(row.on_conflict_do_nothing())
        owner = db.session.scalar(select(CompanyIdentifier.company_id).filter_by(scheme=scheme, value=value))
        if owner != company.id:
            log.warning("identifier belongs to another company", scheme=scheme, company=str(company.id))


def _join(company: Company, person: Person, contact: ContactData) -> Membership:
    living = select(Membership).filter_by(company_id=company.id, person_id=person.id, ended_at=None)
    known = db.session.scalar(living)
    if known is not None:
        return known
    is_first = not db.session.scalar(select(func.count()).select_from(Membership).filter_by(company_id=company.id))
    # An address that the identity provider calls unverified is not even a proposal.
    email = None if contact.is_email_verified is False else contact.email
    membership = Membership(
        company_id=company.id, person_id=person.id, roles=list(FOUNDER_ROLES) if is_first else [], email=email
    )
    db.session.add(membership)
    db.session.flush()
    audit.record("membership.joined", by=f"person:{person.id}", company_id=company.id, membership_id=membership.id)
    return membership


def _update_contact(membership: Membership, contact: ContactData) -> None:
    """Follow what the login tells; the address for notices stays the person's own choice."""
    if contact.is_email_verified:
        membership.verified_email = contact.email
    elif contact.is_email_verified is False and membership.verified_email == contact.email:
        membership.verified_email = None
    if contact.phone_number is not None:
        membership.phone_number = contact.phone_number
        membership.is_phone_verified = contact.is_phone_verified
    if contact.address is not None:
        membership.address = dict(contact.address)
    db.session.flush()
