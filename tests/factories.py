"""Rows for tests: plain functions that add, flush and return; unique by default, everything can be named."""

import itertools
import secrets
import time
from datetime import datetime
from typing import Any

from flask.testing import FlaskClient

from unternehmenskonto import keys
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company, CompanyIdentifier, Membership, Person
from unternehmenskonto.companies.subjects import subject
from unternehmenskonto.db import db, now
from unternehmenskonto.login import cookies, sessions
from unternehmenskonto.settings import get_settings

_number = itertools.count(1)
ALL_ROLES = ("administrator", "mailbox", "correspondence", "services")


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


def make_service(**columns: Any) -> OnlineService:
    """Return an online service; `client={…}` makes it an OpenID client, `is_mailbox_sender=True` an authority."""
    number = next(_number)
    values = {
        "slug": f"dienst-{number}",
        "name": f"Dienst {number}",
        "authority": "Gewerbeamt Musterstadt",
        "sector": f"dienst-{number}.example",
        "claims": [],
        "client": None,
        "fingerprint": "0" * 64,
    }
    service = OnlineService(**{**values, **columns})
    db.session.add(service)
    db.session.flush()
    return service


def org_sub(service: OnlineService, company: Company) -> str:
    """Return the pseudonym under which the service knows the company."""
    return subject(sector=service.sector, company_id=company.id)


def access_token(service: OnlineService, *, scope: str = "mailbox.deliver", lifetime: int = 300) -> str:
    """Return an access token for the API as the token endpoint issues it (RFC 9068)."""
    issuer, moment = get_settings().base_url, int(time.time())
    claims = {
        "iss": issuer, "aud": f"{issuer}/api/v1", "sub": service.slug, "client_id": service.slug, "scope": scope,
        "iat": moment, "exp": moment + lifetime, "jti": secrets.token_hex(16),
    }  # fmt: skip
    return keys.sign(claims, use="token", alg="ES256", typ="at+jwt")


def session_cookie(membership: Membership) -> dict[str, str]:
    """Return the cookie of a new session, for software that is not Flask's test client; the caller commits."""
    proof = sessions.Proof(identity_provider="demo-zertifikat", assurance_level="substantial", auth_time=now())
    return {cookies.name(cookies.SESSION): sessions.start_session(membership_id=membership.id, proof=proof)}


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
