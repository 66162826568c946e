"""The token endpoint: one code, one use, one client, one way in."""

import base64
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select, update

from tests.factories import make_membership, sign_in
from tests.provider.party import Party, pkce
from unternehmenskonto import keys
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.provider.models import AuthorizationCode, Grant
from unternehmenskonto.provider.tokens import half_hash
from unternehmenskonto.settings import get_settings

BAD_GRANT = (400, "invalid_grant")
BAD_REQUEST = (400, "invalid_request")
BAD_CLIENT = (401, "invalid_client")


@pytest.mark.parametrize("alg", keys.ALGORITHMS)
def test_id_token_is_complete_and_signed_as_registered(client: FlaskClient, member: Membership, alg: str) -> None:
    party = Party(registration={"id_token_signed_response_alg": alg})
    body = party.tokens(client)
    published = KeySet.import_key_set(client.get("/oauth/jwks").get_json())
    token = jwt.decode(body["id_token"], published, algorithms=[alg])
    assert (token.header["alg"], token.header["typ"]) == (alg, "JWT")
    assert token.header["kid"] in {key.kid for key in published.keys}
    claims = token.claims
    expected = {"iss", "sub", "aud", "iat", "exp", "auth_time", "acr", "amr", "sid", "at_hash", "nonce", "org_sub"}
    assert claims.keys() == expected
    assert claims["iss"] == get_settings().base_url
    assert claims["aud"] == party.client_id
    assert claims["exp"] - claims["iat"] == 300
    assert claims["at_hash"] == half_hash(body["access_token"], alg)
    assert claims["sub"].startswith("ek-")
    assert claims["org_sub"].startswith("du-")
    access = jwt.decode(body["access_token"], published, algorithms=["ES256"])
    assert access.header["typ"] == "at+jwt"
    assert access.claims["aud"] == get_settings().base_url + "/oauth/userinfo"
    assert access.claims["exp"] - access.claims["iat"] == 300


def test_company_stays_unnamed_without_its_claim(client: FlaskClient, member: Membership) -> None:
    body = Party(claims=("given_name",)).tokens(client)
    published = KeySet.import_key_set(client.get("/oauth/jwks").get_json())
    assert "org_sub" not in jwt.decode(body["id_token"], published, algorithms=["RS256"]).claims


@pytest.mark.attack("code replay")
def test_a_code_works_once_and_its_second_use_ends_the_first(client: FlaskClient, member: Membership) -> None:
    party = Party()
    code = party.code(client)
    first = party.exchange(client, code).get_json()
    assert party.userinfo(client, first["access_token"]).status_code == 200
    assert outcome(party.exchange(client, code)) == BAD_GRANT
    assert party.userinfo(client, first["access_token"]).status_code == 401
    events = db.session.scalars(select(AuditEvent.event).where(AuditEvent.by == f"client:{party.client_id}")).all()
    assert sorted(events) == ["claims.disclosed", "code.replayed", "grant.revoked", "token.issued"]


def test_a_code_dies_after_sixty_seconds(client: FlaskClient, member: Membership) -> None:
    party = Party()
    code = party.code(client)
    lifetime = db.session.execute(select(AuthorizationCode.expires_at - AuthorizationCode.issued_at)).scalar_one()
    assert lifetime == timedelta(seconds=60)
    db.session.execute(update(AuthorizationCode).values(expires_at=now() - timedelta(seconds=1)))
    db.session.commit()
    assert outcome(party.exchange(client, code)) == BAD_GRANT


@pytest.mark.attack("code injection", "code of another client or address")
def test_a_code_is_bound_to_client_address_and_verifier(client: FlaskClient, member: Membership) -> None:
    party, other = Party(), Party()
    other.verifier = party.verifier
    code = party.code(client)
    # Somebody else's code: refused, and still good for its owner.
    assert outcome(other.exchange(client, code)) == BAD_GRANT
    assert party.exchange(client, code).status_code == 200
    for changes in (
        {"redirect_uri": party.redirect_uri + "/"},
        {"redirect_uri": "http://evil.example/"},
        {"code_verifier": pkce()[0]},
        {"code_verifier": party.challenge},
        {"code_verifier": "a" * 42},
        {"code_verifier": "a" * 129},
        {"code_verifier": "ä" * 43},
    ):
        assert outcome(party.exchange(client, party.code(client), **changes)) == BAD_GRANT, changes


@pytest.mark.parametrize("name", ["code", "redirect_uri", "code_verifier", "grant_type"])
def test_nothing_may_be_missing_or_empty(client: FlaskClient, member: Membership, name: str) -> None:
    party = Party()
    for value in (None, ""):
        headers, _ = party.proof()
        form = party.token_request(party.code(client)) | {name: value}
        answer = client.post("/oauth/token", data={k: v for k, v in form.items() if v is not None}, headers=headers)
        assert outcome(answer) == BAD_REQUEST


@pytest.mark.parametrize(
    "grant_type", ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "x" * 300]
)
def test_other_grants_do_not_exist(client: FlaskClient, grant_type: str) -> None:
    answer = Party().exchange(client, "x", grant_type=grant_type)
    assert outcome(answer) == (400, "unsupported_grant_type")


