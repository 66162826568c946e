"""Rows for tests: plain functions that add, flush and return; unique by default, everything can be named."""

import itertools
from datetime import datetime
from typing import Any

from flask.testing import FlaskClient

from unternehmenskonto.companies.models import Company, CompanyIdentifier, Membership, Person
from unternehmenskonto.db import db, now
from unternehmenskonto.login import cookies, sessions

_number = itertools.count(1)
ALL_ROLES = ("administrator", "mailbox", "services")


def make_company(*, identifiers: dict[str, str] | None = None, **columns: Any) -> Company:
    """Return a company; identifiers: scheme -> normalised value."""
    number = next(_number)
    company = Company(**{"name": f"Prüfwerk {number} GmbH", "city": "Musterstadt", "country": "DE", **columns})
    db.session.add(company)
    db.session.flush()
    for scheme, value in (identifiers or {}).items():
        db.session.add(CompanyIdentifier(scheme=scheme, value=value, company_id=company.id))
    db.session.flush()
    return company


def make_person(**columns: Any) -> Person:
    """Return a person."""
    person = Person(**{"given_name": "Maria", "family_name": f"Muster {next(_number)}", **columns})
    db.session.add(person)
    db.session.flush()
    return person


def make_membership(
    *, company: Company | None = None, person: Person | None = None, roles: tuple[str, ...] = ALL_ROLES, **columns: Any
) -> Membership:
    """Return a living membership, with all rights unless roles are named; makes company and person if not given."""
    company, person = company or make_company(), person or make_person()
    email = f"person{next(_number)}@firma.example"
    membership = Membership(
        **{"company_id": company.id, "person_id": person.id, "roles": list(roles), "email": email, **columns}
    )
    db.session.add(membership)
    db.session.flush()
    return membership


def sign_in(
    client: FlaskClient,
    membership: Membership,
    *,
    assurance_level: str = "substantial",
    auth_time: datetime | None = None,
) -> None:
    """Sign the client in as the person of this membership: a session row and its cookie, no identity provider.

    Needs an application context (fixture `app`). Commits, so that the request sees what the test has made:

        membership = make_membership(roles=("mailbox",))
        sign_in(client, membership)
        client.get("/postfach")
    """
    proof = sessions.Proof(
        identity_provider="demo-zertifikat", assurance_level=assurance_level, auth_time=auth_time or now(), amr=["swk"]
    )
    token = sessions.start_session(membership_id=membership.id, proof=proof)
    db.session.commit()
    client.set_cookie(cookies.name(cookies.SESSION), token, domain="localhost")


def csrf_token(client: FlaskClient, page: str = "/seiten/impressum") -> str:
    """Return a token for the forms of this client: client.post(url, data={"csrf_token": …}).

    Reads it from a page that shows a form; with a signed-in client every page has the sign-out form.
    """
    html = client.get(page).get_data(as_text=True)
    return html.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
