"""Every refusal of the delivery API: status, code, what to do, and nothing left behind."""

import base64
import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.factories import access_token, make_service, org_sub
from tests.mailbox.samples import MINIMAL_PDF, decision, message, multipart
from unternehmenskonto import keys
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db
from unternehmenskonto.mailbox import api, intake
from unternehmenskonto.mailbox.models import Attachment, IdempotencyKey, Mailbox, Message
from unternehmenskonto.mailbox.problems import PROBLEMS
from unternehmenskonto.storage import folder

W_IDNR = {"w_idnr": "DE900000006-00001"}
MIB = 1024 * 1024
WRONG = base64.b64encode(bytes(32)).decode()


def refused(client: FlaskClient, headers: dict[str, str], status: int, code: str, **request: Any) -> dict[str, Any]:
    """Send, and check form and consequences of the refusal; return the problem."""
    answer = client.post("/api/v1/messages", headers=headers, **request)
    problem = answer.get_json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert answer.mimetype == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"] == f"/api/v1/problems#{code}"
    assert code in PROBLEMS
    assert problem["detail"] and problem["title"] and problem["instance"].startswith("urn:")
    assert answer.headers["Cache-Control"] == "no-store"
    for model in (Message, Mailbox, Attachment, IdempotencyKey):
        assert db.session.scalars(select(model)).all() == []
    assert [path for path in folder().rglob("*") if path.is_file()] == []
    return problem


@pytest.fixture(autouse=True)
def empty_store(app: Any) -> None:
    for path in folder().rglob("*"):
        if path.is_file():
            path.unlink()


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"subject": ""}, "/subject", "string_too_short"),
    ({"subject": "   "}, "/subject", "string_too_short"),
    ({"subject": "x" * 256}, "/subject", "string_too_long"),
    ({"subject": "a\nb"}, "/subject", "forbidden_character"),
    ({"subject": "a\u0000b"}, "/subject", "forbidden_character"),
    ({"subject": "Rechnung\u202efdp.exe"}, "/subject", "forbidden_character"),
    ({"subject": "zero\u200bwidth"}, "/subject", "forbidden_character"),
    ({"subject": "\ufdd0"}, "/subject", "forbidden_character"),
    ({"subject": 5}, "/subject", "string_type"),
    ({"subject": None}, "/subject", "string_type"),
    ({"body": " \n\t "}, "/body", "string_too_short"),
    ({"body": "x" * 100_001}, "/body", "string_too_long"),
    ({"body": "\u001b[2J"}, "/body", "forbidden_character"),
    ({"body_format": "html"}, "/body_format", "literal_error"),
    ({"kind": "order"}, "/kind", "literal_error"),
    ({"reference": "x" * 256}, "/reference", "string_too_long"),
    ({"company_id": "1"}, "/company_id", "extra_forbidden"),
    ({"is_unread": False}, "/is_unread", "extra_forbidden"),
    ({"recipient": {}}, "/recipient", "one_recipient"),
    ({"recipient": {**W_IDNR, "vat_id": "DE900000006"}}, "/recipient", "one_recipient"),
    ({"recipient": {"w_idnr": None}}, "/recipient", "one_recipient"),
    ({"recipient": {"org_sub": "du-1"}}, "/recipient/org_sub", "string_pattern_mismatch"),
    ({"recipient": {"register": {"court": "Kiel"}}}, "/recipient/register/type", "missing"),
    ({"recipient": "DE900000006"}, "/recipient", "model_type"),
    ({"kind": "decision"}, "", "decision_and_kind"),
    ({"decision": decision(W_IDNR)["decision"]}, "", "decision_and_kind"),
]


@pytest.mark.parametrize(("fields", "pointer", "code"), FAULTS)
def test_a_faulty_field_is_named(
    client: FlaskClient, headers: dict[str, str], company: Company, fields: dict[str, Any], pointer: str, code: str
) -> None:
    problem = refused(client, headers, 400, "invalid_input", json={**message(W_IDNR), **fields})
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in problem["errors"]]
    assert all(error["detail"] for error in problem["errors"])


