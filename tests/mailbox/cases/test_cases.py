"""Cases: reported by the API in any order, shown as a timeline with their messages."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from tests.factories import access_token, make_company
from tests.mailbox.cases.case_data import a_case, state
from tests.mailbox.conversations.writing_data import PLAIN_REPLY, authority, form_address, save, send, writer
from tests.mailbox.reading_data import put
from tests.mailbox.samples import message
from tests.mailbox.test_inbox import counted_statements
from tests.page_checks import Tree, faults
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company
from unternehmenskonto.companies.subjects import subject
from unternehmenskonto.db import db
from unternehmenskonto.mailbox import chain
from unternehmenskonto.mailbox.cases import actions
from unternehmenskonto.mailbox.cases.models import STATES, Case, CaseEvent
from unternehmenskonto.mailbox.models import Message

NOON = datetime(2026, 11, 20, 11, tzinfo=UTC)


def report(service: OnlineService, company: Company, **fields: Any) -> dict[str, Any]:
    recipient = {"org_sub": subject(sector=service.sector, company_id=company.id)}
    db.session.commit()
    body = {"recipient": recipient, "title": "Gewerbeanmeldung", "state": "received", "at": "2026-11-20T12:00:00+01:00"}
    return {**body, **fields}


def put_case(
    client: FlaskClient, service: OnlineService, body: Any, *, name: str = "ga-1", scope: str = "cases.write"
) -> Any:
    headers = {"Authorization": f"Bearer {access_token(service, scope=scope)}"}
    return client.put(f"/api/v1/cases/{name}", json=body, headers=headers)


def deliver(client: FlaskClient, service: OnlineService, company: Company, **fields: Any) -> Any:
    body = message(report(service, company)["recipient"], **fields)
    headers = {"Authorization": f"Bearer {access_token(service)}", "Idempotency-Key": uuid.uuid4().hex}
    return client.post("/api/v1/messages", json=body, headers=headers)


def test_states_make_a_case_with_its_messages(client: FlaskClient) -> None:
    membership, service = writer(client), authority()
    first = put_case(client, service, report(service, membership.company, text="Wir haben Ihre Anzeige."))
    assert first.status_code == 200, first.json
    assert first.json == {
        "id": "ga-1", "state": "received", "changed_at": "2026-11-20T11:00:00.000000Z", "is_open": True,
    }  # fmt: skip
    # Another service of the same sector goes on with the same case.
    other = authority(sector=service.sector)
    later = report(other, membership.company, state="action_required", at="2026-11-20T13:00:00Z",
                   link="https://gewerbe.musterstadt.example/1", public_service="99050012104000")  # fmt: skip
    assert put_case(client, other, later).json["state"] == "action_required"
    delivered = deliver(client, other, membership.company, subject="Rückfrage", reply={"allowed": True}, case="ga-1")
    assert delivered.status_code == 201, delivered.json
    assert chain.verify(membership.company_id).faults == []
    case = db.session.scalars(select(Case)).one()
    listed = client.get("/vorgaenge").text
    assert faults(listed) == [] and "Sie sind gefragt" in listed and f"/vorgaenge/{case.id}" in listed
    page = client.get(f"/vorgaenge/{case.id}").text
    assert faults(page) == []
    for words in ("Wir haben Ihre Anzeige.", "Rückfrage", "Weiter beim Dienst", "gewerbe.musterstadt.example"):
        assert words in page, words
    # Looking at the case opens nothing.
    kept = db.session.scalars(select(Message)).one()
    assert kept.is_unread and kept.first_retrieved_at is None
    opened = client.get(f"/postfach/{kept.id}").text
    assert f"/vorgaenge/{case.id}" in opened
    form = client.get(f"/postfach/{kept.id}/antworten").text
    save(client, form, body="Hier")
    draft = form_address(form)
    send(client, draft, client.get(f"{draft}/pruefen").text)
    assert "Antwort: Rückfrage" in client.get(f"/vorgaenge/{case.id}").text

    assert put_case(client, service, report(service, membership.company, state="completed", at="2026-11-21T08:00:00Z"))
    assert "Keine offenen Vorgänge" in client.get("/vorgaenge").text
    assert str(case.id) in client.get("/vorgaenge/abgeschlossen").text
    assert len(db.session.scalars(select(AuditEvent).filter_by(event="case.state_set")).all()) == 3


def test_the_same_report_changes_nothing(client: FlaskClient) -> None:
    company, service = writer(client).company, authority()
    body = report(service, company)
    assert put_case(client, service, body).data == put_case(client, service, body).data
    assert len(db.session.scalars(select(CaseEvent)).all()) == 1
    refused = put_case(client, service, {**body, "text": "Anders"})
    assert (refused.status_code, refused.json["code"]) == (422, "case_state_differs")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(list(enumerate(STATES))), name=st.uuids())
def test_in_any_order_the_newest_by_its_time_counts(client: FlaskClient, order: Any, name: uuid.UUID) -> None:
    company, service = make_company(), authority()
    for number, one in order:
        at = NOON + timedelta(hours=number)
        case = state(company, service, state=one, at=at, name=str(name), title=f"Titel {number}")
    assert (case.state, case.title, case.is_open) == ("completed", "Titel 5", False)
    assert len(db.session.scalars(select(CaseEvent).filter_by(case_id=case.id)).all()) == len(STATES)


def test_nobody_sees_or_changes_a_foreign_case(client: FlaskClient) -> None:
    company, service, stranger = make_company(), authority(), authority()
    case = state(company, service, state="received")
    db.session.commit()
    writer(client)
    assert (
        client.get(f"/vorgaenge/{case.id}").status_code == client.get(f"/vorgaenge/{uuid.uuid4()}").status_code == 404
    )
    assert "Gewerbeanmeldung" not in Tree(client.get("/vorgaenge").text).all("main")[0].text
    # Another sector has its own cases under the same name; another company cannot be given this one.
    assert put_case(client, stranger, report(stranger, company, state="completed")).status_code == 200
    other = make_company()
    assert put_case(client, service, report(service, other)).json["code"] == "case_unknown"
    assert deliver(client, service, other, case="ga-1").json["code"] == "case_unknown"
    assert deliver(client, service, company, case="gibt-es-nicht").json["code"] == "case_unknown"
    db.session.refresh(case)
    assert case.state == "received"


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"state": "lost"}, "/state", "literal_error"),
        ({"at": "2026-11-20T12:00:00"}, "/at", "no_date"),
        ({"at": "gestern"}, "/at", "no_date"),
        ({"title": ""}, "/title", "string_too_short"),
        ({"title": "x" * 256}, "/title", "string_too_long"),
        ({"title": "a\u202eb"}, "/title", "forbidden_character"),
        ({"text": "x" * 501}, "/text", "string_too_long"),
        ({"public_service": "123"}, "/public_service", "string_pattern_mismatch"),
        ({"link": "http://evil.example/"}, "/link", "no_link"),
        ({"link": "javascript:alert(1)"}, "/link", "no_link"),
        ({"link": "https://a:b@evil.example/"}, "/link", "no_link"),
        ({"link": "https://[evil"}, "/link", "no_link"),
        ({"more": 1}, "/more", "extra_forbidden"),
    ],
)
def test_a_faulty_report_is_named_by_pointer(client: FlaskClient, fields: Any, pointer: str, code: str) -> None:
    service = authority()
    refused = put_case(client, service, report(service, make_company(), **fields))
    assert (refused.status_code, refused.json["code"]) == (400, "invalid_input")
    assert [(one["pointer"], one["code"]) for one in refused.json["errors"]] == [(pointer, code)]


def test_other_refusals(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    service, company = authority(), make_company()
    body = report(service, company)
    assert put_case(client, service, {**body, "at": "2199-01-01T00:00:00Z"}).json["code"] == "case_in_future"
    assert put_case(client, service, body, name="a b").json["code"] == "case_id_invalid"
    assert put_case(client, service, body, name="x" * 101).json["code"] == "case_id_invalid"
    assert put_case(client, service, body, scope="mailbox.deliver").json["code"] == "insufficient_scope"
    assert put_case(client, service, {**body, "recipient": {"org_sub": "du-" + "0" * 40}}).status_code == 404
    headers = {"Authorization": f"Bearer {access_token(service, scope='cases.write')}"}
    for data, code in ((b"{", "invalid_json"), (b"[]", "invalid_json"), (b"x" * 70_000, "too_large")):
        refused = client.put("/api/v1/cases/a", data=data, headers=headers, content_type="application/json")
        assert refused.json["code"] == code
    assert client.put("/api/v1/cases/a", data={"a": "b"}, headers=headers).json["code"] == "unsupported_type"
    monkeypatch.setattr(actions, "EVENTS_PER_CASE", 1)
    assert put_case(client, service, body).status_code == 200
    assert put_case(client, service, {**body, "state": "processing"}).json["code"] == "case_full"


def test_history_cannot_be_changed(client: FlaskClient) -> None:
    state(make_company(), authority(), state="received")
    db.session.commit()
    with pytest.raises(Exception, match="never changes"):
        db.session.execute(text("UPDATE case_events SET state = 'completed'"))


def test_pages_cost_the_same_whatever_is_there(client: FlaskClient) -> None:
    membership, service, counts = writer(client), authority(), []
    for number in range(28):
        case = state(
            membership.company, service, state="processing", at=NOON + timedelta(minutes=number), name=f"c-{number}"
        )
        put(membership.company, service, case="c-0", reply=PLAIN_REPLY)
        if number in (0, 27):
            db.session.commit()
            with counted_statements() as statements:
                page = client.get("/vorgaenge").text
                client.get(f"/vorgaenge/{db.session.scalars(select(Case.id).filter_by(external_id='c-0')).one()}")
            counts.append(len(statements))
    assert counts[0] == counts[1]
    assert page.count("app-entry__title") == 25 and str(case.id) in page
    older = page.split('rel="next" href="')[1].split('"')[0]
    assert client.get(older).text.count("app-entry__title") == 3


def test_hostile_titles_and_texts_stay_text(client: FlaskClient) -> None:
    membership, service = writer(client), authority()
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)> **x** [a](javascript:x)"
    case = state(membership.company, service, state="action_required", title=evil, text=evil)
    db.session.commit()
    for path in ("/vorgaenge", f"/vorgaenge/{case.id}"):
        page = client.get(path).text
        assert faults(page) == [] and "<script>alert" not in page and "<img src=x" not in page


def test_the_pages_speak_english(client: FlaskClient) -> None:
    membership = writer(client)
    address = a_case(membership)
    client.set_cookie("sprache", "en")
    for path in ("/vorgaenge", "/vorgaenge/abgeschlossen", address):
        assert faults(client.get(path).text, language="en") == [], path
    assert "Your action is needed" in client.get(address).text
