"""Signed request objects: what they may say, and everything that is refused (RFC 9101, attacks 39, 42, 43)."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from pytest_httpserver import HTTPServer
from sqlalchemy import select

from tests.provider.party import ASSERTION_TYPE, REDIRECT_URI, Party, claims_of, query_of, unsigned
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.provider.limits import CLOCK_TOLERANCE_SECONDS
from unternehmenskonto.provider.models import UsedAssertion
from unternehmenskonto.provider.retention import forget
from unternehmenskonto.settings import get_settings

TYP = "oauth-authz-req+jwt"


def signing_party(**registration: Any) -> Party:
    """Return a service that signs its requests."""
    return Party(auth_method="private_key_jwt", registration=registration)


def content(party: Party, **changes: Any) -> dict[str, Any]:
    """Return the claims of a good object; None leaves one out."""
    moment = int(time.time())
    values = {
        **party.request(),
        "iss": party.client_id,
        "aud": get_settings().base_url,
        "iat": moment,
        "nbf": moment,
        "exp": moment + 300,
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


def signed(party: Party, *, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a good request object, with changes."""
    found = {"alg": "ES256", "kid": "party-1", "typ": TYP, **(header or {})}
    return jwt.encode(found, content(party, **changes), key or party.key, algorithms=[found["alg"]])


def ask(client: FlaskClient, party: Party, token: str, **outside: str | None) -> dict[str, str]:
    """Send the object beside a silent request and return what comes back."""
    return query_of(party.authorize(client, prompt=outside.pop("prompt", "none"), request=token, **outside))


def test_object_alone_is_enough(client: FlaskClient, member: Membership) -> None:
    party = signing_party(require_signed_request_object=True)
    token = signed(party, state="inside", nonce="n-inside", max_age=10000, claims={"userinfo": {"email": None}})
    page = client.get(f"/oauth/authorize?client_id={party.client_id}&request={token}")
    found = query_of(party.agree(client, page))
    assert found["state"] == "inside"
    body = party.exchange(client, found["code"]).get_json()
    assert claims_of(body["id_token"])["nonce"] == "n-inside"
    facts = party.userinfo(client, body["access_token"]).get_json()
    assert "email" in facts and "given_name" not in facts


@pytest.mark.attack("parameters beside the request object")
def test_what_is_signed_wins(client: FlaskClient, member: Membership) -> None:
    party = signing_party()
    token = signed(party, state="inside", prompt="none")
    assert ask(client, party, token, state="outside", prompt="login")["state"] == "inside"
    # What is not signed counts beside it (Core 6.1), but not for a client that signs everything.
    token = signed(party, state=None)
    assert ask(client, party, token, state="outside")["state"] == "outside"
    strict = signing_party(require_signed_request_object=True)
    token = signed(strict, state=None, prompt="none")
    found = ask(client, strict, token, state="outside", response_type=None)
    assert found["error"] == "consent_required"
    assert "state" not in found


@pytest.mark.attack("loose redirect_uri")
def test_address_in_the_object_is_compared_too(client: FlaskClient, member: Membership) -> None:
    party = signing_party()
    answer = party.authorize(client, request=signed(party, redirect_uri="https://evil.example/"))
    assert (answer.status_code, answer.headers.get("Location")) == (400, None)
    assert party.authorize(client, redirect_uri=None, request="a.b.c").status_code == 400


@pytest.mark.parametrize("typ", [TYP, "JWT", None, "OAuth-Authz-Req+JWT"])
def test_types_that_are_taken(client: FlaskClient, member: Membership, typ: str | None) -> None:
    party = signing_party()
    header = {"alg": "ES256", "kid": "party-1", **({"typ": typ} if typ else {})}
    token = jws.serialize_compact(header, json.dumps(content(party)).encode(), party.key)
    assert ask(client, party, token)["error"] == "consent_required"


