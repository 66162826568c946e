"""The pages between: which company, may I, shall I. What is pressed there holds, once and for this company."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.factories import make_company, make_membership, make_person, sign_in
from tests.provider.party import REDIRECT_URI, Party, hidden_fields, path_of, query_of
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import CompanyIdentifier, Membership
from unternehmenskonto.db import db
from unternehmenskonto.provider.models import Consent


def test_page_names_service_authority_values_and_purposes(client: FlaskClient) -> None:
    company = make_company(name="Musterbau <GmbH>", identifiers={"w_idnr": "DE900000006-00001"})
    person = make_person(given_name="Erika", family_name="Beispiel", title=None)
    sign_in(client, make_membership(company=company, person=person, email="erika@musterbau.example"))
    names = (
        "org_sub",
        "org_company_name",
        "org_wid",
        "title",
        "given_name",
        "family_name",
        "email",
        "acr",
        "auth_time",
    )
    party = Party(claims=names, name="Gewerbeanmeldung", authority="Gewerbeamt Musterstadt")
    page = client.get(path_of(party.authorize(client)))
    for text in ("Gewerbeanmeldung", "Gewerbeamt Musterstadt", "Musterbau &lt;GmbH&gt;", "DE900000006-00001", "Erika"):
        assert text in page.text
    assert "Damit org_wid im Antrag steht." in page.text
    assert "Damit title" not in page.text  # there is no title to pass on
    assert "erika@musterbau.example" in page.text
    assert "substanziell" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self' http://127.0.0.3:8002;" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.attack("consent bypass")
def test_agreement_is_remembered_until_it_grows(client: FlaskClient, member: Membership) -> None:
    party = Party(claims=("given_name",))
    party.code(client)
    assert "code" in query_of(party.authorize(client))
    assert path_of(party.authorize(client, prompt="consent")).startswith("/oauth/weiter/")
    party.service.claims = [{"name": "given_name", "purpose": ""}, {"name": "email", "purpose": "Rückfragen"}]
    db.session.commit()
    assert query_of(party.authorize(client, prompt="none"))["error"] == "consent_required"
    party.code(client)
    party.service.claims = [{"name": "given_name", "purpose": ""}]
    db.session.commit()
    assert "code" in query_of(party.authorize(client))
    assert db.session.scalars(select(Consent.claims)).all() == [["email", "given_name"]]


def test_refusal_returns_to_the_service(client: FlaskClient, member: Membership) -> None:
    party = Party()
    path = path_of(party.authorize(client))
    form = {**hidden_fields(client.get(path)), "action": "refuse"}
    answer = client.post(path, data=form)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(REDIRECT_URI)
    found = query_of(answer)
    assert (found["error"], found["state"]) == ("access_denied", "st-1")
    assert client.post(path, data=form).status_code == 410
    assert db.session.scalars(select(Consent)).all() == []
    events = db.session.scalars(select(AuditEvent.event).where(AuditEvent.event.like("consent.%"))).all()
    assert events == ["consent.refused"]


def test_a_page_is_answered_once(client: FlaskClient, member: Membership) -> None:
    party = Party()
    path = path_of(party.authorize(client))
    form = {**hidden_fields(client.get(path)), "action": "agree"}
    assert "code" in query_of(client.post(path, data=form))
    again = client.post(path, data=form)
    assert (again.status_code, again.headers.get("Location")) == (410, None)
    assert client.get(path).status_code == 410
    assert client.get("/oauth/weiter/" + "x" * 100).status_code == 410


@pytest.mark.attack("forged form")
def test_buttons_need_the_token_of_this_browser(client: FlaskClient, member: Membership) -> None:
    party = Party()
    path = path_of(party.authorize(client))
    form = {**hidden_fields(client.get(path)), "action": "agree"}
    for token in (None, "", "x", "foreign"):
        changed = {name: value for name, value in {**form, "csrf_token": token}.items() if value is not None}
        assert client.post(path, data=changed).status_code == 400
    assert db.session.scalars(select(Consent)).all() == []


@pytest.mark.attack("consent bypass")
def test_agreeing_to_less_than_what_would_go_shows_the_page_again(client: FlaskClient, member: Membership) -> None:
    party = Party(claims=("given_name",))
    path = path_of(party.authorize(client))
    form = {**hidden_fields(client.get(path)), "action": "agree"}
    party.service.claims = [{"name": "given_name", "purpose": ""}, {"name": "email", "purpose": "Rückfragen"}]
    db.session.commit()
    answer = client.post(path, data=form)
    assert path_of(answer) == path
    assert "Rückfragen" in client.get(path).text
    for change in ({"membership_id": str(make_membership().id)}, {"claims": ""}, {"action": "x"}, {"action": ""}):
        assert path_of(client.post(path, data={**form, **change})) == path
    assert db.session.scalars(select(Consent)).all() == []


def test_several_companies_are_asked_for(client: FlaskClient) -> None:
    person = make_person()
    first = make_membership(person=person, company=make_company(name="Alpha GmbH"))
    second = make_membership(person=person, company=make_company(name="Beta AG"))
    make_membership(person=person, company=make_company(name="Gamma ohne Recht"), roles=("mailbox",))
    sign_in(client, first)
    party = Party()
    assert query_of(party.authorize(client, prompt="none"))["error"] == "account_selection_required"
    path = path_of(party.authorize(client))
    page = client.get(path)
    assert ("Alpha GmbH" in page.text, "Beta AG" in page.text, "Gamma ohne Recht" in page.text) == (True, True, False)
    token = hidden_fields(page)["csrf_token"]
    foreign = make_membership()
    for wrong in (str(foreign.id), "x", ""):
        answer = client.post(path, data={"csrf_token": token, "action": "company", "membership_id": wrong})
        assert path_of(answer) == path
        assert "Für welches Unternehmen?" in client.get(path).text
    client.post(path, data={"csrf_token": token, "action": "company", "membership_id": str(second.id)})
    assert "Beta AG" in client.get(path).text
    code = query_of(party.agree(client, path))["code"]
    facts = party.userinfo(client, party.exchange(client, code).get_json()["access_token"]).get_json()
    assert facts["org_company_name"] == "Beta AG"
    # In this session this service is answered for the same company, unless it asks.
    assert "code" in query_of(party.authorize(client, prompt="none"))
    assert "Alpha GmbH" in client.get(path_of(party.authorize(client, prompt="select_account"))).text
    # What was chosen for one service says nothing about another.
    assert query_of(Party().authorize(client, prompt="none"))["error"] == "account_selection_required"


@pytest.mark.attack("consent bypass")
def test_agreement_for_one_company_is_none_for_another(client: FlaskClient) -> None:
    person, party = make_person(), Party()
    first, second = make_membership(person=person), make_membership(person=person)
    sign_in(client, first)
    path = path_of(party.authorize(client))
    token = hidden_fields(client.get(path))["csrf_token"]
    client.post(path, data={"csrf_token": token, "action": "company", "membership_id": str(first.id)})
    party.agree(client, path)
    path = path_of(party.authorize(client, prompt="select_account"))
    token = hidden_fields(client.get(path))["csrf_token"]
    answer = client.post(path, data={"csrf_token": token, "action": "company", "membership_id": str(second.id)})
    assert path_of(answer) == path
    assert second.company.name in client.get(path).text


@pytest.mark.parametrize("roles", [(), ("mailbox",), ("administrator",)])
def test_without_the_right_nothing_is_passed_on(client: FlaskClient, roles: tuple[str, ...]) -> None:
    sign_in(client, make_membership(roles=roles))
    party = Party()
    assert query_of(party.authorize(client, prompt="none"))["error"] == "access_denied"
    path = path_of(party.authorize(client))
    page = client.get(path)
    assert "fehlt Ihnen das Recht" in page.text
    form = hidden_fields(page)
    assert path_of(client.post(path, data={**form, "action": "agree"})) == path
    found = query_of(client.post(path, data={**form, "action": "refuse"}))
    assert found["error"] == "access_denied"


def test_only_registered_values_reach_the_service(client: FlaskClient, member: Membership) -> None:
    party = Party(claims=("org_company_name", "email"))
    facts = party.userinfo(client, party.tokens(client, scope="openid profile email")["access_token"]).get_json()
    assert facts.keys() == {"sub", "org_company_name", "email"}
    disclosed = db.session.scalars(select(AuditEvent.fields).where(AuditEvent.event == "claims.disclosed")).one()
    assert disclosed == {
        "service": party.client_id,
        "claims": ["email", "org_company_name"],
        "membership_id": str(member.id),
    }


def test_every_claim_has_its_value(client: FlaskClient) -> None:
    everything = {
        "legal_form_code": "350",
        "legal_form_text": "GmbH",
        "register_court": "Kiel",
        "register_type": "HRB",
        "register_number": "12345",
        "street": "Hauptstraße",
        "building": "12",
        "zip_code": "12345",
        "city": "Musterstadt",
        "city_district": "Mitte",
        "address_addition": "Hof",
        "country": "DE",
    }
    company = make_company(name="Musterbau GmbH", datenkranz_type="StNr", **everything)
    for scheme, value in (("w_idnr", "DE900000006-00001"), ("vat_id", "DE900000006"), ("org:x", "du-1")):
        db.session.add(CompanyIdentifier(scheme=scheme, value=value, company_id=company.id))
    person = make_person(title="Dr.", given_name="Erika", family_name="Beispiel")
    sign_in(client, make_membership(company=company, person=person, email="e@b.example"))
    names = [f"org_{name}" for name in everything] + ["org_wid", "org_vat_id", "org_sub", "org_company_name"]
    names += ["elster_datenkranz_typ", "title", "given_name", "family_name", "email"]
    names += ["acr", "auth_time", "amr", "trust_level_identification"]
    party = Party(claims=tuple(names))
    facts = party.userinfo(client, party.tokens(client)["access_token"]).get_json()
    assert facts.keys() == {"sub", *names}
    assert {name: facts[f"org_{name}"] for name in everything} == everything
    assert (facts["org_wid"], facts["org_vat_id"]) == ("DE900000006-00001", "DE900000006")
    assert (facts["title"], facts["given_name"], facts["email"]) == ("Dr.", "Erika", "e@b.example")
    assert (facts["trust_level_identification"], facts["elster_datenkranz_typ"]) == ("SUBSTANZIELL", "StNr")
    assert (facts["acr"], facts["amr"]) == ("http://eidas.europa.eu/LoA/substantial", ["swk"])
