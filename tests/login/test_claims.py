"""Which claim means what is data: names, nested objects, broken values."""

from pathlib import Path

import pytest
from flask import Flask

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
    assert (told.email, told.level, told.amr, told.sid) == ("petra@nordlicht.example", "substantial", [], None)


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
    assert told.email is None or "\n" not in told.email


def test_an_unverified_address_is_not_taken(broker: config.IdentityProvider) -> None:
    assert claims.understand(broker, {**TOLD, "email_verified": False}).email is None
    assert claims.understand(broker, {**TOLD, "email_verified": True}).email


@pytest.mark.parametrize(
    "identity", [None, {}, {"id": None}, {"id": True}, {"id": "x" * 300}, {"id": ["4711"]}, "4711"]
)
def test_a_company_needs_an_identity(broker: config.IdentityProvider, identity: object) -> None:
    with pytest.raises(DataMissing):
        claims.understand(broker, {**TOLD, "organisation": identity})
