"""The modules of the plans Config and Dynamic (response type code)."""

import json
from urllib.parse import urlsplit

import pytest
import requests
from joserfc import jws, jwt
from joserfc.jwk import RSAKey
from pytest_httpserver import HTTPServer
from werkzeug import Response

from tests.provider.conformance.conftest import Make
from tests.provider.conformance.relying_party import CALLBACK, KEY, PUBLIC_KEYS, SECONDS, Browser, RelyingParty
from tests.provider.conftest import Live
from tests.provider.party import unsigned
from unternehmenskonto.operators import key_rotation
from unternehmenskonto.provider import client_keys

QUERY_CALLBACK = f"{CALLBACK}?foo=bar"


def published(server: HTTPServer, path: str, value: object) -> str:
    """Publish a JSON document and return its address."""
    server.expect_request(path).respond_with_json(value)
    return str(server.url_for(path))


@pytest.mark.conformance("oidcc-discovery-endpoint-verification")
def test_discovery(make_party: Make) -> None:
    found = make_party().document
    assert found["issuer"] == make_party().issuer
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "registration_endpoint"):
        assert urlsplit(found[name]).netloc == urlsplit(found["issuer"]).netloc
    assert found["scopes_supported"][0] == "openid"
    assert found["response_types_supported"] == ["code"]
    assert {"query", "form_post"} == set(found["response_modes_supported"])
    assert found["subject_types_supported"] == ["pairwise"]
    assert "RS256" in found["id_token_signing_alg_values_supported"]
    assert {"sub", "iss", "acr"} <= set(found["claims_supported"])
    assert found["claims_parameter_supported"] is found["request_parameter_supported"] is True
    for key in requests.get(found["jwks_uri"], timeout=SECONDS).json()["keys"]:
        assert {"kid", "kty", "alg", "use"} <= key.keys()


@pytest.mark.conformance("oidcc-idtoken-rs256")
def test_idtoken_rs256(make_party: Make, person: Browser) -> None:
    party = make_party(id_token_signed_response_alg="RS256")
    assert party.verified(party.tokens(person)["id_token"], "RS256")


@pytest.mark.conformance("oidcc-userinfo-rs256")
def test_userinfo_rs256(make_party: Make, person: Browser) -> None:
    party = make_party(userinfo_signed_response_alg="RS256")
    body = party.tokens(person)
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    answer = requests.get(party.document["userinfo_endpoint"], headers=headers, timeout=SECONDS)
    assert answer.headers["Content-Type"].split(";")[0] == "application/jwt"
    facts = jwt.decode(answer.text, party.keys(), algorithms=["RS256"]).claims
    assert (facts["iss"], facts["aud"]) == (party.issuer, party.client_id)
    assert facts["sub"] == body["claims"]["sub"]


def is_stopped(party: RelyingParty, person: Browser, redirect_uri: str | None) -> bool:
    """Tell whether the person sees a page of the provider and nothing is sent anywhere."""
    arrival = person.open(party.url(redirect_uri=redirect_uri))
    return (arrival.status, arrival.parameters) == (400, {})


@pytest.mark.conformance("oidcc-ensure-redirect-uri-in-authorization-request")
def test_redirect_uri_missing(make_party: Make, person: Browser) -> None:
    assert is_stopped(make_party(), person, None)


@pytest.mark.conformance("oidcc-redirect-uri-query-OK")
def test_redirect_uri_query_ok(make_party: Make, person: Browser) -> None:
    party = make_party(redirect_uris=[QUERY_CALLBACK])
    arrival = person.open(party.url(redirect_uri=QUERY_CALLBACK))
    assert party.arrived(arrival)["foo"] == "bar"
    assert party.token(arrival.parameters["code"], redirect_uri=QUERY_CALLBACK).status_code == 200


@pytest.mark.conformance("oidcc-redirect-uri-query-mismatch")
def test_redirect_uri_query_mismatch(make_party: Make, person: Browser) -> None:
    assert is_stopped(make_party(redirect_uris=[QUERY_CALLBACK]), person, f"{CALLBACK}?bar=foo")


@pytest.mark.conformance("oidcc-redirect-uri-query-added")
def test_redirect_uri_query_added(make_party: Make, person: Browser) -> None:
    assert is_stopped(make_party(), person, QUERY_CALLBACK)


@pytest.mark.conformance("oidcc-redirect-uri-regfrag")
def test_redirect_uri_regfrag(make_party: Make) -> None:
    party = make_party(redirect_uris=[f"{CALLBACK}#foobar"])
    assert (party.answer.status_code, party.client["error"]) == (400, "invalid_redirect_uri")


def page_of(party: RelyingParty, person: Browser) -> str:
    """Return the page on which the person is asked to agree."""
    return person.open(party.url(), agrees=False).text


@pytest.mark.conformance("oidcc-registration-logo-uri", note="kept, but not shown: our pages load no foreign pictures")
def test_logo_uri(make_party: Make, person: Browser) -> None:
    party = make_party(logo_uri="https://dienst.example/logo.png")
    assert party.client["logo_uri"] == "https://dienst.example/logo.png"
    assert "logo.png" not in page_of(party, person)


