"""Back-channel logout towards services: every end of a session reaches them, none of them can hold it up."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select, text, update
from werkzeug import Request, Response
from werkzeug.serving import make_server

from tests.factories import csrf_token, make_membership, make_person, sign_in
from tests.provider.party import SIGNED_OUT_URI, Party, claims_of, hidden_fields
from unternehmenskonto import keys
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies import actions as companies
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.demo.serving import QuietHandler
from unternehmenskonto.login import actions as login
from unternehmenskonto.login import sessions
from unternehmenskonto.login.models import LoginSession
from unternehmenskonto.provider import backchannel, hints
from unternehmenskonto.provider.clients import find_client
from unternehmenskonto.provider.limits import LOGOUT_TOKEN_SECONDS, RETENTION, SERVICE_BUSY, TELL_FOR

EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Receiver:
    """The back-channel address of a service: notes what comes, answers with `status` after `wait`."""

    def __init__(self) -> None:
        self.status = 200
        self.wait = threading.Event()
        self.wait.set()
        self.tokens: list[str] = []
        self.types: list[str | None] = []
        self.server = make_server("127.0.0.3", 0, self._answer, threaded=True, request_handler=QuietHandler)
        self.url = f"http://127.0.0.3:{self.server.server_port}/abmeldung?dienst=1"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def _answer(self, environ: dict[str, Any], start: Any) -> Any:
        request = Request(environ)
        self.types.append(request.mimetype)
        assert request.query_string == b"dienst=1"
        self.tokens.append(request.form["logout_token"])
        self.wait.wait(50)
        return Response(status=self.status)(environ, start)

    def close(self) -> None:
        self.wait.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def subscribed(receiver: Receiver, **more: Any) -> Party:
    return Party(registration={"backchannel_logout_uri": receiver.url, **more.pop("registration", {})}, **more)


def waiting() -> list[dict[str, Any]]:
    """Return the arguments of the calls that are to be made, and forget them."""
    rows = db.session.execute(
        text("DELETE FROM procrastinate_jobs WHERE task_name = 'provider.tell_logout' RETURNING args")
    )
    return [dict(row.args) for row in rows]


def tell_all() -> int:
    """Make the calls that are waiting; return how many."""
    found = waiting()
    for arguments in found:
        backchannel.tell_logout(**arguments)
    db.session.flush()
    return len(found)


def events(*names: str) -> list[tuple[str, dict[str, Any]]]:
    rows = db.session.scalars(select(AuditEvent).where(AuditEvent.event.in_(names)).order_by(AuditEvent.id))
    return [(row.event, row.fields) for row in rows]


def only_session() -> LoginSession:
    return db.session.scalars(select(LoginSession).execution_options(populate_existing=True)).one()


def test_oidcc_backchannel_rp_initiated_logout(client: FlaskClient, member: Membership, receiver: Receiver) -> None:
    party = subscribed(receiver)
    id_token = party.tokens(client)["id_token"]
    wish = {"id_token_hint": id_token, "post_logout_redirect_uri": SIGNED_OUT_URI, "state": "s"}
    assert client.get(f"/oauth/end-session?{urlencode(wish)}").status_code == 303
    assert tell_all() == 1
    [token] = receiver.tokens
    assert receiver.types == ["application/x-www-form-urlencoded"]

    decoded = jwt.decode(token, KeySet.import_key_set(client.get("/oauth/jwks").get_json()), algorithms=["RS256"])
    assert decoded.header["typ"] == "logout+jwt"
    claims, known = decoded.claims, claims_of(id_token)
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "jti", "events", "sid"}
    assert {name: claims[name] for name in ("iss", "sub", "aud", "sid")} == {
        name: known[name] for name in ("iss", "sub", "aud", "sid")
    }
    assert claims["events"] == {EVENT: {}}
    assert claims["exp"] - claims["iat"] == LOGOUT_TOKEN_SECONDS == 120
    assert events("logout.told") == [("logout.told", {"service": party.client_id})]
    # Told once, whoever looks again.
    assert (backchannel.notice(RETENTION), waiting()) == (0, [])


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
def test_token_is_signed_like_the_id_token(
    client: FlaskClient, member: Membership, receiver: Receiver, alg: str
) -> None:
    party = subscribed(receiver, registration={"id_token_signed_response_alg": alg})
    party.code(client)
    found = find_client(party.client_id)
    assert found is not None
    token = backchannel.logout_token(found, member, session_id=only_session().id)
    claims, header = keys.decode_own(token)
    assert (header["alg"], claims["aud"]) == (alg, party.client_id)


def sign_out(client: FlaskClient, member: Membership) -> None:
    assert client.post("/abmelden", data={"csrf_token": csrf_token(client)}).status_code in (200, 303)


def end_elsewhere(client: FlaskClient, member: Membership) -> None:
    sessions.end_session(only_session().id, "revoked")


def grow_quiet(client: FlaskClient, member: Membership) -> None:
    db.session.execute(update(LoginSession).values(last_seen_at=now() - timedelta(minutes=31)))
    login.forget()


def grow_old(client: FlaskClient, member: Membership) -> None:
    db.session.execute(update(LoginSession).values(created_at=now() - timedelta(hours=13)))
    login.forget()


def leave_company(client: FlaskClient, member: Membership) -> None:
    make_membership(company=member.company)
    companies.end_membership(company_id=member.company_id, membership_id=member.id, by="operator:x")
    login.forget()


def confirm_on_our_page(client: FlaskClient, member: Membership) -> None:
    page = client.get("/oauth/end-session")
    assert client.post("/oauth/abmelden", data=hidden_fields(page)).status_code == 303


@pytest.mark.parametrize(
    "end", [sign_out, end_elsewhere, grow_quiet, grow_old, leave_company, confirm_on_our_page], ids=lambda f: f.__name__
)
def test_every_end_is_told(client: FlaskClient, member: Membership, receiver: Receiver, end: Any) -> None:
    party, other, silent = subscribed(receiver), subscribed(receiver), Party()
    sid = claims_of(party.tokens(client)["id_token"])["sid"]
    other.tokens(client)
    silent.tokens(client)
    backchannel.notice_ended()
    assert waiting() == []
    end(client, member)
    backchannel.notice_ended()
    assert tell_all() == 2
    found = {claims_of(token)["aud"]: claims_of(token)["sid"] for token in receiver.tokens}
    assert found.keys() == {party.client_id, other.client_id}
    assert found[party.client_id] == sid
    backchannel.notice_ended()
    backchannel.notice_missed()
    assert waiting() == []


def test_other_sessions_and_services_hear_nothing(
    app: Flask, client: FlaskClient, member: Membership, receiver: Receiver
) -> None:
    subscribed(receiver)
    party = subscribed(receiver)
    party.code(client)
    elsewhere = app.test_client()
    sign_in(elsewhere, member)
    party.code(elsewhere)
    ended = db.session.scalars(select(LoginSession.id).order_by(LoginSession.created_at.desc()).limit(1)).one()
    sessions.end_session(ended, "revoked")
    backchannel.notice_ended()
    [call] = waiting()
    assert call["session_id"] == str(ended)


def test_each_company_of_a_session_is_told(client: FlaskClient, receiver: Receiver) -> None:
    person = make_person()
    memberships = [make_membership(person=person) for _ in range(2)]
    sign_in(client, memberships[0])
    party = subscribed(receiver)
    for chosen in memberships:
        path = party.authorize(client, prompt="select_account").headers["Location"]
        form = {"csrf_token": csrf_token(client), "action": "company", "membership_id": str(chosen.id)}
        client.post(path, data=form)
        party.agree(client, path)
    sessions.end_session(only_session().id, "revoked")
    backchannel.notice_ended()
    assert tell_all() == 2
    assert len({claims_of(token)["sub"] for token in receiver.tokens}) == 2
    assert len({claims_of(token)["sid"] for token in receiver.tokens}) == 1


def test_end_that_no_worker_saw_is_told_later(client: FlaskClient, member: Membership, receiver: Receiver) -> None:
    subscribed(receiver).code(client)
    sessions.end_session(only_session().id, "revoked")
    db.session.execute(update(LoginSession).values(ended_at=now() - timedelta(hours=20)))
    backchannel.notice_ended()
    assert waiting() == []
    backchannel.notice_missed()
    assert len(waiting()) == 1


@pytest.mark.parametrize("status", [200, 204])
def test_taken(client: FlaskClient, member: Membership, receiver: Receiver, status: int) -> None:
    receiver.status = status
    party = subscribed(receiver)
    party.code(client)
    sign_out(client, member)
    backchannel.notice_ended()
    tell_all()
    assert events("logout.told") == [("logout.told", {"service": party.client_id})]


def test_refusal_is_final_and_recorded(client: FlaskClient, member: Membership, receiver: Receiver) -> None:
    receiver.status = 400
    party = subscribed(receiver)
    party.code(client)
    sign_out(client, member)
    backchannel.notice_ended()
    assert tell_all() == 1
    assert events("logout.told", "logout.refused") == [("logout.refused", {"service": party.client_id})]
    assert waiting() == []


@pytest.mark.parametrize("status", [201, 302, 307, 401, 404, 429, 500, 501, 503])
def test_any_other_answer_is_tried_again(
    client: FlaskClient, member: Membership, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    subscribed(receiver).code(client)
    sign_out(client, member)
    backchannel.notice_ended()
    [call] = waiting()
    with pytest.raises(backchannel.NotTold, match=str(status)):
        backchannel.tell_logout(**call)
    receiver.status = 200
    backchannel.tell_logout(**call)
    first, second = (claims_of(token)["jti"] for token in receiver.tokens)
    assert first != second


@pytest.mark.parametrize(
    ("uri", "kind"), [("http://127.0.0.3:9/zu", "unreachable"), ("http://10.0.0.7/innen", "blocked")]
)
def test_given_up_after_a_day(client: FlaskClient, member: Membership, uri: str, kind: str) -> None:
    party = Party(registration={"backchannel_logout_uri": uri})
    party.code(client)
    sign_out(client, member)
    backchannel.notice_ended()
    [call] = waiting()
    with pytest.raises(backchannel.NotTold, match=kind):
        backchannel.tell_logout(**call)
    backchannel.tell_logout(**call | {"since": (now() - TELL_FOR - timedelta(seconds=1)).isoformat()})
    db.session.flush()
    assert events("logout.failed") == [("logout.failed", {"service": party.client_id, "reason": kind})]


def test_service_switched_off_meanwhile_is_left_alone(
    client: FlaskClient, member: Membership, receiver: Receiver
) -> None:
    party = subscribed(receiver)
    party.code(client)
    sign_out(client, member)
    backchannel.notice_ended()
    [call] = waiting()
    registered = party.service.client
    party.service.client = {name: value for name, value in registered.items() if name != "backchannel_logout_uri"}
    db.session.flush()
    backchannel.tell_logout(**call)
    party.service.client, party.service.is_enabled = registered, False
    db.session.flush()
    backchannel.tell_logout(**call)
    assert receiver.tokens == []


def test_logout_token_is_no_hint(client: FlaskClient, member: Membership, receiver: Receiver) -> None:
    party = subscribed(receiver)
    party.code(client)
    sign_out(client, member)
    backchannel.notice_ended()
    tell_all()
    with pytest.raises(hints.InvalidHint, match="another kind"):
        hints.verify(receiver.tokens[0])


@pytest.mark.attack("hanging logout address")
def test_one_call_to_a_service_at_a_time(client: FlaskClient, member: Membership, receiver: Receiver) -> None:
    party = subscribed(receiver)
    party.code(client)
    sign_out(client, member)
    backchannel.notice_ended()
    [call] = waiting()
    with db.engine.connect() as another_worker:
        name = {"name": f"logout {party.client_id}"}
        another_worker.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), name)
        backchannel.tell_logout(**call)
        assert receiver.tokens == []
        soon = text(
            "SELECT scheduled_at - clock_timestamp() FROM procrastinate_jobs WHERE task_name LIKE '%.tell_logout'"
        )
        wait = db.session.scalar(soon)
        assert wait is not None and timedelta(0) < wait <= 2 * SERVICE_BUSY
    assert waiting() == [call]
    backchannel.tell_logout(**call)
    assert len(receiver.tokens) == 1


def test_every_session_has_its_turn(
    app: Flask, client: FlaskClient, member: Membership, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More sessions than one look takes: those already noticed do not stand in the way of the others."""
    monkeypatch.setattr(backchannel, "NOTICE_BATCH", 1)
    party = subscribed(receiver)
    for browser in (client, app.test_client()):
        sign_in(browser, member)
        party.code(browser)
    login.end_session(db.session.scalars(select(LoginSession.id).order_by(LoginSession.id.desc()).limit(1)).one(), "x")
    assert [backchannel.notice(RETENTION) for _ in range(2)] == [1, 0]
    for session_id in db.session.scalars(select(LoginSession.id)).all():
        sessions.end_session(session_id, "revoked")
    assert [backchannel.notice(RETENTION) for _ in range(2)] == [1, 0]


def test_session_is_closed_once(client: FlaskClient, member: Membership, receiver: Receiver) -> None:
    """Whoever notices first: the button of a service or the job."""
    subscribed(receiver).code(client)
    session_id = only_session().id
    assert [backchannel.close(session_id) for _ in range(2)] == [True, False]
    assert len(waiting()) == 1
