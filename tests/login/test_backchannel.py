"""Logout tokens of the identity provider: the good ones end sessions at once, everything else ends nothing."""

import base64
import json
import secrets
import threading
import time
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from flask import Flask
from joserfc.jwk import RSAKey
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from tests.login.conftest import SLUG, Visitor
from tests.login.test_concurrency import konto as konto
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import db
from unternehmenskonto.demo.identity_provider import Fault, Provider
from unternehmenskonto.login import actions, cookies, discovery, logout_tokens, sessions
from unternehmenskonto.login.models import LoginSession, SeenLogoutToken

NOW = 1_795_000_000
CLIENT = "unternehmenskonto"


def logout_token(idp: Provider, key: RSAKey | None = None, **changes: Any) -> str:
    """Return a logout token for us, signed by the identity provider; a change to None leaves a claim out.

    `header` holds changes to the header.
    """
    header = {"alg": "RS256", "typ": "logout+jwt", "kid": idp.keys.current.kid, **changes.pop("header", {})}
    moment = int(time.time())
    claims = {
        "iss": idp.issuer, "aud": CLIENT, "iat": moment, "exp": moment + 120, "jti": secrets.token_hex(16),
        "events": {logout_tokens.EVENT: {}}, **changes,
    }  # fmt: skip
    kept = [{name: value for name, value in part.items() if value is not None} for part in (header, claims)]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in kept)
    # By hand: a decent library refuses to sign what an attacker would.
    private = serialization.load_pem_private_key((key or idp.keys.current).as_pem(private=True), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
    signature = private.sign(signed, pss if header["alg"] == "PS256" else padding.PKCS1v15(), hashes.SHA256())
    return b".".join([signed, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def post(visitor: Visitor, token: str | None, slug: str = SLUG) -> TestResponse:
    """Send the token as the identity provider does: no cookie, no form token."""
    software = visitor.konto.application.test_client()
    return software.post(f"/anmelden/{slug}/abmeldung", data={} if token is None else {"logout_token": token})


def is_signed_in(visitor: Visitor) -> bool:
    return visitor.konto.get("/unternehmen").status_code == 200


def names(visitor: Visitor) -> dict[str, str]:
    """Return sid and sub of the visitor's session."""
    cookie = visitor.konto.get_cookie(cookies.SESSION)
    assert cookie is not None
    row = db.session.scalars(select(LoginSession).filter_by(token_hash=sessions.digest(cookie.value))).one()
    assert row.upstream_sid is not None and row.upstream_subject is not None
    return {"sid": row.upstream_sid, "sub": row.upstream_subject}


@pytest.fixture
def erika(visitor: Visitor) -> Visitor:
    """Somebody who is signed in."""
    assert visitor.log_in("erika-musterbau").status_code == 303
    return visitor


@pytest.mark.parametrize("by", [("sid",), ("sub",), ("sid", "sub")])
def test_a_good_token_ends_the_session_at_once(erika: Visitor, idp: Provider, by: tuple[str, ...]) -> None:
    found = names(erika)
    answer = post(erika, logout_token(idp, **{name: found[name] for name in by}))
    assert (answer.status_code, answer.data, answer.headers["Cache-Control"]) == (200, b"", "no-store")
    assert not is_signed_in(erika)
    row = db.session.scalars(select(LoginSession)).one()
    assert (row.ended_reason, row.sealed_id_token) == ("logged_out_upstream", None)
    event = db.session.scalars(select(AuditEvent).filter_by(event="session.ended")).one()
    assert (event.by, event.fields) == ("system", {"reason": "logged_out_upstream"})


@pytest.mark.parametrize(
    "honest",
    [{"header": {"typ": None}}, {"header": {"typ": "JWT"}}, {"aud": [CLIENT]}, {"header": {"kid": None}}],
    ids=["no type", "general type", "list of one", "no key id"],
)
def test_unusual_but_good_tokens(erika: Visitor, idp: Provider, honest: dict[str, Any]) -> None:
    assert post(erika, logout_token(idp, sid=names(erika)["sid"], **honest)).status_code == 200
    assert not is_signed_in(erika)


FORGERIES: dict[str, dict[str, Any]] = {
    "wrong issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "wrong audience": {"aud": "somebody"},
    "further audience": {"aud": [CLIENT, "somebody"]},
    "no audience": {"aud": None},
    "no event": {"events": None},
    "wrong event": {"events": {"http://schemas.openid.net/event/other": {}}},
    "event is no object": {"events": {logout_tokens.EVENT: True}},
    "events are a list": {"events": [logout_tokens.EVENT]},
    "with nonce": {"nonce": "anything"},
    "no iat": {"iat": None},
    "stale": {"iat": NOW - 611},
    "from the future": {"iat": NOW + 11},
    "no exp": {"exp": None},
    "expired": {"exp": NOW - 11},
    "no jti": {"jti": None},
    "jti is a number": {"jti": 7},
    "jti too long": {"jti": "x" * 256},
    "sid is a number": {"sid": 7},
    "sid is empty": {"sid": ""},
    "sub is a list": {"sub": ["x"]},
    "neither sid nor sub": {"sid": None},
    "access token": {"header": {"typ": "at+jwt"}},
    "unknown critical header": {"header": {"crit": ["exp"], "exp": 1}},
    "unknown key": {"header": {"kid": "invented"}},
}


@pytest.mark.parametrize("changes", FORGERIES.values(), ids=FORGERIES.keys())
@pytest.mark.attack("forged logout token", "critical header", "token of another kind")
def test_forged_tokens_end_nothing(visitor: Visitor, idp: Provider, changes: dict[str, Any]) -> None:
    with time_machine.travel(NOW, tick=False):
        visitor.log_in()
        answer = post(visitor, logout_token(idp, **{"sid": names(visitor)["sid"], **changes}))
        assert is_signed_in(visitor)
    assert (answer.status_code, answer.mimetype) == (400, "application/json")
    assert answer.get_json()["error"] == "invalid_request"
    assert answer.headers["Cache-Control"] == "no-store"
    assert db.session.scalar(select(func.count()).select_from(SeenLogoutToken)) == 0


def unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"logout+jwt"}').rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


@pytest.mark.parametrize("kind", ["alg none", "wrong alg", "foreign key", "no JWS", "huge", "nothing", "ID token"])
@pytest.mark.attack("forged logout token", "alg none")
def test_badly_signed_tokens_end_nothing(erika: Visitor, idp: Provider, kind: str) -> None:
    row = db.session.scalars(select(LoginSession)).one()
    wish = {"sid": names(erika)["sid"]}
    good = logout_token(idp, **wish)
    bad = {
        "alg none": unsigned(good),
        "wrong alg": logout_token(idp, header={"alg": "PS256"}, **wish),
        "foreign key": logout_token(idp, RSAKey.generate_key(2048), **wish),
        "no JWS": "a.b.c",
        "huge": good + "A" * 20_000,
        "nothing": None,
        "ID token": sessions.upstream_id_token(row),
    }
    assert post(erika, bad[kind]).status_code == 400
    assert is_signed_in(erika)


@pytest.mark.attack("forged logout token")
def test_a_token_works_once(erika: Visitor, idp: Provider) -> None:
    token = logout_token(idp, sub=names(erika)["sub"])
    assert post(erika, token).status_code == 200
    erika.log_in(fresh="1")
    assert post(erika, token).status_code == 400
    assert is_signed_in(erika)


@pytest.mark.attack("forged logout token")
def test_a_session_of_somebody_else_is_not_ended(erika: Visitor, idp: Provider) -> None:
    jonas = Visitor(erika.konto.application)
    jonas.log_in("jonas-musterbau")
    theirs = names(jonas)
    assert post(erika, logout_token(idp, **theirs)).status_code == 200
    assert (is_signed_in(erika), is_signed_in(jonas)) == (True, False)
    mixed = {"sid": names(erika)["sid"], "sub": theirs["sub"]}
    jonas.log_in("jonas-musterbau", fresh="1")
    assert post(erika, logout_token(idp, **mixed)).status_code == 200
    assert is_signed_in(erika), "sid and sub must both fit"


def test_by_subject_all_sessions_of_the_identity_end(erika: Visitor, idp: Provider) -> None:
    again = Visitor(erika.konto.application)
    again.log_in("erika-musterbau")
    assert post(erika, logout_token(idp, sub=names(erika)["sub"])).status_code == 200
    assert not is_signed_in(erika) and not is_signed_in(again)


def test_nobody_to_sign_out_is_no_fault(visitor: Visitor, idp: Provider) -> None:
    assert post(visitor, logout_token(idp, sid="gone")).status_code == 200


def test_two_tokens_at_once_are_refused(erika: Visitor, idp: Provider) -> None:
    token = logout_token(idp, sid=names(erika)["sid"])
    software = erika.konto.application.test_client()
    assert software.post(f"/anmelden/{SLUG}/abmeldung", data={"logout_token": [token, token]}).status_code == 400
    assert software.post(f"/anmelden/{SLUG}/abmeldung?logout_token={token}").status_code == 400
    assert software.get(f"/anmelden/{SLUG}/abmeldung?logout_token={token}").status_code == 405
    assert is_signed_in(erika)


def test_unknown_provider(visitor: Visitor, idp: Provider) -> None:
    assert post(visitor, logout_token(idp, sid="x"), "nobody").status_code == 404


def test_a_provider_that_hides_its_keys_may_come_again(erika: Visitor, idp: Provider) -> None:
    token = logout_token(idp, sid=names(erika)["sid"])
    erika.konto.application.extensions[discovery.EXTENSION] = discovery.empty_cache()
    idp.behaviour.faults["jwks"] = Fault.UNAVAILABLE
    answer = post(erika, token)
    assert (answer.status_code, answer.get_json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    idp.behaviour.faults.clear()
    assert post(erika, token).status_code == 200
    assert not is_signed_in(erika)


def test_too_many_are_slowed_down(visitor: Visitor) -> None:
    answers = {post(visitor, "x").status_code for _ in range(600)}
    assert answers == {400}
    assert post(visitor, "x").status_code == 429


def test_used_names_are_forgotten(erika: Visitor, idp: Provider) -> None:
    post(erika, logout_token(idp, sid="x"))
    moment = time.time()
    for seconds, left in ((3590, 1), (3610, 0)):
        with time_machine.travel(moment + seconds, tick=False):
            actions.forget()
        assert db.session.scalar(select(func.count()).select_from(SeenLogoutToken)) == left


@pytest.mark.attack("parallel races")
def test_one_token_at_the_same_moment(konto: Flask, idp: Provider) -> None:
    visitor = Visitor(konto)
    visitor.log_in()
    token, statuses = logout_token(idp, sub=names(visitor)["sub"]), []
    db.session.commit()
    barrier = threading.Barrier(4)

    def send() -> None:
        barrier.wait(10)
        statuses.append(post(visitor, token).status_code)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [200, 400, 400, 400]
