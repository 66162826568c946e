"""The closed list of what may be passed on to an online service, with the words people read."""

from typing import Any

from flask_babel import lazy_gettext as _l

#: Claim name (domain.md 2.2, OpenID Connect Core 5.1) -> what the consent and the service page call it.
COMPANY_CLAIMS: dict[str, Any] = {
    "org_sub": _l("Kennung des Unternehmens für diesen Dienst"),
    "org_company_name": _l("Name des Unternehmens"),
    "org_legal_form_code": _l("Rechtsform (Schlüssel)"),
    "org_legal_form_text": _l("Rechtsform"),
    "org_register_number": _l("Registernummer"),
    "org_register_type": _l("Registerart"),
    "org_register_court": _l("Registergericht"),
    "org_street": _l("Straße"),
    "org_building": _l("Hausnummer"),
    "org_zip_code": _l("Postleitzahl"),
    "org_city": _l("Ort"),
    "org_city_district": _l("Ortsteil"),
    "org_address_addition": _l("Adresszusatz"),
    "org_country": _l("Land"),
    "org_wid": _l("Wirtschafts-Identifikationsnummer"),
    "org_vat_id": _l("Umsatzsteuer-Identifikationsnummer"),
    "elster_datenkranz_typ": _l("Art des ELSTER-Kontos"),
}
PERSON_CLAIMS: dict[str, Any] = {
    "name": _l("Vollständiger Name"),
    "title": _l("Akademischer Grad"),
    "given_name": _l("Vorname"),
    "family_name": _l("Nachname"),
    "birthdate": _l("Geburtsdatum"),
    "email": _l("E-Mail-Adresse"),
    "email_verified": _l("E-Mail-Adresse bestätigt"),
    "phone_number": _l("Telefonnummer"),
    "phone_number_verified": _l("Telefonnummer bestätigt"),
    "address": _l("Anschrift der handelnden Person"),
}
LOGIN_CLAIMS: dict[str, Any] = {
    "acr": _l("Vertrauensniveau der Anmeldung"),
    "auth_time": _l("Zeitpunkt der Anmeldung"),
    "amr": _l("Verfahren der Anmeldung"),
    "trust_level_identification": _l("Vertrauensniveau der Identifizierung"),
}
#: Scope -> the claims it asks for (OpenID Connect Core 5.4). Claims of the company belong to no scope.
STANDARD_SCOPES: dict[str, tuple[str, ...]] = {
    "profile": ("name", "title", "given_name", "family_name", "birthdate"),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
#: Never allowed without a purpose of its own, written for this one service.
NEEDS_OWN_PURPOSE = frozenset({"birthdate"})
OFFLINE_LABEL = _l("Abruf auch dann, wenn Sie nicht angemeldet sind")
CLAIMS: dict[str, Any] = {**COMPANY_CLAIMS, **PERSON_CLAIMS, **LOGIN_CLAIMS}


def label(name: str) -> str:
    """Return the words for a claim in the reader's language; the name itself for one that is not in the list."""
    return str(OFFLINE_LABEL if name == "offline_access" else CLAIMS.get(name, name))
