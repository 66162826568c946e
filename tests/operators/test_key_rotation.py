"""Keys change and nobody notices: services with old copies, several processes, tokens under way."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import func, select, update

from tests.conftest import FreshClient
from tests.factories import make_membership, session_cookie
from tests.provider.party import Party
from unternehmenskonto import create_app, keys
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import db
from unternehmenskonto.keys import SigningKey
from unternehmenskonto.operators import commands, key_rotation
from unternehmenskonto.provider.limits import ACCESS_TOKEN_SECONDS, METADATA_SECONDS
from unternehmenskonto.settings import get_settings

HOUR = 3600
DAY = 24 * HOUR


def statuses(use: str = "token", alg: str = "ES256") -> list[str]:
    db.session.expire_all()
    return list(
        db.session.scalars(
            select(SigningKey.status).filter_by(use=use, alg=alg).order_by(SigningKey.created_at, SigningKey.kid)
        )
    )


@contextmanager
def at(moment: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let all clocks of this process go on from this moment (seconds since 1970)."""
    real, ahead = time.monotonic, moment - time.time()
    with time_machine.travel(moment), monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: real() + ahead)
        yield


class CachingParty:
    """A service that keeps our keys for as long as Cache-Control lets it, and does not look again before."""

    def __init__(self, **more: Any) -> None:
        self.party = Party(**more)
        self.keys: KeySet | None = None
        self.until = 0.0

    def verify(self, instance: FlaskClient, token: str) -> None:
        if self.keys is None or time.time() >= self.until:
            answer = instance.get("/oauth/jwks")
            self.keys = KeySet.import_key_set(answer.get_json())
            self.until = time.time() + int(answer.headers["Cache-Control"].rpartition("max-age=")[2])
        claims = jwt.decode(token, self.keys, algorithms=list(keys.ALGORITHMS)).claims
        assert claims["aud"] == self.party.client_id
        assert claims.get("exp", claims["iat"] + 1) > time.time() - 1


@pytest.fixture
def instances(fresh_app: Flask) -> Iterator[list[FlaskClient]]:
    """Two processes of one installation: each with a key ring of its own."""
    other = create_app(get_settings())
    other.test_client_class = FreshClient
    keys.ensure_keys()
    db.session.commit()
    yield [fresh_app.test_client(), other.test_client()]
    with other.app_context():
        db.session.remove()
        db.engine.dispose()


def test_no_login_fails_across_two_rotations(instances: list[FlaskClient], monkeypatch: pytest.MonkeyPatch) -> None:
    services = [
        CachingParty(registration={"id_token_signed_response_alg": alg, "userinfo_signed_response_alg": "ES256"})
        for alg in ("RS256", "ES256")
    ]
    membership = make_membership()
    living: list[tuple[float, CachingParty, str]] = []
    rotations = {0.0, 3.0 * DAY}
    moments = sorted(
        start + step
        for start in rotations
        for step in (0, 31, 301, DAY - 5, DAY + 1, DAY + 20, DAY + 40, 2 * DAY + 310)
    )
    begin = time.time()
    for number, moment in enumerate(moments):
        with at(begin + moment, monkeypatch):
            if moment in rotations:
                key_rotation.publish_next(key_rotation.USES, by="system")
            key_rotation.advance_keys()
            db.session.commit()
            cookies = session_cookie(membership)
            db.session.commit()
            for turn, service in enumerate(services):
                asked, answering = instances[(number + turn) % 2], instances[(number + turn + 1) % 2]
                for instance in instances:
                    for name, value in cookies.items():
                        instance.set_cookie(name, value, domain="localhost")
                code = service.party.code(asked)
                body = service.party.exchange(answering, code).get_json()
                service.verify(asked, body["id_token"])
                living.append((time.time(), service, body["access_token"]))
            living = [
                (at, service, token) for at, service, token in living if time.time() - at < ACCESS_TOKEN_SECONDS - 30
            ]
            for _, service, token in living:
                for instance in instances:
                    answer = service.party.userinfo(instance, token)
                    assert answer.status_code == 200, (moment, answer.text)
                    service.verify(instance, answer.text)
    assert statuses() == ["retired", "retired", "active"]
    assert statuses("token", "RS256") == ["retired", "retired", "active"]


