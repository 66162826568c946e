"""What can be done with companies and memberships; founding and joining are in joining.py."""

import re
import uuid
from collections.abc import Callable, Iterable, Sequence

from flask_babel import lazy_gettext as _l
from sqlalchemy import any_, func, literal, null, select

from unternehmenskonto import audit
from unternehmenskonto.companies import identifiers
from unternehmenskonto.companies.models import Company, CompanyIdentifier, Membership, Person
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import InvalidInput, NotFound, Unprocessable
from unternehmenskonto.permissions import ROLES

ADMINISTRATOR = "administrator"
#: RFC 5321 section 4.5.3.1.3: a path of 256 octets with its angle brackets.
MAXIMUM_EMAIL = 254
MAXIMUM_LOCAL_PART = 64

#: The everyday part of RFC 5321 section 4.1.2: no quoted local parts, no address literals, ASCII only.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#: Membership and the roles that stay.
Guard = Callable[[Membership, frozenset[str]], None]
_guards: list[Guard] = []
_EMAIL = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@((?:{_LABEL}\.)+[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*)")


class Indispensable(Unprocessable):
    """Refuse to let somebody go who is needed; the sentence says what to do first."""


class LastAdministrator(Indispensable):
    """Refuse to leave a company without anybody who can give rights."""

    code = "last_administrator"
    sentence = _l(
        "Mindestens eine Person muss die Verwaltung behalten. Geben Sie das Recht „Verwaltung“ zuerst jemand anderem."
    )


def company_by_identifier(scheme: str, value: str) -> Company | None:
    """Return the company with this number, in any spelling; None if there is none here.

    Schemes: `w_idnr`, `vat_id`, `register` (court|type|number). Raises InvalidIdentifier for an impossible number.
    """
    wanted = identifiers.normal_form(scheme, value)
    return db.session.scalar(
        select(Company)
        .join(CompanyIdentifier, CompanyIdentifier.company_id == Company.id)
        .where(CompanyIdentifier.scheme == scheme, CompanyIdentifier.value == wanted)
    )


def identifiers_of(company_id: uuid.UUID) -> dict[str, str]:
    """Return the numbers of the company by scheme, without those that only one identity provider knows."""
    rows = select(CompanyIdentifier.scheme, CompanyIdentifier.value).where(
        CompanyIdentifier.company_id == company_id,
        CompanyIdentifier.scheme.in_((identifiers.W_IDNR, identifiers.VAT_ID, identifiers.REGISTER)),
    )
    return {scheme: value for scheme, value in db.session.execute(rows)}


def people_of(company_id: uuid.UUID) -> Sequence[Membership]:
    """Return the living memberships of the company with their people, by family name."""
    return db.session.scalars(
        select(Membership)
        .join(Membership.person)
        .where(Membership.company_id == company_id, Membership.ended_at.is_(None))
        .order_by(Person.family_name, Person.given_name, Membership.id)
    ).all()


def memberships_of(person_id: uuid.UUID) -> Sequence[Membership]:
    """Return the living memberships of the person with their companies, by name of the company."""
    return db.session.scalars(
        select(Membership)
        .join(Membership.company)
        .where(Membership.person_id == person_id, Membership.ended_at.is_(None))
        .order_by(Company.name, Membership.id)
    ).all()


def membership_of(*, company_id: uuid.UUID, membership_id: uuid.UUID) -> Membership:
    """Return a living membership of this company; raise NotFound for any other."""
    # Read anew: whoever waited for a lock must not judge by what they saw before.
    found = db.session.scalar(
        select(Membership)
        .filter_by(id=membership_id, company_id=company_id, ended_at=None)
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound
    return found


def recipients(company_id: uuid.UUID, permission: str = "mailbox.read") -> Sequence[Membership]:
    """Return the living memberships with an e-mail address whose rights include the permission."""
    roles = [name for name, permissions in ROLES.items() if permission in permissions]
    return [one for one in people_of(company_id) if one.email and not set(roles).isdisjoint(one.roles)]


def lock_people(company_id: uuid.UUID) -> None:
    """Let changes of rights in one company wait for each other: two could each remove the other's last but one."""
    db.session.execute(select(Company.id).where(Company.id == company_id).with_for_update())


def guards_leaving(guard: Guard) -> Guard:
    """Ask this function before a person loses rights or leaves; it raises Indispensable where that must not be.

    It gets the membership and the roles that stay. So a higher part speaks up without this one knowing it.
    """
    _guards.append(guard)
    return guard


def set_roles(*, company_id: uuid.UUID, membership_id: uuid.UUID, roles: Iterable[str], by: str) -> None:
    """Give the person exactly these rights; takes effect with their next request.

    Raises Indispensable, NotFound for a membership of another company, InvalidInput for an unknown role.
    """
    wanted = sorted(set(roles))
    if not set(wanted) <= ROLES.keys():
        raise InvalidInput(detail="unknown role")
    lock_people(company_id)
    membership = membership_of(company_id=company_id, membership_id=membership_id)
    if ADMINISTRATOR not in wanted:
        _keep_an_administrator(membership)
    _ask_guards(membership, frozenset(wanted))
    before = sorted(membership.roles)
    if before == wanted:
        return
    membership.roles = wanted
    audit.record(
        "membership.roles_changed",
        by=by,
        company_id=company_id,
        membership_id=membership_id,
        before=before,
        after=wanted,
    )
    db.session.flush()


def end_membership(*, company_id: uuid.UUID, membership_id: uuid.UUID, by: str) -> None:
    """End a membership; every session of the person in this company is dead from now on.

    Raises Indispensable, or NotFound for a membership of another company.
    """
    lock_people(company_id)
    membership = membership_of(company_id=company_id, membership_id=membership_id)
    _keep_an_administrator(membership)
    _ask_guards(membership, frozenset())
    membership.ended_at = now()
    # Kept for services only; the address for notices stays as evidence of where they went.
    membership.phone_number, membership.address = None, null()
    audit.record("membership.ended", by=by, company_id=company_id, membership_id=membership_id)
    db.session.flush()


def set_email(*, company_id: uuid.UUID, membership_id: uuid.UUID, email: str | None, by: str) -> None:
    """Note where notices about new messages go; None or empty switches them off for this person.

    Raises InvalidInput for something that is no address.
    """
    wanted = checked_email(email) if email else None
    membership = membership_of(company_id=company_id, membership_id=membership_id)
    if membership.email == wanted:
        return
    membership.email = wanted
    audit.record("person.email_changed", by=by, company_id=company_id)
    db.session.flush()


def checked_email(email: str) -> str:
    """Return the address; raise InvalidInput if it is none or could break out of a mail header."""
    found = _EMAIL.fullmatch(email)
    if found is None or len(email) > MAXIMUM_EMAIL or len(found[1]) > MAXIMUM_LOCAL_PART:
        raise InvalidInput(
            _l("Geben Sie eine vollständige E-Mail-Adresse an, zum Beispiel erika@firma.example."), code="invalid_email"
        )
    return email


def _ask_guards(membership: Membership, roles: frozenset[str]) -> None:
    for guard in _guards:
        guard(membership, roles)


def _keep_an_administrator(leaving: Membership) -> None:
    if ADMINISTRATOR not in leaving.roles:
        return
    others = db.session.scalar(
        select(func.count())
        .select_from(Membership)
        .where(
            Membership.company_id == leaving.company_id,
            Membership.ended_at.is_(None),
            Membership.id != leaving.id,
            literal(ADMINISTRATOR) == any_(Membership.roles),
        )
    )
    if not others:
        raise LastAdministrator
