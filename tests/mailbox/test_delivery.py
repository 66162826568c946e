"""Delivering messages: what is answered, kept and proved."""

import hashlib
import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import event, select
from werkzeug.test import TestResponse

from tests.factories import access_token, make_company, make_membership, make_service, org_sub
from tests.mailbox.samples import MINIMAL_PDF, decision, message, multipart
from unternehmenskonto import keys, storage
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox import receipts
from unternehmenskonto.mailbox.models import Attachment, ChainLink, Mailbox, Message, Receipt
from unternehmenskonto.mailbox.problems import PROBLEMS
from unternehmenskonto.notifications.models import Notice

W_IDNR = {"w_idnr": "DE900000006-00001"}


def post(client: FlaskClient, headers: dict[str, str], body: Any) -> TestResponse:
    return client.post("/api/v1/messages", json=body, headers={**headers, "Idempotency-Key": uuid.uuid4().hex})


def test_a_message_arrives(
    client: FlaskClient, headers: dict[str, str], sender: OnlineService, company: Company
) -> None:
    answer = post(client, headers, message({"org_sub": org_sub(sender, company)}, reference="GA-2026-0001"))
    assert answer.status_code == 201, answer.json
    kept = db.session.scalars(select(Message)).one()
    assert answer.json["id"] == str(kept.id)
    assert answer.json["sequence_number"] == kept.sequence_number == 1
    assert (kept.company_id, kept.service, kept.sender_authority) == (company.id, sender.slug, sender.authority)
    assert (kept.reference, kept.is_unread, kept.announced_on) == ("GA-2026-0001", True, None)
    mailbox = db.session.get_one(Mailbox, company.id)
    assert (mailbox.last_sequence, mailbox.unread_count) == (1, 1)
    assert mailbox.head == db.session.scalars(select(ChainLink.hash)).one()
    delivered = db.session.scalars(select(AuditEvent).filter_by(event="message.delivered")).one()
    assert (delivered.by, delivered.company_id) == (f"client:{sender.slug}", company.id)
    assert db.session.scalars(select(Notice.message_id)).all() == [kept.id]


@pytest.mark.parametrize(
    "recipient",
    [
        {"w_idnr": "DE900000006-00001"},
        {"w_idnr": "de 900000006"},
        {"vat_id": "DE900000006"},
        {"register": {"court": "Amtsgericht Musterstadt", "type": "HRB", "number": "12345"}},
    ],
)
def test_the_company_is_found_by_its_numbers(
    client: FlaskClient, headers: dict[str, str], company: Company, recipient: dict[str, Any]
) -> None:
    assert post(client, headers, message(recipient)).status_code == 201
    assert db.session.scalars(select(Message.company_id)).all() == [company.id]


def test_messages_of_a_mailbox_are_counted_without_gaps(
    client: FlaskClient, headers: dict[str, str], company: Company
) -> None:
    numbers = [post(client, headers, message(W_IDNR)).json["sequence_number"] for _ in range(3)]
    other = make_company(identifiers={"vat_id": "DE900000014"})
    db.session.commit()
    assert numbers == [1, 2, 3]
    assert post(client, headers, message({"vat_id": "DE900000014"})).json["sequence_number"] == 1
    assert db.session.get_one(Mailbox, other.id).last_sequence == 1


@pytest.mark.parametrize(
    ("regime", "announced_on", "remedy_ends_on"),
    [
        ("ozg9", "2026-12-05", "2027-01-05"),
        ("ao122a", "2026-12-07", "2027-01-07"),
        ("vwvfg41_2a", None, None),
    ],
)
def test_a_decision_gets_its_dates(
    client: FlaskClient,
    headers: dict[str, str],
    company: Company,
    regime: str,
    announced_on: str | None,
    remedy_ends_on: str | None,
) -> None:
    # 23:30 UTC on 30 November is 1 December in German legal time.
    with time_machine.travel(datetime(2026, 11, 30, 23, 30, tzinfo=UTC), tick=False):
        body = decision(W_IDNR, regime=regime)
        fresh = {**headers, "Authorization": f"Bearer {access_token(db.session.scalars(select(OnlineService)).one())}"}
        answer = post(client, fresh, body)
    assert answer.status_code == 201, answer.json
    assert (answer.json["announced_on"], answer.json["remedy_ends_on"]) == (announced_on, remedy_ends_on)
    kept = db.session.scalars(select(Message)).one()
    assert (kept.remedy_kind, kept.remedy_length, kept.remedy_unit) == ("objection", 1, "month")
    assert kept.rule_version


