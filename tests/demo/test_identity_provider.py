"""The demo identity provider, asked by Authlib's client over real HTTP: requests, codes, client proofs."""

import json
import time
import uuid
from dataclasses import replace

import pytest
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from pytest_httpserver import HTTPServer

from .person import TIMEOUT, parameters
from .relying_party import HIGH, REDIRECT_URI, SUBSTANTIAL, RelyingParty, RunningProvider


def test_login_passes_an_independent_client(party: RelyingParty) -> None:
    back = party.walk()
    assert back["iss"] == party.idp.url
    token = party.redeem(back["code"])
    keys = KeySet.import_key_set(requests.get(f"{party.idp.url}/jwks", timeout=TIMEOUT).json())
    decoded = jwt.decode(token["id_token"], keys, ["RS256"])
    claims = CodeIDToken(
        decoded.claims,
        decoded.header,
        {"iss": {"value": party.idp.url}, "aud": {"value": "portal"}},
        {"nonce": "n-1", "client_id": "portal", "access_token": token["access_token"]},
    )
    claims.validate(leeway=0)
    assert claims["at_hash"] and claims["sid"] and claims["acr"] == SUBSTANTIAL
    assert abs(claims["auth_time"] - time.time()) < 30
    assert claims["org_company_name"] == "Musterbau GmbH"
    assert claims["family_name"] == "Beispiel"
    assert claims["org_wid"] == "DE900000006-00001"


def test_userinfo_tells_the_same_subject_and_data(party: RelyingParty) -> None:
    token = party.log_in("petra-nordlicht")
    party.oauth.token = token
    info = party.oauth.get(f"{party.idp.url}/userinfo").json()
    claims = party.claims(token)
    assert info["sub"] == claims["sub"]
    assert info["org_company_name"] == claims["org_company_name"] == "Nordlicht Logistik AG"
    assert claims["acr"] == HIGH


def test_userinfo_refuses_an_unknown_token(idp: RunningProvider) -> None:
    answer = requests.get(f"{idp.url}/userinfo", headers={"Authorization": "Bearer x"}, timeout=TIMEOUT)
    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["WWW-Authenticate"]


def test_one_person_has_one_subject_and_two_certificates(idp: RunningProvider) -> None:
    seen = []
    for certificate in ("petra-nordlicht", "petra-musterbau"):
        party = RelyingParty(idp)
        seen.append(party.claims(party.log_in(certificate)))
    assert seen[0]["sub"] == seen[1]["sub"]
    assert seen[0]["preferred_username"] != seen[1]["preferred_username"]
    assert seen[0]["elster_datenuebermittler"] != seen[1]["elster_datenuebermittler"]


def test_second_use_of_a_code_ends_its_token(party: RelyingParty) -> None:
    code = party.walk()["code"]
    token = party.redeem(code)
    with pytest.raises(OAuthError, match="invalid_grant"):
        party.redeem(code)
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert requests.get(f"{party.idp.url}/userinfo", headers=headers, timeout=TIMEOUT).status_code == 401


def test_code_expires_after_a_minute(party: RelyingParty) -> None:
    code = party.walk()["code"]
    codes = party.idp.provider.memory.codes
    assert codes.seconds == 60
    grant = codes.take(code)
    assert grant
    codes.seconds = -1
    codes.put(grant, name=code)
    codes.seconds = 60
    with pytest.raises(OAuthError, match="invalid_grant"):
        party.redeem(code)


@pytest.mark.parametrize(
    "changes",
    [{"code_verifier": "x" * 43}, {"code_verifier": ""}, {"redirect_uri": "http://127.0.0.1:9/other"}],
    ids=["wrong verifier", "no verifier", "other redirect_uri"],
)
def test_code_needs_its_verifier_and_its_redirect_uri(party: RelyingParty, changes: dict[str, str]) -> None:
    code = party.walk()["code"]
    with pytest.raises(OAuthError, match="invalid_grant"):
        party.redeem(code, **changes)


def test_code_of_another_client_is_refused(party: RelyingParty) -> None:
    code = party.walk()["code"]
    answer = requests.post(
        f"{party.idp.url}/token",
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": party.verifier,
        },
        auth=("other", "s3cret+%26+100%25"),
        timeout=TIMEOUT,
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_secret_must_match(idp: RunningProvider) -> None:
    answer = requests.post(f"{idp.url}/token", {"code": "x"}, auth=("other", "wrong"), timeout=TIMEOUT)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "{issuer}/token"}, "aud"),
        ({"aud": ["{issuer}"]}, "aud"),
        ({"exp": 3600}, "exp"),
        ({"exp": -60}, "exp"),
        ({"sub": "other"}, "sub"),
        ({"jti": None}, "jti"),
    ],
    ids=["token endpoint", "list", "an hour", "over", "other sub", "no jti"],
)
def test_client_assertion_is_checked(idp: RunningProvider, changes: dict[str, object], reason: str) -> None:
    now = int(time.time())
    claims = {"iss": "portal", "sub": "portal", "aud": idp.url, "exp": now + 60, "jti": str(uuid.uuid4())}
    for name, value in changes.items():
        claims[name] = json.loads(json.dumps(value).replace("{issuer}", idp.url))
        if name == "exp":
            claims[name] += now
    answer = send_assertion(idp, jwt.encode({"alg": "RS256"}, claims, idp.key))
    assert answer.status_code == 401
    assert reason in answer.json()["error_description"]


