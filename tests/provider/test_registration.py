"""Dynamic registration: who may, what is taken, what is refused, and that tokens stay where they belong."""

import json
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from pytest_httpserver import HTTPServer
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.provider.party import REDIRECT_URI, Party, claims_of
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.operators import declared
from unternehmenskonto.provider import registration
from unternehmenskonto.provider.registration_models import RegistrationToken
from unternehmenskonto.settings import get_settings

PATH = "/oauth/register"
GOOD = {"redirect_uris": [REDIRECT_URI], "client_name": "Abfallanzeige"}


def initial(*, uses: int = 5, days: int = 1, claims: tuple[str, ...] = (), **more: Any) -> str:
    """Return an operator's token."""
    token = registration.make_token(
        uses=uses, days=days, authority="Umweltamt", claims=claims, by="operator:test", **more
    )
    db.session.commit()
    return token


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def register(client: FlaskClient, values: Any, token: str | None) -> TestResponse:
    return client.post(PATH, json=values, headers=bearer(token))


def party_of(found: dict[str, Any]) -> Party:
    """Return a party with the credentials of a registration."""
    party = Party.__new__(Party)
    other = Party()
    party.__dict__.update(other.__dict__)
    party.client_id, party.secret = found["client_id"], found["client_secret"]
    party.redirect_uri = found["redirect_uris"][0]
    return party


def test_registered_service_works_and_gets_no_claims(client: FlaskClient, member: Membership) -> None:
    answer = register(client, {**GOOD, "unknown": 1, "software_statement": None}, initial())
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store"), answer.text
    found = answer.get_json()
    assert found["client_secret_expires_at"] == 0
    assert (found["granted_claims"], found["listed"], found["subject_type"]) == ([], False, "pairwise")
    assert found["registration_client_uri"] == f"{get_settings().base_url}{PATH}/{found['client_id']}"
    assert "unknown" not in found and "client_secret_sha256" not in found
    party = party_of(found)
    body = party.tokens(client)
    assert party.userinfo(client, body["access_token"]).get_json().keys() == {"sub"}
    assert "org_sub" not in claims_of(body["id_token"])
    assert found["client_id"] not in client.get("/dienste").text
    kept = db.session.get_one(OnlineService, found["client_id"])
    dump = json.dumps([kept.client, kept.name, kept.fingerprint])
    assert found["client_secret"] not in dump and found["registration_access_token"] not in dump


def test_operator_allows_claims_by_the_token_or_later(app: Flask, client: FlaskClient, member: Membership) -> None:
    found = register(client, GOOD, initial(claims=("org_sub", "email"))).get_json()
    party = party_of(found)
    body = party.tokens(client, scope="openid email")
    assert party.userinfo(client, body["access_token"]).get_json().keys() == {"sub", "org_sub", "email"}
    registration.grant_claims(found["client_id"], {"given_name": "Damit die Anzeige stimmt."}, by="operator:test")
    db.session.commit()
    body = party.tokens(client, scope="openid profile")
    assert party.userinfo(client, body["access_token"]).get_json().keys() == {"sub", "given_name"}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}])
@pytest.mark.attack("registration abuse")
def test_nobody_registers_without_an_operator(client: FlaskClient, header: dict[str, str]) -> None:
    answer = client.post(PATH, json=GOOD, headers=header)
    assert (answer.status_code, answer.get_json()["error"]) == (401, "invalid_token")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert client.post(f"{PATH}?access_token={initial()}", json=GOOD).status_code == 401


@pytest.mark.attack("registration abuse")
def test_token_is_good_for_its_uses_and_days(client: FlaskClient) -> None:
    token = initial(uses=2)
    assert register(client, {"redirect_uris": []}, token).status_code == 400
    assert [register(client, GOOD, token).status_code for _ in range(3)] == [201, 201, 401]
    expired = initial(days=-1)
    assert register(client, GOOD, expired).status_code == 401
    left = db.session.scalars(select(RegistrationToken.uses_left)).all()
    assert sorted(left) == [0, 5]
    assert db.session.scalar(select(RegistrationToken.token_hash)) != token.encode()
    with pytest.raises(registration.Unauthorized):
        registration._spend(
            db.session.scalars(select(RegistrationToken).where(RegistrationToken.uses_left == 0)).one().id
        )


