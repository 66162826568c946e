"""Whatever is sent, the API answers with 201 or a problem, never with a 5xx."""

import uuid
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import access_token, make_company, make_service
from tests.mailbox.samples import MINIMAL_PDF, decision, message, multipart
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.problems import PROBLEMS

W_IDNR = {"w_idnr": "DE900000006-00001"}
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = list(decision(W_IDNR))


@pytest.fixture(scope="module")
def request_headers(committed_app: Flask) -> dict[str, str]:
    make_company(identifiers={"w_idnr": "DE900000006-00001"})
    token = access_token(make_service(is_mailbox_sender=True), lifetime=3600)
    db.session.commit()
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def api(committed_app: Flask) -> FlaskClient:
    return committed_app.test_client()


def check(api: FlaskClient, headers: dict[str, str], **request: Any) -> None:
    answer = api.post("/api/v1/messages", headers={"Idempotency-Key": uuid.uuid4().hex, **headers}, **request)
    assert answer.status_code < 500, answer.get_data(as_text=True)
    if answer.status_code != 201:
        assert answer.mimetype == "application/problem+json"
        assert answer.json["code"] in PROBLEMS


@FEW
@given(value=anything)
def test_any_json(api: FlaskClient, request_headers: dict[str, str], value: Any) -> None:
    data = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS) if _is_plain(value) else b"{}"
    check(api, request_headers, data=data, content_type="application/json")


@FEW
@given(name=st.sampled_from(NAMES), value=anything)
def test_any_value_in_any_field(api: FlaskClient, request_headers: dict[str, str], name: str, value: Any) -> None:
    check(api, request_headers, json={**decision(W_IDNR), name: value})


@FEW
@given(scheme=st.sampled_from(["org_sub", "w_idnr", "vat_id"]), value=st.text(max_size=60))
def test_any_recipient(api: FlaskClient, request_headers: dict[str, str], scheme: str, value: str) -> None:
    check(api, request_headers, json=message({scheme: value}))


@FEW
@given(entry=st.fixed_dictionaries({name: st.text(max_size=40) for name in ("court", "type", "number")}))
def test_any_register_entry(api: FlaskClient, request_headers: dict[str, str], entry: dict[str, str]) -> None:
    check(api, request_headers, json=message({"register": entry}))


@FEW
@given(subject=st.text(max_size=300), body=st.text(max_size=300))
def test_any_text(api: FlaskClient, request_headers: dict[str, str], subject: str, body: str) -> None:
    check(api, request_headers, json=message(W_IDNR, subject=subject, body=body))


@FEW
@given(name=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters='\r\n"'), max_size=300))
def test_any_file_name(api: FlaskClient, request_headers: dict[str, str], name: str) -> None:
    check(api, request_headers, **multipart(message(W_IDNR), [(f"{name}.pdf", MINIMAL_PDF)]))


@FEW
@given(data=st.binary(max_size=500), boundary=st.sampled_from([None, "g"]))
def test_any_bytes_as_multipart(
    api: FlaskClient, request_headers: dict[str, str], data: bytes, boundary: str | None
) -> None:
    content_type = f"multipart/form-data; boundary={boundary}"
    for framed in (data, b"--g\r\n" + data, b"--g\r\nContent-Disposition: form-data; " + data + b"\r\n--g--"):
        check(api, request_headers, data=framed, content_type=content_type)


@FEW
@given(
    key=st.text(alphabet=st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=300),
    digest=st.text(alphabet=st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=100),
)
def test_any_header(api: FlaskClient, request_headers: dict[str, str], key: str, digest: str) -> None:
    headers = {**request_headers, "Idempotency-Key": key, "Content-Digest": digest}
    check(api, headers, json=message(W_IDNR))


def _is_plain(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True
