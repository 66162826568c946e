"""The modules of the plans RP-Initiated Logout, Back-Channel Logout and Third-Party-Initiated Login."""

import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from joserfc import jws
from werkzeug import Request, Response
from werkzeug.serving import make_server

from tests.provider.conformance.conftest import Make
from tests.provider.conformance.relying_party import SECONDS, SIGNED_OUT, Arrival, Browser, RelyingParty, once
from tests.provider.conftest import Live
from tests.worker import work_off
from unternehmenskonto.catalogue.entrance import entrance_url
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db
from unternehmenskonto.demo.serving import QuietHandler

EVENT = "http://schemas.openid.net/event/backchannel-logout"
STATE = "logout-state"


@pytest.fixture
def leaver(make_party: Make) -> RelyingParty:
    """A relying party with one registered address for the way back."""
    found = make_party()
    assert found.answer.status_code == 201, found.answer.text
    return found


def leave(party: RelyingParty, person: Browser, **parameters: str) -> Arrival:
    """Send the browser to the logout; return where it stands then."""
    return person.open(f"{party.document['end_session_endpoint']}?{urlencode(parameters)}")


def is_signed_in(party: RelyingParty, person: Browser) -> bool:
    """Ask without a page: the answer is a code or login_required."""
    person.can_sign_in = False
    found = party.login(person, prompt="none")
    assert ("code" in found) != (found.get("error") == "login_required"), found
    return "code" in found


def assert_back(arrival: Arrival, **parameters: str) -> None:
    assert (arrival.url.partition("?")[0], arrival.parameters) == (SIGNED_OUT, parameters)


def assert_page(arrival: Arrival, status: int, words: str) -> None:
    """The person stands on a page of the provider and was sent nowhere."""
    assert (arrival.status, words in arrival.text) == (status, True), (arrival.status, arrival.url)
    assert not any(step.startswith(SIGNED_OUT) for step in arrival.way)


@pytest.mark.conformance("oidcc-rp-initiated-logout-discovery-endpoint-verification")
def test_discovery(leaver: RelyingParty) -> None:
    document = leaver.document
    assert document["end_session_endpoint"].startswith(document["issuer"] + "/")
    assert requests.get(document["jwks_uri"], timeout=SECONDS).json()["keys"]


@pytest.mark.conformance("oidcc-rp-initiated-logout")
def test_rp_initiated_logout(leaver: RelyingParty, person: Browser) -> None:
    hint = leaver.tokens(person)["id_token"]
    assert_back(
        leave(leaver, person, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT, state=STATE), state=STATE
    )
    assert not is_signed_in(leaver, person)


@pytest.mark.conformance("oidcc-rp-initiated-logout-bad-post-logout-redirect-uri")
def test_bad_address(leaver: RelyingParty, person: Browser) -> None:
    hint = leaver.tokens(person)["id_token"]
    arrival = leave(leaver, person, id_token_hint=hint, post_logout_redirect_uri=f"{SIGNED_OUT}/other", state=STATE)
    assert_page(arrival, 400, "Sie sind noch angemeldet")
    assert is_signed_in(leaver, person)


@pytest.mark.conformance("oidcc-rp-initiated-logout-modified-id-token-hint")
def test_modified_hint(leaver: RelyingParty, person: Browser) -> None:
    hint = leaver.tokens(person)["id_token"]
    changed = hint[:-10] + ("A" if hint[-10] != "A" else "B") + hint[-9:]
    arrival = leave(leaver, person, id_token_hint=changed, post_logout_redirect_uri=SIGNED_OUT, state=STATE)
    assert_page(arrival, 400, "Sie sind noch angemeldet")
    assert is_signed_in(leaver, person)


@pytest.mark.conformance("oidcc-rp-initiated-logout-no-id-token-hint")
def test_no_hint(leaver: RelyingParty, person: Browser) -> None:
    leaver.tokens(person)
    arrival = leave(leaver, person, post_logout_redirect_uri=SIGNED_OUT, state=STATE)
    assert_page(arrival, 200, "Möchten Sie sich abmelden?")
    assert is_signed_in(leaver, person)


@pytest.mark.conformance("oidcc-rp-initiated-logout-no-params")
def test_no_parameters(leaver: RelyingParty, person: Browser) -> None:
    leaver.tokens(person)
    assert_page(leave(leaver, person), 200, "Möchten Sie sich abmelden?")
    assert is_signed_in(leaver, person)


@pytest.mark.conformance("oidcc-rp-initiated-logout-no-post-logout-redirect-uri")
def test_no_address(leaver: RelyingParty, person: Browser) -> None:
    hint = leaver.tokens(person)["id_token"]
    arrival = leave(leaver, person, id_token_hint=hint, state=STATE)
    assert_page(arrival, 200, "abgemeldet")
    assert urlsplit(arrival.url).path == "/abgemeldet"
    assert not is_signed_in(leaver, person)