@pytest.mark.parametrize(
    ("remedy", "pointer", "code"),
    [
        ({"length": 0}, "/decision/remedy/length", "greater_than_equal"),
        ({"length": 367}, "/decision/remedy/length", "less_than_equal"),
        ({"length": 25}, "/decision/remedy", "remedy_too_long"),
        ({"length": True}, "/decision/remedy/length", "int_type"),
        ({"length": "1"}, "/decision/remedy/length", "int_type"),
        ({"unit": "hour"}, "/decision/remedy/unit", "literal_error"),
        ({"instructed": "yes"}, "/decision/remedy/instructed", "bool_type"),
        ({"addressee": ""}, "/decision/remedy/addressee", "string_too_short"),
    ],
)
def test_a_faulty_remedy_is_named(
    client: FlaskClient, headers: dict[str, str], company: Company, remedy: dict[str, Any], pointer: str, code: str
) -> None:
    body = decision(W_IDNR)
    body["decision"]["remedy"] |= remedy
    problem = refused(client, headers, 400, "invalid_input", json=body)
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in problem["errors"]]


def test_all_faults_come_at_once(client: FlaskClient, headers: dict[str, str], company: Company) -> None:
    problem = refused(client, headers, 400, "invalid_input", json={"subject": "", "body": 1, "kind": "x", "more": 1})
    assert [error["pointer"] for error in problem["errors"]] == ["/recipient", "/kind", "/subject", "/body", "/more"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"kind":"message","kind":"decision"}',
        b'{"kind":NaN}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"a":1' + b"0" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_is_refused(client: FlaskClient, headers: dict[str, str], raw: bytes) -> None:
    refused(client, headers, 400, "invalid_json", data=raw, content_type="application/json")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", None])
def test_other_types_are_refused(client: FlaskClient, headers: dict[str, str], content_type: str | None) -> None:
    refused(client, headers, 415, "unsupported_type", data=b"{}", content_type=content_type)


@pytest.mark.parametrize("key", [None, "", "mit leer", "ü", "x" * 256, "a\tb"])
def test_a_delivery_needs_a_key(client: FlaskClient, headers: dict[str, str], key: str | None) -> None:
    headers = {name: value for name, value in headers.items() if name != "Idempotency-Key"}
    if key is not None:
        headers["Idempotency-Key"] = key
    refused(client, headers, 400, "idempotency_key_missing", json=message(W_IDNR))


def test_a_delivery_needs_a_valid_token(client: FlaskClient, headers: dict[str, str], sender: OnlineService) -> None:
    other_audience = keys.sign(
        {"iss": "http://127.0.0.1:8000", "aud": "https://elsewhere.example", "exp": 2**31, "scope": "mailbox.deliver",
         "client_id": sender.slug}, use="token", alg="ES256", typ="at+jwt",
    )  # fmt: skip
    tokens = ["", "Bearer", "Basic abc", "Bearer nonsense", f"Bearer {other_audience}"]
    tokens.append(f"Bearer {access_token(sender, lifetime=-1)}")
    for token in tokens:
        answer = client.post("/api/v1/messages", json={}, headers={**headers, "Authorization": token})
        assert (answer.status_code, answer.json["code"]) == (401, "invalid_token")
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_delivery_needs_its_scope(client: FlaskClient, headers: dict[str, str], sender: OnlineService) -> None:
    headers["Authorization"] = f"Bearer {access_token(sender, scope='openid')}"
    refused(client, headers, 403, "insufficient_scope", json=message(W_IDNR))


@pytest.mark.parametrize("columns", [{"is_mailbox_sender": False}, {"is_enabled": False, "is_mailbox_sender": True}])
def test_only_enabled_senders_deliver(client: FlaskClient, headers: dict[str, str], columns: dict[str, Any]) -> None:
    service = make_service(**columns)
    headers["Authorization"] = f"Bearer {access_token(service)}"
    db.session.commit()
    refused(client, headers, 403, "sender_not_allowed", json=message(W_IDNR))


def test_an_unknown_company_is_told(client: FlaskClient, headers: dict[str, str], company: Company) -> None:
    for recipient in (
        {"w_idnr": "DE900000014-00001"},
        {"org_sub": "du-" + "0" * 40},
        {"register": {"court": "Kiel", "type": "HRB", "number": "1"}},
    ):
        refused(client, headers, 404, "recipient_unknown", json=message(recipient))


def test_a_pseudonym_of_another_sector_is_unknown(
    client: FlaskClient, headers: dict[str, str], company: Company
) -> None:
    foreign = {"org_sub": org_sub(make_service(), company)}
    db.session.commit()
    refused(client, headers, 404, "recipient_unknown", json=message(foreign))