def test_where_no_land_is_named_the_installation_decides(
    client: FlaskClient, headers: dict[str, str], company: Company
) -> None:
    body = decision(W_IDNR)
    del body["decision"]["land"]
    assert post(client, headers, body).status_code == 201
    assert db.session.scalars(select(Message.land)).one() == "NW"


def test_attachments_are_stored_with_their_digest(
    client: FlaskClient, headers: dict[str, str], company: Company
) -> None:
    files = [("Bescheid.pdf", MINIMAL_PDF), ("Bescheid.pdf", MINIMAL_PDF), ("Übersicht.csv", "a;ä\n".encode())]
    answer = client.post("/api/v1/messages", headers=headers, **multipart(message(W_IDNR), files))
    assert answer.status_code == 201, answer.json
    assert [(a["file_name"], a["media_type"], a["size"], a["sha256"]) for a in answer.json["attachments"]] == [
        ("Bescheid.pdf", "application/pdf", len(MINIMAL_PDF), hashlib.sha256(MINIMAL_PDF).hexdigest()),
        ("Bescheid.pdf", "application/pdf", len(MINIMAL_PDF), hashlib.sha256(MINIMAL_PDF).hexdigest()),
        ("Übersicht.csv", "text/csv", 5, hashlib.sha256("a;ä\n".encode()).hexdigest()),
    ]
    kept = db.session.scalars(select(Attachment).order_by(Attachment.position)).all()
    assert b"".join(storage.stream(kept[0].path, sha256=kept[0].sha256)) == MINIMAL_PDF


def test_receipts_are_verified_with_the_published_keys_alone(
    client: FlaskClient, headers: dict[str, str], sender: OnlineService, company: Company
) -> None:
    body = message(W_IDNR)
    answer = client.post("/api/v1/messages", headers=headers, **multipart(body, [("a.pdf", MINIMAL_PDF)])).json
    published = KeySet.import_key_set(keys.jwks())
    for kind in ("accepted", "made_available"):
        token = jwt.decode(answer["receipts"][kind], published, algorithms=["ES256"])
        assert token.header["typ"] == "receipt+jwt"
        assert token.claims["receipt"] == kind
        assert token.claims["iss"] == "http://127.0.0.1:8000"
        assert (token.claims["message_id"], token.claims["sequence_number"]) == (answer["id"], 1)
        assert (token.claims["sender"], token.claims["mailbox"]) == (sender.slug, org_sub(sender, company))
        assert token.claims["body_sha256"] == hashlib.sha256(body["body"].encode()).hexdigest()
        assert token.claims["attachments"] == [
            {"sha256": hashlib.sha256(MINIMAL_PDF).hexdigest(), "size": len(MINIMAL_PDF)}
        ]
        assert token.claims["accepted_at"] == answer["accepted_at"]
    assert token.claims["made_available_at"] == answer["made_available_at"]
    assert token.claims["chain_hash"] == db.session.scalars(select(ChainLink.hash)).one().hex()
    assert "GmbH" not in str(token.claims)
    assert {r.kind: r.jws for r in db.session.scalars(select(Receipt))} == answer["receipts"]


def test_the_sender_learns_of_the_first_retrieval(
    client: FlaskClient, headers: dict[str, str], sender: OnlineService, company: Company
) -> None:
    answer = post(client, headers, message(W_IDNR)).json
    before = client.get(f"/api/v1/messages/{answer['id']}", headers=headers)
    assert (before.json["is_retrieved"], before.json["first_retrieved_at"]) == (False, None)
    assert {name: before.json[name] for name in answer} == answer

    kept = db.session.scalars(select(Message)).one()
    kept.first_retrieved_at, kept.first_retrieved_by = now(), make_membership(company=company).id
    receipts.issue_for_first_retrieval(kept)
    db.session.commit()
    after = client.get(f"/api/v1/messages/{answer['id']}", headers=headers).json
    assert after["is_retrieved"]
    proof = jwt.decode(after["receipts"]["first_retrieved"], KeySet.import_key_set(keys.jwks()), algorithms=["ES256"])
    assert proof.claims["first_retrieved_at"] == after["first_retrieved_at"]
    assert proof.claims["receipt"] == "first_retrieved"
    assert proof.claims["message_id"] == answer["id"]


