"""Errors: the right kind of answer for each caller, nothing internal, no half work, a failing commit is a 500."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.factories import csrf_token
from tests.page_checks import faults
from tests.probes import SECRET_DETAIL, app_with_probes
from unternehmenskonto import errors
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import db
from unternehmenskonto.settings import Settings

KINDS = (
    "InvalidInput",
    "SignInRequired",
    "Forbidden",
    "NotFound",
    "Conflict",
    "Gone",
    "TooLarge",
    "UnsupportedType",
    "Unprocessable",
    "TooManyRequests",
    "Unavailable",
    "AppError",
)
INTERNALS = ("Traceback", 'File "', "psycopg", "sqlalchemy", "Werkzeug", "werkzeug", "RuntimeError", SECRET_DETAIL)
REFERENCE = re.compile(r"[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}")


@pytest.fixture
def probes(app: Flask, settings: Settings) -> FlaskClient:
    """A client of an application with routes that go wrong; errors become answers as on a server."""
    return app_with_probes(settings).test_client()


@pytest.fixture
def real_probes(fresh_app: Flask) -> Iterator[FlaskClient]:
    """The same with a database of its own, where a commit is a commit."""
    app = app_with_probes(fresh_app.extensions["settings"])
    with app.app_context():
        yield app.test_client()
        db.session.remove()
        db.engine.dispose()


def kept() -> list[str]:
    return [event.fields["kid"] for event in db.session.scalars(select(AuditEvent))]


def assert_nothing_internal(text: str) -> None:
    assert [word for word in INTERNALS if word in text] == []


@pytest.mark.parametrize("name", [kind for kind in KINDS if kind != "SignInRequired"])
def test_page_for_people_has_sentence_and_reference(probes: FlaskClient, name: str) -> None:
    answer = probes.get(f"/probe/error/{name}")
    html = answer.get_data(as_text=True)
    assert answer.status_code == getattr(errors, name).status
    assert faults(html) == []
    assert answer.headers["X-Request-Id"] in html
    assert REFERENCE.fullmatch(answer.headers["X-Request-Id"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert_nothing_internal(html)


@pytest.mark.parametrize("name", KINDS)
def test_problem_details_for_the_api(probes: FlaskClient, name: str) -> None:
    """RFC 9457 section 3."""
    answer = probes.get(f"/api/probe/error/{name}")
    kind = getattr(errors, name)
    assert (answer.status_code, answer.mimetype) == (kind.status, "application/problem+json")
    assert answer.json is not None
    assert answer.json["status"] == kind.status
    assert answer.json["code"] == kind.code
    assert answer.json["type"].endswith(f"#{kind.code}")
    assert answer.json["instance"].endswith(answer.headers["X-Request-Id"])
    assert len(answer.json["detail"]) > 10
    assert_nothing_internal(answer.get_data(as_text=True))


def test_person_without_session_is_led_to_the_login_and_back(probes: FlaskClient) -> None:
    answer = probes.get("/probe/error/SignInRequired?a=1&b=2")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/anmelden?next=%2Fprobe%2Ferror%2FSignInRequired%3Fa%3D1%26b%3D2"
    assert answer.headers["Cache-Control"] == "no-store"


def test_software_without_token_is_told_how_to_prove_itself(probes: FlaskClient) -> None:
    """RFC 6750 section 3."""
    answer = probes.get("/api/probe/error/SignInRequired")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("path", ["/probe/unexpected", "/api/probe/unexpected"])
def test_bug_is_a_500_without_internals(probes: FlaskClient, path: str) -> None:
    answer = probes.get(path)
    assert answer.status_code == 500
    assert_nothing_internal(answer.get_data(as_text=True))


@pytest.mark.parametrize("name", ["TooManyRequests", "Unavailable"])
def test_busy_answers_tell_how_long_to_wait(probes: FlaskClient, name: str) -> None:
    assert int(probes.get(f"/probe/error/{name}").headers["Retry-After"]) > 0


@pytest.mark.parametrize("probe", ["lost_database", "locked_row", "empty_pool"])
def test_database_away_or_busy_is_a_503_with_seconds(probes: FlaskClient, probe: str) -> None:
    for prefix in ("/probe", "/api/probe"):
        answer = probes.get(f"{prefix}/{probe}")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == str(errors.DATABASE_RETRY_SECONDS)
        assert_nothing_internal(answer.get_data(as_text=True))


def test_statement_that_takes_too_long_is_a_503(real_probes: FlaskClient) -> None:
    assert real_probes.get("/probe/slow_statement").status_code == 503
    assert real_probes.get("/probe/fine").status_code == 200


@pytest.mark.parametrize(("probe", "status"), [("half_done", 500), ("refused_half_done", 409)])
def test_exception_rolls_back(real_probes: FlaskClient, probe: str, status: int) -> None:
    assert real_probes.get(f"/probe/{probe}").status_code == status
    assert kept() == []


def test_returned_answer_commits_even_if_it_refuses(real_probes: FlaskClient) -> None:
    assert real_probes.get("/probe/answered_4xx").status_code == 400
    assert kept() == ["kept"]


@pytest.mark.parametrize("prefix", ["/probe", "/api/probe"])
def test_failing_commit_is_a_500_and_never_a_201(real_probes: FlaskClient, prefix: str) -> None:
    answer = real_probes.get(f"{prefix}/failing_commit")
    assert answer.status_code == 500
    assert_nothing_internal(answer.get_data(as_text=True))
    assert real_probes.get("/probe/fine").status_code == 200


def test_rate_limit_answers_429_with_seconds(probes: FlaskClient) -> None:
    assert probes.get("/probe/limited").status_code == 200
    answer = probes.get("/probe/limited")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60


def test_form_that_is_too_large_is_a_413(probes: FlaskClient) -> None:
    answer = probes.post("/probe/read_body", data={"a": "x" * 1_100_000})
    assert answer.status_code == 413
    assert faults(answer.get_data(as_text=True)) == []


def test_form_with_too_many_fields_is_a_413(probes: FlaskClient) -> None:
    body = "".join(f'--x\r\nContent-Disposition: form-data; name="f{n}"\r\n\r\n1\r\n' for n in range(300)) + "--x--\r\n"
    answer = probes.post("/probe/read_body", data=body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/%00", "/dienste?suche=%00", "/sprache/%00", "/seiten/..%2f..%2fetc%2fpasswd"])
def test_hostile_addresses_are_no_server_error(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code < 500


def test_oauth_client_gets_an_oauth_error(client: FlaskClient) -> None:
    """RFC 6749 section 5.2."""
    answer = client.get("/oauth/token")
    assert answer.status_code == 405
    assert answer.json is not None
    assert answer.json["error"] == "invalid_request"


@pytest.mark.parametrize("language", ["de", "en"])
def test_a_browser_without_cookies_is_told_what_to_do(app: Flask, language: str) -> None:
    browser = app.test_client(use_cookies=False)
    spoken = {"Accept-Language": language}
    token = csrf_token(browser, "/anmelden")
    answer = browser.post("/anmelden/demo-zertifikat", data={"csrf_token": token, "note": "geheim"}, headers=spoken)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (400, "no-store")
    assert faults(answer.text, language=language) == []
    for words in {"de": ("Cookies sind nötig", "Erlauben Sie"), "en": ("Cookies are needed", "Allow cookies")}[
        language
    ]:
        assert words in answer.text
    assert "geheim" not in answer.text
    assert REFERENCE.search(answer.text)


def test_an_outdated_form_is_another_matter(app: Flask) -> None:
    browser = app.test_client()
    csrf_token(browser, "/anmelden")
    for token in ("x", csrf_token(app.test_client(), "/anmelden")):
        answer = browser.post("/anmelden/demo-zertifikat", data={"csrf_token": token})
        assert answer.status_code == 400
        assert "Dieses Formular gilt nicht mehr" in answer.text
        assert faults(answer.text) == []
