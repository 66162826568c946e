"""Messages that may be answered, delivered by the API, and the replies fetched by it."""

import json
import unicodedata
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select

from tests.factories import access_token, csrf_token
from tests.mailbox.conversations.writing_data import (
    PDF_NAME,
    PLAIN_REPLY,
    asking,
    authority,
    form_address,
    full_answer,
    save,
    send,
    writer,
)
from tests.mailbox.samples import MINIMAL_PDF, message
from unternehmenskonto import keys
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company
from unternehmenskonto.companies.subjects import subject
from unternehmenskonto.db import db
from unternehmenskonto.mailbox import chain
from unternehmenskonto.mailbox.conversations.models import SentMessage
from unternehmenskonto.mailbox.conversations.questions import Invalid, Question, answer_to
from unternehmenskonto.mailbox.models import Message

QUESTIONS = [
    {"id": "zweck", "kind": "text", "label": "Wozu dient die Fläche?", "required": True},
    {"id": "betrieb", "kind": "yes_no", "label": "Ist der Betrieb geöffnet?", "required": True},
    {"id": "termin", "kind": "date_choice", "label": "Termin", "choices": ["2027-01-11", "2027-01-12T09:30:00+01:00"]},
    {"id": "umsatz", "kind": "amount", "label": "Wie hoch war der Umsatz?"},
    {"id": "plan", "kind": "upload", "label": "Lageplan", "required": True},
]


def bearer(service: OnlineService, scope: str = "mailbox.deliver mailbox.replies") -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token(service, scope=scope)}"}


def deliver(client: FlaskClient, service: OnlineService, company: Company, reply: Any, key: str = "") -> Any:
    body = message({"org_sub": subject(sector=service.sector, company_id=company.id)}, reply=reply)
    db.session.commit()
    headers = {**bearer(service), "Idempotency-Key": key or uuid.uuid4().hex}
    return client.post("/api/v1/messages", json=body, headers=headers)


def answer(client: FlaskClient, message_id: str, **fields: Any) -> SentMessage:
    """Open, write, review and send as a person does."""
    client.get(f"/postfach/{message_id}")
    form = client.get(f"/postfach/{message_id}/antworten").text
    draft = form_address(form)
    assert save(client, form, **fields).status_code == 303
    done = send(client, draft, client.get(f"{draft}/pruefen").text)
    return db.session.get_one(SentMessage, (done_company(done), uuid.UUID(draft.rsplit("/", 1)[1])))


def done_company(done: Any) -> uuid.UUID:
    assert done.status_code == 303
    sent_id = uuid.UUID(done.headers["Location"].split("?")[0].rsplit("/", 1)[1])
    return db.session.scalars(select(SentMessage.company_id).filter_by(id=sent_id)).one()


def test_question_reply_fetch_and_acknowledgement(client: FlaskClient) -> None:
    membership, service = writer(client), authority()
    wanted = {"allowed": True, "until": "2099-12-31", "attachments": True, "questions": QUESTIONS}
    delivered = deliver(client, service, membership.company, wanted)
    assert delivered.status_code == 201, delivered.json
    assert chain.verify(membership.company_id).faults == []
    sent = answer(client, delivered.json["id"], **full_answer(MINIMAL_PDF))

    page = client.get("/api/v1/replies", headers=bearer(service)).json
    assert (page["next"], page["has_more"], len(page["replies"])) == ("1", False, 1)
    (reply,) = page["replies"]
    assert (reply["id"], reply["in_reply_to"], reply["kind"]) == (str(sent.id), delivered.json["id"], "reply")
    assert {one["id"]: one["value"] for one in reply["answers"]} == {
        "zweck": "Lager für Baustoffe", "betrieb": True, "termin": "2027-01-12T09:30:00+01:00",
        "umsatz": "1234.50", "plan": [PDF_NAME],
    }  # fmt: skip
    assert reply["org_sub"] == subject(sector=service.sector, company_id=membership.company_id)
    assert (reply["company_name"], reply["sender_name"]) == (membership.company.name, membership.person.name)
    assert reply["acknowledged_at"] is None
    assert client.get(f"/api/v1/replies/{sent.id}", headers=bearer(service)).json == reply
    (file,) = reply["attachments"]
    fetched = client.get(f"/api/v1/replies/{sent.id}/attachments/{file['id']}", headers=bearer(service))
    assert fetched.data == MINIMAL_PDF and file["question"] == "plan"
    assert fetched.headers["Repr-Digest"].startswith("sha-256=:")

    place = f"/api/v1/replies/{sent.id}/acknowledgement"
    first = client.put(place, headers=bearer(service))
    assert first.status_code == 200
    assert client.put(place, headers=bearer(service)).json == first.json
    claims = jwt.decode(first.json["receipt"], KeySet.import_key_set(keys.jwks()), algorithms=["ES256"]).claims
    assert (claims["receipt"], claims["acknowledged_at"]) == ("acknowledged", first.json["acknowledged_at"])
    shown = client.get(f"/postfach/gesendet/{sent.id}").text
    assert "noch nicht abgeholt" not in shown and "/nachweis/eingegangen" in shown
    assert client.get(f"/postfach/gesendet/{sent.id}/nachweis/eingegangen").text == first.json["receipt"]
    assert client.get("/api/v1/replies?after=1", headers=bearer(service)).json == {
        "replies": [], "next": "1", "has_more": False,
    }  # fmt: skip


