"""Rare but real: other signatures, strange tokens, providers that offer less, and configuration that has changed."""

import base64
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from sqlalchemy import select

from tests.factories import csrf_token
from tests.login.conftest import SLUG, Visitor, declare, onward
from tests.login.test_logout import press
from unternehmenskonto import http
from unternehmenskonto.db import db
from unternehmenskonto.demo.identity_provider import Provider
from unternehmenskonto.login import config, discovery, tokens
from unternehmenskonto.login.errors import TokenInvalid
from unternehmenskonto.login.models import LoginSession
from unternehmenskonto.settings import Settings

ACCESS_TOKEN = "an access token"
EXPECTED = tokens.Expected(nonce="n", access_token=ACCESS_TOKEN)
KEYS: dict[str, Any] = {
    "RS256": RSAKey.generate_key(2048),
    "PS256": RSAKey.generate_key(2048),
    "ES256": ECKey.generate_key("P-256"),
    "EdDSA": OKPKey.generate_key("Ed25519"),
}


def check(monkeypatch: pytest.MonkeyPatch, alg: str = "RS256", **changes: Any) -> dict[str, Any]:
    """Return what the check says to a token signed with this algorithm; a change to None leaves a claim out."""
    shipped = config.providers()[SLUG]
    known = {"id_token_algorithms": tuple(KEYS), "trusted_audiences": ("partner",)}
    provider = shipped.model_copy(update=known)
    published = [key.as_dict(private=False) | {"alg": name, "kid": name} for name, key in KEYS.items()]
    monkeypatch.setattr(discovery, "keys", lambda provider, is_missing=False: published)
    moment = int(time.time())
    claims = {
        "iss": provider.issuer, "aud": provider.client_id, "sub": "s", "iat": moment, "exp": moment + 60,
        "nonce": "n", **changes,
    }  # fmt: skip
    kept = {name: value for name, value in claims.items() if value is not None}
    token = jwt.encode({"alg": alg, "kid": alg}, kept, KEYS[alg], algorithms=[alg])
    return tokens.check_id_token(provider, token, EXPECTED)


def half_hash(name: str) -> str:
    digest = hashlib.new(name, ACCESS_TOKEN.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


@pytest.mark.parametrize(("alg", "name"), [("PS256", "sha256"), ("ES256", "sha256"), ("EdDSA", "sha512")])
def test_every_signature_that_may_be_declared(app: Flask, monkeypatch: pytest.MonkeyPatch, alg: str, name: str) -> None:
    assert check(monkeypatch, alg, at_hash=half_hash(name))["sub"] == "s"
    with pytest.raises(TokenInvalid, match="at_hash"):
        check(monkeypatch, alg, at_hash=half_hash("sha384"))


def test_two_audiences_need_a_party(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    both = ["unternehmenskonto", "partner"]
    assert check(monkeypatch, aud=both, azp="unternehmenskonto")
    with pytest.raises(TokenInvalid, match="azp is missing"):
        check(monkeypatch, aud=both)
    with pytest.raises(TokenInvalid, match="azp"):
        check(monkeypatch, aud=both, azp="partner")


def test_valid_since_a_while(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(monkeypatch, nbf=int(time.time()) - 60)
    with pytest.raises(TokenInvalid, match="nbf"):
        check(monkeypatch, nbf="yesterday")


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_tokens_that_are_no_objects(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    check(monkeypatch)
    provider = config.providers()[SLUG]
    with pytest.raises(TokenInvalid, match="token header"):
        tokens.check_id_token(provider, f"{segment([])}.{segment({})}.x", EXPECTED)
    signed = tokens.jws.serialize_compact({"alg": "RS256", "kid": "RS256"}, b"[]", KEYS["RS256"])
    with pytest.raises(TokenInvalid, match="no object"):
        tokens.check_id_token(provider, signed, EXPECTED)


def test_a_key_set_without_keys(visitor: Visitor, idp: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idp.keys, "published", lambda: {"keys": {}})
    assert visitor.log_in().status_code == 502


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"error": "invalid_grant", "error_description": "Erika"}', "invalid_grant"),
        (b"<html>", "(none)"),
        (b'{"error": "invalid client; see manual"}', "(other)"),
        (b'{"error": "%s"}' % (b"a" * 60), "(other)"),
        (b'{"error": 7}', "(other)"),
    ],
    ids=["word", "page", "sentence", "long", "number"],
)
def test_the_log_knows_the_word_of_a_refusal_and_no_more(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, body: bytes, word: str
) -> None:
    url, real = visitor.walk(), discovery.call

    def call(provider: config.IdentityProvider, method: str, address: str, **options: Any) -> http.Answer:
        return http.Answer(400, {}, body) if method == "POST" else real(provider, method, address, **options)

    monkeypatch.setattr(discovery, "call", call)
    assert visitor.come_back(url).status_code == 502
    assert f"status 400, error {word}'" in caplog.text
    assert "Erika" not in caplog.text


def test_a_provider_that_is_asked_for_no_level(
    visitor: Visitor, idp: Provider, settings: Settings, tmp_path: Path
) -> None:
    silent = {'client_id = "unternehmenskonto"': 'client_id = "unternehmenskonto"\nsends_acr_values = false'}
    declare(visitor.konto.application, settings, tmp_path, issuer=idp.issuer, **silent)
    assert "acr_values" not in onward(visitor.start())
    assert visitor.log_in().status_code == 303


def test_a_provider_without_a_place_to_sign_out(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.discovery["end_session_endpoint"] = None
    visitor.log_in()
    assert press(visitor).location == "/abgemeldet"
    assert "vielleicht noch angemeldet" not in visitor.konto.get("/abgemeldet").text


def test_signing_out_after_the_configuration_has_changed(visitor: Visitor) -> None:
    visitor.log_in()
    db.session.scalars(select(LoginSession)).one().identity_provider = "gone"
    db.session.commit()
    assert press(visitor).location == "/abgemeldet"


def test_signing_out_after_the_encryption_key_has_changed(visitor: Visitor) -> None:
    visitor.log_in()
    db.session.scalars(select(LoginSession)).one().sealed_id_token = bytes(60)
    db.session.commit()
    assert press(visitor).location == "/abgemeldet"


def test_a_company_that_cannot_be_one(visitor: Visitor) -> None:
    visitor.log_in()
    fields = {"csrf_token": csrf_token(visitor.konto), "membership_id": "x"}
    assert visitor.konto.post("/unternehmen/wechseln", data=fields).status_code == 400