def test_files_of_a_refused_delivery_are_removed(client: FlaskClient, headers: dict[str, str]) -> None:
    files = [("a.pdf", MINIMAL_PDF), ("b.pdf", MINIMAL_PDF)]
    refused(client, headers, 404, "recipient_unknown", **multipart(message(W_IDNR), files))


def test_too_many_requests_of_one_client(
    app: Flask, client: FlaskClient, headers: dict[str, str], company: Company
) -> None:
    with time_machine.travel(datetime(2026, 11, 23, 12, 0, tzinfo=UTC), tick=False):
        token = {"Authorization": f"Bearer {access_token(db.session.scalars(select(OnlineService)).one())}"}
        other = {"Authorization": f"Bearer {access_token(make_service(is_mailbox_sender=True))}"}
        db.session.commit()
        path = f"/api/v1/messages/{uuid.uuid4()}"
        answers = [client.get(path, headers=token) for _ in range(api.STATES_PER_MINUTE + 1)]
        assert {answer.status_code for answer in answers[:-1]} == {404}
        last = answers[-1]
        assert (last.status_code, last.json["code"]) == (429, "too_many_requests")
        assert 0 < int(last.headers["Retry-After"]) <= 61
        assert client.get(path, headers=other).status_code == 404


def test_a_body_that_takes_too_long_is_given_up(
    client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAXIMUM_SECONDS", -1)
    refused(client, headers, 408, "too_slow", json=message(W_IDNR))


@pytest.mark.parametrize("recipient", [{"w_idnr": "DE123456789"}, {"vat_id": "XX1"}, {"vat_id": "DE123456789"}])
def test_an_impossible_number_is_told(client: FlaskClient, headers: dict[str, str], recipient: dict[str, str]) -> None:
    refused(client, headers, 400, "invalid_identifier", json=message(recipient))


def test_a_large_json_body_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    data = json.dumps(message(W_IDNR, body="x" * MIB)).encode()
    refused(client, headers, 413, "too_large", data=data, content_type="application/json")


def test_an_announced_size_is_refused_unread(client: FlaskClient, headers: dict[str, str]) -> None:
    class Untouchable:
        def read(self, size: int = -1) -> bytes:
            raise AssertionError("the body was read")

        def readline(self, size: int = -1) -> bytes:
            raise AssertionError("the body was read")

    announced = {"wsgi.input": Untouchable(), "CONTENT_LENGTH": str(200 * MIB)}
    answer = client.post(
        "/api/v1/messages",
        headers=headers,
        content_type="multipart/form-data; boundary=x",
        environ_overrides=announced,
    )
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")


def test_limits_of_attachments(client: FlaskClient, headers: dict[str, str], company: Company) -> None:
    small = [("a.txt", b"a")] * 21
    refused(client, headers, 413, "too_many_attachments", **multipart(message(W_IDNR), small))
    large = [("a.txt", b"a" * (25 * MIB + 1))]
    refused(client, headers, 413, "attachment_too_large", **multipart(message(W_IDNR), large))
    together = [("a.txt", b"a" * (25 * MIB))] * 4 + [("b.txt", b"b")]
    refused(client, headers, 413, "too_large", **multipart(message(W_IDNR), together))


def test_a_large_message_part_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    refused(client, headers, 413, "too_large", **multipart(b" " * (MIB + 1), []))


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("leer.txt", b"", 422, "attachment_empty"),
        ("a.docx", b"PK\x03\x04", 415, "attachment_type"),
        ("a.exe", b"MZ\x90\x00", 415, "attachment_type"),
        ("ohne", b"text", 415, "attachment_type"),
        ("bild.png", MINIMAL_PDF, 415, "attachment_type"),
        ("a.txt", b"\xff\xfe", 422, "attachment_damaged"),
        ("a.pdf", MINIMAL_PDF.replace(b"/Catalog", b"/Catalog /OpenAction << /S /JavaScript /JS (x) >>"), 422,
         "attachment_active"),
    ],
)  # fmt: skip
def test_files_that_stay_out(
    client: FlaskClient, headers: dict[str, str], company: Company, name: str, content: bytes, status: int, code: str
) -> None:
    files = [("gut.pdf", MINIMAL_PDF), (name, content)]
    problem = refused(client, headers, status, code, **multipart(message(W_IDNR), files))
    assert problem["part"] == name


