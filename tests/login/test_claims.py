"""Which claim means what is data: names, nested objects, broken values."""

from pathlib import Path

import pytest
from flask import Flask

from unternehmenskonto.companies.joining import ContactData
from unternehmenskonto.login import claims, config
from unternehmenskonto.login.errors import DataMissing
from unternehmenskonto.settings import Settings

FILE = """
[[identity_providers]]
slug = "broker"
name = "Broker"
issuer = "https://broker.example"
client_id = "konto"
[identity_providers.assurance]
fixed = "substantial"
[identity_providers.claims]
organisation_id = "organisation.id"
company_name = "https://broker.example/claims/name"
city = "organisation.address.locality"
country = "organisation.address.country"
legal_form_code = "form"
register_court = "court"
register_type = "type"
register_number = "number"
w_idnr = "wid"
vat_id = "vat"
given_name = "given_name"
family_name = "family_name"
date_of_birth = "birthdate"
email = "email"
"""
TOLD = {
    "organisation": {"id": 4711, "address": {"locality": " Kiel ", "country": "de"}},
    "https://broker.example/claims/name": "Nord\u0000licht\n AG",
    "given_name": "Petra",
    "family_name": "Sommer",
    "birthdate": "31.12.1980",
    "email": "petra@nordlicht.example",
    "court": "Amtsgericht Kiel",
    "type": "HRB",
    "number": "395 KI",
    "wid": "DE900000014",
    "vat": "DE900000014",
    "form": "310",
}


@pytest.fixture
def broker(app: Flask, settings: Settings, tmp_path: Path) -> config.IdentityProvider:
    path = tmp_path / "providers.toml"
    path.write_text(FILE)
    return config.load(settings.model_copy(update={"identity_providers_file": path}))["broker"]


def test_every_word_finds_its_place(broker: config.IdentityProvider) -> None:
    told = claims.understand(broker, TOLD)
    assert told.company.name == "Nord licht AG"
    assert (told.company.city, told.company.country, told.company.legal_form_code) == ("Kiel", "DE", "310")
    assert dict(told.company.identifiers) == {
        "org:https://broker.example": "4711",
        "w_idnr": "DE900000014-00001",
        "vat_id": "DE900000014",
        "register": "kiel|hrb|395ki",
    }
    assert str(told.person.date_of_birth) == "1980-12-31"
    assert (told.contact.email, told.level, told.amr, told.sid) == ("petra@nordlicht.example", "substantial", [], None)


@pytest.mark.parametrize(
    "broken",
    [
        {"wid": "DE123456789"},
        {"vat": "x"},
        {"number": "x" * 50},
        {"type": "HRX"},
        {"court": "a|b"},
        {"form": "31"},
        {"birthdate": "yesterday"},
        {"email": "no address"},
        {"email": "a@b.example\r\nBcc: c@d.example"},
        {"organisation": {"id": "4711", "address": "Kiel"}},
        {"amr": "pwd", "sid": 7},
        {"amr": [1, {}, "x" * 1000], "sid": "x" * 1000},
    ],
)
def test_broken_details_are_left_out(broker: config.IdentityProvider, broken: dict[str, object]) -> None:
    told = claims.understand(broker, {**TOLD, **broken})
    assert told.company.identifiers["org:https://broker.example"] == "4711"
    assert told.contact.email is None or "\n" not in told.contact.email


def test_an_unverified_address_is_not_taken(broker: config.IdentityProvider) -> None:
    for said, understood in ((False, False), ("false", False), (True, True), ("TRUE", True), (1, None), (None, None)):
        contact = claims.understand(broker, {**TOLD, "email_verified": said}).contact
        assert (contact.email, contact.is_email_verified) == ("petra@nordlicht.example", understood), said
    assert claims.understand(broker, {**TOLD, "email": "x", "email_verified": True}).contact == ContactData()


def test_name_phone_and_address_of_the_person(broker: config.IdentityProvider) -> None:
    told = claims.understand(broker, TOLD)
    assert (told.person.full_name, told.contact.phone_number, told.contact.address) == (None, None, None)
    home = {
        "formatted": "Deichweg 3\r\n24103\tKiel\u0000\n\n",
        "street_address": " Deichweg 3 ",
        "postal_code": "24103",
        "locality": "Kiel",
        "region": 7,
        "country": "",
        "planet": "Erde",
    }
    more = {"whole": "Petra Sommer, M.Sc.", "phone": "+49 431 901-2345;ext=6", "phone_number_verified": True}
    names = broker.claims.model_copy(update={"name": "whole", "phone_number": "phone", "address": "home.address"})
    speaking = broker.model_copy(update={"claims": names})
    told = claims.understand(speaking, {**TOLD, **more, "home": {"address": home}})
    assert told.person.full_name == "Petra Sommer, M.Sc."
    assert (told.contact.phone_number, told.contact.is_phone_verified) == ("+49 431 901-2345;ext=6", True)
    assert told.contact.address == {
        "formatted": "Deichweg 3\n24103 Kiel",
        "street_address": "Deichweg 3",
        "locality": "Kiel",
        "postal_code": "24103",
    }
    for wrong in ("0431", "call me", "+49 431 " + "1" * 40, "+49;ext=12", ["+49 431 901"]):
        found = claims.understand(speaking, {**TOLD, "phone": wrong, "phone_number_verified": True}).contact
        assert (found.phone_number, found.is_phone_verified) == (None, False), wrong
    for wrong in ("Deichweg 3", {}, {"locality": ""}, ["Kiel"], {"locality": {"x": 1}}):
        assert claims.understand(speaking, {**TOLD, "home": {"address": wrong}}).contact.address is None
    long = claims.understand(speaking, {**TOLD, "home": {"address": {"formatted": "x" * 5000, "country": "y" * 300}}})
    assert {name: len(text) for name, text in (long.contact.address or {}).items()} == {
        "formatted": 1000,
        "country": 200,
    }


@pytest.mark.parametrize(
    "identity", [None, {}, {"id": None}, {"id": True}, {"id": "x" * 300}, {"id": ["4711"]}, "4711"]
)
def test_a_company_needs_an_identity(broker: config.IdentityProvider, identity: object) -> None:
    with pytest.raises(DataMissing):
        claims.understand(broker, {**TOLD, "organisation": identity})
