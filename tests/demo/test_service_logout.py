"""The demo service is told of logouts by the account: only a true logout token ends a session there."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from .person import TIMEOUT
from .scene import Scene

EVENT = "http://schemas.openid.net/event/backchannel-logout"


def log_in(scene: Scene, sid: str = "sid-1") -> dict[str, Any]:
    """Log in; return how the provider names the session."""
    scene.behaviour.id_token["sid"] = sid
    scene.log_in()
    assert scene.is_logged_in()
    return {"sid": sid}


def logout_token(scene: Scene, *, key: Any = None, alg: str = "RS256", typ: str = "logout+jwt", **changes: Any) -> str:
    """Return a logout token; None leaves a claim out."""
    moment = int(time.time())
    claims = {
        "iss": scene.issuer, "aud": "gewerbeanmeldung", "iat": moment, "exp": moment + 120,
        "jti": f"jti-{time.monotonic_ns()}", "events": {EVENT: {}}, **changes,
    }  # fmt: skip
    assert scene.provider is not None
    own = scene.provider.keys.current
    header = {"alg": alg, "typ": typ, "kid": own.kid}
    return jwt.encode(header, {k: v for k, v in claims.items() if v is not None}, key or own, algorithms=[alg])


def tell(scene: Scene, token: str) -> requests.Response:
    return requests.post(f"{scene.url}/backchannel-logout", {"logout_token": token}, timeout=TIMEOUT)


def test_logout_token_ends_the_session_it_names(scene: Scene) -> None:
    facts = log_in(scene)
    with requests.Session() as other:
        elsewhere = Scene(scene.url, scene.issuer, scene.behaviour, other)
        log_in(elsewhere, "sid-2")
        answer = tell(scene, logout_token(scene, **facts))
        assert (answer.status_code, answer.headers["Cache-Control"]) == (204, "no-store")
        assert not scene.is_logged_in()
        assert elsewhere.is_logged_in()
    # A session nobody knows (any more) is over too.
    assert tell(scene, logout_token(scene, **facts)).status_code == 204


def test_keys_are_read_again_when_they_changed(scene: Scene) -> None:
    facts = log_in(scene)
    assert tell(scene, logout_token(scene, sid="other")).status_code == 204
    assert scene.provider is not None
    scene.provider.keys.rotate()
    assert tell(scene, logout_token(scene, **facts)).status_code == 204
    assert not scene.is_logged_in()


LIES: dict[str, Callable[[], dict[str, Any]]] = {
    "an ID token": lambda: {"typ": "JWT", "events": None, "nonce": "n-1"},
    "typ of an ID token": lambda: {"typ": "JWT"},
    "a nonce": lambda: {"nonce": "n-1"},
    "other issuer": lambda: {"iss": "http://127.0.0.9:1"},
    "other audience": lambda: {"aud": "other"},
    "no audience": lambda: {"aud": None},
    "expired": lambda: {"exp": int(time.time()) - 11},
    "no end": lambda: {"exp": None},
    "of tomorrow": lambda: {"iat": int(time.time()) + 86_400, "exp": int(time.time()) + 86_500},
    "no event": lambda: {"events": None},
    "other event": lambda: {"events": {"urn:other": {}}},
    "no jti": lambda: {"jti": None},
    "no sid": lambda: {"sid": None},
    "foreign key": lambda: {"key": RSAKey.generate_key(2048)},
    "other algorithm": lambda: {"key": OctKey.generate_key(256), "alg": "HS256"},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_nothing_else_ends_it(scene: Scene, lie: Callable[[], dict[str, Any]]) -> None:
    token = logout_token(scene, **{**log_in(scene), **lie()})
    assert tell(scene, token).status_code == 400
    assert scene.is_logged_in()


def test_token_works_once(scene: Scene) -> None:
    token = logout_token(scene, **log_in(scene))
    assert tell(scene, token).status_code == 204
    assert tell(scene, token).status_code == 400


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
def test_garbage_is_refused(scene: Scene, token: str) -> None:
    assert tell(scene, token).status_code == 400
