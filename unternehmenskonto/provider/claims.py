"""What a service learns: the values behind the claims its registration allows, and nothing else.

Pseudonyms and the facts of the login travel in the ID token; identity data only at the userinfo endpoint,
where each disclosure is recorded.
"""

import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import bindparam, select

from unternehmenskonto.catalogue.claims import STANDARD_SCOPES
from unternehmenskonto.companies import assurance, identifiers, subjects
from unternehmenskonto.companies.models import PairwiseSubject, full_name
from unternehmenskonto.db import db
from unternehmenskonto.provider.clients import OFFLINE_SCOPE, Client
from unternehmenskonto.web import show_date, show_datetime

ORG_SUB = "org_sub"


@dataclass(frozen=True, kw_only=True)
class Login:
    """How the acting person proved who they are."""

    assurance_level: str
    auth_time: datetime
    amr: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """The pseudonyms of acting person and company towards one sector (OpenID Connect Core 8.1)."""

    sub: str
    org_sub: str


#: Takes a row of holders.py.
Source = Callable[[Any], Any]

#: Claim -> where it comes from. Pseudonyms, numbers and facts of the login are made in values().
_SOURCES: dict[str, Source] = {
    "org_company_name": lambda h: h.company_name,
    "org_legal_form_code": lambda h: h.company_legal_form_code,
    "org_legal_form_text": lambda h: h.company_legal_form_text,
    "org_register_number": lambda h: h.company_register_number,
    "org_register_type": lambda h: h.company_register_type,
    "org_register_court": lambda h: h.company_register_court,
    "org_street": lambda h: h.company_street,
    "org_building": lambda h: h.company_building,
    "org_zip_code": lambda h: h.company_zip_code,
    "org_city": lambda h: h.company_city,
    "org_city_district": lambda h: h.company_city_district,
    "org_address_addition": lambda h: h.company_address_addition,
    "org_country": lambda h: h.company_country,
    "elster_datenkranz_typ": lambda h: h.company_datenkranz_type,
    "name": lambda h: h.person_full_name or full_name(h.person_title, h.person_given_name, h.person_family_name),
    "title": lambda h: h.person_title,
    "given_name": lambda h: h.person_given_name,
    "family_name": lambda h: h.person_family_name,
    "birthdate": lambda h: h.person_date_of_birth and h.person_date_of_birth.isoformat(),
    "email": lambda h: h.membership_email,
    # Told when it is known to be so, else left out: "not proved" would be an answer about somebody's diligence.
    "email_verified": lambda h: (
        (h.membership_email is not None and h.membership_email == h.membership_verified_email) or None
    ),
    "phone_number": lambda h: h.membership_phone_number,
    "phone_number_verified": lambda h: (
        (h.membership_phone_number is not None and h.membership_is_phone_verified) or None
    ),
    "address": lambda h: h.membership_address,
}
#: Claim -> scheme of the number (companies/identifiers.py).
_NUMBERS = {"org_wid": identifiers.W_IDNR, "org_vat_id": identifiers.VAT_ID}
#: In every ID token by protocol; named in a registration, userinfo repeats them.
LOGIN_CLAIMS = ("acr", "auth_time", "amr")
#: What tells who somebody is; the rest are pseudonyms and facts of the login.
IDENTITY_CLAIMS = frozenset({*_SOURCES, *_NUMBERS})
SUPPORTED = ("sub", ORG_SUB, *_SOURCES, *_NUMBERS, *LOGIN_CLAIMS, "trust_level_identification")

_PSEUDONYMS = select(PairwiseSubject.membership_id, PairwiseSubject.value).where(
    PairwiseSubject.sector == bindparam("sector"),
    PairwiseSubject.company_id == bindparam("company_id"),
    (PairwiseSubject.membership_id == bindparam("membership_id")) | PairwiseSubject.membership_id.is_(None),
)
_LEVEL_NAMES = {"low": _l("niedrig"), "substantial": _l("substanziell"), "high": _l("hoch")}


def allowed(client: Client) -> list[str]:
    """Return the claims of this client's registration that exist, in the order shown: it never gets more."""
    return [name for name in client.claim_names if name in SUPPORTED and name != "sub"]