NOW = int(time.time())
WRONG: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "no iss": ({"iss": None}, {}),
    "other iss": ({"iss": "somebody"}, {}),
    "no aud": ({"aud": None}, {}),
    "token endpoint as aud": ({"aud": "http://127.0.0.1:8000/oauth/token"}, {}),
    "other aud": ({"aud": ["https://evil.example"]}, {}),
    "no exp": ({"exp": None}, {}),
    "expired": ({"exp": NOW - 1}, {}),
    "lives too long": ({"exp": NOW + 100_000}, {}),
    "exp is a word": ({"exp": "soon"}, {}),
    "exp is true": ({"exp": True}, {}),
    "not yet": ({"nbf": NOW + 3000, "exp": NOW + 3300}, {}),
    "from the future": ({"iat": NOW + 3000}, {}),
    "other client inside": ({"client_id": "somebody"}, {}),
    "list inside": ({"prompt": ["none"]}, {}),
    "control character inside": ({"nonce": "a\nb"}, {}),
    "long inside": ({"ui_locales": "d" * 3000}, {}),
    "typ of an access token": ({}, {"typ": "at+jwt"}),
    "typ of an assertion": ({}, {"typ": "client-authentication+jwt"}),
    "unknown kid": ({}, {"kid": "other"}),
    "long kid": ({}, {"kid": "k" * 300}),
    "endless kid": ({}, {"kid": "k" * 5000}),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.attack("foreign or old request object", "kid injection")
def test_wrong_object_is_refused(client: FlaskClient, member: Membership, name: str) -> None:
    party = signing_party()
    changes, header = WRONG[name]
    found = ask(client, party, signed(party, header=header, **changes))
    assert (found["error"], found["state"]) == ("invalid_request_object", "st-1")


@pytest.mark.attack("foreign or old request object", "alg none", "public key as shared secret")
def test_forged_objects_are_refused(client: FlaskClient, member: Membership) -> None:
    party = signing_party()
    other = ECKey.generate_key("P-256", {"kid": "party-1"})
    public = json.dumps(party.key.as_dict(private=False)).encode()
    good = signed(party)
    forged: dict[str, Callable[[], str]] = {
        "other key": lambda: signed(party, key=other),
        "key in the header": lambda: signed(party, key=other, header={"jwk": other.as_dict(private=False)}),
        "public key as secret": lambda: jwt.encode(
            {"alg": "HS256", "kid": "party-1"},
            content(party),
            OctKey.import_key(public),
            algorithms=["HS256"],
        ),
        "other algorithm": lambda: signed(
            party, key=RSAKey.generate_key(2048, {"kid": "party-1"}), header={"alg": "RS256"}
        ),
        "changed": lambda: good[:-4] + "AAAA",
        "empty signature": lambda: good.rsplit(".", 1)[0] + ".",
        "encrypted": lambda: good + ".a.b",
        "nothing": lambda: "..",
        "a list": lambda: jws.serialize_compact({"alg": "ES256", "kid": "party-1"}, b"[1]", party.key),
        "umlaut": lambda: "ä.ä.ä",
    }
    for name, make in forged.items():
        assert ask(client, party, make())["error"] == "invalid_request_object", name
    for alg in ("none", "None", "nOnE"):
        token = unsigned(content(party), alg, typ=TYP)
        assert ask(client, party, token)["error"] == "request_not_supported", alg
    assert ask(client, party, unsigned(content(party), 7))["error"] == "invalid_request_object"


def test_registered_algorithm_is_the_only_one(client: FlaskClient, member: Membership) -> None:
    party = signing_party(request_object_signing_alg="PS256")
    assert ask(client, party, signed(party))["error"] == "invalid_request_object"
    right = signing_party(request_object_signing_alg="ES256")
    assert ask(client, right, signed(right))["error"] == "consent_required"


@pytest.mark.attack("parameters beside the request object")
def test_client_that_must_sign_cannot_leave_it(client: FlaskClient, member: Membership) -> None:
    party = signing_party(require_signed_request_object=True)
    assert query_of(party.authorize(client))["error"] == "invalid_request"
    other = signing_party()
    found = ask(client, other, signed(other, response_type="code"), response_type="token")
    assert found["error"] == "invalid_request"


def test_posted_object_is_carried_along(client: FlaskClient, member: Membership) -> None:
    party = signing_party(require_signed_request_object=True)
    answer = client.post("/oauth/authorize", data={"client_id": party.client_id, "request": signed(party)})
    assert answer.status_code == 303
    page = client.get(answer.headers["Location"])
    assert query_of(party.agree(client, page))["state"] == "st-1"