def test_nobody_else_can_ask_for_a_message(client: FlaskClient, headers: dict[str, str], company: Company) -> None:
    answer = post(client, headers, message(W_IDNR)).json
    stranger = make_service(is_mailbox_sender=True)
    token = {"Authorization": f"Bearer {access_token(stranger)}"}
    db.session.commit()
    foreign = client.get(f"/api/v1/messages/{answer['id']}", headers=token)
    unknown = client.get(f"/api/v1/messages/{uuid.uuid4()}", headers=token)
    assert (foreign.status_code, foreign.json["code"]) == (404, "message_unknown")
    assert {**foreign.json, "instance": ""} == {**unknown.json, "instance": ""}


def test_a_delivery_costs_a_fixed_number_of_statements(
    app: Flask, client: FlaskClient, headers: dict[str, str], company: Company
) -> None:
    post(client, headers, message(W_IDNR))
    counts = []
    for _ in range(3):
        statements: list[str] = []

        def count(*arguments: Any, seen: list[str] = statements) -> None:
            if not arguments[2].startswith(("SAVEPOINT", "RELEASE")):
                seen.append(arguments[2])

        event.listen(db.engine, "before_cursor_execute", count)
        post(client, headers, message(W_IDNR))
        event.remove(db.engine, "before_cursor_execute", count)
        counts.append(len(statements))
    assert counts[0] == counts[1] == counts[2]
    assert 5 < counts[0] <= 17, "\n".join(statements)


def test_a_message_can_have_every_letter_of_europe(
    client: FlaskClient, headers: dict[str, str], company: Company
) -> None:
    subject = "Straße Ĳsselmeer Żółć Ñandú Ελλάδα Ћирилица a\u0308"
    assert post(client, headers, message(W_IDNR, subject=subject, body="👩‍🔬 Zeilen\r\nund\tTabs")).status_code == 201
    kept = db.session.scalars(select(Message)).one()
    assert kept.subject == "Straße Ĳsselmeer Żółć Ñandú Ελλάδα Ћирилица ä"
    assert kept.body == "👩‍🔬 Zeilen\nund\tTabs"


def test_delivered_facts_cannot_be_changed(client: FlaskClient, headers: dict[str, str], company: Company) -> None:
    post(client, headers, decision(W_IDNR))
    membership_id = make_membership(company=company).id
    kept = db.session.scalars(select(Message)).one()
    kept.first_retrieved_at, kept.first_retrieved_by, kept.is_unread = now(), membership_id, False
    db.session.commit()
    for name, value in {
        "subject": "Anderes",
        "made_available_at": now() - timedelta(days=1),
        "first_retrieved_at": now(),
        "announced_on": now().date(),
        "remedy_ends_on": now().date(),
    }.items():
        setattr(db.session.scalars(select(Message)).one(), name, value)
        with pytest.raises(Exception, match="never changes"):
            db.session.flush()
        db.session.rollback()


def test_the_openapi_document_names_what_the_code_does(client: FlaskClient) -> None:
    document = client.get("/api/v1/openapi.json").json
    assert document["openapi"].startswith("3.1")
    post_operation = document["paths"]["/api/v1/messages"]["post"]
    assert set(post_operation["responses"]) == {"201", *(str(problem.status) for problem in PROBLEMS.values())}
    schema = document["components"]["schemas"]["MessageSchema"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["subject"]["maxLength"] == 255
    assert schema["properties"]["body"]["maxLength"] == 100_000
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in document["components"]["schemas"]


def test_the_table_of_problems_is_a_page_and_a_document(client: FlaskClient) -> None:
    rows = client.get("/api/v1/problems", headers={"Accept": "application/json"}).json["problems"]
    assert all(row["detail"] and row["remedy"] and row["status"] >= 400 for row in rows)
    page = client.get("/api/v1/problems", headers={"Accept": "text/html"}).get_data(as_text=True)
    assert all(f'id="{row["code"]}"' in page for row in rows)
