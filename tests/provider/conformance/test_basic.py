"""The modules of the plans Basic and Form Post Basic: each runs once per response mode."""

import json
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from joserfc import jws

from tests.provider.conformance.conftest import HOME, Make
from tests.provider.conformance.relying_party import CALLBACK, PUBLIC_KEYS, SECONDS, Browser, RelyingParty
from tests.provider.party import pkce, unsigned

PROFILE = {"name", "title", "given_name", "family_name"}


@pytest.mark.conformance("oidcc-server")
def test_server(party: RelyingParty, person: Browser) -> None:
    body = party.tokens(person)
    assert party.userinfo(body).keys() >= {"sub", "org_company_name"}


@pytest.mark.conformance("oidcc-response-type-missing")
def test_response_type_missing(party: RelyingParty, person: Browser) -> None:
    found = party.login(person, response_type=None)
    assert found["error"] in ("invalid_request", "unsupported_response_type")


@pytest.mark.conformance("oidcc-idtoken-signature")
def test_idtoken_signature(party: RelyingParty, person: Browser) -> None:
    token = party.tokens(person)["id_token"]
    header = jws.extract_compact(token.encode()).headers()
    assert header["alg"] == "RS256"
    assert [key.kid for key in party.keys().keys].count(header["kid"]) == 1


@pytest.mark.conformance("oidcc-idtoken-unsigned", note="alg none is not offered, and its registration is refused")
def test_idtoken_unsigned(make_party: Make) -> None:
    party = make_party(id_token_signed_response_alg="none")
    assert "none" not in party.document["id_token_signing_alg_values_supported"]
    assert (party.answer.status_code, party.client["error"]) == (400, "invalid_client_metadata")


@pytest.mark.conformance("oidcc-userinfo-get")
def test_userinfo_get(party: RelyingParty, person: Browser) -> None:
    assert party.userinfo(party.tokens(person))["sub"]


@pytest.mark.conformance("oidcc-userinfo-post-header")
def test_userinfo_post_header(party: RelyingParty, person: Browser) -> None:
    body = party.tokens(person)
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    answer = requests.post(party.document["userinfo_endpoint"], headers=headers, timeout=SECONDS)
    assert (answer.status_code, answer.json()["sub"]) == (200, body["claims"]["sub"])


@pytest.mark.conformance("oidcc-userinfo-post-body")
def test_userinfo_post_body(party: RelyingParty, person: Browser) -> None:
    body = party.tokens(person)
    form = {"access_token": body["access_token"]}
    answer = requests.post(party.document["userinfo_endpoint"], data=form, timeout=SECONDS)
    assert (answer.status_code, answer.json()["sub"]) == (200, body["claims"]["sub"])


@pytest.mark.conformance("oidcc-ensure-request-without-nonce-succeeds-for-code-flow")
def test_without_nonce(party: RelyingParty, person: Browser) -> None:
    assert "nonce" not in party.tokens(person, nonce=None)["claims"]


def scoped(party: RelyingParty, person: Browser, scope: str) -> dict[str, Any]:
    """Ask for scopes; return the claims of the person that userinfo gives. The ID token must have none of them."""
    assert set(scope.split()) <= set(party.document["scopes_supported"])
    body = party.tokens(person, scope=scope)
    assert set(body["scope"].split()) == set(scope.split())
    facts = party.userinfo(body)
    assert facts.keys() <= set(party.document["claims_supported"])
    company = {"sub", "org_sub", "org_company_name"}
    assert facts.keys() >= company
    found = {name: value for name, value in facts.items() if name not in company}
    assert not body["claims"].keys() & found.keys()
    return found


@pytest.mark.conformance("oidcc-scope-profile")
def test_scope_profile(party: RelyingParty, person: Browser) -> None:
    found = scoped(party, person, "openid profile")
    assert found.keys() == PROFILE
    assert found["name"] == f"Dr. Maria {found['family_name']}"


@pytest.mark.conformance("oidcc-scope-email")
def test_scope_email(party: RelyingParty, person: Browser) -> None:
    assert scoped(party, person, "openid email") == {"email": "maria@firma.example", "email_verified": True}


@pytest.mark.conformance("oidcc-scope-address")
def test_scope_address(party: RelyingParty, person: Browser) -> None:
    assert scoped(party, person, "openid address") == {"address": HOME}


@pytest.mark.conformance("oidcc-scope-phone")
def test_scope_phone(party: RelyingParty, person: Browser) -> None:
    assert scoped(party, person, "openid phone") == {"phone_number": "+49 431 901-2345", "phone_number_verified": True}