def granted(client: Client, chosen: Collection[str] = (), scope: str = "") -> list[str]:
    """Return the claims this client receives for one login.

    A client that chooses by the claims parameter gets no identity data beyond its choice. What belongs to a scope
    of its registration comes when this scope is asked for, or the claim itself (OpenID Connect Core 5.4, 5.5).
    """
    asked = {*chosen, *_of_scopes(scope.split())}
    on_request = _of_scopes(client.claim_scopes)
    return [
        name
        for name in allowed(client)
        if name in asked or name not in IDENTITY_CLAIMS or not (chosen or name in on_request)
    ]


def beyond(names: Iterable[str], *, scope: str, narrowed: str) -> set[str]:
    """Return what of the names a token of a narrower scope does not open (RFC 6749 6)."""
    given_up = set(scope.split()) - set(narrowed.split())
    return _of_scopes(given_up).intersection(names)


def _of_scopes(scopes: Iterable[str]) -> set[str]:
    return {name for scope in scopes for name in STANDARD_SCOPES.get(scope, ())}


def to_agree(names: Iterable[str], scope: str) -> list[str]:
    """Return what the person has to agree to: the claims named, and offline_access if the request asks for it."""
    offline = [OFFLINE_SCOPE] if OFFLINE_SCOPE in scope.split() else []
    return [*names, *offline]


def values(names: Iterable[str], *, holder: Any, org_sub: str, login: Login) -> dict[str, Any]:
    """Return claim -> value for the names given; what the account does not know is left out (Core 5.3.2).

    holder is a row of holders.py.
    """
    numbers = holder.numbers or {}
    facts: dict[str, Any] = {
        ORG_SUB: org_sub,
        "acr": assurance.eidas_uri(login.assurance_level),
        "auth_time": int(login.auth_time.timestamp()),
        "amr": list(login.amr),
        "trust_level_identification": assurance.elster_word(login.assurance_level),
        **{name: numbers.get(scheme) for name, scheme in _NUMBERS.items()},
    }
    found = {name: _SOURCES[name](holder) if name in _SOURCES else facts.get(name) for name in names}
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def shown(name: str, value: Any, login: Login) -> str:
    """Return a value as the person reads it before agreeing."""
    if name == "auth_time":
        return show_datetime(login.auth_time)
    if name in ("acr", "trust_level_identification"):
        return str(_LEVEL_NAMES[login.assurance_level])
    if name == "birthdate":
        return show_date(date.fromisoformat(value))
    if name == "address":
        return _shown_address(value)
    if value is True:
        return str(_("ja"))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _shown_address(value: dict[str, str]) -> str:
    """Return the address in one line: as it was told as a whole, else put together the way German letters do."""
    if "formatted" in value:
        return ", ".join(value["formatted"].splitlines())
    place = " ".join(value[name] for name in ("postal_code", "locality") if name in value)
    parts = (value.get("street_address", ""), place, value.get("region", ""), value.get("country", ""))
    return ", ".join(", ".join(part.splitlines()) for part in parts if part)


def find_subjects(client: Client, *, company_id: uuid.UUID, membership_id: uuid.UUID) -> Subjects:
    """Return both pseudonyms; one query when they are known, made at first use."""
    rows = db.session.execute(
        _PSEUDONYMS, {"sector": client.sector, "company_id": company_id, "membership_id": membership_id}
    )
    known = {row.membership_id: row.value for row in rows}
    sector = client.sector
    return Subjects(
        sub=known.get(membership_id)
        or subjects.subject(sector=sector, company_id=company_id, membership_id=membership_id),
        org_sub=known.get(None) or subjects.subject(sector=sector, company_id=company_id),
    )


def membership_of_subject(client: Client, sub: str) -> uuid.UUID | None:
    """Return whose pseudonym this is towards the client's sector; None if it is nobody's."""
    return db.session.scalar(
        select(PairwiseSubject.membership_id).where(
            PairwiseSubject.sector == client.sector, PairwiseSubject.value == sub
        )
    )


def company_of_subject(client: Client, org_sub: str) -> uuid.UUID | None:
    """Return which company this pseudonym names towards the client's sector; None if it names none."""
    return db.session.scalar(
        select(PairwiseSubject.company_id).where(
            PairwiseSubject.sector == client.sector,
            PairwiseSubject.value == org_sub,
            PairwiseSubject.membership_id.is_(None),
        )
    )
