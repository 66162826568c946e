"""What a request may wish for: single claims, trust levels, people, languages (OpenID Connect Core 3.1.2.1, 5.5)."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import make_company, make_membership, make_person, org_sub, sign_in
from tests.provider.party import CLAIMS, Party, claims_of, hidden_fields, interaction_of, path_of, query_of
from tests.provider.test_costs import statements
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.companies.subjects import subject
from unternehmenskonto.login.config import EXTENSION, providers

LOA = "http://eidas.europa.eu/LoA/"


def wish(userinfo: dict[str, Any] | None = None, id_token: dict[str, Any] | None = None) -> str:
    """Return the claims parameter."""
    return json.dumps({"userinfo": userinfo or {}, "id_token": id_token or {}})


def facts(client: FlaskClient, party: Party, **changes: str | None) -> dict[str, Any]:
    """Return what userinfo gives after a request with these changes."""
    return dict(party.userinfo(client, party.tokens(client, **changes)["access_token"]).get_json())


def test_named_claims_are_the_only_ones(client: FlaskClient, member: Membership) -> None:
    party = Party()
    waiting = path_of(party.authorize(client, claims=wish({"email": {"essential": True}, "family_name": None})))
    page = client.get(waiting)
    assert member.email in page.text
    assert hidden_fields(page)["claims"] == "email family_name org_sub"
    found = facts(client, party, claims=wish({"email": {"essential": True}, "family_name": None}))
    assert found.keys() == {"sub", "org_sub", "email", "family_name"}
    # The rest was not agreed to: it is asked for when it is wanted.
    assert path_of(party.authorize(client)).startswith("/oauth/weiter/")
    assert facts(client, party).keys() == {"sub", *CLAIMS}


def test_nobody_gets_more_than_is_registered(client: FlaskClient, member: Membership) -> None:
    party = Party(claims=("org_sub", "email"))
    everything = dict.fromkeys(("email", "given_name", "org_company_name", "nonsense", "phone_number", "address"))
    found = facts(client, party, claims=wish(everything, everything))
    assert found.keys() == {"sub", "org_sub", "email"}


def test_identity_asked_for_in_the_id_token_comes_at_userinfo(client: FlaskClient, member: Membership) -> None:
    party = Party()
    body = party.tokens(client, claims=wish(id_token={"email": {"essential": True}, "auth_time": None}))
    assert "email" not in claims_of(body["id_token"])
    assert "auth_time" in claims_of(body["id_token"])
    assert party.userinfo(client, body["access_token"]).get_json().keys() == {"sub", "org_sub", "email"}


@pytest.mark.parametrize("claims", ["{}", '{"userinfo": {}}', '{"id_token": {"acr": null}}', '{"x": {"email": null}}'])
def test_a_wish_that_names_no_identity_chooses_nothing(client: FlaskClient, member: Membership, claims: str) -> None:
    assert facts(client, Party(), claims=claims).keys() == {"sub", *CLAIMS}


def test_essential_level_is_reached_or_refused(client: FlaskClient) -> None:
    party, membership = Party(), make_membership()
    sign_in(client, membership, assurance_level="substantial")
    high = wish(id_token={"acr": {"essential": True, "values": [LOA + "high"]}})
    assert query_of(party.authorize(client, claims=high, prompt="none"))["error"] == "login_required"
    login = party.authorize(client, claims=high)
    assert parse_qs(urlsplit(login.headers["Location"]).query)["level"] == ["high"]
    sign_in(client, membership, assurance_level="substantial")
    refused = client.get(interaction_of(login))
    assert query_of(refused)["error"] == "unmet_authentication_requirements"
    login = party.authorize(client, claims=high)
    sign_in(client, membership, assurance_level="high")
    answer = party.agree(client, interaction_of(login))
    assert claims_of(party.exchange(client, query_of(answer)["code"]).get_json()["id_token"])["acr"] == LOA + "high"


def test_the_level_told_is_one_of_the_essential_ones(client: FlaskClient) -> None:
    party = Party()
    sign_in(client, make_membership(), assurance_level="high")
    for values, told in (
        ([LOA + "substantial"], "substantial"),
        ([LOA + "low", LOA + "substantial"], "substantial"),
        ([LOA + "high", LOA + "low"], "high"),
        (["urn:unknown", LOA + "low"], "low"),
    ):
        claims = wish(id_token={"acr": {"essential": True, "values": values}})
        assert claims_of(party.tokens(client, claims=claims)["id_token"])["acr"] == LOA + told
    voluntary = wish(id_token={"acr": {"values": [LOA + "low"]}})
    assert claims_of(party.tokens(client, claims=voluntary)["id_token"])["acr"] == LOA + "high"


def test_registered_level_is_never_lowered(client: FlaskClient) -> None:
    party = Party(registration={"minimum_assurance": "high"})
    sign_in(client, make_membership(), assurance_level="substantial")
    low = wish(id_token={"acr": {"essential": True, "value": LOA + "low"}})
    assert query_of(party.authorize(client, claims=low, prompt="none"))["error"] == "login_required"


@pytest.mark.attack("hint of another person")
def test_the_person_named_is_the_only_one(client: FlaskClient, member: Membership) -> None:
    party = Party()
    sub = claims_of(party.tokens(client)["id_token"])["sub"]
    for claims in (wish({"sub": {"value": sub}}), wish(id_token={"sub": {"value": sub}})):
        assert "code" in query_of(party.authorize(client, claims=claims, prompt="none"))
    other = wish(id_token={"sub": {"value": "ek-" + "0" * 40}})
    assert query_of(party.authorize(client, claims=other, prompt="none"))["error"] == "login_required"
    hint = party.tokens(client)["id_token"]
    assert query_of(party.authorize(client, claims=other, id_token_hint=hint))["error"] == "invalid_request"


def two_companies(client: FlaskClient) -> tuple[Membership, Membership]:
    """Sign in somebody who acts for two companies."""
    person = make_person()
    first, second = (
        make_membership(person=person, company=make_company(name=name)) for name in ("Alpha AG", "Beta KG")
    )
    sign_in(client, first)
    return first, second


def test_login_hint_chooses_the_company(client: FlaskClient) -> None:
    party = Party(claims=("org_sub", "org_company_name"))
    _, second = two_companies(client)
    hint = org_sub(party.service, second.company)
    assert "Beta KG" in client.get(path_of(party.authorize(client, login_hint=hint))).text
    assert "Für welches Unternehmen" in client.get(path_of(party.authorize(client, login_hint="somebody"))).text
    stranger = org_sub(Party().service, second.company)
    assert "Für welches Unternehmen" in client.get(path_of(party.authorize(client, login_hint=stranger))).text
    asked = client.get(path_of(party.authorize(client, login_hint=hint, prompt="select_account")))
    assert "Für welches Unternehmen" in asked.text


def test_login_hint_goes_to_the_login_where_a_provider_understands_it(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    party, hint = Party(), "maria@firma.example"
    assert "maria" not in path_of(party.authorize(client, login_hint=hint))
    understanding = {slug: one.model_copy(update={"passes_login_hint": True}) for slug, one in providers().items()}
    monkeypatch.setitem(app.extensions, EXTENSION, understanding)
    asked = parse_qs(urlsplit(path_of(party.authorize(client, login_hint=hint))).query)
    assert asked["login_hint"] == [hint]
    ours = org_sub(party.service, make_company())
    assert "login_hint" not in path_of(party.authorize(client, login_hint=ours))


@pytest.mark.attack("guessing and enumeration")
def test_unknown_and_foreign_accounts_cost_the_same(client: FlaskClient) -> None:
    """Whether a pseudonym is somebody's must show neither in the answer nor in the work it makes."""
    party = Party(claims=("org_sub",))
    other = make_membership()
    known = subject(sector=party.service.sector, company_id=other.company_id, membership_id=other.id)
    company = org_sub(party.service, other.company)
    two_companies(client)
    assert query_of(party.authorize(client, prompt="none"))["error"] == "account_selection_required"
    for name, theirs, nobodys in (("login_hint", company, "du-" + "0" * 40), ("claims", known, "ek-" + "0" * 40)):
        found = []
        for value in (theirs, nobodys):
            asked = wish({"sub": {"value": value}}) if name == "claims" else value
            with statements() as work:
                answer = query_of(party.authorize(client, prompt="none", **{name: asked}))
            found.append((answer, work))
        assert found[0] == found[1], name


