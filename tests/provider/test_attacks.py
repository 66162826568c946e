"""Attacks that cross several endpoints: keys named by the attacker, forbidden addresses, tokens of another kind."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import time_machine
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from pytest_httpserver import HTTPServer
from werkzeug import Response
from werkzeug.serving import make_server

from tests.factories import make_membership, sign_in
from tests.login.conftest import SLUG
from tests.provider.party import ASSERTION_TYPE, REDIRECT_URI, Party, claims_of, query_of
from tests.provider.test_registration import initial, register
from tests.provider.test_request_objects import TYP, ask, content
from tests.provider.test_token import BAD_CLIENT, BAD_GRANT, outcome
from tests.provider.test_token_state import send, state
from unternehmenskonto import http
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.demo.serving import QuietHandler
from unternehmenskonto.provider import backchannel

#: A host that the installation of the tests may not call, and one that it may.
FORBIDDEN, PERMITTED = "127.0.0.9", "127.0.0.3"


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def signed_by_hand(key: ECKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Return a rightly signed JWT whose header a decent library would not write."""
    text = f"{encoded(json.dumps({'alg': 'ES256', **header}).encode())}.{encoded(json.dumps(claims).encode())}"
    r, s = decode_dss_signature(key.private_key.sign(text.encode(), ECDSA(SHA256())))  # type: ignore[union-attr]
    return f"{text}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def deliver(client: FlaskClient, assertion: str) -> Any:
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return client.post("/oauth/token", data={"grant_type": "client_credentials", **form})


@contextmanager
def listener(host: str, answer: Callable[[], Response]) -> Iterator[tuple[str, list[str]]]:
    """Answer every call at this loopback host; yield its address and the list of calls."""
    calls: list[str] = []

    def serve(environ: dict[str, Any], start: Any) -> Any:
        calls.append(environ["PATH_INFO"])
        return answer()(environ, start)

    server = make_server(host, 0, serve, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}", calls
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.attack("old code")
def test_a_code_lives_sixty_seconds(client: FlaskClient, member: Membership) -> None:
    party, moment = Party(), time.time()
    for seconds, status in ((58, 200), (61, 400)):
        with time_machine.travel(moment, tick=False) as clock:
            code = party.code(client)
            clock.shift(seconds)
            answer = party.exchange(client, code)
        assert answer.status_code == status
    assert outcome(answer) == BAD_GRANT


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
@pytest.mark.attack("key that comes with the token")
def test_keys_that_come_with_a_token_are_neither_used_nor_fetched(
    client: FlaskClient, member: Membership, httpserver: HTTPServer, name: str
) -> None:
    foreign = ECKey.generate_key("P-256", {"kid": "party-1", "use": "sig", "alg": "ES256"})
    public = foreign.as_dict(private=False)
    httpserver.expect_request("/keys").respond_with_json({"keys": [public]})
    brought = {"jwk": public, "x5c": [encoded(foreign.as_der(private=False))]}.get(name, httpserver.url_for("/keys"))
    party = Party(auth_method="private_key_jwt", is_mailbox_sender=True)
    header = {"kid": "party-1", name: brought}
    assert outcome(deliver(client, signed_by_hand(foreign, header, claims_of(party.assertion())))) == BAD_CLIENT
    found = ask(client, party, signed_by_hand(foreign, {"typ": TYP, **header}, content(party)))
    assert found["error"] == "invalid_request_object"
    assert httpserver.log == []


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"crit": []}])
@pytest.mark.attack("critical header")
def test_a_critical_header_nobody_understands(client: FlaskClient, member: Membership, header: dict[str, Any]) -> None:
    party = Party(auth_method="private_key_jwt", is_mailbox_sender=True)
    made = {"kid": "party-1", **header}
    assert outcome(deliver(client, signed_by_hand(party.key, made, claims_of(party.assertion())))) == BAD_CLIENT
    found = ask(client, party, signed_by_hand(party.key, {"typ": TYP, **made}, content(party)))
    assert found["error"] == "invalid_request_object"
    # The same by the same hand without it is good.
    good = signed_by_hand(party.key, {"kid": "party-1", "typ": TYP}, content(party))
    assert ask(client, party, good)["error"] == "consent_required"


@pytest.mark.attack("token of another kind")
def test_a_request_object_is_no_assertion_and_an_assertion_no_request(client: FlaskClient, member: Membership) -> None:
    party = Party(auth_method="private_key_jwt", is_mailbox_sender=True)
    both = {**content(party), **claims_of(party.assertion())}
    for typ in (TYP, "client-authentication+jwt"):
        token = signed_by_hand(party.key, {"kid": "party-1", "typ": typ}, {**both, "jti": typ})
        is_proof = deliver(client, token).status_code == 200
        is_request = ask(client, party, token)["error"] == "consent_required"
        assert (is_proof, is_request) == (typ != TYP, typ == TYP)


@pytest.mark.attack("registered address of an inner server")
def test_forbidden_addresses_are_not_called_whoever_registers_them(client: FlaskClient, member: Membership) -> None:
    """Server-side request forgery: keys, request objects, sectors and logout addresses lead to no inner server."""
    with listener(FORBIDDEN, lambda: Response("[]", mimetype="application/json")) as (inner, calls):
        registration = {"jwks": None, "jwks_uri": inner, "request_uris": [inner], "backchannel_logout_uri": inner}
        party = Party(auth_method="private_key_jwt", is_mailbox_sender=True, registration=registration)
        assert outcome(deliver(client, party.assertion())) == BAD_CLIENT
        assert query_of(party.authorize(client, request_uri=inner))["error"] == "invalid_request_uri"
        sector = {"redirect_uris": [REDIRECT_URI], "sector_identifier_uri": inner}
        assert register(client, sector, initial()).get_json()["error"] == "invalid_client_metadata"
        assert backchannel._post(inner, "token") == "blocked"
        assert requests.get(inner, timeout=10).status_code == 200
    assert calls == ["/"]


