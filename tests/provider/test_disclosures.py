"""Datenweitergaben: a person sees what goes where and why, and one click ends all of it."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select, text

from tests import page_checks
from tests.factories import csrf_token, make_membership, make_person, sign_in
from tests.provider.party import Party
from unternehmenskonto import audit
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.provider import disclosures
from unternehmenskonto.provider.models import Consent, Grant

PAGE, HISTORY = "/datenweitergaben", "/datenweitergaben/verlauf"
TOLD = {"backchannel_logout_uri": "http://127.0.0.3:9/abmeldung"}


def used(client: FlaskClient, **registration: Any) -> tuple[Party, dict[str, Any]]:
    """Return a service that was agreed to and has read the values once, and its tokens."""
    party = Party(registration=registration)
    tokens = party.tokens(client)
    assert party.userinfo(client, tokens["access_token"]).status_code == 200
    return party, tokens


def withdraw(client: FlaskClient, party: Party) -> Any:
    return client.post(f"{PAGE}/{party.client_id}/zuruecknehmen", data={"csrf_token": csrf_token(client)})


def calls() -> list[dict[str, Any]]:
    query = "SELECT args FROM procrastinate_jobs WHERE task_name = 'provider.tell_logout' ORDER BY id"
    return [row.args for row in db.session.execute(text(query))]


def disclose(membership: Membership, service: str, number: int) -> list[uuid.UUID]:
    """Write so many disclosures into the log; return their ids, oldest first."""
    ids = [new_id() for _ in range(number)]
    fields = {"service": service, "claims": ["email"], "membership_id": str(membership.id)}
    db.session.execute(
        insert(AuditEvent),
        [
            {"id": one, "at": now(), "event": "claims.disclosed", "by": "client:x", "company_id": membership.company_id,
             "fields": fields, "request_id": ""}
            for one in ids
        ],
    )  # fmt: skip
    return ids


def test_nothing_agreed_yet(client: FlaskClient, member: Membership) -> None:
    for path, sentence in ((PAGE, "Sie geben keine Daten weiter"), (HISTORY, "Noch nichts weitergegeben")):
        page = client.get(path)
        assert (page.status_code, sentence in page.text) == (200, True)
        assert page_checks.faults(page.text) == []


def test_what_goes_where_why_since_when(client: FlaskClient, member: Membership) -> None:
    party, _ = used(client)
    waiting = Party()
    waiting.code(client)
    page = client.get(PAGE)
    for words in (
        *(party.service.name, party.service.authority, waiting.service.name),
        *("Zugestimmt:", "Zuletzt weitergegeben:", "Noch nichts weitergegeben"),
        *("Name des Unternehmens", "Damit org_company_name im Antrag steht.", "E-Mail-Adresse"),
    ):
        assert words in page.text, words
    assert page_checks.faults(page.text) == []
    history = client.get(HISTORY)
    assert (party.service.name in history.text, waiting.service.name in history.text) == (True, False)
    assert "Damit email im Antrag steht." in history.text
    assert page_checks.faults(history.text) == []
    assert f'href="{PAGE}"' in client.get("/unternehmen").text


def test_values_the_service_no_longer_asks_for(client: FlaskClient, member: Membership) -> None:
    party, _ = used(client)
    party.service.claims = [claim for claim in party.service.claims if claim["name"] != "email"]
    party.service.is_enabled = False
    db.session.commit()
    page = client.get(PAGE).text
    assert "Wird nicht mehr weitergegeben" in page
    assert "abgeschaltet" in page
    assert "E-Mail-Adresse" in client.get(HISTORY).text


def test_agreement_to_offline_access_is_shown(client: FlaskClient, member: Membership) -> None:
    party = Party()
    party.code(client)
    db.session.scalars(select(Consent)).one().claims = [*party.service.claim_names, "offline_access"]
    db.session.commit()
    page = client.get(PAGE).text
    assert "auch abrufen, wenn Sie nicht angemeldet sind" in page
    assert "offline_access" not in page


def test_service_without_values(client: FlaskClient, member: Membership) -> None:
    party = Party(claims=())
    tokens = party.tokens(client)
    party.userinfo(client, tokens["access_token"])
    assert "Der Dienst erfährt nur, dass Sie angemeldet sind." in client.get(PAGE).text
    assert "Nur, dass Sie angemeldet sind" in client.get(HISTORY).text


def test_one_click_ends_it(client: FlaskClient, member: Membership) -> None:
    party, tokens = used(client, **TOLD)
    other, other_tokens = used(client, **TOLD)
    page = client.get(PAGE)
    assert f'action="{PAGE}/{party.client_id}/zuruecknehmen"' in page.text

    answer = withdraw(client, party)
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    after = client.get(PAGE).text
    assert "bekommt ab jetzt nichts mehr" in after
    assert f"{PAGE}/{party.client_id}/" not in after
    assert f"{PAGE}/{other.client_id}/" in after

    # The living token is worth nothing, the other service's as before; the session here goes on.
    assert party.userinfo(client, tokens["access_token"]).status_code == 401
    assert other.userinfo(client, other_tokens["access_token"]).status_code == 200
    assert {grant.service: grant.revoked_at is None for grant in db.session.scalars(select(Grant))} == {
        party.client_id: False,
        other.client_id: True,
    }
    # The service is told, and nobody else.
    [call] = calls()
    assert (call["service"], call["membership_id"]) == (party.client_id, str(member.id))
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.event == "consent.withdrawn")).one()
    assert (event.by, event.fields) == (f"person:{member.person_id}", {"service": party.client_id})
    # The next login asks again; what was passed on stays in the list.
    assert party.authorize(client, prompt="none").headers["Location"].partition("error=")[2].startswith("consent_req")
    assert party.service.name in client.get(HISTORY).text


def test_withdrawing_twice_or_what_was_never_given(client: FlaskClient, member: Membership) -> None:
    party, _ = used(client)
    assert withdraw(client, party).status_code == 303
    assert withdraw(client, party).status_code == 404
    assert withdraw(client, Party()).status_code == 404


def test_code_that_waits_dies_too(client: FlaskClient, member: Membership) -> None:
    party = Party()
    code = party.code(client)
    withdraw(client, party)
    assert party.exchange(client, code).get_json()["error"] == "invalid_grant"


def test_each_session_at_the_service_is_told(app: Flask, client: FlaskClient, member: Membership) -> None:
    party, _ = used(client, **TOLD)
    elsewhere = app.test_client()
    sign_in(elsewhere, member)
    party.code(elsewhere)
    party.code(client)
    # A session in which only another service was used is none of this one's business.
    third = app.test_client()
    sign_in(third, member)
    Party().code(third)
    withdraw(client, party)
    assert len({call["session_id"] for call in calls()}) == len(calls()) == 2


def test_agreement_can_be_given_again(client: FlaskClient, member: Membership) -> None:
    party, _ = used(client)
    withdraw(client, party)
    party.code(client)
    states = [(row.withdrawn_at is None) for row in db.session.scalars(select(Consent).order_by(Consent.given_at))]
    assert states == [False, True]


def test_nobody_sees_or_ends_anybody_elses(app: Flask, client: FlaskClient, member: Membership) -> None:
    """Another person of the same company, and the same person for another company."""
    party, tokens = used(client)
    colleague = make_membership(company=member.company)
    elsewhere = make_membership(person=member.person)
    for other in (colleague, elsewhere):
        stranger = app.test_client()
        sign_in(stranger, other)
        assert party.service.name not in stranger.get(PAGE).text
        assert party.service.name not in stranger.get(HISTORY).text
        assert withdraw(stranger, party).status_code == 404
    assert party.userinfo(client, tokens["access_token"]).status_code == 200


def test_person_without_rights_may_withdraw(client: FlaskClient, member: Membership) -> None:
    party, _ = used(client)
    member.roles = []
    db.session.commit()
    assert party.service.name in client.get(PAGE).text
    assert withdraw(client, party).status_code == 303


def test_history_pages_by_key(client: FlaskClient, member: Membership) -> None:
    parties = [Party(), Party()]
    for party in parties:
        party.code(client)
    ids = []
    for number in range(60):
        ids += disclose(member, parties[number % 2].client_id, 1)
    disclose(make_membership(person=make_person()), parties[0].client_id, 30)
    newest_first = list(reversed(ids))

    def page(**place: str | None) -> disclosures.Page:
        return disclosures.disclosures_of(member.id, **place)

    first = page()
    second = page(before=first.older)
    third = page(before=second.older)
    assert [e.id for p in (first, second, third) for e in p.entries] == newest_first
    assert (first.newer, third.older, len(third.entries)) == (None, None, 10)
    assert [e.id for e in page(after=third.newer).entries] == newest_first[25:50]
    # Nearly at the top: the newest page is always a full one.
    back = page(after=second.newer)
    assert ([e.id for e in back.entries], back.newer) == (newest_first[:25], None)
    html = client.get(HISTORY).text
    assert f"{HISTORY}?vor={first.older}" in html
    assert client.get(f"{HISTORY}?vor={first.older}").status_code == 200


@pytest.mark.parametrize("query", ["vor=x", "nach=", "nach=1234"])
def test_bad_place_is_a_page(client: FlaskClient, member: Membership, query: str) -> None:
    answer = client.get(f"{HISTORY}?{query}")
    assert (answer.status_code, "Datenweitergaben“ neu" in answer.text) == (400, True)


def test_log_is_read_through_its_index(client: FlaskClient, member: Membership) -> None:
    """Many disclosures of others cost nothing: no plan reads the log as a whole."""
    party = Party()
    party.code(client)
    for _ in range(20):
        disclose(make_membership(), party.client_id, 150)
    disclose(member, party.client_id, 3)
    db.session.execute(text("ANALYZE audit_events"))
    seen = []

    def explain(query: Any) -> str:
        compiled = query.compile(db.session.connection(), compile_kwargs={"literal_binds": True})
        rows = db.session.execute(text(f"EXPLAIN {compiled}".replace(":", r"\:")))
        return "\n".join(row[0] for row in rows)

    for place in ({}, {"older_than": new_id()}, {"newer_than": uuid.UUID(int=1)}):
        seen.append(explain(disclosures._lines(member.id, **place)))
    assert all("ix_audit_events_disclosures" in plan and "Seq Scan on audit_events" not in plan for plan in seen), seen
    assert len(disclosures.disclosures_of(member.id).entries) == 3


def test_disclosure_names_its_membership(client: FlaskClient, member: Membership) -> None:
    used(client)
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.event == "claims.disclosed")).one()
    assert event.fields["membership_id"] == str(member.id)
    assert audit.verify_events().faults == []


def test_no_page_of_it_needs_scripts() -> None:
    for name in ("disclosures", "disclosure_history"):
        source = (Path("templates/provider") / f"{name}.html").read_text(encoding="utf-8")
        assert "<script" not in source and "style=" not in source