def test_client_assertion_counts_once(idp: RunningProvider) -> None:
    claims = {"iss": "portal", "sub": "portal", "aud": idp.url, "exp": int(time.time()) + 60, "jti": "one"}
    assertion = jwt.encode({"alg": "RS256"}, claims, idp.key)
    assert send_assertion(idp, assertion).json()["error"] == "invalid_grant"
    assert "used before" in send_assertion(idp, assertion).json()["error_description"]


@pytest.mark.parametrize("assertion", ["", "x", "x.e30.x", "é.é.é", "e30.W10.e30"])
def test_client_assertion_of_nonsense_is_refused(idp: RunningProvider, assertion: str) -> None:
    assert send_assertion(idp, assertion).status_code == 401


def send_assertion(idp: RunningProvider, assertion: str) -> requests.Response:
    form = {
        "grant_type": "authorization_code",
        "code": "unknown",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    }
    return requests.post(f"{idp.url}/token", form, timeout=TIMEOUT)


@pytest.mark.parametrize("answer", ["{}", "[]", "null", "x", '{"keys": 1}', '{"keys": [{"kty": "new"}]}'])
def test_keys_that_are_rubbish_authenticate_nobody(idp: RunningProvider, httpserver: HTTPServer, answer: str) -> None:
    httpserver.expect_request("/jwks").respond_with_data(answer, content_type="application/json")
    clients = idp.provider.clients
    old = clients["portal"]
    address = httpserver.url_for("/jwks") + f"?{uuid.uuid4()}"
    clients["portal"] = replace(old, jwks=None, jwks_uri=address)
    try:
        claims = {"iss": "portal", "sub": "portal", "aud": idp.url, "exp": int(time.time()) + 60, "jti": "r"}
        assertion = jwt.encode({"alg": "RS256"}, claims, idp.key)
        assert send_assertion(idp, assertion).status_code == 401
    finally:
        clients["portal"] = old


def test_assertion_keys_come_from_the_jwks_uri_of_the_client(idp: RunningProvider, httpserver: HTTPServer) -> None:
    new_key = RSAKey.generate_key(2048, auto_kid=True)
    keys = {"keys": [new_key.as_dict(private=False)]}
    httpserver.expect_request("/jwks").respond_with_json(keys)
    clients = idp.provider.clients
    old = clients["portal"]
    clients["portal"] = replace(old, jwks=None, jwks_uri=httpserver.url_for("/jwks"))
    try:
        claims = {"iss": "portal", "sub": "portal", "aud": idp.url, "exp": int(time.time()) + 60}
        good = jwt.encode({"alg": "RS256", "kid": new_key.kid}, {**claims, "jti": "a"}, new_key)
        assert send_assertion(idp, good).json()["error"] == "invalid_grant"
        forged = jwt.encode({"alg": "RS256", "kid": new_key.kid}, {**claims, "jti": "b"}, idp.key)
        assert send_assertion(idp, forged).json()["error"] == "invalid_client"
    finally:
        clients["portal"] = old


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "sing"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"request": "e30."}, "request_not_supported"),
        ({"request_uri": "http://127.0.0.1:9/r"}, "request_uri_not_supported"),
        ({"nonce": ["a", "b"]}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
    ids=lambda value: json.dumps(value),
)
def test_faulty_request_is_told_to_the_client(idp: RunningProvider, changes: dict[str, object], error: str) -> None:
    wanted = {**authorize_parameters(), **changes}
    answer = requests.get(f"{idp.url}/authorize", wanted, allow_redirects=False, timeout=TIMEOUT)
    assert answer.status_code == 303
    back = parameters(answer.headers["Location"])
    assert (back["error"], back["state"], back["iss"]) == (error, "s", idp.url)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": ""},
        {"redirect_uri": REDIRECT_URI + "?x=1"},
        {"redirect_uri": REDIRECT_URI + "/"},
        {"redirect_uri": "http://127.0.0.1:10/rueckkehr"},
        {"redirect_uri": ""},
        {"redirect_uri": [REDIRECT_URI, "http://127.0.0.1:10/"]},
    ],
    ids=lambda value: json.dumps(value),
)
def test_unsafe_request_gets_a_page_and_no_redirect(idp: RunningProvider, changes: dict[str, object]) -> None:
    wanted = {**authorize_parameters(), **changes}
    answer = requests.get(f"{idp.url}/authorize", wanted, allow_redirects=False, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert "<h1>Das geht so nicht</h1>" in answer.text


def authorize_parameters() -> dict[str, object]:
    return {
        "client_id": "portal",
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "openid",
        "state": "s",
        "nonce": "n",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }


def test_refusal_by_the_person_goes_back_as_access_denied(party: RelyingParty) -> None:
    back = party.walk(certificate=None)
    assert (back["error"], back["iss"]) == ("access_denied", party.idp.url)
    assert "code" not in back