@pytest.mark.attack("request_uri to inner servers")
def test_only_registered_addresses_are_called(client: FlaskClient, member: Membership, httpserver: HTTPServer) -> None:
    party = signing_party(request_uris=[httpserver.url_for("/object.jwt"), "http://169.254.169.254/object"])
    httpserver.expect_request("/object.jwt").respond_with_data(signed(party, state="fetched"))
    uri = httpserver.url_for("/object.jwt")
    assert query_of(party.authorize(client, request_uri=uri, prompt="none"))["state"] == "fetched"
    assert len(httpserver.log) == 1
    for wrong in (uri + "?x=1", uri + "#x", httpserver.url_for("/other"), "urn:x", "file:///etc/passwd"):
        found = query_of(party.authorize(client, request_uri=wrong, prompt="none"))
        assert (found["error"], found["state"]) == ("invalid_request_uri", "st-1")
    assert len(httpserver.log) == 1
    blocked = query_of(party.authorize(client, request_uri="http://169.254.169.254/object"))
    assert blocked["error"] == "invalid_request_uri"


@pytest.mark.parametrize("answer", [{"status": 404}, {"response_data": "x" * 9000}, {"response_data": b"\xff"}])
def test_unusable_fetched_objects(
    client: FlaskClient, member: Membership, httpserver: HTTPServer, answer: dict[str, Any]
) -> None:
    httpserver.expect_request("/object.jwt").respond_with_data(**answer)
    party = signing_party(request_uris=[httpserver.url_for("/object.jwt")])
    found = query_of(party.authorize(client, request_uri=party.service.client["request_uris"][0]))
    assert found["error"] == "invalid_request_uri"


def test_asking_to_fetch_is_limited(client: FlaskClient, member: Membership) -> None:
    party = Party()
    codes = [party.authorize(client, request_uri="https://evil.example/").status_code for _ in range(31)]
    assert (set(codes[:30]), codes[30]) == ({303}, 429)
    assert party.authorize(client).status_code == 303
    assert party.redirect_uri == REDIRECT_URI


@pytest.mark.attack("request object replay")
def test_an_object_with_jti_begins_one_login(client: FlaskClient, member: Membership) -> None:
    party, other = signing_party(), signing_party()
    token = signed(party, jti="one", prompt="none")
    assert ask(client, party, token)["error"] == "consent_required"
    again = ask(client, party, token)
    assert (again["error"], again["state"]) == ("invalid_request_object", "st-1")
    assert ask(client, party, signed(party, jti="one", state="new"))["error"] == "invalid_request_object"
    assert ask(client, party, signed(party, jti="two"))["error"] == "consent_required"
    assert ask(client, other, signed(other, jti="one"))["error"] == "consent_required"
    # Its assertions are another row of numbers.
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT_URI, "code_verifier": "x"}
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": party.assertion(jti="one")}
    assert client.post("/oauth/token", data={**form, **proof}).get_json()["error"] == "invalid_grant"
    # Without jti nothing is remembered.
    free = signed(party)
    assert {ask(client, party, free)["error"] for _ in range(3)} == {"consent_required"}


def test_the_way_to_the_login_uses_an_object_once(client: FlaskClient, member: Membership) -> None:
    party = signing_party()
    token = signed(party, jti="one")
    answer = client.post("/oauth/authorize", data={"client_id": party.client_id, "request": token})
    page = client.get(answer.headers["Location"])
    assert query_of(party.agree(client, page))["code"]
    assert query_of(client.get(answer.headers["Location"]))["error"] == "invalid_request_object"


def test_a_jti_is_kept_as_long_as_its_object_lives(client: FlaskClient, member: Membership) -> None:
    party = signing_party()
    moment = int(time.time())
    assert ask(client, party, signed(party, jti="one", exp=moment + 300))["error"] == "consent_required"
    row = db.session.scalars(select(UsedAssertion).where(UsedAssertion.service == party.client_id)).one()
    assert int(row.expires_at.timestamp()) == moment + 300 + CLOCK_TOLERANCE_SECONDS
    assert b"one" not in row.jti_hash
    forget()
    assert ask(client, party, signed(party, jti="one"))["error"] == "invalid_request_object"
    row.expires_at = now() - timedelta(seconds=1)
    db.session.commit()
    forget()
    assert ask(client, party, signed(party, jti="one"))["error"] == "consent_required"


@pytest.mark.parametrize("jti", ["", "j" * 257, 7, ["one"], None, {"a": 1}])
def test_odd_jtis(client: FlaskClient, member: Membership, jti: Any) -> None:
    party = signing_party()
    values = {**content(party), "jti": jti}
    token = jwt.encode({"alg": "ES256", "kid": "party-1", "typ": TYP}, values, party.key)
    assert ask(client, party, token)["error"] == "invalid_request_object"