def test_the_life_of_a_key(app: Flask) -> None:
    keys.ensure_keys()
    old = keys.sign({"a": 1}, use="token", alg="ES256", typ="x")
    made = key_rotation.publish_next(["token"], by="operator:test")
    assert sorted(change.alg for change in made) == sorted(keys.ALGORITHMS)
    assert key_rotation.publish_next(["token"], by="operator:test") == []
    app.extensions["key_ring"] = None
    assert {change.kid for change in made} <= {key["kid"] for key in keys.jwks()["keys"]}
    assert (key_rotation.advance(), statuses()) == ([], ["active", "next"])
    shift(key_rotation.PUBLISHED_BEFORE_USE)
    assert key_rotation.advance(uses=["receipt"]) == []
    assert len(key_rotation.advance()) == 2 * len(keys.ALGORITHMS)
    assert statuses() == ["retiring", "active"]
    app.extensions["key_ring"] = None
    assert keys.decode_own(old)[0] == {"a": 1}
    new = keys.sign({"a": 1}, use="token", alg="ES256", typ="x")
    shift(key_rotation.VERIFIED_AFTER_USE)
    key_rotation.advance()
    assert statuses() == ["retired", "active"]
    app.extensions["key_ring"] = None
    assert keys.decode_own(new)[0] == {"a": 1}
    with pytest.raises(keys.InvalidToken):
        keys.decode_own(old)
    retired = db.session.scalars(select(SigningKey).filter_by(status="retired", alg="ES256")).one()
    assert (retired.sealed, retired.retired_at is not None) == (b"", True)
    assert statuses("receipt") == ["active"]
    told = db.session.scalars(select(AuditEvent).filter_by(event="key.rotated")).all()
    assert len(told) == 4 * len(keys.ALGORITHMS)
    assert {event.by for event in told} == {"operator:test", "system"}


def test_receipts_verify_for_ever(app: Flask) -> None:
    keys.ensure_keys()
    receipt = keys.sign({"a": 1}, use="receipt", alg="ES256", typ="receipt+jwt")
    key_rotation.publish_next(["receipt"], by="system")
    for _ in range(3):
        shift(key_rotation.VERIFIED_AFTER_USE)
        key_rotation.advance()
    assert statuses("receipt") == ["retired", "active"]
    app.extensions["key_ring"] = None
    assert keys.decode_own(receipt)[0] == {"a": 1}


def test_a_copy_of_our_keys_is_older_than_no_key_in_use() -> None:
    assert key_rotation.PUBLISHED_BEFORE_USE.total_seconds() > METADATA_SECONDS + keys.CACHE_SECONDS
    assert timedelta(seconds=DAY + ACCESS_TOKEN_SECONDS) <= key_rotation.VERIFIED_AFTER_USE


def test_a_key_of_another_process_is_found_at_once(app: Flask) -> None:
    keys.ensure_keys()
    keys.public_keys()
    row = keys.new_key("token", "ES256", status="next")
    db.session.add(row)
    db.session.flush()
    token = jwt.encode({"alg": "ES256", "kid": row.kid}, {"a": 1}, keys._import(keys._private(row)))
    app.extensions["key_ring"].read_at -= keys.REREAD_SECONDS
    assert keys.decode_own(token)[0] == {"a": 1}
    # And tokens that name nothing known do not make us read again and again.
    before = app.extensions["key_ring"]
    for kid in ("x", "../../etc/passwd", "x" * 9000):
        with pytest.raises(keys.InvalidToken):
            keys.decode_own(jwt.encode({"alg": "ES256", "kid": kid}, {}, keys._import(keys._private(row))))
    assert app.extensions["key_ring"] is before


def test_command_publishes_and_in_an_emergency_uses(fresh_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(commands.time, "sleep", slept.append)
    run = fresh_app.test_cli_runner().invoke
    run(args=["keys", "ensure"])
    output = run(args=["keys", "rotate", "--use", "client"]).output
    assert [line.split()[1:] for line in output.splitlines()[:1]] == [["client", "ES256", "next"]]
    assert output.endswith("New keys are published.\n")
    assert run(args=["keys", "rotate", "--use", "client"]).output == "The next keys are published already.\n"
    assert slept == []
    output = run(args=["keys", "rotate", "--use", "client", "--now"]).output
    assert [line.split()[-1] for line in output.splitlines()] == ["keys.", "retiring", "active"]
    assert slept == [key_rotation.SPREAD_SECONDS]
    assert (statuses("client"), statuses()) == (["retiring", "active"], ["active"])
    run(args=["keys", "rotate", "--use", "token", "--compromised"])
    assert statuses() == ["retired", "active"]
    assert statuses("client") == ["retiring", "active"]
    assert run(args=["keys", "rotate", "--use", "x"]).exit_code == 2
    count = select(func.count()).select_from(AuditEvent).where(AuditEvent.event == "key.rotated")
    assert db.session.scalar(count) == 3 + 4 * len(keys.ALGORITHMS)


def shift(by: timedelta) -> None:
    """Let every key have its status for so much longer."""
    db.session.execute(update(SigningKey).values(status_since=SigningKey.status_since - db.cast(by, db.Interval)))
    db.session.expire_all()