def test_the_cursor_walks_through_all_in_order(client: FlaskClient) -> None:
    membership, service = writer(client), authority()
    asked = asking(membership.company, service, reply=PLAIN_REPLY)
    for number in range(5):
        answer(client, str(asked.id), body=f"Antwort {number}")
    found, cursor, more = [], "", True
    while more:
        page = client.get(f"/api/v1/replies?limit=2&after={cursor}", headers=bearer(service)).json
        found += [one["body"] for one in page["replies"]]
        cursor, more = page["next"], page["has_more"]
    assert found == [f"Antwort {number}" for number in range(5)]


def test_nobody_gets_what_belongs_to_another_service(client: FlaskClient) -> None:
    membership, service, other = writer(client), authority(), authority()
    sent = answer(client, str(asking(membership.company, service, reply=PLAIN_REPLY).id), body="Vertraulich")
    assert client.get("/api/v1/replies", headers=bearer(other)).json["replies"] == []
    for path in (f"/{sent.id}", f"/{sent.id}/attachments/{uuid.uuid4()}", f"/{uuid.uuid4()}"):
        refused = client.get(f"/api/v1/replies{path}", headers=bearer(other))
        assert (refused.status_code, refused.json["code"]) == (404, "reply_unknown"), path
    assert client.put(f"/api/v1/replies/{sent.id}/acknowledgement", headers=bearer(other)).status_code == 404
    assert sent.acknowledged_at is None
    refused = client.get("/api/v1/replies", headers=bearer(service, "mailbox.deliver"))
    assert (refused.status_code, refused.json["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=1" + "0" * 20, "limit=0", "limit=51", "limit=x"])
def test_a_bad_cursor_is_explained(client: FlaskClient, query: str) -> None:
    refused = client.get(f"/api/v1/replies?{query}", headers=bearer(authority()))
    assert (refused.status_code, refused.json["code"]) == (400, "invalid_cursor")


def question(**fields: Any) -> dict[str, Any]:
    return {"allowed": True, "questions": [{"id": "a", "kind": "text", "label": "x", **fields}]}


@pytest.mark.parametrize(
    ("reply", "pointer", "code"),
    [
        ({}, "/reply/allowed", "missing"),
        ({"allowed": 1}, "/reply/allowed", "bool_type"),
        ({"allowed": False, "attachments": True}, "/reply", "reply_not_allowed"),
        ({"allowed": True, "until": "morgen"}, "/reply/until", "no_date"),
        ({"allowed": True, "until": "2026-02-30"}, "/reply/until", "no_date"),
        ({"allowed": True, "questions": {}}, "/reply/questions", "list_type"),
        (question(kind="number"), "/reply/questions/0/kind", "literal_error"),
        (question(id="A b"), "/reply/questions/0/id", "string_pattern_mismatch"),
        (question(label=""), "/reply/questions/0/label", "string_too_short"),
        (question(label="x" * 256), "/reply/questions/0/label", "string_too_long"),
        (question(choices=["2026-12-01"]), "/reply/questions/0", "choices_and_kind"),
        (question(kind="date_choice"), "/reply/questions/0", "choices_and_kind"),
        (question(kind="date_choice", choices=["bald"]), "/reply/questions/0/choices/0", "no_date"),
        (question(kind="date_choice", choices=["2026-12-01T09:00"]), "/reply/questions/0/choices/0", "no_date"),
        (question(kind="date_choice", choices=["2026-12-01"] * 2), "/reply/questions/0", "choices_and_kind"),
        (question(more=1), "/reply/questions/0/more", "extra_forbidden"),
        ({"allowed": True, "questions": [question()["questions"][0]] * 2}, "/reply", "question_twice"),
        ({"allowed": True, "questions": [question()["questions"][0]] * 21}, "/reply/questions", "too_long"),
    ],
)
def test_a_faulty_reply_is_named_by_pointer(client: FlaskClient, reply: Any, pointer: str, code: str) -> None:
    membership = writer(client)
    refused = deliver(client, authority(), membership.company, reply)
    assert (refused.status_code, refused.json["code"]) == (400, "invalid_input")
    assert [(one["pointer"], one["code"]) for one in refused.json["errors"]] == [(pointer, code)]
    assert all(one["detail"] for one in refused.json["errors"])