@pytest.mark.attack("secrets in the address", "parameter pollution")
def test_parameters_come_in_the_body_once_and_as_a_form(client: FlaskClient, member: Membership) -> None:
    party = Party()
    headers, _ = party.proof()
    form = party.token_request(party.code(client))
    assert outcome(client.post("/oauth/token?" + urlencode(form), headers=headers)) == BAD_REQUEST
    assert outcome(client.post("/oauth/token?x=1", data=form, headers=headers)) == BAD_REQUEST
    assert outcome(client.post("/oauth/token", json=form, headers=headers)) == BAD_REQUEST
    assert outcome(client.post("/oauth/token", headers=headers)) == BAD_REQUEST
    answer = client.post("/oauth/token", data=form, headers=headers, content_type="multipart/form-data")
    assert outcome(answer) == BAD_REQUEST
    for name in form:
        twice = f"{urlencode(form)}&{urlencode({name: form[name]})}"
        answer = client.post(
            "/oauth/token", data=twice, headers=headers, content_type="application/x-www-form-urlencoded"
        )
        assert outcome(answer) == BAD_REQUEST
    many = {**form, **{f"p{number}": "x" for number in range(50)}}
    assert outcome(client.post("/oauth/token", data=many, headers=headers)) == BAD_REQUEST
    assert client.post("/oauth/token", data=form, headers=headers).status_code == 200


@pytest.mark.attack("reading across origins")
def test_answers_are_never_kept_and_never_readable_by_other_pages(client: FlaskClient, member: Membership) -> None:
    party = Party()
    for answer in (party.exchange(client, party.code(client)), party.exchange(client, "x")):
        assert (answer.headers["Cache-Control"], answer.mimetype) == ("no-store", "application/json")
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_get_is_refused_in_the_words_of_oauth(client: FlaskClient) -> None:
    answer = client.get("/oauth/token?code=x")
    assert (answer.status_code, answer.get_json()["error"]) == (405, "invalid_request")
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


def test_client_credentials_are_for_mailbox_senders(client: FlaskClient) -> None:
    form = {"grant_type": "client_credentials", "scope": "mailbox.deliver"}
    sender = Party(is_mailbox_sender=True)
    headers, _ = sender.proof()
    body = client.post("/oauth/token", data=form, headers=headers).get_json()
    assert (body["scope"], body["expires_in"], body["token_type"]) == ("mailbox.deliver", 300, "Bearer")
    claims = keys.verify(body["access_token"], typ="at+jwt", audience=get_settings().base_url + "/api/v1")
    assert (claims["sub"], claims["client_id"]) == (sender.client_id, sender.client_id)
    assert "id_token" not in body
    for scope in ("openid", "mailbox.deliver openid", "x"):
        answer = client.post("/oauth/token", data={**form, "scope": scope}, headers=headers)
        assert outcome(answer) == (400, "invalid_scope")
    other = Party()
    headers, _ = other.proof()
    assert outcome(client.post("/oauth/token", data=form, headers=headers)) == (400, "unauthorized_client")
    public = Party(is_mailbox_sender=True, auth_method="none")
    answer = client.post("/oauth/token", data={**form, "client_id": public.client_id})
    assert outcome(answer) == (400, "unauthorized_client")


@pytest.mark.attack("token of another kind")
def test_tokens_of_one_kind_do_not_open_the_other_door(client: FlaskClient, member: Membership) -> None:
    party = Party(is_mailbox_sender=True)
    tokens = party.tokens(client)
    headers, _ = party.proof()
    api = client.post("/oauth/token", data={"grant_type": "client_credentials"}, headers=headers).get_json()
    assert party.userinfo(client, api["access_token"]).status_code == 401
    assert party.userinfo(client, tokens["id_token"]).status_code == 401
    with pytest.raises(keys.InvalidToken):
        keys.verify(tokens["access_token"], typ="at+jwt", audience=get_settings().base_url + "/api/v1")


@pytest.mark.attack("comparing pseudonyms")
def test_pseudonyms_differ_between_sectors_and_agree_within(client: FlaskClient, member: Membership) -> None:
    one, two = Party(sector="a.example"), Party(sector="b.example")
    three = Party(sector="a.example")
    found = [party.userinfo(client, party.tokens(client)["access_token"]).get_json() for party in (one, two, three)]
    assert found[0]["sub"] == found[2]["sub"] != found[1]["sub"]
    assert found[0]["org_sub"] == found[2]["org_sub"] != found[1]["org_sub"]
    sign_in(client, make_membership(company=member.company))
    colleague = one.userinfo(client, one.tokens(client)["access_token"]).get_json()
    assert colleague["org_sub"] == found[0]["org_sub"]
    assert colleague["sub"] != found[0]["sub"]


@pytest.mark.attack("secrets at rest")
def test_the_database_holds_nothing_usable(client: FlaskClient, member: Membership) -> None:
    party = Party()
    code = party.code(client)
    spent = party.code(client)
    tokens = party.exchange(client, spent).get_json()
    secrets = [code, spent, tokens["access_token"], tokens["id_token"], party.secret, party.verifier]
    encodings = [*secrets, *(base64.b64encode(secret.encode()).decode() for secret in secrets)]
    tables = db.session.scalars(
        db.text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    ).all()
    dump = "\n".join(str(db.session.execute(db.text(f'SELECT * FROM "{table}"')).all()) for table in tables)  # noqa: S608
    assert party.client_id in dump
    assert not [secret for secret in encodings if secret in dump]
    assert db.session.get(Grant, db.session.scalar(select(AuthorizationCode.grant_id).limit(1))) is not None


def outcome(answer: object) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]  # type: ignore[attr-defined]
