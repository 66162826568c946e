"""The authorization endpoint: what is refused, where the refusal goes, what happens between request and code."""

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from tests.factories import make_membership, make_service, sign_in
from tests.provider.party import REDIRECT_URI, Party, claims_of, interaction_of, path_of, query_of
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.settings import get_settings

NEAR_MISSES = [
    *(REDIRECT_URI + tail for tail in ("?x=1", "/", "#f", "//evil.example", "%00", " ", ".evil.example", "?", ";x")),
    REDIRECT_URI.upper(),
    REDIRECT_URI.replace("callback", "Callback"),
    REDIRECT_URI.replace("callback", "%63allback"),
    REDIRECT_URI.replace("callback", "x/%2e%2e/callback"),
    REDIRECT_URI.replace("callback", "x/../callback"),
    REDIRECT_URI.replace("callback", "/callback"),
    REDIRECT_URI.replace("8002", "8003"),
    REDIRECT_URI.replace(":8002", ""),
    REDIRECT_URI.replace("http:", "https:"),
    REDIRECT_URI.replace("http://", "http://user@"),
    REDIRECT_URI.replace("127.0.0.3", "127.0.0.3@evil.example"),
    REDIRECT_URI.replace("127.0.0.3", "127.0.0.03"),
    REDIRECT_URI.replace("127.0.0.3", "localhost"),
    "http://evil.example/",
    "//127.0.0.3:8002/callback",
    "javascript:alert(1)",
    "data:text/html,x",
    "",
]


@pytest.mark.parametrize("prompt", [None, "none"])
@pytest.mark.parametrize("uri", NEAR_MISSES)
@pytest.mark.attack("loose redirect_uri", "loopback port")
def test_redirect_uri_is_compared_character_by_character(
    client: FlaskClient, member: Membership, uri: str, prompt: str | None
) -> None:
    answer = Party().authorize(client, redirect_uri=uri, prompt=prompt)
    assert (answer.status_code, answer.mimetype) == (400, "text/html")
    assert "Location" not in answer.headers


@pytest.mark.attack("open redirector at authorize")
def test_unknown_disabled_and_pure_senders_get_a_page(client: FlaskClient, member: Membership) -> None:
    party = Party()
    texts = []
    for client_id in ("nobody", "", "x" * 500, "a\0b", make_service(client=None).slug):
        answer = party.authorize(client, client_id=client_id, prompt="none")
        assert answer.status_code == 400
        assert "Location" not in answer.headers
        texts.append("hier nicht angemeldet" in answer.text)
    # Addresses alone make no client for logins.
    sender = Party(is_mailbox_sender=True, registration={"scopes": ["mailbox.deliver"]})
    assert (sender.authorize(client).status_code, sender.authorize(client).headers.get("Location")) == (400, None)
    party.service.is_enabled = False
    db.session.commit()
    answer = party.authorize(client)
    assert answer.status_code == 400
    assert all(texts)