@pytest.mark.conformance("oidcc-scope-all")
def test_scope_all(party: RelyingParty, person: Browser) -> None:
    assert scoped(party, person, "openid") == {}
    found = scoped(party, person, "openid profile email address phone")
    assert found.keys() == PROFILE | {"email", "email_verified", "phone_number", "phone_number_verified", "address"}


@pytest.mark.conformance("oidcc-alternate-happy-flow")
def test_alternate_happy_flow(party: RelyingParty, person: Browser) -> None:
    values = dict(reversed(party.request(scope="email openid").items()))
    found = party.arrived(person.open(f"{party.document['authorization_endpoint']}?{urlencode(values)}"))
    assert party.token(found["code"]).status_code == 200


@pytest.mark.conformance("oidcc-display-page")
def test_display_page(party: RelyingParty, person: Browser) -> None:
    assert party.tokens(person, display="page")


@pytest.mark.conformance("oidcc-display-popup")
def test_display_popup(party: RelyingParty, person: Browser) -> None:
    assert party.tokens(person, display="popup")


@pytest.mark.conformance("oidcc-prompt-login")
def test_prompt_login(party: RelyingParty, person: Browser) -> None:
    person.seconds_ago = 60
    first = party.tokens(person)
    person.seconds_ago = 0
    arrival = person.open(party.url(prompt="login"))
    assert arrival.has_asked_to_sign_in
    second = party.verified(party.token(party.arrived(arrival)["code"]).json()["id_token"])
    assert second["auth_time"] > first["claims"]["auth_time"]
    assert second["sub"] == first["claims"]["sub"]


@pytest.mark.conformance("oidcc-prompt-none-not-logged-in")
def test_prompt_none_not_logged_in(party: RelyingParty, person: Browser) -> None:
    found = party.login(person, prompt="none")
    assert found["error"] in ("login_required", "interaction_required")
    assert "code" not in found


@pytest.mark.conformance("oidcc-prompt-none-logged-in")
def test_prompt_none_logged_in(party: RelyingParty, person: Browser) -> None:
    first, second = party.tokens(person), party.tokens(person, prompt="none")
    for name in ("sub", "auth_time", "iss", "aud"):
        assert first["claims"][name] == second["claims"][name]


@pytest.mark.conformance("oidcc-max-age-1")
def test_max_age_1(party: RelyingParty, person: Browser) -> None:
    person.seconds_ago = 60
    first = party.tokens(person)
    person.seconds_ago = 0
    arrival = person.open(party.url(max_age="1"))
    assert arrival.has_asked_to_sign_in
    second = party.verified(party.token(party.arrived(arrival)["code"]).json()["id_token"])
    assert second["auth_time"] > first["claims"]["auth_time"]
    assert time.time() - second["auth_time"] < 5


@pytest.mark.conformance("oidcc-max-age-10000")
def test_max_age_10000(party: RelyingParty, person: Browser) -> None:
    first = party.tokens(person)
    arrival = person.open(party.url(max_age="10000"))
    assert not arrival.has_asked_to_sign_in
    second = party.verified(party.token(party.arrived(arrival)["code"]).json()["id_token"])
    assert second["auth_time"] == first["claims"]["auth_time"]


@pytest.mark.conformance("oidcc-ensure-request-with-unknown-parameter-succeeds")
def test_unknown_parameter(party: RelyingParty, person: Browser) -> None:
    assert party.tokens(person, extra="foobar")


@pytest.mark.conformance("oidcc-id-token-hint")
def test_id_token_hint(party: RelyingParty, person: Browser) -> None:
    first = party.tokens(person)
    second = party.tokens(person, prompt="none", id_token_hint=first["id_token"])
    assert second["claims"]["sub"] == first["claims"]["sub"]


@pytest.mark.conformance("oidcc-login-hint")
def test_login_hint(party: RelyingParty, person: Browser) -> None:
    assert party.tokens(person, login_hint=f"buffy@{urlsplit(party.issuer).hostname}")


@pytest.mark.conformance("oidcc-ui-locales")
def test_ui_locales(party: RelyingParty, person: Browser) -> None:
    assert party.tokens(person, ui_locales="se en")


@pytest.mark.conformance("oidcc-claims-locales")
def test_claims_locales(party: RelyingParty, person: Browser) -> None:
    assert party.tokens(person, claims_locales="se")


@pytest.mark.conformance("oidcc-ensure-request-with-acr-values-succeeds")
def test_acr_values(party: RelyingParty, person: Browser) -> None:
    supported = party.document["acr_values_supported"]
    body = party.tokens(person, acr_values=" ".join(supported))
    assert body["claims"]["acr"] in supported


