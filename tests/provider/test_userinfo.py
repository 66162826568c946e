"""The userinfo endpoint: a living grant, a right token in the right place, or nothing."""

import time
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from sqlalchemy import update

from tests.provider.party import Party, claims_of
from unternehmenskonto import keys
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.provider.models import Grant


def test_get_and_post_with_the_token_in_the_header(client: FlaskClient, member: Membership) -> None:
    party = Party()
    token = party.tokens(client)["access_token"]
    for scheme in ("Bearer", "bearer", "BEARER"):
        for send in (client.get, client.post):
            answer = send("/oauth/userinfo", headers={"Authorization": f"{scheme} {token}"})
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.get_json()["given_name"] == member.person.given_name


def test_token_elsewhere_or_missing(client: FlaskClient, member: Membership) -> None:
    token = Party().tokens(client)["access_token"]
    answer = client.get(f"/oauth/userinfo?access_token={token}")
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    for answer in (client.get("/oauth/userinfo"), client.post("/oauth/userinfo", json={"access_token": token})):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
        assert "error" not in answer.headers["WWW-Authenticate"]


def test_token_in_the_form(client: FlaskClient, member: Membership) -> None:
    token = Party().tokens(client)["access_token"]
    answer = client.post("/oauth/userinfo", data={"access_token": token})
    assert answer.get_json()["given_name"] == member.person.given_name
    assert client.post("/oauth/userinfo", data={"access_token": "x"}).status_code == 401
    header = {"Authorization": f"Bearer {token}"}
    for data, headers in (({"access_token": token}, header), ({"access_token": [token, token]}, {})):
        answer = client.post("/oauth/userinfo", data=data, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.", "x" * 20_000, "\\", '"', "ä"])
def test_garbage(client: FlaskClient, token: str) -> None:
    answer = client.get("/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.attack("alg none", "public key as shared secret", "key that comes with the token")
def test_forged_tokens(client: FlaskClient, member: Membership) -> None:
    party = Party()
    good = party.tokens(client)["access_token"]
    claims = claims_of(good)
    kid = next(key["kid"] for key in keys.public_keys("token") if key["alg"] == "ES256")
    foreign = ECKey.generate_key("P-256", {"kid": kid})
    public = next(key for key in keys.jwks()["keys"] if key["kid"] == kid)
    forged = [
        jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": kid}, claims, foreign),
        jwt.encode(
            {"alg": "ES256", "typ": "at+jwt", "kid": kid, "jwk": foreign.as_dict(private=False)}, claims, foreign
        ),
        jwt.encode({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims, OctKey.import_key(str(public))),
        good.rpartition(".")[0] + ".",
        good[:-4] + "AAAA",
    ]
    for token in forged:
        assert party.userinfo(client, token).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"exp": int(time.time()) - 1},
        {"iat": int(time.time()) + 86_400},
        {"iss": "https://evil.example"},
        {"aud": "http://127.0.0.1:8000/api/v1"},
        {"grant_id": "x"},
        {"grant_id": "0" * 32},
        {"grant_id": None},
    ],
)
@pytest.mark.attack("token of another kind")
def test_well_signed_but_wrong(client: FlaskClient, member: Membership, change: dict[str, object]) -> None:
    party = Party()
    claims = claims_of(party.tokens(client)["access_token"]) | change
    for typ in ("at+jwt", "JWT"):
        token = keys.sign(claims, use="token", alg="ES256", typ=typ)
        assert party.userinfo(client, token).status_code == 401


def test_what_ends_also_ends_here(client: FlaskClient, member: Membership) -> None:
    party = Party()
    token = party.tokens(client)["access_token"]

    def status() -> int:
        db.session.commit()
        return party.userinfo(client, token).status_code

    assert status() == 200
    member.roles = ["mailbox"]
    assert status() == 401
    member.roles = ["services"]
    member.ended_at = now() - timedelta(seconds=1)
    assert status() == 401
    member.ended_at = None
    party.service.is_enabled = False
    assert status() == 401
    party.service.is_enabled = True
    assert status() == 200
    registered, party.service.client = party.service.client, None
    assert status() == 401
    party.service.client = registered
    assert status() == 200
    db.session.execute(update(Grant).values(revoked_at=now()))
    assert status() == 401


def test_a_narrowed_registration_narrows_living_tokens(client: FlaskClient, member: Membership) -> None:
    party = Party(claims=("given_name", "email"))
    token = party.tokens(client)["access_token"]
    party.service.claims = [{"name": "given_name", "purpose": ""}, {"name": "org_company_name", "purpose": ""}]
    db.session.commit()
    assert party.userinfo(client, token).get_json().keys() == {"sub", "given_name"}
