"""Scopes ask for groups of claims (OpenID Connect Core 5.4); a service never gets more than its registration lists."""

from datetime import date
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import make_membership, make_person, sign_in
from tests.provider.party import Party, path_of, query_of
from tests.provider.test_refresh import refresh
from unternehmenskonto.catalogue.claims import STANDARD_SCOPES
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db

PERSON = tuple(name for names in STANDARD_SCOPES.values() for name in names)
ALL = " ".join(("openid", *STANDARD_SCOPES))
HOME = {"street_address": "Deichweg 3\nHinterhaus", "postal_code": "24103", "locality": "Kiel", "country": "DE"}


def all_known() -> Membership:
    """Return somebody of whom everything is known."""
    person = make_person(
        title="Dr.", given_name="Petra", family_name="Sommer", full_name="Petra Sommer, M.Sc.",
        date_of_birth=date(1980, 12, 31),
    )  # fmt: skip
    return make_membership(
        person=person,
        email="petra@nordlicht.example",
        verified_email="petra@nordlicht.example",
        phone_number="+49 431 901-2345",
        is_phone_verified=True,
        address=HOME,
    )


@pytest.fixture
def known(client: FlaskClient) -> Membership:
    """A signed-in person of whom everything is known."""
    membership = all_known()
    sign_in(client, membership)
    return membership


def scoped_party(*claims: str, scopes: tuple[str, ...] = tuple(STANDARD_SCOPES), **registration: Any) -> Party:
    return Party(claims=claims or ("org_sub", *PERSON), registration={"scopes": ["openid", *scopes], **registration})


def facts(client: FlaskClient, party: Party, **changes: str | None) -> dict[str, Any]:
    body = party.tokens(client, **changes)
    found = dict(party.userinfo(client, body["access_token"]).get_json())
    assert found.pop("sub")
    return found


def test_each_scope_brings_its_claims(client: FlaskClient, known: Membership) -> None:
    party = scoped_party()
    assert facts(client, party).keys() == {"org_sub"}
    for scope, names in STANDARD_SCOPES.items():
        assert facts(client, party, scope=f"openid {scope}").keys() == {"org_sub", *names}
    found = facts(client, party, scope=ALL)
    del found["org_sub"]
    assert found == {
        "name": "Petra Sommer, M.Sc.",
        "title": "Dr.",
        "given_name": "Petra",
        "family_name": "Sommer",
        "birthdate": "1980-12-31",
        "email": "petra@nordlicht.example",
        "email_verified": True,
        "phone_number": "+49 431 901-2345",
        "phone_number_verified": True,
        "address": HOME,
    }


def test_no_scope_goes_beyond_the_registration(client: FlaskClient, known: Membership) -> None:
    party = scoped_party("org_sub", "given_name", "email", scopes=("profile", "email"))
    assert facts(client, party, scope=ALL).keys() == {"org_sub", "given_name", "email"}
    assert party.tokens(client, scope=ALL)["scope"] == "openid profile email"


def test_without_registered_scopes_every_login_brings_the_claims(client: FlaskClient, known: Membership) -> None:
    party = Party(claims=("org_sub", "email", "address"))
    for scope in ("openid", ALL):
        body = party.tokens(client, scope=scope)
        assert body["scope"] == "openid"
        found = party.userinfo(client, body["access_token"]).get_json()
        assert found.keys() == {"sub", "org_sub", "email", "address"}


def test_scopes_and_the_claims_parameter_add_up(client: FlaskClient, known: Membership) -> None:
    party = scoped_party("org_sub", "org_company_name", *PERSON)
    wish = '{"userinfo": {"phone_number": null}}'
    assert facts(client, party, claims=wish).keys() == {"org_sub", "phone_number"}
    found = facts(client, party, claims=wish, scope="openid email")
    assert found.keys() == {"org_sub", "phone_number", "email", "email_verified"}


def test_what_is_not_known_or_not_true_is_left_out(client: FlaskClient) -> None:
    membership = make_membership(person=make_person(), email="a@firma.example", verified_email="b@firma.example")
    sign_in(client, membership)
    found = facts(client, scoped_party(), scope=ALL)
    assert found.keys() == {"org_sub", "name", "given_name", "family_name", "email"}
    membership.email = membership.verified_email = None
    membership.is_phone_verified = True
    db.session.commit()
    assert facts(client, scoped_party(), scope=ALL).keys() == {"org_sub", "name", "given_name", "family_name"}


def test_a_wider_scope_is_asked_for_anew(client: FlaskClient, known: Membership) -> None:
    party = scoped_party()
    party.code(client, scope="openid profile")
    assert "code" in query_of(party.authorize(client, scope="openid profile", prompt="none"))
    wider = query_of(party.authorize(client, scope="openid profile phone", prompt="none"))
    assert wider["error"] == "consent_required"


def test_a_narrower_refresh_opens_less(client: FlaskClient, known: Membership) -> None:
    party = scoped_party(offline_access=True)
    body = party.tokens(client, scope="openid email phone offline_access")
    narrow = refresh(party, client, body["refresh_token"], scope="openid phone").get_json()
    found = party.userinfo(client, narrow["access_token"]).get_json()
    assert found.keys() == {"sub", "org_sub", "phone_number", "phone_number_verified"}
    again = refresh(party, client, narrow["refresh_token"], scope="openid address")
    assert (again.status_code, again.get_json()["error"]) == (400, "invalid_scope")


def test_people_read_everything_before_they_agree(client: FlaskClient, known: Membership) -> None:
    page = client.get(path_of(scoped_party().authorize(client, scope=ALL))).text
    for name in PERSON:
        assert f"Damit {name} im Antrag steht." in page
    for label, value in (
        ("Vollständiger Name", "Petra Sommer, M.Sc."),
        ("Geburtsdatum", "31.12.1980"),
        ("E-Mail-Adresse bestätigt", "ja"),
        ("Telefonnummer", "+49 431 901-2345"),
        ("Anschrift der handelnden Person", "Deichweg 3, Hinterhaus, 24103 Kiel, DE"),
    ):
        assert label in page and value in page
    known.address = {"formatted": "Deichweg 3\nKiel", "country": "DE"}
    db.session.commit()
    english = client.get(path_of(scoped_party().authorize(client, scope=ALL, ui_locales="en"))).text
    for words in ("Full name", "31 December 1980", "E-mail address confirmed", "yes", "Deichweg 3, Kiel"):
        assert words in english, words
