"""From the words of an identity provider to ours, as its block in the configuration says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import structlog
from flask_babel import lazy_gettext as _l

from unternehmenskonto.companies import actions as companies
from unternehmenskonto.companies import assurance, identifiers
from unternehmenskonto.companies.joining import CompanyData, ContactData, PersonData
from unternehmenskonto.companies.models import Company
from unternehmenskonto.errors import InvalidInput
from unternehmenskonto.login.config import IdentityProvider
from unternehmenskonto.login.errors import DataMissing

log = structlog.get_logger()

PLAIN = (
    "legal_form_text",
    "street",
    "building",
    "zip_code",
    "city",
    "city_district",
    "address_addition",
    "datenkranz_type",
)
MAXIMUM_NAME = 200
MAXIMUM_FULL_NAME = 500
#: E.164 as people write it, with the extension of RFC 3966 (OpenID Connect Core 5.1).
PHONE_NUMBER = re.compile(r"\+?[0-9][0-9 ()/.-]{3,30}[0-9](;ext=[0-9]{1,10})?")
#: OpenID Connect Core 5.1.1; whatever else stands in the object is left out. Characters at most.
ADDRESS_MEMBERS = {
    "formatted": 1000,
    "street_address": 500,
    "locality": 200,
    "region": 200,
    "postal_code": 20,
    "country": 200,
}
MAXIMUM_ORGANISATION_ID = 255
REQUIRED = {
    "organisation_id": _l("die Kennung des Unternehmens"),
    "company_name": _l("der Name des Unternehmens"),
    "given_name": _l("Ihr Vorname"),
    "family_name": _l("Ihr Nachname"),
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """Everything one login tells, in our words."""

    company: CompanyData
    person: PersonData
    contact: ContactData
    level: str
    amr: list[str]
    sid: str | None


def understand(provider: IdentityProvider, claims: Mapping[str, Any]) -> Told:
    """Return what the claims mean; raise DataMissing where something indispensable is not told.

    What is not indispensable and cannot be right (a W-IdNr. with a wrong check digit) is left out and logged.
    """
    texts = {name: _text(claims, path) for name, path in provider.claims.model_dump(exclude_none=True).items()}
    missing = [str(what) for name, what in REQUIRED.items() if not texts.get(name)]
    if missing:
        raise DataMissing(
            _l("Ihr Zertifikat nennt nicht: %(what)s. Ohne diese Angabe geht es nicht.", what=", ".join(missing)),
            detail=f"missing: {[name for name in REQUIRED if not texts.get(name)]}",
        )
    if len(texts["organisation_id"]) > MAXIMUM_ORGANISATION_ID:
        raise DataMissing(detail="organisation_id too long")
    sid = claims.get("sid")
    amr = claims.get("amr")
    return Told(
        company=_company(provider, texts),
        person=PersonData(
            given_name=texts["given_name"][:MAXIMUM_NAME],
            family_name=texts["family_name"][:MAXIMUM_NAME],
            title=texts.get("title", "")[:100] or None,
            full_name=texts.get("name", "")[:MAXIMUM_FULL_NAME] or None,
            date_of_birth=_date(texts.get("date_of_birth", "")),
        ),
        contact=_contact(provider, claims, texts),
        level=level(provider, claims),
        amr=[one[:100] for one in amr if isinstance(one, str)][:10] if isinstance(amr, list) else [],
        sid=sid if isinstance(sid, str) and len(sid) <= MAXIMUM_ORGANISATION_ID else None,
    )


def level(provider: IdentityProvider, claims: Mapping[str, Any]) -> str:
    """Return the trust level: the lowest of what is told, never more than the provider is believed."""
    rule = provider.assurance
    told = [rule.fixed] if rule.fixed else [assurance.level_of(_text(claims, path)) for path in rule.claims]
    return assurance.lowest(*told, rule.maximum)


def _text(claims: Mapping[str, Any], path: str) -> str:
    """Return the text at the name or path, trimmed, without control characters; empty if there is none."""
    value = _value(claims, path)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return _clean(value) if isinstance(value, str) else ""


def _value(claims: Mapping[str, Any], path: str) -> Any:
    """Return what stands under the name, else at the end of the path; None if there is nothing."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _clean(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _company(provider: IdentityProvider, texts: Mapping[str, str]) -> CompanyData:
    columns = {}
    for name in PLAIN:
        columns[name] = texts.get(name, "")[: _longest(name)] or None
    code, country = texts.get("legal_form_code", ""), texts.get("country", "").upper()
    register = _register(texts)
    numbers = {identifiers.organisation_scheme(provider.issuer): texts["organisation_id"]}
    for scheme in (identifiers.W_IDNR, identifiers.VAT_ID):
        if texts.get(scheme):
            numbers |= _number(scheme, texts[scheme])
    if register["register_number"]:
        numbers |= _number(identifiers.REGISTER, "|".join(str(part) for part in register.values()))
    return CompanyData(
        name=texts["company_name"][:500],
        legal_form_code=code if re.fullmatch("[0-9]{3}", code) else None,
        country=country if re.fullmatch("[A-Z]{2}", country) else None,
        identifiers=numbers,
        **columns,
        **register,
    )