KEYS = {"keys": [ECKey.generate_key("P-256", {"kid": "a"}).as_dict(private=False)]}
PRIVATE = {"keys": [ECKey.generate_key("P-256", {"kid": "a"}).as_dict(private=True)]}
WRONG: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "invalid_redirect_uri"),
    "no object": ([], "invalid_client_metadata"),
    "empty list": ({"redirect_uris": []}, "invalid_redirect_uri"),
    "fragment": ({"redirect_uris": [REDIRECT_URI + "#f"]}, "invalid_redirect_uri"),
    "script": ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
    "data": ({"redirect_uris": ["data:text/html,x"]}, "invalid_redirect_uri"),
    "http": ({"redirect_uris": ["http://dienst.example/callback"]}, "invalid_redirect_uri"),
    "wildcard": ({"redirect_uris": ["https://*.example/callback"]}, "invalid_redirect_uri"),
    "user": ({"redirect_uris": ["https://a@dienst.example/"]}, "invalid_redirect_uri"),
    "twice": ({"redirect_uris": [REDIRECT_URI, REDIRECT_URI]}, "invalid_redirect_uri"),
    "many": ({"redirect_uris": [f"{REDIRECT_URI}/{n}" for n in range(21)]}, "invalid_redirect_uri"),
    "two hosts": ({"redirect_uris": ["https://a.example/", "https://b.example/"]}, "invalid_client_metadata"),
    "implicit": ({**GOOD, "response_types": ["token"]}, "invalid_client_metadata"),
    "password": ({**GOOD, "grant_types": ["authorization_code", "password"]}, "invalid_client_metadata"),
    "no code": ({**GOOD, "grant_types": ["refresh_token"]}, "invalid_client_metadata"),
    "public subject": ({**GOOD, "subject_type": "public"}, "invalid_client_metadata"),
    "native": ({**GOOD, "application_type": "native"}, "invalid_client_metadata"),
    "none": ({**GOOD, "id_token_signed_response_alg": "none"}, "invalid_client_metadata"),
    "HS256": ({**GOOD, "id_token_signed_response_alg": "HS256"}, "invalid_client_metadata"),
    "unsigned requests": ({**GOOD, "request_object_signing_alg": "none", "jwks": KEYS}, "invalid_client_metadata"),
    "secret as JWT": ({**GOOD, "token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
    "keys missing": ({**GOOD, "token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
    "keys twice": ({**GOOD, "jwks": KEYS, "jwks_uri": "https://a.example/jwks"}, "invalid_client_metadata"),
    "encryption by half": (
        {**GOOD, "jwks": KEYS, "userinfo_encrypted_response_enc": "A256GCM"},
        "invalid_client_metadata",
    ),
    "encryption without keys": ({**GOOD, "id_token_encrypted_response_alg": "ECDH-ES"}, "invalid_client_metadata"),
    "private key": ({**GOOD, "jwks": PRIVATE}, "invalid_client_metadata"),
    "logo": ({**GOOD, "logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
    "policy": ({**GOOD, "policy_uri": "ftp://a.example/"}, "invalid_client_metadata"),
    "terms": ({**GOOD, "tos_uri": "http://a.example/"}, "invalid_client_metadata"),
    "contact": ({**GOOD, "contacts": ["nobody"]}, "invalid_client_metadata"),
    "two lines": ({**GOOD, "client_name": "a\nb"}, "invalid_client_metadata"),
    "long name": ({**GOOD, "client_name": "a" * 201}, "invalid_client_metadata"),
    "age": ({**GOOD, "default_max_age": -1}, "invalid_client_metadata"),
    "sector elsewhere": ({**GOOD, "sector_identifier_uri": "http://169.254.169.254/x"}, "invalid_client_metadata"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.attack("loopback port", "script as redirect_uri", "alg none")
def test_wrong_metadata_are_refused(client: FlaskClient, name: str) -> None:
    values, error = WRONG[name]
    answer = register(client, values, initial())
    assert (answer.status_code, answer.get_json()["error"]) == (400, error), answer.text
    assert len(answer.get_json()["error_description"]) > 5


def test_bodies_that_are_no_json(client: FlaskClient) -> None:
    headers = bearer(initial())
    for body, kind in ((b"{", "application/json"), (b"[" * 5000, "application/json"), (b"{}", "text/plain")):
        answer = client.post(PATH, data=body, content_type=kind, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_client_metadata")
    big = json.dumps({**GOOD, "x": "y" * 70_000})
    assert client.post(PATH, data=big, content_type="application/json", headers=headers).status_code == 400


@pytest.mark.attack("registration abuse")
def test_registration_is_read_changed_and_ended_with_its_own_token(client: FlaskClient, member: Membership) -> None:
    first, second = (register(client, GOOD, initial()).get_json() for _ in range(2))
    path, own = f"{PATH}/{first['client_id']}", bearer(first["registration_access_token"])
    read = client.get(path, headers=own).get_json()
    assert read["client_name"] == "Abfallanzeige"
    assert not read.keys() & {"client_secret", "registration_access_token"}
    foreign = bearer(second["registration_access_token"])
    for method in ("GET", "PUT", "DELETE"):
        for header in (foreign, {}, bearer("x" * 300)):
            assert client.open(path, method=method, json={**read}, headers=header).status_code == 401
    assert client.get(f"{PATH}/nobody", headers=own).status_code == 401

    party = party_of(first)
    body = party.tokens(client)
    changed = client.put(path, json={**GOOD, "client_id": first["client_id"], "client_name": "Neu"}, headers=own)
    assert (changed.status_code, changed.get_json()["client_name"]) == (200, "Neu")
    assert "client_secret" not in changed.get_json()
    assert party.tokens(client)["id_token"]
    for values in (GOOD, {**GOOD, "client_id": "other"}, {"client_id": first["client_id"]}, []):
        assert client.put(path, json=values, headers=own).status_code == 400

    assert client.delete(path, headers=own).status_code == 204
    assert client.get(path, headers=own).status_code == 401
    assert party.authorize(client).status_code == 400
    assert party.userinfo(client, body["access_token"]).status_code == 401
    assert not registration.remove(first["client_id"], by="operator:test")
    assert not registration.grant_claims(first["client_id"], {}, by="operator:test")
    events = set(db.session.scalars(select(AuditEvent.event)))
    assert events >= {"registration.token_made", "client.registered", "client.changed", "client.removed"}


def test_secret_is_made_when_the_method_needs_one(client: FlaskClient) -> None:
    values = {**GOOD, "token_endpoint_auth_method": "private_key_jwt", "jwks": KEYS}
    found = register(client, values, initial()).get_json()
    assert "client_secret" not in found
    path, own = f"{PATH}/{found['client_id']}", bearer(found["registration_access_token"])
    changed = client.put(path, json={**GOOD, "client_id": found["client_id"]}, headers=own).get_json()
    assert changed["client_secret"]
    back = client.put(path, json={**values, "client_id": found["client_id"]}, headers=own).get_json()
    assert "client_secret" not in back
    assert "client_secret_sha256" not in db.session.get_one(OnlineService, found["client_id"]).client


def test_sector_is_proven_by_its_list(client: FlaskClient, httpserver: HTTPServer) -> None:
    uris = ["https://a.example/callback", "https://b.example/callback"]
    values = {"redirect_uris": uris, "sector_identifier_uri": httpserver.url_for("/sector.json")}
    lists: list[tuple[Any, int]] = [
        (uris, 201), (uris[:1], 400), ({"a": 1}, 400), ([1, None], 400), ([uris[0], {}, []], 400), (["x" * 70_000], 400)
    ]  # fmt: skip
    for listed, status in lists:
        httpserver.clear()
        httpserver.expect_request("/sector.json").respond_with_json(listed)
        answer = register(client, values, initial())
        assert answer.status_code == status, answer.text
        if status == 201:
            service = db.session.get_one(OnlineService, answer.get_json()["client_id"])
            assert service.sector == "localhost" or service.sector == "127.0.0.1"
    httpserver.clear()
    httpserver.expect_request("/sector.json").respond_with_data("no json")
    assert register(client, values, initial()).status_code == 400
    httpserver.clear()
    assert register(client, values, initial()).status_code == 400


@pytest.mark.attack("PKCE downgrade")
def test_exempt_from_pkce_by_the_operator_only(client: FlaskClient, member: Membership) -> None:
    strict = party_of(register(client, {**GOOD, "pkce_exempt": True}, initial()).get_json())
    without = {"code_challenge": None, "code_challenge_method": None}
    assert "error=invalid_request" in strict.authorize(client, **without).headers["Location"]
    legacy = party_of(register(client, GOOD, initial(pkce_exempt_reason="Prüfsoftware ohne PKCE, bis 2027")).get_json())
    code = legacy.code(client, **without)
    assert legacy.exchange(client, code).status_code == 400  # a verifier shows that the challenge was taken out
    code = legacy.code(client, **without)
    assert legacy.exchange(client, code, code_verifier=None).status_code == 200
    code = legacy.code(client)
    assert legacy.exchange(client, code, code_verifier=None).status_code == 400
    assert legacy.exchange(client, legacy.code(client)).status_code == 200
    half = legacy.authorize(client, code_challenge_method=None)
    assert "error=invalid_request" in half.headers["Location"]


def test_default_age_of_the_registration_counts(client: FlaskClient, member: Membership) -> None:
    party = party_of(register(client, {**GOOD, "default_max_age": 0}, initial()).get_json())
    assert "error=login_required" in party.authorize(client, prompt="none").headers["Location"]
    assert "error=consent_required" in party.authorize(client, prompt="none", max_age="1000").headers["Location"]


def test_apply_leaves_registered_services_alone(client: FlaskClient) -> None:
    found = register(client, GOOD, initial()).get_json()
    declared.apply(get_settings().services_dir)
    assert db.session.get_one(OnlineService, found["client_id"]).is_enabled


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["services", *arguments])


OFFLINE = {**GOOD, "grant_types": ["authorization_code", "refresh_token"], "scope": "openid offline_access"}


def test_offline_access_where_the_operator_allows_it(client: FlaskClient, member: Membership) -> None:
    found = register(client, OFFLINE, initial(allows_offline=True)).get_json()
    assert (found["scope"], found["grant_types"]) == ("openid offline_access", OFFLINE["grant_types"])
    party = party_of(found)
    assert party.tokens(client, scope="openid offline_access")["refresh_token"]
    assert "refresh_token" not in party.tokens(client)
    # Whoever names no scope may ask for everything that the grant types allow.
    plain = register(client, {**OFFLINE, "scope": None}, initial(allows_offline=True)).get_json()
    assert plain["scope"] == "openid profile email address phone offline_access"


def test_offline_access_is_refused_by_default(client: FlaskClient, member: Membership) -> None:
    token = initial()
    for values in (OFFLINE, {**OFFLINE, "scope": None}, {**OFFLINE, "scope": "openid"}):
        answer = register(client, values, token)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_client_metadata")
        assert "refresh_token" in answer.get_json()["error_description"]
    found = register(client, GOOD, token).get_json()
    # Nor later, by a change of the registration.
    change = {**OFFLINE, "client_id": found["client_id"]}
    path = found["registration_client_uri"].removeprefix(get_settings().base_url)
    answer = client.put(path, json=change, headers=bearer(found["registration_access_token"]))
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_client_metadata")
    party = party_of(found)
    body = party.tokens(client, scope="openid offline_access")
    assert (body["scope"], "refresh_token" in body) == ("openid", False)


def test_scopes_of_a_registration(client: FlaskClient, member: Membership) -> None:
    token = initial(claims=("org_sub", "name", "email"))
    party = party_of(register(client, {**GOOD, "scope": "email openid"}, token).get_json())
    body = party.tokens(client, scope="openid email profile")
    assert body["scope"] == "openid email"
    # `name` belongs to a scope that this client has not registered: nothing to ask for, so it comes by itself.
    assert party.userinfo(client, body["access_token"]).get_json().keys() == {"sub", "org_sub", "name", "email"}
    for wrong in ("email", "openid groups", "openid mailbox.deliver", "openid offline_access", "x" * 501):
        answer = register(client, {**GOOD, "scope": wrong}, token)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_client_metadata"), wrong


def test_commands_of_the_operator(app: Flask, client: FlaskClient) -> None:
    made = run(app, "registration-token", "create", "--authority", "Umweltamt", "--uses", "2", "--claim", "email",
               "--offline-access")  # fmt: skip
    assert made.exit_code == 0, made.output
    found = register(client, OFFLINE, made.stdout.strip().splitlines()[0]).get_json()
    assert found["granted_claims"] == ["email"]
    name = found["client_id"]
    granted = run(app, "grant-claims", name, "--claim", "given_name", "Damit die Anzeige stimmt.")
    assert granted.exit_code == 0, granted.output
    assert db.session.get_one(OnlineService, name).claim_names == ["given_name"]
    for wrong in (
        ("grant-claims", name, "--claim", "nonsense", "Damit die Anzeige stimmt."),
        ("grant-claims", name, "--claim", "email", "kurz"),
        ("grant-claims", "nobody"),
        ("end-registration", "nobody"),
        ("registration-token", "create", "--authority", "x", "--pkce-exempt", "kurz"),
        ("registration-token", "create", "--authority", "x", "--claim", "birthdate"),
    ):
        assert run(app, *wrong).exit_code != 0, wrong
    assert run(app, "end-registration", name).exit_code == 0
    assert not db.session.get_one(OnlineService, name).is_enabled
