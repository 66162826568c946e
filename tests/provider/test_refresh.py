"""Refresh tokens: for whom they are, how they rotate, what ends them."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from tests.factories import make_membership, sign_in
from tests.provider.party import Party, claims_of, path_of, pkce
from tests.provider.test_costs import statements
from unternehmenskonto import keys
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.provider import revoking
from unternehmenskonto.provider.limits import OFFLINE_IDLE, OFFLINE_LIFETIME, REFRESH_GRACE, RETENTION
from unternehmenskonto.provider.models import Consent, Grant, RefreshToken
from unternehmenskonto.provider.retention import forget

OFFLINE = "openid offline_access"
BAD_GRANT = (400, "invalid_grant")


def offline_party(**more: Any) -> Party:
    return Party(registration={"offline_access": True}, **more)


def refresh(party: Party, client: FlaskClient, token: str, **more: str) -> TestResponse:
    headers, fields = party.proof()
    form = {"grant_type": "refresh_token", "refresh_token": token, **fields, **more}
    return client.post("/oauth/token", data=form, headers=headers)


def outcome(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]


def let_grace_pass() -> None:
    long_ago = now() - REFRESH_GRACE - timedelta(seconds=1)
    db.session.execute(update(RefreshToken).where(RefreshToken.used_at.is_not(None)).values(used_at=long_ago))
    db.session.commit()


def test_offline_access_is_asked_registered_and_agreed_to(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    assert "refresh_token" not in party.tokens(client)
    # The agreement so far does not cover it: the person is asked again, in plain words.
    page = client.get(path_of(party.authorize(client, scope=OFFLINE)))
    assert f"höchstens {OFFLINE_LIFETIME.days} Tage lang" in page.text
    body = party.tokens(client, scope=OFFLINE)
    assert body["scope"] == OFFLINE
    assert len(body["refresh_token"]) == 43
    assert "offline_access" in (db.session.scalar(select(Consent.claims)) or [])
    # And not asked again, nor for less.
    assert "code=" in party.authorize(client, scope=OFFLINE).headers["Location"]
    assert "code=" in party.authorize(client).headers["Location"]
    other = Party()
    body = other.tokens(client, scope=OFFLINE)
    assert (body["scope"], "refresh_token" in body) == ("openid", False)
    assert outcome(refresh(other, client, "x")) == (400, "unauthorized_client")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"])
def test_all_tokens_are_new_and_tell_of_the_same_login(client: FlaskClient, member: Membership, method: str) -> None:
    party = offline_party(auth_method=method)
    first = party.tokens(client, scope=OFFLINE)
    answer = refresh(party, client, first["refresh_token"])
    second = answer.get_json()
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert (second["scope"], second["expires_in"], second["token_type"]) == (OFFLINE, 300, "Bearer")
    assert len({first["refresh_token"], second["refresh_token"]}) == 2
    assert party.userinfo(client, second["access_token"]).status_code == 200
    published = KeySet.import_key_set(client.get("/oauth/jwks").get_json())
    old, new = claims_of(first["id_token"]), jwt.decode(second["id_token"], published, algorithms=["RS256"]).claims
    # OpenID Connect Core 12.2
    for name in ("iss", "sub", "aud", "auth_time", "acr", "sid", "org_sub"):
        assert new[name] == old[name]
    assert new["iat"] >= old["iat"]
    assert "nonce" not in new


@pytest.mark.attack("refresh upgrade")
def test_scope_is_narrowed_never_widened(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    token = party.tokens(client, scope=OFFLINE)["refresh_token"]
    for scope in ("openid mailbox.deliver", "profile", "openid offline_access x"):
        assert outcome(refresh(party, client, token, scope=scope)) == (400, "invalid_scope")
    body = refresh(party, client, token, scope="offline_access").get_json()
    assert (body["scope"], "id_token" in body) == ("offline_access", False)
    refused = party.userinfo(client, body["access_token"])
    assert (refused.status_code, refused.get_json()["error"]) == (403, "insufficient_scope")
    body = refresh(party, client, body["refresh_token"], scope="openid").get_json()
    assert (body["scope"], "id_token" in body) == ("openid", True)
    # The next token is still good for all of it (RFC 6749 6).
    assert refresh(party, client, body["refresh_token"]).get_json()["scope"] == OFFLINE


@pytest.mark.attack("refresh upgrade")
def test_a_token_belongs_to_its_client(client: FlaskClient, member: Membership) -> None:
    party, other = offline_party(), offline_party()
    token = party.tokens(client, scope=OFFLINE)["refresh_token"]
    assert outcome(refresh(other, client, token)) == BAD_GRANT
    for wrong in ("x", token + "x", token[:-1], "ä", "'", "x" * 2000):
        assert outcome(refresh(party, client, wrong)) == BAD_GRANT
    headers, _ = party.proof()
    assert outcome(client.post("/oauth/token", data={"grant_type": "refresh_token"}, headers=headers)) == (
        400,
        "invalid_request",
    )
    assert refresh(party, client, token).status_code == 200


@pytest.mark.attack("refresh replay")
def test_twice_within_the_grace_gives_the_same_successor(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    token = party.tokens(client, scope=OFFLINE)["refresh_token"]
    answers = [refresh(party, client, token) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    (successor,) = {answer.get_json()["refresh_token"] for answer in answers}
    assert refresh(party, client, successor).status_code == 200
    # Even then: whoever was slow may still follow the chain, step by step, until the grace is over.
    assert refresh(party, client, token).get_json()["refresh_token"] == successor


@pytest.mark.attack("refresh replay")
def test_a_replay_after_the_grace_ends_the_whole_family(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    first = party.tokens(client, scope=OFFLINE)
    second = refresh(party, client, first["refresh_token"]).get_json()
    let_grace_pass()
    assert outcome(refresh(party, client, first["refresh_token"])) == BAD_GRANT
    assert outcome(refresh(party, client, second["refresh_token"])) == BAD_GRANT
    for body in (first, second):
        assert party.userinfo(client, body["access_token"]).status_code == 401
    # Replayed once more it changes nothing and is told once.
    assert outcome(refresh(party, client, first["refresh_token"])) == BAD_GRANT
    events = db.session.scalars(select(AuditEvent.event).where(AuditEvent.event.like("%re%ed"))).all()
    assert (events.count("refresh.replayed"), events.count("grant.revoked")) == (1, 1)
    # Others of the same person live on.
    assert party.tokens(client, scope=OFFLINE)["refresh_token"]


@pytest.mark.attack("refresh replay")
def test_a_thief_within_the_grace_is_noticed_at_the_next_use(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    stolen = party.tokens(client, scope=OFFLINE)["refresh_token"]
    owner, thief = (refresh(party, client, stolen).get_json()["refresh_token"] for _ in range(2))
    assert refresh(party, client, thief).status_code == 200
    let_grace_pass()
    assert outcome(refresh(party, client, owner)) == BAD_GRANT
    assert db.session.scalar(select(Grant.revoked_at)) is not None


@pytest.mark.attack("code replay")
def test_a_replayed_code_ends_its_refresh_tokens(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    code = party.code(client, scope=OFFLINE)
    token = party.exchange(client, code).get_json()["refresh_token"]
    assert outcome(party.exchange(client, code)) == BAD_GRANT
    assert outcome(refresh(party, client, token)) == BAD_GRANT


def test_idle_and_absolute_end(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    token = party.tokens(client, scope=OFFLINE)["refresh_token"]
    grant = db.session.scalars(select(Grant).where(Grant.offline_until.is_not(None))).one()
    assert grant.offline_until is not None
    assert grant.offline_until - grant.created_at == OFFLINE_LIFETIME
    for table, changes in (
        (RefreshToken, {"issued_at": now() - OFFLINE_IDLE - timedelta(seconds=1)}),
        (Grant, {"offline_until": now() - timedelta(seconds=1)}),
    ):
        before = {name: db.session.scalar(select(getattr(table, name))) for name in changes}
        for values, expected in ((changes, 400), (before, 200)):
            db.session.execute(update(table).values(**values))
            db.session.commit()
            answer = refresh(party, client, token)
            assert answer.status_code == expected
        token = answer.get_json()["refresh_token"]
    # Rotation never moves the end of the family.
    db.session.expire_all()
    assert db.session.scalar(select(Grant.offline_until)) == grant.created_at + OFFLINE_LIFETIME


def test_what_ends_also_ends_here(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    token = party.tokens(client, scope=OFFLINE)["refresh_token"]

    def status() -> int:
        nonlocal token
        db.session.commit()
        answer = refresh(party, client, token)
        token = answer.get_json().get("refresh_token", token)
        return answer.status_code

    assert status() == 200
    member.roles = ["mailbox"]
    assert status() == 400
    member.roles = ["services"]
    member.ended_at = now() - timedelta(seconds=1)
    assert status() == 400
    member.ended_at = None
    party.service.is_enabled = False
    assert status() == 401
    party.service.is_enabled = True
    party.service.client = {**(party.service.client or {}), "offline_access": False}
    assert status() == 400
    party.service.client = {**party.service.client, "offline_access": True}
    assert status() == 200
    agreement = db.session.scalars(select(Consent)).one()
    agreement.withdrawn_at = now()
    assert status() == 400
    agreement.withdrawn_at = None
    assert status() == 200
    ended = {"membership_id": member.id, "service": party.client_id, "by": "system", "reason": "consent_withdrawn"}
    assert (revoking.revoke_grants(**ended), revoking.revoke_grants(**ended)) == (1, 0)
    assert status() == 400


def test_it_lives_without_the_session(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    token = party.tokens(client, scope=OFFLINE)["refresh_token"]
    client.delete_cookie("konto_session", domain="localhost")
    sign_in(client, make_membership())
    assert refresh(party, client, token).status_code == 200


@pytest.mark.attack("secrets at rest")
def test_the_database_holds_nothing_usable(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    tokens = [party.tokens(client, scope=OFFLINE)["refresh_token"]]
    for _ in range(2):
        tokens.append(refresh(party, client, tokens[-1]).get_json()["refresh_token"])
    rows = db.session.execute(select(RefreshToken.__table__)).all()
    stored = [value for row in rows for value in row if isinstance(value, bytes)]
    for token in tokens:
        assert token.encode() not in stored
        assert token not in str(rows)
    # The successor lies there masked, and only for the grace.
    assert sum(row.successor is not None for row in rows) == 2
    let_grace_pass()
    forget()
    assert db.session.scalar(select(func.count()).where(RefreshToken.successor.is_not(None))) == 0
    assert refresh(party, client, tokens[-1]).status_code == 200


def test_grants_stay_as_long_as_their_refresh_tokens(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    token = party.tokens(client, scope=OFFLINE)["refresh_token"]
    db.session.execute(update(Grant).values(created_at=now() - RETENTION - timedelta(days=3)))
    forget()
    assert refresh(party, client, token).status_code == 200
    db.session.execute(update(Grant).values(offline_until=now() - RETENTION - timedelta(seconds=1)))
    forget()
    assert db.session.scalar(select(func.count()).select_from(RefreshToken)) == 0


def test_statements_of_a_refresh(app: Flask, client: FlaskClient, member: Membership) -> None:
    software = app.test_client()  # without the cookies of the browser
    party = offline_party()
    token = party.tokens(client, scope=OFFLINE)["refresh_token"]
    token = refresh(party, client, token).get_json()["refresh_token"]
    keys.public_keys()
    with statements() as found:
        assert refresh(party, software, token).status_code == 200
    # client; token spent with grant, membership, right and agreement, successor and audit event in one
    assert len(found) == 2, found


def test_an_access_token_or_code_is_no_refresh_token(client: FlaskClient, member: Membership) -> None:
    party = offline_party()
    body = party.tokens(client, scope=OFFLINE)
    for wrong in (body["access_token"], body["id_token"], party.code(client, scope=OFFLINE), pkce()[0]):
        assert refresh(party, client, wrong[:2000]).status_code == 400
