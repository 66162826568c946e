"""Introspection and revocation: a client and its own tokens, nothing about others."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from tests.provider.party import Party, claims_of, unsigned
from tests.provider.test_costs import statements
from tests.provider.test_refresh import OFFLINE, offline_party, refresh
from unternehmenskonto import keys
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.provider.limits import OFFLINE_IDLE
from unternehmenskonto.provider.models import Grant, RefreshToken
from unternehmenskonto.settings import get_settings

ENDPOINTS = ("/oauth/introspect", "/oauth/revoke")
CREDENTIALS = ("client_secret_basic", "client_secret_post", "private_key_jwt")


def send(path: str, party: Party, client: FlaskClient, token: str, **more: str) -> TestResponse:
    headers, fields = party.proof()
    return client.post(path, data={"token": token, **fields, **more}, headers=headers)


def state(party: Party, client: FlaskClient, token: str, **more: str) -> dict[str, Any]:
    answer = send("/oauth/introspect", party, client, token, **more)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    return dict(answer.get_json())


def api_token(party: Party, client: FlaskClient) -> str:
    headers, fields = party.proof()
    answer = client.post("/oauth/token", data={"grant_type": "client_credentials", **fields}, headers=headers)
    return str(answer.get_json()["access_token"])


@pytest.mark.parametrize("method", CREDENTIALS)
def test_a_client_learns_about_its_own_tokens(client: FlaskClient, member: Membership, method: str) -> None:
    party = offline_party(auth_method=method, is_mailbox_sender=True)
    body = party.tokens(client, scope=OFFLINE)
    content = claims_of(body["access_token"])
    found = state(party, client, body["access_token"])
    same = ("scope", "client_id", "sub", "aud", "iss", "exp", "iat", "jti", "auth_time", "acr", "amr")
    assert found == {"active": True, "token_type": "Bearer", **{name: content[name] for name in same}}
    assert state(party, client, api_token(party, client))["sub"] == party.client_id
    found = state(party, client, body["refresh_token"], token_type_hint="access_token")
    assert found.pop("exp") - found.pop("iat") == OFFLINE_IDLE.total_seconds()
    assert found == {
        "active": True,
        "scope": OFFLINE,
        "client_id": party.client_id,
        "sub": content["sub"],
        "iss": get_settings().base_url,
    }
    # To look does not spend.
    assert refresh(party, client, body["refresh_token"]).status_code == 200


@pytest.mark.attack("token of another kind")
def test_everything_else_is_inactive_and_says_no_more(client: FlaskClient, member: Membership) -> None:
    party, other = offline_party(is_mailbox_sender=True), offline_party(is_mailbox_sender=True)
    body = party.tokens(client, scope=OFFLINE)
    spent = body["refresh_token"]
    body |= refresh(party, client, spent).get_json()
    content = claims_of(body["access_token"])
    strange = [
        other.tokens(client, scope=OFFLINE)["access_token"],
        other.tokens(client, scope=OFFLINE)["refresh_token"],
        api_token(other, client),
        spent,
        body["id_token"],
        keys.sign({**content, "exp": 1}, use="token", alg="ES256", typ="at+jwt"),
        keys.sign({**content, "aud": "https://evil.example"}, use="token", alg="ES256", typ="at+jwt"),
        keys.sign(content, use="token", alg="ES256", typ="JWT"),
        unsigned(content, "none", typ="at+jwt"),
        "x",
        "ä",
    ]
    for token in strange:
        assert state(party, client, token) == {"active": False}
    for token in (body["access_token"], body["refresh_token"]):
        assert state(party, client, token)["active"]


def test_what_ends_is_inactive(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    body = party.tokens(client, scope=OFFLINE)

    def active() -> set[bool]:
        db.session.commit()
        return {state(party, client, body[name])["active"] for name in ("access_token", "refresh_token")}

    assert active() == {True}
    member.roles = ["mailbox"]
    assert active() == {False}
    member.roles = ["services"]
    assert active() == {True}
    db.session.execute(update(RefreshToken).values(issued_at=now() - OFFLINE_IDLE))
    assert active() == {True, False}
    db.session.execute(update(RefreshToken).values(issued_at=now()))
    db.session.execute(update(Grant).values(revoked_at=now()))
    assert active() == {False}


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
@pytest.mark.parametrize("method", [*CREDENTIALS, "none"])
def test_revoking_one_token_ends_all_of_its_grant(
    client: FlaskClient, member: Membership, method: str, name: str
) -> None:
    party = offline_party(auth_method=method)
    body, other = party.tokens(client, scope=OFFLINE), party.tokens(client, scope=OFFLINE)
    for _ in range(2):  # the second time there is nothing left to do
        answer = send("/oauth/revoke", party, client, body[name], token_type_hint="x")
        assert (answer.status_code, answer.data, answer.headers["Cache-Control"]) == (200, b"", "no-store")
    assert refresh(party, client, body["refresh_token"]).get_json()["error"] == "invalid_grant"
    assert party.userinfo(client, body["access_token"]).status_code == 401
    assert refresh(party, client, other["refresh_token"]).status_code == 200
    events = db.session.scalars(select(AuditEvent).where(AuditEvent.event == "grant.revoked")).all()
    assert [event.fields["reason"] for event in events] == ["revoked_by_client"]


def test_tokens_of_others_cannot_be_revoked(client: FlaskClient, member: Membership) -> None:
    party, other = offline_party(), offline_party()
    body = party.tokens(client, scope=OFFLINE)
    for token in (body["access_token"], body["refresh_token"], body["id_token"], "x"):
        assert send("/oauth/revoke", other, client, token).status_code == 200
    assert party.userinfo(client, body["access_token"]).status_code == 200
    assert refresh(party, client, body["refresh_token"]).status_code == 200


def test_a_token_without_grant_ends_by_itself(client: FlaskClient) -> None:
    sender = Party(is_mailbox_sender=True)
    answer = send("/oauth/revoke", sender, client, api_token(sender, client))
    assert (answer.status_code, answer.get_json()["error"]) == (400, "unsupported_token_type")


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.attack("secrets in the address")
def test_who_asks_and_how(client: FlaskClient, member: Membership, path: str) -> None:
    party = Party()
    token = party.tokens(client)["access_token"]
    headers, _ = party.proof()
    party.secret = "wrong"
    answer = send(path, party, client, token)
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert client.post(path, data={"token": token}).status_code == 401
    for answer in (
        client.post(path + f"?token={token}", headers=headers),
        client.post(path, json={"token": token}, headers=headers),
        client.post(path, data={"token": ["a", "b"]}, headers=headers),
        client.post(path, data={"token": ""}, headers=headers),
        client.post(path, data={"token": token, "client_id": "x"}, headers=headers),
    ):
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert client.get(path).status_code == 405


def test_public_clients_may_revoke_and_not_ask(client: FlaskClient, member: Membership) -> None:
    party = Party(auth_method="none")
    token = party.tokens(client)["access_token"]
    answer = send("/oauth/introspect", party, client, token)
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_client")
    assert send("/oauth/revoke", party, client, token).status_code == 200
    assert party.userinfo(client, token).status_code == 401


def test_statements(app: Flask, client: FlaskClient, member: Membership) -> None:
    party, software = offline_party(), app.test_client()
    body = party.tokens(client, scope=OFFLINE)
    keys.public_keys()
    # client; grant or refresh token with all that it hangs on
    for name, expected in (("access_token", 2), ("refresh_token", 2)):
        with statements() as found:
            assert state(party, software, body[name])["active"]
        assert len(found) == expected, found
    with statements() as found:
        send("/oauth/revoke", party, software, body["refresh_token"])
    # client; whose token; its grant ended; audit event
    assert len(found) == 4, found


@pytest.mark.attack("guessing and enumeration")
def test_guessing_is_bounded_over_all_endpoints(client: FlaskClient) -> None:
    party = Party(is_mailbox_sender=True)
    good = api_token(party, client)
    right, party.secret = party.secret, "guess"
    for path in ("/oauth/token", *ENDPOINTS):
        for _ in range(8):
            answer = send(path, party, client, "x", grant_type="client_credentials")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    # Known or not, the answer is the same; and another client at this address is not locked out.
    party.secret = right
    assert send("/oauth/introspect", party, client, good).status_code == 429
    assert state(Party(), client, "x") == {"active": False}
    for number in range(45):
        answer = client.post("/oauth/introspect", data={"token": "x", "client_id": f"x{number}", "client_secret": "x"})
    assert answer.status_code == 429
    # From elsewhere the client goes on working.
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    headers, fields = party.proof()
    answer = client.post(
        "/oauth/introspect", data={"token": good, **fields}, headers=headers, environ_overrides=elsewhere
    )
    assert answer.get_json()["active"]
