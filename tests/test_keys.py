"""Our keys: strong, encrypted at rest, published without their private half; only our own tokens are accepted."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from sqlalchemy import select, text

from unternehmenskonto import keys
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import db
from unternehmenskonto.keys import InvalidToken, SigningKey

PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
AUDIENCE = "http://127.0.0.1:8000/api/v1"


def claims(**changes: Any) -> dict[str, Any]:
    moment = int(time.time())
    whole = {"iss": "http://127.0.0.1:8000", "aud": AUDIENCE, "iat": moment, "exp": moment + 60, **changes}
    return {name: value for name, value in whole.items() if value is not None}


def signed(**changes: Any) -> str:
    return keys.sign(claims(**changes), use="token", alg="ES256", typ="at+jwt")


def active_key() -> SigningKey:
    return db.session.scalars(select(SigningKey).filter_by(use="token", alg="ES256", status="active")).one()


def foreign(key: Any, *, alg: str, **header: Any) -> str:
    """Return a token of the right shape that somebody else signed."""
    return jwt.encode({"alg": alg, "typ": "at+jwt", **header}, claims(), key, algorithms=[alg])


def assert_refused(token: str) -> str:
    with pytest.raises(InvalidToken) as caught:
        keys.verify(token, typ="at+jwt", audience=AUDIENCE)
    return str(caught.value)


@pytest.mark.parametrize("alg", keys.ALGORITHMS)
def test_own_token_is_accepted_whatever_the_algorithm(app: Flask, alg: str) -> None:
    token = keys.sign(claims(sub="x"), use="token", alg=alg, typ="at+jwt")
    assert keys.verify(token, typ="at+jwt", audience=AUDIENCE)["sub"] == "x"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://anderswo.example"}, "foreign issuer"),
        ({"iss": None}, "foreign issuer"),
        ({"aud": "http://127.0.0.1:8000"}, "other audience"),
        ({"aud": None}, "other audience"),
        ({"aud": []}, "other audience"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": "2999999999"}, "expired"),
        ({"iat": int(time.time()) + 3600}, "issued in the future"),
    ],
)
def test_one_wrong_claim_is_enough(app: Flask, changes: dict[str, Any], reason: str) -> None:
    assert assert_refused(signed(**changes)) == reason


def test_clock_that_is_a_little_ahead_is_accepted(app: Flask) -> None:
    token = signed(iat=int(time.time()) + keys.CLOCK_TOLERANCE_SECONDS - 1)
    assert keys.verify(token, typ="at+jwt", audience=AUDIENCE)


def test_audience_may_be_one_of_several(app: Flask) -> None:
    assert keys.verify(signed(aud=["x", AUDIENCE]), typ="at+jwt", audience=AUDIENCE)


def test_token_of_another_kind_is_refused(app: Flask) -> None:
    """RFC 8725 section 3.11: an ID token or a receipt is no access token."""
    for use, typ in (("token", "JWT"), ("receipt", "receipt+jwt"), ("client", "client-authentication+jwt")):
        assert assert_refused(keys.sign(claims(), use=use, alg="ES256", typ=typ)) == "typ is not at+jwt"


def test_unsigned_token_is_refused(app: Flask) -> None:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    for alg in ("none", "None", "NONE", ""):
        assert_refused(f"{part({'alg': alg, 'typ': 'at+jwt', 'kid': active_key().kid})}.{part(claims())}.")


def test_public_key_as_shared_secret_is_refused(app: Flask) -> None:
    """RFC 8725 section 2.1: HS256 keyed with our public key."""
    row = db.session.scalars(select(SigningKey).filter_by(use="token", alg="RS256")).one()
    public = RSAKey.import_key(row.public_jwk)
    for secret in (public.as_pem(private=False), json.dumps(row.public_jwk).encode()):
        key = OctKey.import_key(base64.urlsafe_b64encode(secret).decode().rstrip("="))
        assert_refused(foreign(OctKey.import_key({"kty": "oct", "k": key.as_dict()["k"]}), alg="HS256", kid=row.kid))


def test_foreign_key_under_our_name_is_refused(app: Flask) -> None:
    assert_refused(foreign(ECKey.generate_key("P-256"), alg="ES256", kid=active_key().kid))


def test_key_brought_along_is_refused(app: Flask) -> None:
    key = ECKey.generate_key("P-256")
    assert_refused(foreign(key, alg="ES256", jwk=key.as_dict(private=False)))
    assert_refused(foreign(key, alg="ES256", jku="https://boese.example/jwks", kid="x"))


def test_changed_content_is_refused(app: Flask) -> None:
    head, body, signature = signed().split(".")
    more = base64.urlsafe_b64encode(json.dumps(claims(sub="another")).encode()).decode().rstrip("=")
    assert_refused(f"{head}.{more}.{signature}")
    assert_refused(f"{head}.{body}.{signature[:-4]}AAAA")


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "x" * 20_000, "ä.ö.ü", "\x00", "e30.e30.e30", "." * 10_000])
def test_nonsense_is_refused(app: Flask, token: str) -> None:
    assert_refused(token)


def test_published_keys_have_no_private_half_and_enough_bits(app: Flask) -> None:
    published = keys.jwks()["keys"]
    assert len({key["kid"] for key in published}) == len(published) >= 4
    for key in published:
        assert not PRIVATE_MEMBERS & key.keys()
        assert "unternehmenskonto_use" not in key
        assert (key["use"], key["alg"] in keys.ALGORITHMS) == ("sig", True)
        if key["kty"] == "RSA":
            assert RSAKey.import_key(key).raw_value.key_size >= 3072


def test_private_keys_lie_encrypted_in_the_database(app: Flask) -> None:
    for row in db.session.scalars(select(SigningKey)):
        assert not PRIVATE_MEMBERS & row.public_jwk.keys()
        assert b'"d"' not in row.sealed
        private = json.loads(keys.unseal(row.sealed, context=f"signing key {row.kid}"))
        assert private["d"]


def test_sealed_secret_opens_in_its_own_place_only(app: Flask) -> None:
    sealed = keys.seal(b"secret", context="a")
    assert keys.unseal(sealed, context="a") == b"secret"
    assert sealed != keys.seal(b"secret", context="a")
    for damaged, context in ((sealed, "b"), (sealed[:-1] + bytes([sealed[-1] ^ 1]), "a"), (sealed[:12], "a")):
        with pytest.raises(InvalidToken):
            keys.unseal(damaged, context=context)


def test_other_encryption_key_does_not_open_the_keys(app: Flask) -> None:
    before = app.extensions["settings"]
    sealed = keys.seal(b"secret", context="a")
    other = type(before.encryption_key)(base64.b64encode(bytes(32)).decode())
    app.extensions["settings"] = before.model_copy(update={"encryption_key": other})
    try:
        with pytest.raises(InvalidToken, match="another encryption_key"):
            keys.unseal(sealed, context="a")
    finally:
        app.extensions["settings"] = before


@pytest.mark.attack("removed key")
def test_retiring_key_verifies_and_retired_one_does_not(app: Flask) -> None:
    token = signed()
    for status, accepted in (("retiring", True), ("retired", False)):
        db.session.execute(
            text("UPDATE signing_keys SET status = :s WHERE kid = :k"), {"s": status, "k": kid_of(token)}
        )
        app.extensions["key_ring"] = None
        if accepted:
            assert keys.verify(token, typ="at+jwt", audience=AUDIENCE)
        else:
            assert_refused(token)


def test_retired_receipt_key_stays_published(app: Flask) -> None:
    """A proof must be checkable for as long as somebody keeps it."""
    receipt = keys.sign({"a": 1}, use="receipt", alg="ES256", typ="receipt+jwt")
    db.session.execute(text("UPDATE signing_keys SET status = 'retired' WHERE kid = :k"), {"k": kid_of(receipt)})
    app.extensions["key_ring"] = None
    assert keys.decode_own(receipt)[0] == {"a": 1}
    assert kid_of(receipt) in {key["kid"] for key in keys.jwks()["keys"]}


def test_many_processes_make_one_key(fresh_app: Flask) -> None:
    def make(_: int) -> None:
        with fresh_app.app_context():
            keys._make("token", "EdDSA")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(8)))
    assert len(db.session.scalars(select(SigningKey)).all()) == 1


def test_commands_make_missing_keys_and_list_them(fresh_app: Flask) -> None:
    runner = fresh_app.test_cli_runner()
    assert "flask keys ensure" in runner.invoke(args=["keys", "list"]).output
    assert runner.invoke(args=["keys", "ensure"]).output == "6 keys made.\n"
    assert runner.invoke(args=["keys", "ensure"]).output == "All keys are there.\n"
    listed = runner.invoke(args=["keys", "list"]).output
    assert [line.split()[1:4] for line in listed.splitlines()] == [
        ["client", "ES256", "active"],
        ["receipt", "ES256", "active"],
        *(["token", alg, "active"] for alg in keys.ALGORITHMS),
    ]
    assert len(db.session.scalars(select(AuditEvent).filter_by(event="key.made")).all()) == 6


def kid_of(token: str) -> str:
    """Return the key id in the head of the token."""
    head = token.split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])