@pytest.mark.conformance("oidcc-registration-policy-uri")
def test_policy_uri(make_party: Make, person: Browser) -> None:
    party = make_party(policy_uri="https://dienst.example/policy")
    assert 'href="https://dienst.example/policy"' in page_of(party, person)


@pytest.mark.conformance("oidcc-registration-tos-uri")
def test_tos_uri(make_party: Make, person: Browser) -> None:
    party = make_party(tos_uri="https://dienst.example/terms")
    assert 'href="https://dienst.example/terms"' in page_of(party, person)


@pytest.mark.conformance("oidcc-registration-jwks-uri")
def test_jwks_uri(make_party: Make, person: Browser, httpserver: HTTPServer) -> None:
    uri = published(httpserver, "/jwks.json", PUBLIC_KEYS)
    party = make_party(token_endpoint_auth_method="private_key_jwt", jwks_uri=uri)
    assert party.tokens(person)
    assert len(httpserver.log) == 1


@pytest.mark.conformance("oidcc-ensure-client-assertion-with-iss-aud-succeeds")
def test_client_assertion_iss_aud(make_party: Make, person: Browser) -> None:
    assert make_party(token_endpoint_auth_method="private_key_jwt", jwks=PUBLIC_KEYS).tokens(person)


@pytest.mark.conformance("oidcc-registration-sector-uri")
def test_sector_uri(make_party: Make, person: Browser, httpserver: HTTPServer) -> None:
    uri = published(httpserver, "/sector.json", [CALLBACK, "https://b.example/callback"])
    one = make_party(sector_identifier_uri=uri)
    two = make_party(sector_identifier_uri=uri, redirect_uris=[CALLBACK, "https://b.example/callback"])
    assert one.tokens(person)["claims"]["sub"] == two.tokens(person)["claims"]["sub"]
    assert make_party().tokens(person)["claims"]["sub"] != one.tokens(person)["claims"]["sub"]


@pytest.mark.conformance("oidcc-registration-sector-bad")
def test_sector_bad(make_party: Make, httpserver: HTTPServer) -> None:
    party = make_party(sector_identifier_uri=published(httpserver, "/sector.json", ["https://b.example/callback"]))
    assert (party.answer.status_code, party.client["error"]) == (400, "invalid_client_metadata")


@pytest.mark.conformance("oidcc-refresh-token-rp-key-rotation", note="the wait between two reads of the keys is cut")
def test_rp_key_rotation(
    make_party: Make, person: Browser, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [PUBLIC_KEYS]
    httpserver.expect_request("/jwks.json").respond_with_handler(lambda _: _json(documents[-1]))
    party = make_party(token_endpoint_auth_method="private_key_jwt", jwks_uri=httpserver.url_for("/jwks.json"))
    body = party.tokens(person, scope="openid offline_access", prompt="consent")
    party.key = RSAKey.generate_key(2048, {"kid": "conformance-2", "use": "sig"})
    documents.append({"keys": [party.key.as_dict(private=False)]})
    monkeypatch.setattr(client_keys, "JWKS_REFETCH_SECONDS", -1)
    form = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    assert party.post("token_endpoint", form).status_code == 200
    party.key = RSAKey.import_key(KEY.as_dict(private=True))
    form["refresh_token"] = "x"
    assert party.post("token_endpoint", form).status_code == 401


def _json(value: object) -> Response:
    return Response(json.dumps(value), mimetype="application/json")


@pytest.mark.conformance("oidcc-request-uri-unsigned", note="unsigned request objects are refused")
def test_request_uri_unsigned(make_party: Make, person: Browser, httpserver: HTTPServer) -> None:
    uri = httpserver.url_for("/request.jwt")
    party = make_party(request_uris=[uri], jwks=PUBLIC_KEYS)
    httpserver.expect_request("/request.jwt").respond_with_data(unsigned(party.request(), "none"))
    assert party.login(person, request_uri=uri)["error"] == "request_not_supported"


@pytest.mark.conformance("oidcc-request-uri-signed-rs256")
def test_request_uri_signed(make_party: Make, person: Browser, httpserver: HTTPServer) -> None:
    uri = httpserver.url_for("/request.jwt")
    party = make_party(request_uris=[uri], jwks=PUBLIC_KEYS, request_object_signing_alg="RS256")
    httpserver.expect_request("/request.jwt").respond_with_data(party.request_object())
    found = party.login(person, redirect_uri=None, request_uri=uri)
    assert party.token(found["code"]).status_code == 200


@pytest.mark.conformance("oidcc-server-rotate-keys", note="the wait between publishing and using a key is cut")
@pytest.mark.attack("removed key")
def test_server_rotate_keys(live: Live, make_party: Make, person: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    party = make_party()
    before = party.tokens(person)["id_token"]
    monkeypatch.setattr(key_rotation, "SPREAD_SECONDS", 0)
    rotated = live.app.test_cli_runner().invoke(args=["keys", "rotate", "--use", "token", "--now"])
    assert rotated.exit_code == 0, rotated.output
    live.app.extensions["key_ring"].read_at = float("-inf")  # in real life: within SPREAD_SECONDS
    after = party.tokens(person)["id_token"]
    kids = [jws.extract_compact(token.encode()).headers()["kid"] for token in (before, after)]
    assert kids[0] != kids[1]
    assert party.verified(before)["sub"] == party.verified(after)["sub"]
