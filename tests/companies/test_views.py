"""The company's pages: what each sees, and who may change what."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import csrf_token, make_company, make_membership, make_person, sign_in
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db


def page(client: FlaskClient, path: str = "/unternehmen") -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def send(client: FlaskClient, path: str, **fields: object) -> int:
    return client.post(path, data={"csrf_token": csrf_token(client), **fields}).status_code


@pytest.fixture
def boss(app: Flask) -> Membership:
    company = make_company(name="Musterbau GmbH", identifiers={"w_idnr": "DE900000006-00001"}, data_source="Zertifikat")
    return make_membership(company=company, person=make_person(given_name="Erika", family_name="Beispiel"))


@pytest.fixture
def clerk(boss: Membership) -> Membership:
    return make_membership(
        company=boss.company, person=make_person(given_name="Jonas", family_name="Neumann"), roles=()
    )


def test_administrator_sees_company_and_people(client: FlaskClient, boss: Membership, clerk: Membership) -> None:
    sign_in(client, boss)
    html = page(client)
    for text in ("Musterbau GmbH", "DE900000006-00001", "Jonas Neumann", "Erika Beispiel", "keine Rechte"):
        assert text in html


def test_somebody_without_rights_learns_whom_to_ask(client: FlaskClient, boss: Membership, clerk: Membership) -> None:
    sign_in(client, clerk)
    html = page(client)
    assert "Sie haben noch keine Rechte" in html
    assert "Erika Beispiel" in html
    assert "Sobald Sie Nachrichten lesen dürfen" in html
    assert str(boss.email) not in html
    assert client.get(f"/unternehmen/personen/{boss.id}").status_code == 403
    assert send(client, f"/unternehmen/personen/{clerk.id}", roles="administrator") == 403
    db.session.refresh(clerk)
    assert clerk.roles == []


def test_rights_given_act_at_once(app: Flask, client: FlaskClient, boss: Membership, clerk: Membership) -> None:
    theirs = app.test_client()
    sign_in(theirs, clerk)
    sign_in(client, boss)
    assert send(client, f"/unternehmen/personen/{clerk.id}", roles="administrator") == 303
    assert theirs.get(f"/unternehmen/personen/{boss.id}").status_code == 200
    assert send(client, f"/unternehmen/personen/{clerk.id}") == 303
    assert theirs.get(f"/unternehmen/personen/{boss.id}").status_code == 403


def test_removal_ends_the_session_at_once(app: Flask, client: FlaskClient, boss: Membership, clerk: Membership) -> None:
    theirs = app.test_client()
    sign_in(theirs, clerk)
    sign_in(client, boss)
    path = f"/unternehmen/personen/{clerk.id}/entfernen"
    assert "Jonas Neumann entfernen?" in page(client, path)
    assert theirs.get("/unternehmen").status_code == 200
    assert send(client, path) == 303
    assert theirs.get("/unternehmen").status_code == 303
    assert "Jonas Neumann" not in page(client).split("Personen und Rechte")[1]


def test_the_last_administrator_stays(client: FlaskClient, boss: Membership) -> None:
    sign_in(client, boss)
    assert send(client, f"/unternehmen/personen/{boss.id}", roles="mailbox") == 422
    assert send(client, f"/unternehmen/personen/{boss.id}/entfernen") == 422
    db.session.refresh(boss)
    assert "administrator" in boss.roles
    assert boss.ended_at is None


def test_other_companies_people_do_not_exist(client: FlaskClient, boss: Membership) -> None:
    stranger = make_membership()
    sign_in(client, boss)
    for path in (f"/unternehmen/personen/{stranger.id}", f"/unternehmen/personen/{stranger.id}/entfernen"):
        assert client.get(path).status_code == 404
        assert send(client, path, roles="mailbox") == 404


def test_unknown_roles_are_refused(client: FlaskClient, boss: Membership, clerk: Membership) -> None:
    sign_in(client, boss)
    assert send(client, f"/unternehmen/personen/{clerk.id}", roles="emperor") == 422


def test_everybody_chooses_their_own_address(client: FlaskClient, clerk: Membership) -> None:
    sign_in(client, clerk)
    assert "E-Mail für Benachrichtigungen" in page(client, "/unternehmen/e-mail")
    assert send(client, "/unternehmen/e-mail", email=" jonas@firma.example ") == 303
    db.session.refresh(clerk)
    assert clerk.email == "jonas@firma.example"
    assert send(client, "/unternehmen/e-mail", email="jonas@firma.example\r\nBcc: all@firma.example") == 422
    assert send(client, "/unternehmen/e-mail", email="") == 303
    db.session.refresh(clerk)
    assert clerk.email is None


def test_forms_need_their_token(client: FlaskClient, boss: Membership, clerk: Membership) -> None:
    sign_in(client, boss)
    for path in (f"/unternehmen/personen/{clerk.id}", "/unternehmen/e-mail", "/unternehmen/wechseln", "/abmelden"):
        assert client.post(path, data={"roles": "mailbox"}).status_code == 400


def test_changing_company_by_the_page(client: FlaskClient, boss: Membership) -> None:
    second = make_membership(person=boss.person, company=make_company(name="Zweite AG"), roles=())
    sign_in(client, boss)
    assert "Zweite AG" in page(client)
    assert send(client, "/unternehmen/wechseln", membership_id=str(second.id), next="/unternehmen") == 303
    assert "Sie haben noch keine Rechte" in page(client)
    assert send(client, "/unternehmen/wechseln", membership_id=str(make_membership().id)) == 404
    assert send(client, "/unternehmen/wechseln", membership_id="x") == 400