def _register(texts: Mapping[str, str]) -> dict[str, str | None]:
    """Return court, type and number, or none of them: one alone says nothing."""
    names = ("register_court", "register_type", "register_number")
    found = {name: texts.get(name, "") for name in names}
    fits = all(0 < len(found[name]) <= _longest(name) for name in names)
    return {name: found[name] if fits else None for name in names}


def _longest(column: str) -> int:
    return int(getattr(Company.__table__.c[column].type, "length"))  # noqa: B009 (a text column has it)


def _number(scheme: str, value: str) -> dict[str, str]:
    try:
        return {scheme: identifiers.normal_form(scheme, value)}
    except InvalidInput:
        log.warning("identity provider tells an impossible number", scheme=scheme)
        return {}


def _date(value: str) -> date | None:
    """Read 1980-12-31 (OpenID) and 31.12.1980 (tax administration)."""
    german = re.fullmatch(r"(\d{2})\.(\d{2})\.(\d{4})", value)
    try:
        return date.fromisoformat(f"{german[3]}-{german[2]}-{german[1]}" if german else value)
    except ValueError:
        return None


def _contact(provider: IdentityProvider, claims: Mapping[str, Any], texts: Mapping[str, str]) -> ContactData:
    email, phone = _email(texts.get("email", "")), texts.get("phone_number", "")
    if phone and PHONE_NUMBER.fullmatch(phone) is None:
        log.warning("identity provider tells an impossible phone number", identity_provider=provider.slug)
        phone = ""
    return ContactData(
        email=email,
        is_email_verified=_flag(claims, provider.claims.email_verified) if email else None,
        phone_number=phone or None,
        is_phone_verified=bool(phone) and _flag(claims, provider.claims.phone_number_verified) is True,
        address=_address(claims, provider.claims.address),
    )


def _flag(claims: Mapping[str, Any], path: str) -> bool | None:
    """Return a yes or no; None where the provider says neither. Some providers write it as a text."""
    value = _value(claims, path)
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())


def _address(claims: Mapping[str, Any], path: str | None) -> dict[str, str] | None:
    """Return the members of the address object that are told; None if it is no object or an empty one."""
    value = _value(claims, path) if path else None
    if not isinstance(value, Mapping):
        return None
    found = {name: _lines(value.get(name))[:longest] for name, longest in ADDRESS_MEMBERS.items()}
    return {name: text for name, text in found.items() if text} or None


def _lines(value: object) -> str:
    """Return a text of several lines, each as _clean makes it."""
    if not isinstance(value, str):
        return ""
    return "\n".join(line for line in map(_clean, value.splitlines()) if line)


def _email(value: str) -> str | None:
    """Return the address if it can be one."""
    if not value:
        return None
    try:
        return companies.checked_email(value)
    except InvalidInput:
        return None