def test_a_day_that_is_over_is_refused(client: FlaskClient) -> None:
    refused = deliver(client, authority(), writer(client).company, {"allowed": True, "until": "2020-01-01"})
    assert (refused.status_code, refused.json["code"]) == (400, "reply_is_over")


def test_the_same_delivery_with_another_reply_is_another(client: FlaskClient) -> None:
    membership, service = writer(client), authority()
    first = deliver(client, service, membership.company, {"allowed": True}, key="k")
    assert deliver(client, service, membership.company, {"allowed": True}, key="k").data == first.data
    assert deliver(client, service, membership.company, None, key="k").json["code"] == "idempotency_key_reused"
    # No reply, and one that is not allowed, are the same message.
    plain = deliver(client, service, membership.company, None, key="p")
    assert deliver(client, service, membership.company, {"allowed": False}, key="p").data == plain.data


def test_records_and_fingerprints_of_older_messages_stay_as_they_were(client: FlaskClient) -> None:
    membership = writer(client)
    old = asking(membership.company, reply=None)
    assert len(json.loads(chain.record_of(old, []))) == 21
    new = asking(membership.company, reply=PLAIN_REPLY)
    assert json.loads(chain.record_of(new, []))[21] == {"reply": PLAIN_REPLY}
    assert chain.verify(membership.company_id).faults == []
    with pytest.raises(Exception, match="never changes"):
        db.session.execute(db.update(Message).values(reply=None))
    db.session.rollback()


AMOUNT = Question(id="a", kind="amount", label="Betrag", choices=(), required=False)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("0", "0.00"), ("26", "26.00"), ("26,5", "26.50"), ("1.234,56 €", "1234.56"), ("1234.5", "1234.50"),
        ("1,234.56", "1234.56"), ("1.234", "1234.00"), ("12 500,00", "12500.00"), ("007", "7.00"), (" ", None),
    ],
)  # fmt: skip
def test_amounts_as_people_write_them(app: object, typed: str, value: str | None) -> None:
    assert answer_to(AMOUNT, typed, []) == value


@pytest.mark.parametrize("typed", ["viel", "-1", "1,234", "1.23.4", "1e9", "٣", "1" * 13, "1,2,3", "NaN"])
def test_what_is_no_amount(app: object, typed: str) -> None:
    with pytest.raises(Invalid):
        answer_to(AMOUNT, typed, [])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["text", "yes_no", "date_choice", "amount"]), typed=st.text(max_size=200))
def test_any_typed_text_is_an_answer_or_explained(app: object, kind: str, typed: str) -> None:
    asked = Question(id="a", kind=kind, label="<b>", choices=("2026-12-01",), required=True)
    try:
        value = answer_to(asked, typed, [])
    except Invalid as error:
        assert str(error)
    else:
        hidden = {character for character in str(value) if unicodedata.category(character) in ("Cc", "Cs", "Cn")}
        assert hidden <= {"\n", "\t"}


def test_any_form_is_answered_without_a_fault_of_ours(client: FlaskClient) -> None:
    membership = writer(client)
    asked = asking(membership.company)
    client.get(f"/postfach/{asked.id}")
    address = form_address(client.get(f"/postfach/{asked.id}/antworten").text)
    token = csrf_token(client)
    for fields in (
        {}, {"message_id": "x"}, {"message_id": str(asked.id)}, {"service": "\ud83d", "message_id": ""},
        {"message_id": str(asked.id), "version": "9" * 40, "weiter": "x", "removed": ["x", str(uuid.uuid4())]},
        {"message_id": str(asked.id), "frage-betrieb": ["vielleicht", "ja"], "frage-termin": "2026-01-01"},
        {"message_id": str(asked.id), "body": "x" * 30_000, "frage-zweck": "y" * 5000, "weiter": "pruefen"},
    ):  # fmt: skip
        data = {name: value for name, value in fields.items() if value != "\ud83d"}
        answered = client.post(address, data={**data, "csrf_token": token})
        assert answered.status_code in (303, 404, 409, 422), fields
