"""Discovery says what is true: each thing it names works, each thing it leaves out does not."""

from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from tests.provider.party import Party, claims_of, path_of
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.provider import metadata

PATH = "/.well-known/openid-configuration"


def test_both_documents_are_the_same_and_name_our_origin(client: FlaskClient) -> None:
    found = client.get(PATH).get_json()
    assert client.get("/.well-known/oauth-authorization-server").get_json() == found
    assert found["issuer"] == "http://127.0.0.1:8000"
    for name, value in found.items():
        if name.endswith(("_endpoint", "_uri")):
            path = value.removeprefix(found["issuer"])
            assert client.options(path).status_code == 200, name


def test_what_is_switched_on_and_off_is_told(client: FlaskClient) -> None:
    found = client.get(PATH).get_json()
    assert {name: value for name, value in found.items() if isinstance(value, bool)} == {
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_session_supported": True,
        "backchannel_logout_supported": True,
        "claims_parameter_supported": True,
        "pkce_required": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": True,
    }


def test_public_metadata_may_be_read_and_kept_by_anybody(client: FlaskClient) -> None:
    for path in (PATH, "/oauth/jwks"):
        answer = client.get(path, headers={"Origin": "https://any.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers["Cache-Control"] == "public, max-age=300"


def test_published_keys_are_public_and_strong(client: FlaskClient) -> None:
    found = client.get("/oauth/jwks").get_json()["keys"]
    assert {key["alg"] for key in found} >= {"RS256", "ES256"}
    for key in found:
        assert key["use"] == "sig"
        assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi", "unternehmenskonto_use"}
        if key["kty"] == "RSA":
            assert len(key["n"]) >= 512
    assert len({key["kid"] for key in found}) == len(found)


def test_what_is_named_works(client: FlaskClient, member: Membership) -> None:
    found = client.get(PATH).get_json()
    for method in found["token_endpoint_auth_methods_supported"]:
        assert Party(auth_method=method).tokens(client)["token_type"] == "Bearer"
    for response_type in ("token", "id_token", "code token", "code id_token"):
        assert response_type not in found["response_types_supported"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert not [name for name in found if name.startswith("device")]
    claims = Party(claims=tuple(found["claims_supported"]))
    facts = claims.userinfo(client, claims.tokens(client)["access_token"]).get_json()
    assert facts.keys() <= set(found["claims_supported"])


def test_an_exemption_from_pkce_shows(app: Flask, client: FlaskClient, member: Membership) -> None:
    """Required of all unless the operator exempts a named client, and that shows in discovery and log."""
    exempt = {"pkce_exempt": True, "pkce_exempt_reason": "Altes Verfahren, bis 2027."}
    app.extensions.pop(metadata.EXTENSION, None)
    assert client.get(PATH).get_json()["pkce_required"] is True
    party = Party(registration=exempt)
    assert client.get(PATH).get_json()["pkce_required"] is True, "kept for five minutes"
    app.extensions.pop(metadata.EXTENSION)
    assert client.get(PATH).get_json()["pkce_required"] is False
    with capture_logs() as logs:
        assert party.code(client, code_challenge=None, code_challenge_method=None)
    warning = next(entry for entry in logs if entry["event"] == "login without PKCE")
    assert (warning["log_level"], warning["service"]) == ("warning", party.client_id)
    assert warning["reason"] == exempt["pkce_exempt_reason"]
    party.service.is_enabled = False
    db.session.commit()
    app.extensions.pop(metadata.EXTENSION)
    assert client.get(PATH).get_json()["pkce_required"] is True
    app.extensions.pop(metadata.EXTENSION)


def test_one_login_opens_every_service(client: FlaskClient, member: Membership) -> None:
    """Single sign-on: the second service asks for agreement and not for a login; they cannot compare what they get."""
    first, second = Party(), Party()
    one = claims_of(first.tokens(client)["id_token"])
    waiting = second.authorize(client)
    assert path_of(waiting).startswith("/oauth/weiter/")
    other = claims_of(second.tokens(client)["id_token"])
    assert one["auth_time"] == other["auth_time"]
    for name in ("sub", "sid", "org_sub", "aud"):
        assert one[name] != other[name], name
