"""How a client proves itself: one way, the registered one, fresh, and nothing told to those who fail."""

import base64
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from flask.testing import FlaskClient
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from sqlalchemy import select

from tests.provider.party import ASSERTION_TYPE, Party, claims_of, unsigned
from tests.provider.test_token import BAD_CLIENT, BAD_REQUEST, outcome
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import db
from unternehmenskonto.provider import client_authentication, client_keys

FORM = {"grant_type": "client_credentials"}


def sender(**options: Any) -> Party:
    return Party(is_mailbox_sender=True, **options)


def ask(client: FlaskClient, party: Party, assertion: str | None = None, **fields: str) -> Any:
    """Ask for a token with this assertion, or with the party's own proof."""
    if assertion is not None:
        fields = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **fields}
        return client.post("/oauth/token", data={**FORM, **fields})
    headers, proof = party.proof()
    return client.post("/oauth/token", data={**FORM, **proof, **fields}, headers=headers)


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def test_wrong_missing_and_garbled_secrets(client: FlaskClient) -> None:
    party = sender()
    for headers in (
        basic(party.client_id, "wrong"),
        basic(party.client_id, ""),
        basic("", ""),
        basic("nobody", party.secret),
        basic("a\0b", party.secret),
        {"Authorization": "Basic ==="},
        {"Authorization": "Basic"},
        {"Authorization": "Bearer x"},
        {"Authorization": basic(party.client_id, party.secret)["Authorization"].replace("Basic", "Bearer")},
        {},
    ):
        answer = client.post("/oauth/token", data=FORM, headers=headers)
        assert outcome(answer) == BAD_CLIENT
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.attack("guessing and enumeration")
def test_unknown_and_known_clients_hear_the_same(client: FlaskClient) -> None:
    party = sender()
    bodies = set()
    for name, secret in ((party.client_id, "wrong"), ("nobody", "wrong"), (party.client_id, "")):
        bodies.add(client.post("/oauth/token", data=FORM, headers=basic(name, secret)).text)
    party.service.is_enabled = False
    db.session.commit()
    bodies.add(client.post("/oauth/token", data=FORM, headers=basic(party.client_id, party.secret)).text)
    assert len(bodies) == 1
    found = db.session.execute(select(AuditEvent.by, AuditEvent.fields).where(AuditEvent.event == "client.refused"))
    assert {(row.by, row.fields["reason"]) for row in found} == {
        (f"client:{party.client_id}", "wrong_secret"),
        ("client:unknown", "unknown_client"),
    }


def test_secret_is_form_encoded_in_basic(client: FlaskClient) -> None:
    secret = "a+b%c:d ü"
    party = sender(registration={"client_secret_sha256": hashlib.sha256(secret.encode()).hexdigest()})
    headers = basic(party.client_id, quote_plus(secret))
    assert client.post("/oauth/token", data=FORM, headers=headers).status_code == 200


def test_only_the_registered_way_counts(client: FlaskClient) -> None:
    by_basic = sender()
    assert outcome(ask(client, by_basic, by_basic.assertion())) == BAD_CLIENT
    form = {**FORM, "client_id": by_basic.client_id, "client_secret": by_basic.secret}
    assert outcome(client.post("/oauth/token", data=form)) == BAD_CLIENT
    assert outcome(client.post("/oauth/token", data={**FORM, "client_id": by_basic.client_id})) == BAD_CLIENT
    by_post = sender(auth_method="client_secret_post")
    assert outcome(client.post("/oauth/token", data=FORM, headers=basic(by_post.client_id, by_post.secret))) == (
        BAD_CLIENT
    )
    by_key = sender(auth_method="private_key_jwt")
    assert outcome(client.post("/oauth/token", data=FORM, headers=basic(by_key.client_id, ""))) == BAD_CLIENT
    assert outcome(client.post("/oauth/token", data={**FORM, "client_id": by_key.client_id})) == BAD_CLIENT