REFUSALS = {
    "response_type missing": ({"response_type": None}, "invalid_request"),
    "implicit": ({"response_type": "token"}, "unsupported_response_type"),
    "hybrid": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "none": ({"response_type": "none"}, "unsupported_response_type"),
    "fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "unknown mode": ({"response_mode": "web_message"}, "invalid_request"),
    "jwt mode": ({"response_mode": "form_post.jwt"}, "invalid_request"),
    "no scope": ({"scope": None}, "invalid_scope"),
    "no openid": ({"scope": "profile mailbox.deliver"}, "invalid_scope"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "no challenge at all": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "method left out": ({"code_challenge_method": None}, "invalid_request"),
    "short challenge": ({"code_challenge": "abc"}, "invalid_request"),
    "long challenge": ({"code_challenge": "a" * 44}, "invalid_request"),
    "odd challenge": ({"code_challenge": "ä" * 43}, "invalid_request"),
    "long nonce": ({"nonce": "n" * 1025}, "invalid_request"),
    "nonce with control character": ({"nonce": "a\nb"}, "invalid_request"),
    "nonce with DEL": ({"nonce": "a\x7fb"}, "invalid_request"),
    "unknown prompt": ({"prompt": "create"}, "invalid_request"),
    "none beside login": ({"prompt": "none login"}, "invalid_request"),
    "negative age": ({"max_age": "-1"}, "invalid_request"),
    "age in words": ({"max_age": "x"}, "invalid_request"),
    "age too long": ({"max_age": "9" * 30}, "invalid_request"),
    "claims no JSON": ({"claims": "{"}, "invalid_request"),
    "claims a list": ({"claims": "[]"}, "invalid_request"),
    "claims without objects": ({"claims": '{"userinfo": 1}'}, "invalid_request"),
    "claims with a word": ({"claims": '{"userinfo": {"email": "yes"}}'}, "invalid_request"),
    "claims with a word for essential": ({"claims": '{"id_token": {"acr": {"essential": 1}}}'}, "invalid_request"),
    "claims with a word for values": ({"claims": '{"id_token": {"acr": {"values": "x"}}}'}, "invalid_request"),
    "claims deep": ({"claims": "[" * 4000}, "invalid_request"),
    "claims many": ({"claims": json.dumps({"userinfo": dict.fromkeys(map(str, range(101)))})}, "invalid_request"),
    "claims with two people": (
        {"claims": '{"userinfo": {"sub": {"value": "a"}}, "id_token": {"sub": {"value": "b"}}}'},
        "invalid_request",
    ),
    "essential level unknown": (
        {"claims": '{"id_token": {"acr": {"essential": true, "value": "urn:x"}}}'},
        "unmet_authentication_requirements",
    ),
    "request": ({"request": "e30.e30."}, "invalid_request_object"),
    "request_uri": ({"request_uri": "http://127.0.0.1:1/x"}, "invalid_request_uri"),
    "both": ({"request": "e30.e30.", "request_uri": "http://127.0.0.1:1/x"}, "invalid_request"),
    "registration": ({"registration": "{}"}, "registration_not_supported"),
    "hint is none": ({"id_token_hint": "e30.e30."}, "invalid_request"),
    "long parameter": ({"ui_locales": "d" * 3000}, "invalid_request"),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.attack("plain PKCE")
def test_refusal_goes_to_the_client_with_state_and_issuer(client: FlaskClient, member: Membership, name: str) -> None:
    changes, error = REFUSALS[name]
    answer = Party().authorize(client, **changes)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(REDIRECT_URI + "?")
    found = query_of(answer)
    assert (found["error"], found["state"], found["iss"]) == (error, "st-1", get_settings().base_url)
    assert "code" not in found
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["state", "nonce", "scope", "response_type", "foo"])
@pytest.mark.attack("parameter pollution")
def test_a_parameter_given_twice_is_refused(client: FlaskClient, member: Membership, name: str) -> None:
    values = Party().request(foo="1")
    answer = client.get(f"/oauth/authorize?{urlencode(values)}&{urlencode({name: values[name]})}")
    found = query_of(answer)
    assert found["error"] == "invalid_request"
    assert found.get("state") == (None if name == "state" else "st-1")
    assert found["error_description"] == f"{name} is given more than once."


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
@pytest.mark.attack("parameter pollution")
def test_recipient_given_twice_gets_nothing(client: FlaskClient, member: Membership, name: str) -> None:
    values = Party().request()
    answer = client.get(f"/oauth/authorize?{urlencode(values)}&{urlencode({name: values[name]})}")
    assert (answer.status_code, answer.headers.get("Location")) == (400, None)


def test_unknown_parameters_scopes_and_wishes_do_no_harm(client: FlaskClient, member: Membership) -> None:
    party = Party()
    more = {"display": "popup", "ui_locales": "fr", "login_hint": "x", "foo": "bar", "claims_locales": "de"}
    body = party.tokens(client, scope="openid profile email phone offline_access", **more)
    assert body["scope"] == "openid"
    assert "refresh_token" not in body


def test_code_flow_works_without_nonce_and_state(client: FlaskClient, member: Membership) -> None:
    party = Party()
    answer = party.agree(client, party.authorize(client, nonce=None, state=None))
    found = query_of(answer)
    assert found.keys() == {"code", "iss"}
    token = party.exchange(client, found["code"]).get_json()["id_token"]
    assert "nonce" not in claims_of(token)


def test_long_state_and_odd_characters_come_back_unchanged(client: FlaskClient, member: Membership) -> None:
    party = Party()
    for state in ('a b&"c=d<é>', "%26", "x" * 4096, '"><script>alert(1)</script>'):
        answer = party.authorize(client, state=state, prompt="none")
        assert query_of(answer)["state"] == state


@pytest.mark.attack("reflected markup")
def test_markup_is_escaped_on_our_own_page(client: FlaskClient, member: Membership) -> None:
    evil = "<script>alert(1)</script>"
    party = Party(name=evil, authority=evil)
    for answer in (
        party.authorize(client, client_id=evil, ui_locales=evil),
        party.authorize(client, redirect_uri=evil),
        client.get(path_of(party.authorize(client))),
    ):
        assert evil not in answer.text


def test_registered_query_is_kept(client: FlaskClient, member: Membership) -> None:
    party = Party(registration={"redirect_uris": [REDIRECT_URI + "?tenant=a%20b"]})
    party.redirect_uri = REDIRECT_URI + "?tenant=a%20b"
    answer = party.authorize(client, prompt="none")
    assert answer.headers["Location"].startswith(REDIRECT_URI + "?tenant=a%20b&error=")


@pytest.mark.attack("stolen cookie")
def test_post_leads_to_get_so_that_the_session_is_seen(client: FlaskClient, member: Membership) -> None:
    party = Party()
    answer = client.post("/oauth/authorize", data=party.request())
    assert answer.status_code == 303
    assert path_of(answer).startswith("/oauth/authorize?")
    again = client.get(path_of(answer))
    assert path_of(again).startswith("/oauth/weiter/")
    wrong = client.post("/oauth/authorize", data=party.request(code_challenge=None))
    assert query_of(wrong)["error"] == "invalid_request"


@pytest.mark.attack("forged Host header")
def test_issuer_does_not_follow_the_host_header(client: FlaskClient, member: Membership) -> None:
    party = Party()
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    answer = client.get("/oauth/authorize?" + urlencode(party.request(prompt="none")), headers=headers)
    assert query_of(answer)["iss"] == get_settings().base_url
    found = client.get("/.well-known/openid-configuration", headers=headers).get_json()
    assert all(value.startswith(get_settings().base_url) for key, value in found.items() if key.endswith("_endpoint"))


@pytest.mark.attack("Referer leak", "reading across origins")
def test_no_cors_at_authorize_and_no_referrer(client: FlaskClient, member: Membership) -> None:
    party = Party()
    for answer in (
        client.get("/oauth/authorize?" + urlencode(party.request()), headers={"Origin": "https://evil.example"}),
        client.get(path_of(party.authorize(client)), headers={"Origin": "https://evil.example"}),
    ):
        assert not [name for name in dict(answer.headers) if name.startswith("Access-Control")]
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_nobody_signed_in(client: FlaskClient) -> None:
    party = Party()
    answer = party.authorize(client, prompt="none")
    assert query_of(answer)["error"] == "login_required"
    answer = party.authorize(client)
    assert answer.status_code == 303
    assert path_of(answer).startswith("/anmelden?next=%2Foauth%2Fweiter%2F")
    sign_in(client, make_membership())
    back = client.get(interaction_of(answer))
    assert "Weiter zu" in back.text


@pytest.mark.attack("consent bypass")
def test_silent_request_needs_an_earlier_agreement(client: FlaskClient, member: Membership) -> None:
    party = Party()
    assert query_of(party.authorize(client, prompt="none"))["error"] == "consent_required"
    party.code(client)
    assert "code" in query_of(party.authorize(client, prompt="none"))


def _later(client: FlaskClient, membership: Membership, interaction: str) -> dict[str, str]:
    """Return what a service hears after the person logged in anew."""
    sign_in(client, membership)
    answer = client.get(interaction)
    if answer.status_code == 200:
        return {"page": "consent"}
    return query_of(answer)


@pytest.mark.attack("old proof of identity")
def test_prompt_login_needs_a_proof_after_the_request(client: FlaskClient, member: Membership) -> None:
    party = Party()
    party.code(client)
    answer = party.authorize(client, prompt="login")
    assert "fresh=1" in path_of(answer)
    interaction = interaction_of(answer)
    # Coming back without having logged in does not help, however often.
    assert "fresh=1" in path_of(client.get(interaction))
    assert "fresh=1" in path_of(client.get(interaction))
    assert "code" in _later(client, member, interaction)
    # The same address again: over.
    assert client.get(interaction).status_code == 410


@pytest.mark.attack("old proof of identity")
def test_a_new_session_with_an_old_proof_is_refused(client: FlaskClient, member: Membership) -> None:
    party = Party()
    party.code(client)
    answer = party.authorize(client, prompt="login")
    interaction = interaction_of(answer)
    sign_in(client, member, auth_time=now() - timedelta(minutes=5))
    assert query_of(client.get(interaction))["error"] == "login_required"


@pytest.mark.attack("old proof of identity")
def test_max_age(client: FlaskClient) -> None:
    party, membership = Party(), make_membership()
    sign_in(client, membership, auth_time=now() - timedelta(seconds=100))
    body = party.tokens(client, max_age="1000")
    assert claims_of(body["id_token"])["auth_time"] <= int(now().timestamp()) - 99
    for age in ("10", "0"):
        assert query_of(party.authorize(client, max_age=age, prompt="none"))["error"] == "login_required"
    answer = party.authorize(client, max_age="10")
    assert "max_age=10" in path_of(answer)
    interaction = interaction_of(answer)
    assert "code" in _later(client, membership, interaction)


@pytest.mark.attack("downgraded trust level")
def test_trust_level_is_stepped_up_or_refused(client: FlaskClient, member: Membership) -> None:
    high = "http://eidas.europa.eu/LoA/high"
    for party, changes in (
        (Party(registration={"minimum_assurance": "high"}), {}),
        (Party(), {"acr_values": f"urn:unknown {high}"}),
    ):
        assert query_of(party.authorize(client, prompt="none", **changes))["error"] == "login_required"
        answer = party.authorize(client, **changes)
        assert "level=high" in path_of(answer)
        interaction = interaction_of(answer)
        assert _later(client, member, interaction)["error"] == "unmet_authentication_requirements"
        answer = party.authorize(client, **changes)
        interaction = interaction_of(answer)
        sign_in(client, member, assurance_level="high")
        answer = party.agree(client, interaction)
        body = party.exchange(client, query_of(answer)["code"]).get_json()
        assert claims_of(body["id_token"])["acr"] == high
        sign_in(client, member)


def test_acr_tells_the_level_of_the_session_never_more(client: FlaskClient, member: Membership) -> None:
    both = "http://eidas.europa.eu/LoA/low http://eidas.europa.eu/LoA/high"
    body = Party().tokens(client, acr_values=both)
    assert claims_of(body["id_token"])["acr"] == "http://eidas.europa.eu/LoA/substantial"


@pytest.mark.attack("hint of another person")
def test_id_token_hint_of_another_person(client: FlaskClient, member: Membership) -> None:
    party = Party()
    hint = party.tokens(client)["id_token"]
    assert "code" in query_of(party.authorize(client, prompt="none", id_token_hint=hint))
    sign_in(client, make_membership())
    party.code(client)
    assert query_of(party.authorize(client, prompt="none", id_token_hint=hint))["error"] == "login_required"
    answer = party.authorize(client, id_token_hint=hint)
    interaction = interaction_of(answer)
    assert _later(client, make_membership(), interaction)["error"] == "login_required"


@pytest.mark.attack("hint of another person")
def test_id_token_hint_of_another_client(client: FlaskClient, member: Membership) -> None:
    hint = Party().tokens(client)["id_token"]
    assert query_of(Party().authorize(client, id_token_hint=hint))["error"] == "invalid_request"


@pytest.mark.attack("form repeated by a redirect")
def test_no_redirect_repeats_a_form(client: FlaskClient, member: Membership) -> None:
    """307 and 308 would send what was posted to the next address (RFC 9700 4.12)."""
    party = Party()
    first = party.authorize(client)
    answers = [
        first,
        party.agree(client, first),
        client.post("/oauth/authorize", data=party.request()),
        client.post("/oauth/end-session", data={"state": "s"}),
        party.authorize(client, prompt="login"),
    ]
    assert {answer.status_code for answer in answers} == {303}
