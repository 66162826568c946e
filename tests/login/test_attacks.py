"""Everything an attacker may put into the answers: no session, a page that says what to do, details in the log only."""

import base64
import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from pytest_httpserver import HTTPServer

from tests.demo.person import choose_certificate
from tests.login.conftest import Visitor, nobody_is_signed_in, onward
from unternehmenskonto import keys
from unternehmenskonto.demo.identity_provider import Behaviour, Provider

HIGH = "http://eidas.europa.eu/LoA/high"
NOW = 1_795_000_000
OTHER_KEY = RSAKey.generate_key(2048)


def claims(**changes: object) -> Callable[[Behaviour], None]:
    return lambda behaviour: behaviour.id_token.update(changes)


def header(**changes: object) -> Callable[[Behaviour], None]:
    return lambda behaviour: behaviour.id_token_header.update(changes)


def token(**changes: object) -> Callable[[Behaviour], None]:
    return lambda behaviour: behaviour.token.update(changes)


def userinfo(**changes: object) -> Callable[[Behaviour], None]:
    return lambda behaviour: behaviour.userinfo.update(changes)


def member(name: str, value: object) -> Callable[[Behaviour], None]:
    return lambda behaviour: setattr(behaviour, name, value)


FORGERIES: dict[str, Callable[[Behaviour], None]] = {
    "alg none": member("algorithm", "none"),
    "HS256 with the public key": member("algorithm", "HS256"),
    "key of somebody else": member("foreign_key", True),
    "other issuer": claims(iss="https://evil.example"),
    "issuer with slash": lambda b: b.id_token.update(iss=f"{'http://127.0.0.2'}/"),
    "no issuer": claims(iss=None),
    "other audience": claims(aud="somebody"),
    "other audience, azp is us": claims(aud=["somebody"], azp="unternehmenskonto"),
    "further audience": claims(aud=["unternehmenskonto", "somebody"], azp="unternehmenskonto"),
    "no audience": claims(aud=None),
    "audience of wrong type": claims(aud={"unternehmenskonto": 1}),
    "azp is another": claims(azp="somebody"),
    "expired": claims(exp=NOW - 11),
    "no exp": claims(exp=None),
    "exp as text": claims(exp="2099-01-01"),
    "exp true": claims(exp=True),
    "exp without end": claims(exp=float("inf")),
    "exp not a number": claims(exp=float("nan")),
    "no iat": claims(iat=None),
    "iat in the future": claims(iat=NOW + 60),
    "iat an hour ago": claims(iat=NOW - 3600),
    "not yet valid": claims(nbf=NOW + 60),
    "auth_time in the future": claims(auth_time=NOW + 60),
    "auth_time as text": claims(auth_time="now"),
    "no nonce": claims(nonce=None),
    "other nonce": claims(nonce="another"),
    "nonce as list": claims(nonce=["another"]),
    "wrong at_hash": claims(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "no sub": claims(sub=None),
    "empty sub": claims(sub=""),
    "sub as number": claims(sub=7),
    "sub too long": claims(sub="x" * 256),
    "access token": header(typ="at+jwt"),
    "logout token": header(typ="logout+jwt"),
    "key in the header": header(jwk=OTHER_KEY.as_dict(private=False)),
    "certificate in the header": header(x5c=["MIIB"]),
    "kid is a path": header(kid="../../../etc/passwd"),
    "kid is SQL": header(kid="' OR 1=1 --"),
    "kid of 10 kB": header(kid="k" * 10_000),
    "no ID token": token(id_token=None),
    "ID token is no text": token(id_token={"sub": "x"}),
    "ID token is no JWS": token(id_token="a.b"),
    "ID token of 1 MB": token(id_token="a" * 200_000),
    "no access token": token(access_token=None),
    "other token type": token(token_type="mac"),
    "userinfo about another": userinfo(sub="somebody"),
    "userinfo about nobody": userinfo(sub=None),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
@pytest.mark.attack(
    "foreign audience",
    "userinfo of another person",
    "wrong nonce or hash",
    "missing ID token",
    "alg none",
    "public key as shared secret",
    "kid injection",
    "key that comes with the token",
    "token of another kind",
)
def test_forged_answers(visitor: Visitor, idp: Provider, forgery: Callable[[Behaviour], None]) -> None:
    with time_machine.travel(NOW, tick=False):
        url = visitor.walk()
        forgery(idp.behaviour)
        answer = visitor.come_back(url)
    assert answer.status_code == 502
    assert "ließ sich nicht prüfen" in answer.text or "nicht so, wie es vereinbart ist" in answer.text
    assert "Noch einmal versuchen" in answer.text
    assert nobody_is_signed_in(visitor)


def test_the_same_walk_without_forgery(visitor: Visitor) -> None:
    with time_machine.travel(NOW, tick=False):
        assert visitor.log_in().status_code == 303


@pytest.mark.parametrize(
    "honest",
    [
        header(kid=None),
        header(typ=None),
        claims(aud=["unternehmenskonto"]),
        claims(azp="unternehmenskonto"),
        claims(at_hash=None),
        claims(auth_time=None),
        claims(exp=NOW - 9, iat=NOW + 9),
        token(token_type="bearer"),
    ],
)
def test_unusual_but_good_answers(visitor: Visitor, idp: Provider, honest: Callable[[Behaviour], None]) -> None:
    with time_machine.travel(NOW, tick=False):
        url = visitor.walk()
        honest(idp.behaviour)
        assert visitor.come_back(url).status_code == 303


def signed_by_hand(idp: Provider, nonce: str, **odd: object) -> str:
    """Return a good ID token whose header carries what a decent library refuses to sign."""
    person = {**idp.certificates["erika-musterbau"].claims(), "sub": idp.certificates["erika-musterbau"].subject}
    good = {"iss": idp.issuer, "aud": "unternehmenskonto", "exp": NOW + 60, "iat": NOW, "nonce": nonce, "acr": HIGH}
    header = {"alg": "RS256", "typ": "JWT", "kid": idp.keys.current.kid, **odd}
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (header, {**person, **good})]
    private = serialization.load_pem_private_key(idp.keys.current.as_pem(private=True), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    signature = private.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        ({}, 303),
        ({"typ": ["JWT"]}, 502),
        ({"typ": None}, 502),
        ({"crit": ["exp"], "exp": 1}, 502),
        ({"crit": []}, 502),
        ({"b64": False}, 502),
        ({"kid": ["a"]}, 502),
        ({"kid": 7}, 502),
        ({"alg": "PS256"}, 502),
        ({"alg": "nOnE"}, 502),
        ({"alg": ["RS256"]}, 502),
        ({"alg": None}, 502),
    ],
)
@pytest.mark.attack("critical header")
def test_odd_headers(visitor: Visitor, idp: Provider, odd: dict[str, object], status: int) -> None:
    with time_machine.travel(NOW, tick=False):
        start = onward(visitor.start())
        nonce = parse_qs(urlsplit(start).query)["nonce"][0]
        url = choose_certificate(visitor.elsewhere, start)
        idp.behaviour.token["id_token"] = signed_by_hand(idp, nonce, **odd)
        assert visitor.come_back(url).status_code == status