@pytest.mark.attack("two client authentications")
def test_two_ways_at_once(client: FlaskClient) -> None:
    party = sender()
    headers, _ = party.proof()
    for more in (
        {"client_id": party.client_id, "client_secret": party.secret},
        {"client_assertion_type": ASSERTION_TYPE, "client_assertion": party.assertion()},
    ):
        assert outcome(client.post("/oauth/token", data={**FORM, **more}, headers=headers)) == BAD_REQUEST


@pytest.mark.attack("client confusion")
def test_one_name_only(client: FlaskClient) -> None:
    for method in ("client_secret_basic", "private_key_jwt"):
        party, other = sender(auth_method=method), sender()
        assert outcome(ask(client, party, client_id=other.client_id)) == BAD_REQUEST
        assert ask(client, party, client_id=party.client_id).status_code == 200


def test_each_algorithm(client: FlaskClient) -> None:
    for alg, key in (
        ("RS256", RSAKey.generate_key(2048, {"kid": "k"})),
        ("PS256", RSAKey.generate_key(2048, {"kid": "k"})),
        ("ES256", ECKey.generate_key("P-256", {"kid": "k"})),
        ("EdDSA", OKPKey.generate_key("Ed25519", {"kid": "k"})),
    ):
        jwks = {"keys": [{"kty": "unknown"}, "x", key.as_dict(private=False)]}
        party = sender(auth_method="private_key_jwt", registration={"jwks": jwks})
        good = party.assertion(key=key, header={"alg": alg, "kid": "k", "typ": "client-authentication+jwt"})
        assert ask(client, party, good).status_code == 200, alg
        without_kid = party.assertion(key=key, header={"alg": alg, "kid": "k"})
        assert ask(client, party, without_kid).status_code == 200, alg


def test_private_short_and_encryption_keys_are_not_taken(client: FlaskClient) -> None:
    key = ECKey.generate_key("P-256", {"kid": "k"})
    for jwk in (
        key.as_dict(private=True),
        {**key.as_dict(private=False), "use": "enc"},
        {**key.as_dict(private=False), "alg": "ES512"},
        {**key.as_dict(private=False), "crv": "P-384"},
    ):
        party = sender(auth_method="private_key_jwt", registration={"jwks": {"keys": [jwk]}})
        assert outcome(ask(client, party, party.assertion(key=key, header={"kid": "k"}))) == BAD_CLIENT


WRONG_CLAIMS: dict[str, Callable[[Party], dict[str, Any]]] = {
    "audience token endpoint": lambda p: {"aud": p.issuer + "/oauth/token"},
    "audience with slash": lambda p: {"aud": p.issuer + "/"},
    "audience as list": lambda p: {"aud": [p.issuer]},
    "audience with another": lambda p: {"aud": [p.issuer, "https://evil.example"]},
    "audience foreign": lambda p: {"aud": "https://evil.example"},
    "no audience": lambda p: {"aud": None},
    "issuer foreign": lambda p: {"iss": "other"},
    "no issuer": lambda p: {"iss": None},
    "no subject": lambda p: {"sub": None},
    "subject a number": lambda p: {"sub": 1},
    "expired": lambda p: {"exp": int(time.time()) - 1},
    "too long": lambda p: {"exp": int(time.time()) + 3600},
    "no end": lambda p: {"exp": None},
    "end a word": lambda p: {"exp": "tomorrow"},
    "end true": lambda p: {"exp": True},
    "end beyond counting": lambda p: {"exp": 1e300},
    "issued in the future": lambda p: {"iat": int(time.time()) + 61},
    "not yet": lambda p: {"nbf": int(time.time()) + 61},
    "no jti": lambda p: {"jti": None},
    "jti empty": lambda p: {"jti": ""},
    "jti too long": lambda p: {"jti": "j" * 257},
    "jti a number": lambda p: {"jti": 5},
}


@pytest.mark.parametrize("name", WRONG_CLAIMS)
@pytest.mark.attack("audience injection")
def test_wrong_claims(client: FlaskClient, name: str) -> None:
    party = sender(auth_method="private_key_jwt")
    assert outcome(ask(client, party, party.assertion(**WRONG_CLAIMS[name](party)))) == BAD_CLIENT


