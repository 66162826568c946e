"""For which resource a token is (RFC 8707), and that it says all of what RFC 9068 wants and opens no other door."""

import secrets
import time
from urllib.parse import parse_qs, urlencode

import pytest
from flask.testing import FlaskClient

from tests.provider.party import Party, claims_of, query_of
from tests.provider.test_refresh import OFFLINE, offline_party, refresh
from tests.provider.test_token_state import ENDPOINTS, api_token, send, state
from unternehmenskonto import keys
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.settings import get_settings

BASE = "http://127.0.0.1:8000"
USERINFO, API = f"{BASE}/oauth/userinfo", f"{BASE}/api/v1"
BAD_TARGET = (400, "invalid_target")
OTHERS = ("https://evil.example/", BASE, f"{BASE}/oauth/userinfo/", f"{BASE}/OAUTH/userinfo", "x", "ä")


def test_a_login_is_for_userinfo(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    for resource in (*OTHERS, API):
        refused = query_of(party.authorize(client, resource=resource))
        assert refused["error"] == "invalid_target"
        code = party.code(client)
        answer = party.exchange(client, code, resource=resource)
        assert (answer.status_code, answer.get_json()["error"]) == BAD_TARGET
        # The code is not spent by it.
        assert party.exchange(client, code, resource=USERINFO).status_code == 200
    body = party.exchange(client, party.code(client, resource=USERINFO, scope=OFFLINE)).get_json()
    answer = refresh(party, client, body["refresh_token"], resource=API)
    assert (answer.status_code, answer.get_json()["error"]) == BAD_TARGET
    body = refresh(party, client, body["refresh_token"], resource=USERINFO).get_json()
    assert claims_of(body["access_token"])["aud"] == USERINFO


def test_several_resources_are_refused(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    for several in ([USERINFO, API], [USERINFO, USERINFO]):
        asked = urlencode({**party.request(), "resource": several}, doseq=True)
        for answer in (client.get(f"/oauth/authorize?{asked}"), client.post("/oauth/authorize", data=parse_qs(asked))):
            refused = query_of(answer)
            assert (refused["error"], refused["state"]) == ("invalid_target", "st-1")
            assert "resource once" in refused["error_description"]
        code = party.code(client)
        headers, _ = party.proof()
        form = {**party.token_request(code), "resource": several}
        answer = client.post("/oauth/token", data=form, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]) == BAD_TARGET
        # Another parameter twice is another mistake, and the code is not spent by either.
        twice = client.post("/oauth/token", data={**form, "code": [code, code], "resource": USERINFO}, headers=headers)
        assert twice.get_json()["error"] == "invalid_request"
        body = party.exchange(client, code).get_json()
        assert claims_of(body["access_token"])["aud"] == USERINFO


def test_client_credentials_are_for_the_api(client: FlaskClient) -> None:
    party = Party(is_mailbox_sender=True)
    headers, _ = party.proof()
    form = {"grant_type": "client_credentials"}
    for resource in (*OTHERS, USERINFO):
        answer = client.post("/oauth/token", data={**form, "resource": resource}, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]) == BAD_TARGET
    for several in ([API, USERINFO], [API, API], [USERINFO, "https://evil.example/"]):
        answer = client.post("/oauth/token", data={**form, "resource": several}, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]) == BAD_TARGET
        assert answer.get_json()["error_description"] == "Send resource once: a token is for one audience only."
    answer = client.post("/oauth/token", data={**form, "resource": API}, headers=headers)
    assert claims_of(answer.get_json()["access_token"])["aud"] == API


def test_access_tokens_are_complete(client: FlaskClient, member: Membership) -> None:
    party = Party(is_mailbox_sender=True)
    login, own = party.tokens(client)["access_token"], api_token(party, client)
    needed = {"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope"}  # RFC 9068 2.2, 2.2.3
    assert claims_of(login).keys() == needed | {"auth_time", "acr", "amr", "grant_id"}
    assert claims_of(own).keys() == needed
    jtis = {claims_of(token)["jti"] for token in (login, own, party.tokens(client)["access_token"])}
    assert len(jtis) == 3
    for token in (login, own):
        claims = claims_of(token)
        assert isinstance(claims["aud"], str)
        assert claims["iss"] == BASE
        assert 0 < claims["exp"] - claims["iat"] <= 300
        assert claims["exp"] > time.time()


@pytest.mark.attack("token of another kind")
def test_each_token_opens_one_door(client: FlaskClient, member: Membership) -> None:
    party = offline_party(is_mailbox_sender=True)
    body = party.tokens(client, scope=OFFLINE)
    signed = {"iss": get_settings().base_url, "aud": party.client_id, "sub": claims_of(body["id_token"])["sub"]}
    moment = int(time.time())
    tokens = {
        "login": body["access_token"],
        "api": api_token(party, client),
        "id": body["id_token"],
        "refresh": body["refresh_token"],
        "logout": keys.sign(
            {**signed, "sid": "x", "iat": moment, "exp": moment + 60, "jti": "1", "events": {}},
            use="token", alg="RS256", typ="logout+jwt",
        ),
        "receipt": keys.sign({**signed, "sid": "x"}, use="receipt", alg="ES256", typ="receipt+jwt"),
        "assertion": keys.sign({**signed, "sid": "x"}, use="client", alg="ES256", typ="JWT"),
    }  # fmt: skip

    def is_hint(token: str) -> bool:
        return "code" in query_of(party.authorize(client, id_token_hint=token, prompt="none"))

    def is_delivery(token: str) -> bool:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(8)}
        return client.post("/api/v1/messages", json={}, headers=headers).status_code not in (401, 403)

    def is_active(token: str) -> bool:
        return bool(state(party, client, token)["active"])

    def is_refreshed(token: str) -> bool:
        return refresh(party, client, token).status_code == 200

    doors = {
        "userinfo": (lambda token: party.userinfo(client, token).status_code == 200, {"login"}),
        "api": (is_delivery, {"api"}),
        "hint": (is_hint, {"id"}),
        "introspection": (is_active, {"login", "api", "refresh"}),
        "refresh": (is_refreshed, {"refresh"}),
    }
    for name, (opens, allowed) in doors.items():
        assert {kind for kind, token in tokens.items() if opens(token)} == allowed, name


@pytest.mark.parametrize("path", (*ENDPOINTS, "/oauth/token", "/oauth/userinfo"))
@pytest.mark.attack("reading across origins")
def test_no_page_of_others_may_read_or_send(client: FlaskClient, member: Membership, path: str) -> None:
    party = Party()
    token = party.tokens(client)["access_token"]
    headers, fields = party.proof()
    origin = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    found = [
        client.post(path, data={"token": token, **fields}, headers={**headers, **origin}),
        client.options(path, headers=origin),
    ]
    for answer in found:
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_oversized_and_nested_tokens_are_refused_soon(client: FlaskClient) -> None:
    party = Party()
    for token in ("x" * 9000, "x" * 500_000, "[" * 8000, "eyJhbGciOiJkaXIiLCJ6aXAiOiJERUYifQ.." + "A" * 8000):
        answer = send("/oauth/introspect", party, client, token)
        assert answer.status_code in (200, 400)
        assert answer.get_json().get("active", False) is False
