"""Sessions: one query, idle and absolute end, removal of rights at once."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import event, func, select

from tests.factories import csrf_token, make_company, make_membership, make_person, sign_in
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import NotFound
from unternehmenskonto.login import actions, cookies, sessions
from unternehmenskonto.login.models import LoginSession, LoginTransaction
from unternehmenskonto.settings import get_settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def cookie(client: FlaskClient) -> str:
    found = client.get_cookie(cookies.SESSION)
    assert found is not None
    return found.value


def test_loading_costs_one_query(app: Flask, client: FlaskClient) -> None:
    sign_in(client, make_membership())
    db.session.expire_all()
    seen: list[str] = []
    listener = lambda *arguments: seen.append(arguments[2])  # noqa: E731
    event.listen(db.engine, "before_cursor_execute", listener)
    try:
        actor = sessions.load_actor(cookie(client))
        assert actor is not None
        assert actor.company_name
        assert actor.person_name
    finally:
        event.remove(db.engine, "before_cursor_execute", listener)
    assert len([statement for statement in seen if "SAVEPOINT" not in statement]) == 1


@pytest.mark.parametrize(("path", "number"), [("/static/app.css", 0), ("/healthz/live", 0), ("/unternehmen", 1)])
def test_only_pages_ask_who_is_there(app: Flask, client: FlaskClient, path: str, number: int) -> None:
    sign_in(client, make_membership())
    seen: list[str] = []
    listener = lambda *arguments: seen.append(arguments[2])  # noqa: E731
    event.listen(db.engine, "before_cursor_execute", listener)
    try:
        with client.get(path) as answer:
            assert answer.status_code == 200
    finally:
        event.remove(db.engine, "before_cursor_execute", listener)
    assert len([one for one in seen if "token_hash" in one and "login_sessions" in one]) == number


@pytest.mark.attack("secrets at rest")
def test_only_the_hash_is_stored(app: Flask, client: FlaskClient) -> None:
    sign_in(client, make_membership())
    value = cookie(client)
    row = db.session.scalars(select(LoginSession)).one()
    assert row.token_hash == sessions.digest(value)
    assert len(value) >= 43
    assert value not in str(vars(row))


def test_a_quiet_session_ends(app: Flask, client: FlaskClient) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        sign_in(client, make_membership())
        clock.shift(timedelta(minutes=30, seconds=-1))
        assert sessions.load_actor(cookie(client))
        clock.shift(timedelta(minutes=30, seconds=-1))
        assert sessions.load_actor(cookie(client)), "the request before counts"
        clock.shift(timedelta(minutes=30, seconds=1))
        assert sessions.load_actor(cookie(client)) is None


def test_a_busy_session_ends_after_twelve_hours(app: Flask, client: FlaskClient) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        sign_in(client, make_membership())
        for _ in range(12 * 4 - 1):
            clock.shift(timedelta(minutes=15))
            assert sessions.load_actor(cookie(client))
        clock.shift(timedelta(minutes=15))
        assert sessions.load_actor(cookie(client)) is None


def test_seen_is_noted_once_a_minute(app: Flask, client: FlaskClient) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        sign_in(client, make_membership())
        clock.shift(timedelta(seconds=59))
        sessions.load_actor(cookie(client))
        db.session.expire_all()
        assert db.session.scalar(select(LoginSession.last_seen_at)) == NOON
        clock.shift(timedelta(seconds=2))
        sessions.load_actor(cookie(client))
        assert db.session.scalar(select(LoginSession.last_seen_at)) == NOON + timedelta(seconds=61)


def test_rights_are_read_at_each_request(app: Flask, client: FlaskClient) -> None:
    membership = make_membership()
    sign_in(client, membership)
    membership.roles = ["mailbox"]
    db.session.commit()
    actor = sessions.load_actor(cookie(client))
    assert actor is not None
    assert actor.roles == {"mailbox"}
    membership.ended_at = now()
    db.session.commit()
    assert sessions.load_actor(cookie(client)) is None


@pytest.mark.parametrize("value", ["", "unknown", "x" * 3000, "'; DROP TABLE people; --"])
def test_unknown_cookies_sign_nobody_in(app: Flask, client: FlaskClient, value: str) -> None:
    client.set_cookie(cookies.SESSION, value)
    assert client.get("/").status_code == 200


@pytest.mark.attack("session fixation")
def test_an_ended_session_stays_ended(app: Flask, client: FlaskClient) -> None:
    sign_in(client, make_membership())
    session = db.session.scalars(select(LoginSession)).one()
    sessions.end_session(session.id, "signed_out")
    sessions.end_session(session.id, "revoked")
    db.session.refresh(session)
    assert (session.ended_reason, session.sealed_id_token) == ("signed_out", None)
    assert sessions.load_actor(cookie(client)) is None


@pytest.mark.attack("session fixation")
def test_changing_company_gives_a_new_session(app: Flask, client: FlaskClient) -> None:
    person = make_person()
    first = make_membership(person=person)
    second = make_membership(person=person, company=make_company(name="Zweite AG"), roles=())
    sign_in(client, first)
    before = sessions.load_actor(cookie(client))
    assert before is not None
    assert before.has_other_companies
    token = sessions.change_company(session_id=before.session_id, membership_id=second.id)
    after = sessions.load_actor(token)
    assert after is not None
    assert (after.company_name, after.permissions, after.auth_time) == ("Zweite AG", frozenset(), before.auth_time)
    assert sessions.load_actor(cookie(client)) is None


@pytest.mark.parametrize(
    ("wish", "place"), [({"next": "/unternehmen"}, "/unternehmen"), ({}, "/"), ({"next": "//evil.example"}, "/")]
)
def test_changing_company_leads_back(client: FlaskClient, wish: dict[str, str], place: str) -> None:
    person = make_person()
    sign_in(client, make_membership(person=person))
    other = make_membership(person=person)
    fields = {"csrf_token": csrf_token(client), "membership_id": str(other.id), **wish}
    answer = client.post("/unternehmen/wechseln", data=fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, place)


def test_nobody_changes_into_a_foreign_company(app: Flask, client: FlaskClient) -> None:
    sign_in(client, make_membership())
    actor = sessions.load_actor(cookie(client))
    assert actor is not None
    with pytest.raises(NotFound):
        sessions.change_company(session_id=actor.session_id, membership_id=make_membership().id)
    mine = db.session.get_one(Membership, actor.membership_id)
    left = make_membership(person=mine.person, ended_at=now() - timedelta(days=1))
    with pytest.raises(NotFound):
        sessions.change_company(session_id=actor.session_id, membership_id=left.id)


def test_a_request_knows_who_is_there(app: Flask, client: FlaskClient) -> None:
    sign_in(client, make_membership(company=make_company(name="Musterbau GmbH")))
    assert "Musterbau GmbH" in client.get("/seiten/impressum").get_data(as_text=True)


def test_what_is_over_is_forgotten(app: Flask, client: FlaskClient) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        quiet, busy = make_membership(), make_membership()
        sign_in(client, quiet)
        db.session.add(
            LoginTransaction(
                state_hash=b"a" * 32,
                browser_hash=b"b" * 32,
                identity_provider="x",
                sealed=b"",
                next_path="/",
                is_fresh=False,
                wanted_level="low",
            )
        )
        db.session.flush()
        actions.forget()
        assert db.session.scalar(select(func.count()).select_from(LoginTransaction)) == 1
        clock.shift(timedelta(minutes=29))
        sign_in(client, busy)
        actions.forget()
        assert db.session.scalar(select(func.count()).select_from(LoginTransaction)) == 0
        assert db.session.scalars(select(LoginSession.ended_reason)).all() == [None, None]
        clock.shift(timedelta(minutes=2))
        actions.forget()
        ended = select(LoginSession.membership_id).where(LoginSession.ended_reason == "expired")
        assert db.session.scalars(ended).all() == [quiet.id]


@pytest.mark.attack("stolen cookie")
def test_cookies_on_https_are_bound_to_the_host(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = get_settings().model_copy(update={"base_url": "https://konto.example"})
    monkeypatch.setitem(app.extensions, "settings", public)
    response = Response()
    cookies.write(response, cookies.SESSION, "value")
    cookies.remove(response, cookies.SESSION)
    for header in response.headers.getlist("Set-Cookie"):
        assert header.startswith("__Host-konto_session=")
        for part in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
            assert part in header
        assert "Domain" not in header
    membership = make_membership()
    token = sessions.start_session(
        membership_id=membership.id,
        proof=sessions.Proof(identity_provider="x", assurance_level="substantial", auth_time=now()),
    )
    db.session.commit()
    client.set_cookie(cookies.SESSION, token, domain="konto.example")
    name = membership.company.name
    assert name not in client.get("/seiten/impressum", base_url="https://konto.example").text, (
        "only the bound name counts"
    )
    client.set_cookie("__Host-konto_session", token, domain="konto.example")
    assert name in client.get("/seiten/impressum", base_url="https://konto.example").text