def test_clocks_may_differ_by_ten_seconds(client: FlaskClient) -> None:
    party = sender(auth_method="private_key_jwt")
    ahead = int(time.time()) + 8
    assert ask(client, party, party.assertion(iat=ahead, nbf=ahead)).status_code == 200


@pytest.mark.attack("assertion replay")
def test_an_assertion_works_once(client: FlaskClient) -> None:
    party, other = sender(auth_method="private_key_jwt"), sender(auth_method="private_key_jwt")
    assertion = party.assertion(jti="one")
    assert ask(client, party, assertion).status_code == 200
    assert outcome(ask(client, party, assertion)) == BAD_CLIENT
    assert outcome(ask(client, party, party.assertion(jti="one"))) == BAD_CLIENT
    assert ask(client, other, other.assertion(jti="one")).status_code == 200


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "", None, 1, ["ES256"], {"a": 1}, "HS256", "ES512"])
@pytest.mark.attack("alg none")
def test_no_algorithm_but_ours(client: FlaskClient, alg: Any) -> None:
    party = sender(auth_method="private_key_jwt")
    assert outcome(ask(client, party, unsigned(claims_of(party.assertion()), alg))) == BAD_CLIENT


@pytest.mark.attack("public key as shared secret")
def test_public_key_as_shared_secret(client: FlaskClient) -> None:
    party = sender(auth_method="private_key_jwt")
    for secret in (party.key.as_pem(private=False), json.dumps(party.key.as_dict(private=False)).encode()):
        try:
            key = OctKey.import_key(secret)
        except ValueError:
            key = OctKey.import_key(base64.b64encode(secret))
        assert outcome(ask(client, party, party.assertion(key=key, header={"alg": "HS256"}))) == BAD_CLIENT


@pytest.mark.attack("key that comes with the token")
def test_keys_named_in_the_header_are_never_used(client: FlaskClient) -> None:
    party = sender(auth_method="private_key_jwt")
    foreign = ECKey.generate_key("P-256", {"kid": "party-1"})
    public = foreign.as_dict(private=False)
    for header in (
        {"jwk": public},
        {"jku": "http://127.0.0.1:9/jwks"},
        {"x5u": "http://127.0.0.1:9/x"},
        {"x5c": ["x"]},
    ):
        assert outcome(ask(client, party, party.assertion(key=foreign, header=header))) == BAD_CLIENT


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' OR 1=1 --", "k" * 10_000, "", "unknown", 7, None, ["a"]])
@pytest.mark.attack("kid injection")
def test_odd_kids(client: FlaskClient, kid: Any) -> None:
    party = sender(auth_method="private_key_jwt")
    assert outcome(ask(client, party, unsigned(claims_of(party.assertion()), "ES256", kid=kid))) == (
        BAD_REQUEST if isinstance(kid, str) and len(kid) > 8000 else BAD_CLIENT
    )


@pytest.mark.attack("critical header", "token of another kind")
def test_critical_headers_and_other_kinds_of_tokens(client: FlaskClient) -> None:
    party = sender(auth_method="private_key_jwt")
    for header in ({"crit": ["exp"]}, {"typ": "dpop+jwt"}, {"typ": "logout+jwt"}, {"typ": "at+jwt"}):
        token = _signed_with_header(party, header)
        assert outcome(ask(client, party, token)) == BAD_CLIENT


