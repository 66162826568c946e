"""Signed and encrypted answers: for the client's key, never plain where encryption is registered."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc import jwe, jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from sqlalchemy import func, select

from tests.provider.party import Party, claims_of
from tests.provider.test_live import key_server
from tests.provider.test_refresh import OFFLINE, refresh
from tests.provider.test_registration import GOOD, initial, party_of, register
from unternehmenskonto import keys
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.provider import encryption, hints
from unternehmenskonto.provider.models import AuthorizationCode

Key = RSAKey | ECKey | OKPKey
_RSA = RSAKey.generate_key(2048, {"use": "enc", "kid": "enc-rsa"})


def key_for(alg: str) -> Key:
    return _RSA if alg == "RSA-OAEP-256" else ECKey.generate_key("P-256", {"use": "enc", "kid": "enc-ec"})


def jwks(*found: Key) -> dict[str, Any]:
    return {"keys": [key.as_dict(private=False) for key in found]}


def open_with(key: Key, token: str, alg: str, enc: str) -> tuple[dict[str, Any], bytes]:
    found = jwe.decrypt_compact(token, key, algorithms=[alg, enc])
    assert found.plaintext is not None
    return dict(found.headers()), found.plaintext


def published(client: FlaskClient) -> KeySet:
    return KeySet.import_key_set(client.get("/oauth/jwks").get_json())


@pytest.mark.parametrize("alg", keys.ALGORITHMS)
def test_signed_userinfo(client: FlaskClient, member: Membership, alg: str) -> None:
    party = Party(registration={"userinfo_signed_response_alg": alg})
    body = party.tokens(client)
    answer = party.userinfo(client, body["access_token"])
    assert (answer.mimetype, answer.headers["Cache-Control"]) == ("application/jwt", "no-store")
    token = jwt.decode(answer.text, published(client), algorithms=[alg])
    assert (token.header["alg"], token.claims["aud"], token.claims["iss"]) == (alg, party.client_id, party.issuer)
    assert token.claims["sub"] == claims_of(body["id_token"])["sub"]
    assert token.claims["given_name"] == member.person.given_name
    assert token.header["kid"] in {key["kid"] for key in keys.public_keys("token")}
    # It is neither an ID token nor an access token.
    with pytest.raises(hints.InvalidHint):
        hints.verify(answer.text, client_id=party.client_id)
    assert party.userinfo(client, answer.text).status_code == 401


@pytest.mark.parametrize("alg", encryption.ALGORITHMS)
@pytest.mark.parametrize("enc", encryption.CONTENT_ALGORITHMS)
def test_encrypted_id_token_and_userinfo(client: FlaskClient, member: Membership, alg: str, enc: str) -> None:
    key = key_for(alg)
    party = Party(
        registration={
            "jwks": jwks(key),
            "id_token_encrypted_response_alg": alg,
            "id_token_encrypted_response_enc": enc,
            "userinfo_encrypted_response_alg": alg,
            "userinfo_encrypted_response_enc": enc,
        }
    )
    body = party.tokens(client)
    header, inner = open_with(key, body["id_token"], alg, enc)
    assert (header["cty"], header["kid"], header["alg"], header["enc"]) == ("JWT", key.kid, alg, enc)
    claims = jwt.decode(inner.decode(), published(client), algorithms=["RS256"]).claims
    assert (claims["aud"], claims["nonce"]) == (party.client_id, "n-1")
    # Core 3.1.2.1: what comes back as a hint is the signed token inside.
    assert "code=" in party.authorize(client, id_token_hint=inner.decode(), prompt="none").headers["Location"]
    answer = party.userinfo(client, body["access_token"])
    assert answer.mimetype == "application/jwt"
    header, inner = open_with(key, answer.text, alg, enc)
    assert "cty" not in header
    assert json.loads(inner)["given_name"] == member.person.given_name


def test_signed_then_encrypted_userinfo(client: FlaskClient, member: Membership) -> None:
    key = OKPKey.generate_key("X25519", {"use": "enc"})
    registration = {
        "jwks": jwks(key),
        "userinfo_signed_response_alg": "ES256",
        "userinfo_encrypted_response_alg": "ECDH-ES",
    }
    party = Party(registration=registration)
    answer = party.userinfo(client, party.tokens(client)["access_token"])
    header, inner = open_with(key, answer.text, "ECDH-ES", "A128CBC-HS256")
    assert (header["cty"], "kid" in header) == ("JWT", bool(key.kid))
    assert jwt.decode(inner.decode(), published(client), algorithms=["ES256"]).claims["aud"] == party.client_id


def test_without_a_fitting_key_nothing_leaves(client: FlaskClient, member: Membership) -> None:
    unfit = [
        ECKey.generate_key("P-256", {"use": "sig"}),
        ECKey.generate_key("P-256", {}),
        ECKey.generate_key("P-256", {"use": "enc", "alg": "ECDH-ES+A128KW"}),
        ECKey.generate_key("secp256k1", {"use": "enc"}),
        OKPKey.generate_key("Ed25519", {"use": "enc"}),
        _RSA,
    ]
    party = Party(registration={"jwks": jwks(*unfit), "id_token_encrypted_response_alg": "ECDH-ES"})
    answer = party.exchange(client, party.code(client))
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert "use=enc" in answer.get_json()["error_description"]
    assert db.session.scalar(select(AuthorizationCode.used_at)) is None
    party = Party(registration={"jwks": jwks(*unfit), "userinfo_encrypted_response_alg": "ECDH-ES"})
    answer = party.userinfo(client, party.tokens(client)["access_token"])
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert str(member.person.given_name) not in answer.text
    told = select(func.count()).select_from(AuditEvent).where(AuditEvent.event == "claims.disclosed")
    assert db.session.scalar(told) == 0


def test_a_refreshed_id_token_is_encrypted_too(client: FlaskClient, member: Membership) -> None:
    registration = {"offline_access": True, "jwks": jwks(_RSA), "id_token_encrypted_response_alg": "RSA-OAEP-256"}
    party = Party(registration=registration)
    body = refresh(party, client, party.tokens(client, scope=OFFLINE)["refresh_token"]).get_json()
    _, inner = open_with(_RSA, body["id_token"], "RSA-OAEP-256", "A128CBC-HS256")
    assert claims_of(inner.decode())["aud"] == party.client_id


@pytest.mark.parametrize("method", ["client_secret_basic", "private_key_jwt"])
def test_the_newest_key_of_a_fetched_set(client: FlaskClient, member: Membership, method: str) -> None:
    old, new = (ECKey.generate_key("P-256", {"use": "enc", "kid": kid}) for kid in ("old", "new"))
    party = Party(auth_method=method)
    with key_server([party.key, old, new]) as (uri, calls):
        changes = {"jwks_uri": uri, "id_token_encrypted_response_alg": "ECDH-ES+A256KW"}
        party.service.client = {**(party.service.client or {}), **changes}
        party.service.client.pop("jwks", None)
        party.service.fingerprint = "1" * 64
        db.session.commit()
        body = party.tokens(client)
        _, inner = open_with(new, body["id_token"], "ECDH-ES+A256KW", "A128CBC-HS256")
        assert claims_of(inner.decode())["aud"] == party.client_id
        party.tokens(client)
        assert len(calls) == 1


def test_registered_by_itself(client: FlaskClient, member: Membership) -> None:
    wishes = {
        "jwks": jwks(_RSA),
        "id_token_encrypted_response_alg": "RSA-OAEP-256",
        "id_token_encrypted_response_enc": "A256GCM",
        "userinfo_signed_response_alg": "ES256",
    }
    found = register(client, {**GOOD, **wishes}, initial()).get_json()
    assert {name: found[name] for name in wishes} == wishes
    _, inner = open_with(_RSA, party_of(found).tokens(client)["id_token"], "RSA-OAEP-256", "A256GCM")
    assert claims_of(inner.decode())["aud"] == found["client_id"]
    for wrong in (
        {"id_token_encrypted_response_alg": "ECDH-ES"},
        {"jwks": jwks(_RSA), "userinfo_encrypted_response_enc": "A256GCM"},
        {"jwks": jwks(_RSA), "userinfo_encrypted_response_alg": "RSA1_5"},
        {"userinfo_signed_response_alg": "none"},
    ):
        answer = register(client, {**GOOD, **wrong}, initial())
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_client_metadata")