@pytest.mark.parametrize("name", ["jku", "x5u"])
@pytest.mark.attack("key that comes with the token")
def test_addresses_in_the_header_are_not_opened(
    visitor: Visitor, idp: Provider, httpserver: HTTPServer, name: str
) -> None:
    idp.behaviour.id_token_header[name] = httpserver.url_for("/keys")
    assert visitor.log_in().status_code == 502
    assert httpserver.log == []


def test_weak_keys_and_keys_for_other_uses(visitor: Visitor, idp: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = idp.keys.published()["keys"][0]
    number = rsa.generate_private_key(65537, 1024).public_key().public_numbers().n.to_bytes(128)  # noqa: S505
    weak = {"kty": "RSA", "e": "AQAB", "n": base64.urlsafe_b64encode(number).rstrip(b"=").decode()}
    curve = ECKey.generate_key("P-256").as_dict(private=False)
    for published in (
        [{**honest, "use": "enc"}],
        [{**honest, "alg": "RS512"}],
        [{**weak, "kid": honest["kid"]}],
        [curve],
        [],
    ):
        visitor.konto.application.extensions["identity_provider_cache"]["keys"].clear()
        monkeypatch.setattr(idp.keys, "published", lambda published=published: {"keys": published})
        assert visitor.log_in(fresh="1").status_code == 502


@pytest.mark.attack("audience injection")
def test_our_proof_is_for_the_issuer_wherever_it_is_sent(
    visitor: Visitor, idp: Provider, httpserver: HTTPServer
) -> None:
    """Audience injection (RFC 10070): metadata may name a foreign token endpoint, the assertion never does."""
    httpserver.expect_request("/token").respond_with_json({"error": "invalid_grant"}, status=400)
    idp.behaviour.discovery = {"token_endpoint": httpserver.url_for("/token")}
    assert visitor.log_in().status_code == 502
    ((request, _),) = httpserver.log
    assertion = jwt.decode(request.form["client_assertion"], KeySet.import_key_set(keys.jwks()), algorithms=["ES256"])
    assert assertion.header["typ"] == "client-authentication+jwt"
    assert {name: assertion.claims[name] for name in ("iss", "sub", "aud")} == {
        "iss": "unternehmenskonto",
        "sub": "unternehmenskonto",
        "aud": idp.issuer,
    }
    assert 0 < assertion.claims["exp"] - assertion.claims["iat"] <= 60
    assert "Authorization" not in request.headers