def _signed_with_header(party: Party, header: dict[str, Any]) -> str:
    """Return a correctly signed assertion with a header that joserfc itself might refuse to write."""

    def encode(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    payload = party.assertion().split(".")[1]
    signed = f"{encode(json.dumps({'alg': 'ES256', 'kid': 'party-1', **header}).encode())}.{payload}"
    r, s = decode_dss_signature(party.key.private_key.sign(signed.encode(), ECDSA(SHA256())))  # type: ignore[union-attr]
    return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def test_good_header_written_by_hand_is_accepted(client: FlaskClient) -> None:
    """The helper above signs correctly: otherwise the test before would prove nothing."""
    party = sender(auth_method="private_key_jwt")
    assert ask(client, party, _signed_with_header(party, {"typ": "JWT"})).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.b", "....", "e30.e30.e30", "{}.{}.{}", "ä.ä.ä", "[1].[1].x"])
def test_garbage(client: FlaskClient, token: str) -> None:
    answer = client.post(
        "/oauth/token", data={**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": token}
    )
    assert outcome(answer) == BAD_CLIENT


def test_assertion_type_must_be_the_one(client: FlaskClient) -> None:
    party = sender(auth_method="private_key_jwt")
    for value in ("", "x", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"):
        form = {**FORM, "client_assertion_type": value, "client_assertion": party.assertion()}
        assert outcome(client.post("/oauth/token", data=form)) == BAD_REQUEST


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
@pytest.mark.attack("guessing and enumeration")
def test_every_refused_assertion_costs_one_verification(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, alg: str
) -> None:
    """Time must not tell whether a client exists or how it proves itself: the dear part is done for everybody."""
    work: list[str] = []
    real = client_authentication._is_signed
    monkeypatch.setattr(
        client_authentication,
        "_is_signed",
        lambda token, key, alg: [work.append(f"{key.key_type} {alg}"), real(token, key, alg)][1],
    )
    kind = client_keys.KEY_OF_ALG[alg][0]
    by_key, by_secret = sender(auth_method="private_key_jwt"), sender()
    only = sender(auth_method="private_key_jwt", registration={"token_endpoint_auth_signing_alg": "ES256"})
    gone = sender(auth_method="private_key_jwt")
    gone.service.is_enabled = False
    db.session.commit()
    bodies = set()
    for name in (by_key.client_id, by_secret.client_id, only.client_id, gone.client_id, "nobody", ""):
        for header in ({"kid": "party-1"}, {"kid": "unknown"}):
            work.clear()
            claims = {**claims_of(by_key.assertion()), "iss": name, "sub": name}
            token = unsigned(claims, alg, **header) + "AAAA"
            answer = client.post(
                "/oauth/token", data={**FORM, "client_assertion_type": ASSERTION_TYPE, "client_assertion": token}
            )
            assert outcome(answer) == BAD_CLIENT
            bodies.add(answer.text)
            assert work == [f"{kind} {alg}"], (name, header)
    assert len(bodies) == 1
    # What is refused whoever sends it costs nothing, whoever sends it.
    for name in (by_key.client_id, "nobody"):
        work.clear()
        token = unsigned({**claims_of(by_key.assertion()), "sub": name}, "none")
        assert outcome(ask(client, by_key, token)) == BAD_CLIENT
        assert work == []


def test_stand_in_keys_verify_nothing() -> None:
    for alg, key in client_keys.STAND_INS.items():
        assert (key.key_type, key.get("crv")) == client_keys.KEY_OF_ALG[alg]
        assert not key.is_private
        if isinstance(key, RSAKey):
            assert key.public_key.key_size == 2048


@pytest.mark.attack("guessing and enumeration")
def test_failures_are_limited_by_address(client: FlaskClient) -> None:
    party = sender()
    for number in range(60):
        assert client.post("/oauth/token", data=FORM, headers=basic(f"x{number}", "x")).status_code == 401
    answer = client.post("/oauth/token", data=FORM, headers=basic(party.client_id, "x"))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) <= 60
    assert answer.get_json()["error"]


@pytest.mark.attack("guessing and enumeration")
def test_guesses_at_one_client_are_limited_sooner_and_hurt_nobody_else(client: FlaskClient) -> None:
    party, other = sender(), sender()
    for name in (party.client_id, "unknown"):
        found = [client.post("/oauth/token", data=FORM, headers=basic(name, "x")) for _ in range(21)]
        assert [answer.status_code for answer in found] == [401] * 20 + [429]
        assert len({answer.data for answer in found[:20]}) == 1
    assert client.post("/oauth/token", data=FORM, headers=other.proof()[0]).status_code == 200
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    answer = client.post("/oauth/token", data=FORM, headers=party.proof()[0], environ_overrides=elsewhere)
    assert answer.status_code == 200
