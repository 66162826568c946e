"""Abuse is bounded by address, by account and by client; each refusal says when to come back, in its own form."""

from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests import page_checks
from tests.factories import csrf_token, make_membership, sign_in
from tests.provider.party import Party
from unternehmenskonto.companies.models import Membership

ELSEWHERE = {"environ_base": {"REMOTE_ADDR": "198.51.100.7"}}


def assert_says_when(answer: TestResponse) -> None:
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["Cache-Control"] == "no-store"


def assert_page(answer: TestResponse) -> None:
    assert_says_when(answer)
    assert answer.mimetype == "text/html"
    assert page_checks.faults(answer.text) == []


@pytest.fixture
def few(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that allows one person three logins a minute."""
    changed = app.extensions["settings"].model_copy(update={"account_logins_per_minute": 3})
    monkeypatch.setitem(app.extensions, "settings", changed)


@pytest.mark.usefixtures("few")
def test_authorize_by_account(app: Flask, client: FlaskClient, member: Membership) -> None:
    """From every address and with every session together; other people go on."""
    party = Party()
    party.code(client)
    second = app.test_client()
    sign_in(second, member)
    assert party.authorize(second).status_code == 303
    url = "/oauth/authorize?" + urlencode(party.request())
    assert client.get(url, **ELSEWHERE).status_code == 303
    assert_page(client.get(url))
    assert_page(second.get(url, **ELSEWHERE))
    other = app.test_client()
    sign_in(other, make_membership())
    assert other.get(url).status_code == 303
    assert app.test_client().get(url).status_code == 303


def test_account_limit_of_an_installation(app: Flask) -> None:
    assert app.extensions["settings"].account_logins_per_minute == 600


def test_authorize_by_address(app: Flask, client: FlaskClient) -> None:
    url = "/oauth/authorize?" + urlencode(Party().request())
    assert {client.get(url).status_code for _ in range(120)} == {303}
    assert_page(client.get(url))
    assert client.get(url, **ELSEWHERE).status_code == 303


def end_session(client: FlaskClient, **more: Any) -> TestResponse:
    return client.get("/oauth/end-session?id_token_hint=x", **more)


def test_end_session_by_address(client: FlaskClient) -> None:
    assert {end_session(client).status_code for _ in range(60)} == {400}
    assert_page(end_session(client))
    assert end_session(client, **ELSEWHERE).status_code == 400


def test_confirmed_logout_counts_with_it(client: FlaskClient, member: Membership) -> None:
    token = csrf_token(client)
    for _ in range(60):
        end_session(client)
    assert_page(client.post("/oauth/abmelden", data={"csrf_token": token}))
    # Our own button works whatever services do.
    assert client.post("/abmelden", data={"csrf_token": token}).status_code in (200, 303)
    assert client.get("/unternehmen").status_code == 303


def test_login_start_by_address(client: FlaskClient) -> None:
    data = {"csrf_token": csrf_token(client, "/anmelden")}
    assert {client.post("/anmelden/gibt-es-nicht", data=data).status_code for _ in range(30)} == {404}
    assert_page(client.post("/anmelden/gibt-es-nicht", data=data))
    assert client.post("/anmelden/gibt-es-nicht", data=data, **ELSEWHERE).status_code == 404


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
@pytest.mark.attack("guessing and enumeration")
def test_guessing_a_secret_by_client(client: FlaskClient, path: str) -> None:
    """In the form of RFC 6749 5.2; the same for a client that does not exist."""
    for client_id in (Party().client_id, "gibt-es-nicht"):
        proof = {"client_id": client_id, "client_secret": "x", "grant_type": "client_credentials", "token": "x"}
        answers = [client.post(path, data=proof) for _ in range(21)]
        assert [answer.status_code for answer in answers] == [401] * 20 + [429]
        assert_says_when(answers[-1])
        assert answers[-1].get_json().keys() == {"error", "error_description"}
        assert client.post(path, data=proof, **ELSEWHERE).status_code == 401


def test_refusal_at_the_token_endpoint_is_temporary(client: FlaskClient) -> None:
    form = {"client_id": "x", "client_secret": "x", "grant_type": "client_credentials"}
    answers = [client.post("/oauth/token", data=form) for _ in range(21)]
    assert answers[-1].get_json()["error"] == "temporarily_unavailable"