def test_parts_that_are_not_foreseen(client: FlaskClient, headers: dict[str, str]) -> None:
    def named(name: str, extra: str = "") -> bytes:
        return f'--g\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{{}}\r\n'.encode()

    form = {"content_type": "multipart/form-data; boundary=g"}
    for parts in (
        named("other"),
        named("message") + named("message"),
        named("message") + named("attachments"),
        b"--g\r\nContent-Disposition: form-data\r\n\r\n{}\r\n",
    ):
        refused(client, headers, 400, "unknown_part", data=parts + b"--g--\r\n", **form)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"", "multipart/form-data; boundary=g"),
        (b"--g--\r\n", "multipart/form-data; boundary=g"),
        (b"--g\r\n\r\n--g--\r\n", "multipart/form-data; boundary=g"),
        (b'--g\r\nContent-Disposition: form-data; name="message"\r\n\r\n{}', "multipart/form-data; boundary=g"),
        (b"text\r\n--g--\r\n", "multipart/form-data; boundary=g"),
        (b"--g--\r\n", "multipart/form-data"),
        (b"--g--\r\n", "multipart/form-data; boundary=" + "g" * 71),
        (b"--g\r\n\xff: \xff\r\n\r\n{}\r\n--g--\r\n", "multipart/form-data; boundary=g"),
    ],
)
def test_broken_multipart(client: FlaskClient, headers: dict[str, str], data: bytes, content_type: str) -> None:
    refused(client, headers, 400, "invalid_multipart", data=data, content_type=content_type)


def test_a_part_with_endless_headers(client: FlaskClient, headers: dict[str, str]) -> None:
    data = b"--g\r\nX-Long: " + b"a" * (2 * MIB)
    refused(client, headers, 413, "too_large", data=data, content_type="multipart/form-data; boundary=g")


def test_a_digest_is_verified_in_each_part(client: FlaskClient, headers: dict[str, str], company: Company) -> None:
    files = [("a.pdf", MINIMAL_PDF)]
    wrong = {"Content-Digest": f"sha-256=:{WRONG}:"}
    problem = refused(client, headers, 400, "digest_mismatch", **multipart(message(W_IDNR), files, part_headers=wrong))
    assert (problem["part"], problem["algorithm"]) == ("a.pdf", "sha-256")
    right = base64.b64encode(hashlib.sha512(MINIMAL_PDF).digest()).decode()
    good = {"Content-Digest": f"sha-512=:{right}:, md5=:AAAA:"}
    answer = client.post("/api/v1/messages", headers=headers, **multipart(message(W_IDNR), files, part_headers=good))
    assert answer.status_code == 201, answer.json


def test_a_digest_of_the_whole_request_is_verified(
    client: FlaskClient, headers: dict[str, str], company: Company
) -> None:
    data = json.dumps(message(W_IDNR)).encode()
    request = {"data": data, "content_type": "application/json"}
    refused(client, {**headers, "Content-Digest": f"sha-256=:{WRONG}:"}, 400, "digest_mismatch", **request)
    right = base64.b64encode(hashlib.sha256(data).digest()).decode()
    fine = {**headers, "Content-Digest": f"sha-256=:{right}:"}
    assert client.post("/api/v1/messages", headers=fine, **request).status_code == 201


@pytest.mark.parametrize("value", ["", "sha-256", "sha-256=abc", "sha-256=:abc:", "sha-256=:AAAA:", "x" * 501, ",,"])
def test_an_unreadable_digest_is_refused(client: FlaskClient, headers: dict[str, str], value: str) -> None:
    refused(client, {**headers, "Content-Digest": value}, 400, "invalid_digest", json=message(W_IDNR))


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/messages/1", "/api/v2/messages"])
def test_unknown_addresses(client: FlaskClient, headers: dict[str, str], path: str) -> None:
    answer = client.get(path, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert "not_found" in PROBLEMS


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(client: FlaskClient, headers: dict[str, str], method: str) -> None:
    answer = client.open("/api/v1/messages", method=method, headers=headers)
    assert answer.status_code in (404, 405)
    assert answer.mimetype == "application/problem+json"


def test_nothing_that_was_sent_comes_back_or_is_logged(
    client: FlaskClient, headers: dict[str, str], company: Company, capfd: pytest.CaptureFixture[str]
) -> None:
    canary = "Kanarienvogel-4711"
    body = message(W_IDNR, subject=canary, body=canary, reference=canary)
    assert client.post("/api/v1/messages", headers=headers, json=body).status_code == 201
    answer = client.post("/api/v1/messages", headers=headers, json={**body, "kind": canary})
    assert canary not in answer.get_data(as_text=True)
    assert canary not in "".join(capfd.readouterr())