@pytest.mark.conformance("oidcc-rp-initiated-logout-no-state")
def test_no_state(leaver: RelyingParty, person: Browser) -> None:
    hint = leaver.tokens(person)["id_token"]
    assert_back(leave(leaver, person, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT))
    assert not is_signed_in(leaver, person)


@pytest.mark.conformance("oidcc-rp-initiated-logout-only-state")
def test_only_state(leaver: RelyingParty, person: Browser) -> None:
    leaver.tokens(person)
    assert_page(leave(leaver, person, state=STATE), 200, "Möchten Sie sich abmelden?")
    assert is_signed_in(leaver, person)


@pytest.mark.conformance("oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri")
def test_query_added(leaver: RelyingParty, person: Browser) -> None:
    hint = leaver.tokens(person)["id_token"]
    arrival = leave(leaver, person, id_token_hint=hint, post_logout_redirect_uri=f"{SIGNED_OUT}?foo=bar", state=STATE)
    assert_page(arrival, 400, "Sie sind noch angemeldet")
    assert is_signed_in(leaver, person)


@pytest.mark.conformance("oidcc-rp-initiated-logout-bad-id-token-hint")
def test_bad_hint(leaver: RelyingParty, person: Browser) -> None:
    """A token of the client's own making in place of an ID token."""
    claims = leaver.tokens(person)["claims"]
    forged = leaver.sign(claims, typ="JWT")
    arrival = leave(leaver, person, id_token_hint=forged, post_logout_redirect_uri=SIGNED_OUT, state=STATE)
    assert_page(arrival, 400, "Sie sind noch angemeldet")
    assert is_signed_in(leaver, person)


@pytest.fixture
def received() -> Iterator[tuple[str, list[str]]]:
    """A back-channel address and the logout tokens that came there."""
    tokens: list[str] = []

    def answer(environ: dict[str, Any], start: Any) -> Any:
        tokens.append(Request(environ).form["logout_token"])
        return Response(status=200)(environ, start)

    server = make_server("127.0.0.3", 0, answer, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.3:{server.server_port}/backchannel", tokens
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.mark.conformance("oidcc-backchannel-logout-discovery-endpoint-verification")
def test_backchannel_discovery(leaver: RelyingParty) -> None:
    assert leaver.document["backchannel_logout_supported"] is True
    assert leaver.document["backchannel_logout_session_supported"] is True
    assert leaver.document["end_session_endpoint"]


@pytest.mark.conformance("oidcc-backchannel-rp-initiated-logout")
def test_backchannel_rp_initiated_logout(
    live: Live, make_party: Make, person: Browser, received: tuple[str, list[str]]
) -> None:
    address, tokens = received
    party = make_party(backchannel_logout_uri=address, backchannel_logout_session_required=True)
    assert party.answer.status_code == 201, party.answer.text
    body = party.tokens(person)
    assert_back(
        leave(party, person, id_token_hint=body["id_token"], post_logout_redirect_uri=SIGNED_OUT, state=STATE),
        state=STATE,
    )
    with live.app.app_context():
        work_off(live.app)
    [token] = tokens
    claims = party.verified(token)
    assert jws.extract_compact(token.encode()).headers()["typ"] == "logout+jwt"
    assert (claims["sub"], claims["sid"]) == (body["claims"]["sub"], body["claims"]["sid"])
    assert (claims["events"], "nonce" in claims, bool(claims["jti"])) == ({EVENT: {}}, False, True)
    assert claims["exp"] - time.time() <= 120
    assert not is_signed_in(party, person)


@pytest.mark.conformance("oidcc-3rd_party-init-login", note="the directory page of a service holds the link")
def test_third_party_initiated_login(live: Live, make_party: Make, person: Browser) -> None:
    """Core 4: iss and target_link_uri, nobody is named by login_hint; what comes back is an ordinary request."""
    login_uri, target = "https://dienst.example/login?mandant=7", "https://dienst.example/antrag"
    party = make_party(initiate_login_uri=login_uri)
    assert party.client["initiate_login_uri"] == login_uri
    with live.app.app_context():
        service = db.session.get_one(OnlineService, party.client_id)
        service.start_url = target
        link = entrance_url(service, issuer=party.issuer)
        db.session.rollback()
    assert link is not None
    assert link.startswith("https://dienst.example/login?")
    assert once(urlsplit(link).query) == {"mandant": "7", "iss": party.issuer, "target_link_uri": target}
    assert party.tokens(person)["claims"]["iss"] == party.issuer


@pytest.mark.conformance("oidcc-3rd_party-init-login-nohttps")
@pytest.mark.parametrize(
    "address", ["http://dienst.example/login", "ftp://dienst.example/login", "https://dienst.example/login#x", "login"]
)
def test_third_party_initiated_login_without_https(make_party: Make, address: str) -> None:
    party = make_party(initiate_login_uri=address)
    assert (party.answer.status_code, party.client["error"]) == (400, "invalid_client_metadata")