@pytest.mark.attack("registered address of an inner server")
def test_a_permitted_address_leads_to_no_forbidden_one(client: FlaskClient, member: Membership) -> None:
    with listener(FORBIDDEN, lambda: Response("{}")) as (inner, inner_calls):
        onward = Response(status=302, headers={"Location": inner})
        with listener(PERMITTED, lambda: onward) as (outer, outer_calls):
            registration = {"jwks": None, "jwks_uri": outer, "request_uris": [outer]}
            party = Party(auth_method="private_key_jwt", is_mailbox_sender=True, registration=registration)
            assert outcome(deliver(client, party.assertion())) == BAD_CLIENT
            assert query_of(party.authorize(client, request_uri=outer))["error"] == "invalid_request_uri"
            sector = {"redirect_uris": [REDIRECT_URI], "sector_identifier_uri": outer}
            assert register(client, sector, initial()).status_code == 400
            with pytest.raises(http.OutboundError):
                http.fetch("GET", inner)
        assert (len(outer_calls), inner_calls) == (3, [])


def bombs() -> dict[str, str]:
    """Return tokens that cost whoever opens them: derived keys, unpacked content, depth, length."""
    derived = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 10**9, "p2s": "AAAAAAAAAAA"}
    packed = {"alg": "dir", "enc": "A128GCM", "zip": "DEF"}
    return {
        **{
            name: f"{encoded(json.dumps(header).encode())}.{'A' * 54}.{'A' * 16}.{'A' * 900}.{'A' * 22}"
            for name, header in (("derived", derived), ("packed", packed))
        },
        "deep": f"{encoded(b'[' * 3000)}.{encoded(b'[' * 3000)}.AAAA",
        "deep header": encoded(b'{"a":' * 1000) + ".e30.AAAA",
        "long": "A" * 1_000_000,
    }


@pytest.mark.parametrize("name", bombs())
@pytest.mark.attack("tokens that cost their reader")
def test_tokens_that_cost_their_reader(client: FlaskClient, member: Membership, name: str) -> None:
    bomb, party = bombs()[name], Party(auth_method="private_key_jwt", is_mailbox_sender=True)
    assert deliver(client, bomb).status_code in (400, 401)
    assert "error" in query_of(party.authorize(client, request=bomb, prompt="none"))
    assert query_of(party.authorize(client, id_token_hint=bomb, prompt="none"))["error"] == "invalid_request"
    assert party.userinfo(client, bomb).status_code in (400, 401)
    assert client.get("/oauth/end-session", query_string={"id_token_hint": bomb}).status_code == 400
    for path in ("/oauth/introspect", "/oauth/revoke"):
        answer = send(path, party, client, bomb)
        assert answer.status_code == 400 or not answer.data or answer.get_json() == {"active": False}
    assert client.post(f"/anmelden/{SLUG}/abmeldung", data={"logout_token": bomb}).status_code in (400, 413, 503)


@pytest.mark.attack("comparing pseudonyms")
def test_services_of_different_sectors_cannot_compare_people(client: FlaskClient, member: Membership) -> None:
    parties = [Party(sector="a.example"), Party(sector="b.example"), Party(sector="a.example")]
    session_ids, subjects = set(), []
    for party in parties:
        body = party.tokens(client)
        told = claims_of(body["id_token"])
        grant = claims_of(body["access_token"])
        known = {
            told["sub"],
            grant["sub"],
            party.userinfo(client, body["access_token"]).get_json()["sub"],
            state(party, client, body["access_token"])["sub"],
        }
        assert len(known) == 1
        subjects.append(known.pop())
        session_ids.add(told["sid"])
        # Nobody else's token tells anything.
        for other in parties:
            assert other is party or state(other, client, body["access_token"]) == {"active": False}
    assert subjects[0] == subjects[2] != subjects[1]
    assert len(session_ids) == 3, "the name of a session would join what the pseudonym keeps apart"


@pytest.mark.attack("comparing pseudonyms", "hint of another person")
def test_a_hint_from_another_sector_names_nobody(client: FlaskClient, member: Membership) -> None:
    one, other = Party(sector="a.example"), Party(sector="b.example")
    hint = one.tokens(client)["id_token"]
    sub = claims_of(hint)["sub"]
    other.code(client)
    assert query_of(other.authorize(client, id_token_hint=hint, prompt="none"))["error"] == "invalid_request"
    wish = json.dumps({"id_token": {"sub": {"value": sub}}})
    assert query_of(other.authorize(client, claims=wish, prompt="none"))["error"] == "login_required"


@pytest.mark.attack("code injection")
def test_a_stolen_code_needs_the_verifier_of_its_own_request(client: FlaskClient, member: Membership) -> None:
    """The attacker begins at the same service with a verifier of his own and brings the victim's code along."""
    victim = Party(auth_method="none")
    stolen = victim.code(client)
    sign_in(client, make_membership())
    attacker = Party(auth_method="none")
    own_verifier = attacker.verifier
    assert outcome(victim.exchange(client, stolen, code_verifier=own_verifier)) == BAD_GRANT
    # The try has used it up: a second one, with the right verifier, comes too late.
    assert outcome(victim.exchange(client, stolen)) == BAD_GRANT