@pytest.mark.conformance("oidcc-codereuse")
def test_codereuse(party: RelyingParty, person: Browser) -> None:
    code = party.login(person)["code"]
    assert party.token(code).status_code == 200
    second = party.token(code)
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")


@pytest.mark.conformance(
    "oidcc-codereuse-30seconds", note="the wait is left out: the code is kept for a day, not for seconds"
)
def test_codereuse_30seconds(party: RelyingParty, person: Browser) -> None:
    code = party.login(person)["code"]
    body = party.token(code).json()
    assert party.token(code).json()["error"] == "invalid_grant"
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert requests.get(party.document["userinfo_endpoint"], headers=headers, timeout=SECONDS).status_code == 401


@pytest.mark.conformance("oidcc-ensure-registered-redirect-uri")
def test_registered_redirect_uri(party: RelyingParty, person: Browser) -> None:
    arrival = person.open(party.url(redirect_uri=f"{CALLBACK}/unregistered"))
    assert (arrival.status, arrival.parameters) == (400, {})


@pytest.mark.conformance("oidcc-ensure-post-request-succeeds")
def test_post_request(party: RelyingParty, person: Browser) -> None:
    arrival = person.open(party.document["authorization_endpoint"], form=party.request())
    assert party.token(party.arrived(arrival)["code"]).status_code == 200


@pytest.mark.conformance("oidcc-server-client-secret-post")
def test_client_secret_post(make_party: Make, person: Browser, mode: str) -> None:
    party = make_party(mode=mode, token_endpoint_auth_method="client_secret_post")
    assert party.userinfo(party.tokens(person))["sub"]


@pytest.mark.conformance("oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported")
def test_request_uri_unsigned(party: RelyingParty, person: Browser) -> None:
    found = party.login(person, request_uri="https://dienst.example/request.jwt#hash")
    assert found["error"] in ("request_uri_not_supported", "invalid_request_uri")


@pytest.mark.conformance("oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported")
def test_unsigned_request_object(party: RelyingParty, person: Browser) -> None:
    found = party.login(person, request=unsigned(party.request(), "none"))
    assert found["error"] == "request_not_supported"


@pytest.mark.conformance("oidcc-claims-essential")
def test_claims_essential(party: RelyingParty, person: Browser) -> None:
    body = party.tokens(person, claims=json.dumps({"userinfo": {"name": {"essential": True}}}))
    assert "name" not in body["claims"]
    assert party.userinfo(body)["name"]


@pytest.mark.conformance("oidcc-ensure-request-object-with-redirect-uri")
def test_request_object_with_redirect_uri(make_party: Make, person: Browser, mode: str) -> None:
    party = make_party(mode=mode, jwks=PUBLIC_KEYS, request_object_signing_alg="RS256")
    found = party.login(person, redirect_uri=None, request=party.request_object())
    assert party.token(found["code"]).status_code == 200


@pytest.mark.conformance("oidcc-refresh-token")
def test_refresh_token(make_party: Make, person: Browser, mode: str) -> None:
    party = make_party(mode=mode)
    refresh_token(party, make_party(mode=mode), person)


@pytest.mark.conformance("oidcc-ensure-request-with-valid-pkce-succeeds")
def test_valid_pkce(party: RelyingParty, person: Browser) -> None:
    verifier, challenge = pkce()
    found = party.login(person, code_challenge=challenge, code_challenge_method="S256")
    assert party.token(found["code"], code_verifier=verifier).status_code == 200
    found = party.login(person, code_challenge=challenge, code_challenge_method="S256")
    assert party.token(found["code"], code_verifier=verifier[:-1] + "~").json()["error"] == "invalid_grant"


def refresh_token(party: RelyingParty, other: RelyingParty, person: Browser) -> None:
    """Refresh, compare the tokens, and try another client with the refresh token (Core 12)."""
    body = party.tokens(person, scope="openid offline_access", prompt="consent")
    form = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
    assert other.post("token_endpoint", form).json()["error"] == "invalid_grant"
    answer = party.post("token_endpoint", form)
    assert answer.status_code == 200, answer.text
    again = answer.json()
    claims = party.verified(again["id_token"])
    for name in ("iss", "sub", "aud", "auth_time"):
        assert claims[name] == body["claims"][name]
    assert again["access_token"] != body["access_token"]
    assert party.userinfo({**again, "claims": claims})["sub"] == claims["sub"]