def test_select_account_always_asks(client: FlaskClient, member: Membership) -> None:
    party = Party()
    party.code(client)
    waiting = path_of(party.authorize(client, prompt="select_account"))
    page = client.get(waiting)
    assert member.company.name in page.text
    token = page.text.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    answer = client.post(waiting, data={"csrf_token": token, "action": "company", "membership_id": str(member.id)})
    assert "code" in query_of(answer)


@pytest.mark.parametrize(
    ("wanted", "title"),
    [("en-GB de", "Pass on data"), ("fr en", "Pass on data"), ("de-AT en", "weitergeben"), ("fr <b>", "weitergeben")],
)
def test_pages_speak_the_language_asked_for(client: FlaskClient, member: Membership, wanted: str, title: str) -> None:
    page = client.get(path_of(Party().authorize(client, ui_locales=wanted)))
    heading = page.text.split("<h1", 1)[1].split("</h1>", 1)[0]
    assert ("weitergeben" in heading) == (title == "weitergeben")
    assert "<b>" not in page.text


def test_language_asked_for_lasts_for_one_login_and_yields_to_the_person(
    client: FlaskClient, member: Membership
) -> None:
    party = Party()
    waiting = party.authorize(client, ui_locales="en")
    assert 'lang="en"' in client.get(path_of(waiting)).text.split("<head", 1)[0]
    party.agree(client, waiting)
    assert 'lang="de"' in client.get("/seiten/impressum").text.split("<head", 1)[0]
    client.get("/sprache/de")
    waiting = party.authorize(client, ui_locales="en", prompt="consent")
    assert 'lang="de"' in client.get(path_of(waiting)).text.split("<head", 1)[0]
