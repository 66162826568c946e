"""Over real HTTP: an independent relying party, many at once, and key sets that are fetched."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from sqlalchemy import func, select, update
from werkzeug import Response
from werkzeug.serving import make_server

from tests.factories import make_membership, session_cookie
from tests.provider.conftest import Live
from tests.provider.party import ASSERTION_TYPE, REDIRECT_URI, Party, pkce
from unternehmenskonto.db import db, now
from unternehmenskonto.provider import client_keys
from unternehmenskonto.provider.limits import REFRESH_GRACE
from unternehmenskonto.provider.models import Consent, RefreshToken

TIMEOUT = 30


class Signed(PrivateKeyJWT):
    """Authlib's client assertion for the issuer, as RFC 10070 wants it."""

    def __init__(self, issuer: str) -> None:
        super().__init__()
        self.issuer = issuer

    def sign(self, auth: Any, token_endpoint: str) -> str:
        return str(
            private_key_jwt_sign(
                auth.client_secret,
                auth.client_id,
                self.issuer,
                header={"kid": "party-1"},
                alg="ES256",
                claims={"exp": _in(60)},
            )
        )


def _in(seconds: int) -> int:
    return int(time.time()) + seconds


@contextmanager
def key_server(keys: list[Any]) -> Iterator[tuple[str, list[str]]]:
    """Publish the keys in the list, as it is at each call; tell the calls."""
    calls: list[str] = []

    def serve(environ: dict[str, Any], start: Any) -> Any:
        calls.append(environ["PATH_INFO"])
        body = {"keys": [key.as_dict(private=False) for key in keys]}
        return Response(json.dumps(body), mimetype="application/json")(environ, start)

    server = make_server("127.0.0.1", 0, serve, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks.json", calls
    finally:
        server.shutdown()
        server.server_close()


def browser_of(live: Live) -> requests.Session:
    """Return a browser in which somebody is signed in."""
    browser = requests.Session()
    membership = make_membership()
    cookies = session_cookie(membership)
    db.session.commit()
    browser.cookies.update(cookies)
    return browser


def consent(browser: requests.Session, url: str) -> str:
    """Follow redirects of the provider, agree, and return the address of the service's callback."""
    answer = browser.get(url, allow_redirects=False, timeout=TIMEOUT)
    while not answer.headers.get("Location", "").startswith(REDIRECT_URI):
        if answer.is_redirect:
            answer = browser.get(urljoin(url, answer.headers["Location"]), allow_redirects=False, timeout=TIMEOUT)
            continue
        fields = {"action": "agree"}
        for part in answer.text.rsplit('class="app-form"', 1)[1].split('<input type="hidden" name="')[1:]:
            name, _, rest = part.partition('" value="')
            fields[name] = rest.split('"', 1)[0]
        answer = browser.post(answer.url, data=fields, allow_redirects=False, timeout=TIMEOUT)
    return answer.headers["Location"]


@pytest.mark.parametrize("method", ["client_secret_basic", "private_key_jwt"])
def test_independent_relying_party(live: Live, method: str) -> None:
    with live.app.app_context(), requests.Session() as plain:
        party = Party(issuer=live.url, auth_method=method)
        browser = browser_of(live)
        metadata = plain.get(f"{live.url}/.well-known/openid-configuration", timeout=TIMEOUT).json()
        assert metadata["issuer"] == live.url
        session = OAuth2Session(
            party.client_id,
            party.secret if method == "client_secret_basic" else party.key,
            redirect_uri=REDIRECT_URI,
            scope="openid",
            token_endpoint_auth_method=method,
            code_challenge_method="S256",
        )
        if method == "private_key_jwt":
            session.register_client_auth_method(Signed(live.url))
        verifier = pkce()[0]
        url, state = session.create_authorization_url(
            metadata["authorization_endpoint"], code_verifier=verifier, nonce="n-live"
        )
        callback = consent(browser, url)
        assert parse_qs(urlsplit(callback).query)["iss"] == [live.url]
        token = session.fetch_token(
            metadata["token_endpoint"], authorization_response=callback, state=state, code_verifier=verifier
        )
        keys = KeySet.import_key_set(plain.get(metadata["jwks_uri"], timeout=TIMEOUT).json())
        claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
        assert (claims["iss"], claims["aud"], claims["nonce"]) == (live.url, party.client_id, "n-live")
        facts = session.get(metadata["userinfo_endpoint"], timeout=TIMEOUT).json()
        assert facts["sub"] == claims["sub"]
        assert facts["org_sub"] == claims["org_sub"]
        # The second time nobody is asked.
        url, _ = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier)
        assert browser.get(url, allow_redirects=False, timeout=TIMEOUT).headers["Location"].startswith(REDIRECT_URI)
        answer = browser.get(
            metadata["end_session_endpoint"],
            params={"id_token_hint": token["id_token"]},
            allow_redirects=False,
            timeout=TIMEOUT,
        )
        assert answer.headers["Location"] == "/abgemeldet"
        session.close()
        browser.close()


@pytest.mark.attack("refresh replay", "parallel races")
def test_fifty_parallel_refreshes_agree_and_a_later_one_is_a_replay(live: Live) -> None:
    with live.app.app_context():
        party = Party(issuer=live.url, auth_method="none", registration={"offline_access": True})
        browser = browser_of(live)
        url = f"{live.url}/oauth/authorize?" + urlencode(party.request(scope="openid offline_access"))
        code = parse_qs(urlsplit(consent(browser, url)).query)["code"][0]
        form = {**party.token_request(code), "client_id": party.client_id}

        def ask(token: str) -> requests.Response:
            spent = {"grant_type": "refresh_token", "refresh_token": token, "client_id": party.client_id}
            return requests.post(f"{live.url}/oauth/token", data=spent, timeout=TIMEOUT)

        first = requests.post(f"{live.url}/oauth/token", data=form, timeout=TIMEOUT).json()["refresh_token"]
        answers = _at_once(50, lambda: ask(first))
        assert Counter(answer.status_code for answer in answers) == {200: 50}
        (successor,) = {answer.json()["refresh_token"] for answer in answers}
        header = {"Authorization": f"Bearer {answers[-1].json()['access_token']}"}
        assert requests.get(f"{live.url}/oauth/userinfo", headers=header, timeout=TIMEOUT).status_code == 200
        stored = select(func.count()).select_from(RefreshToken).where(RefreshToken.service == party.client_id)
        assert db.session.scalar(stored) == 2
        assert ask(successor).status_code == 200
        long_ago = now() - REFRESH_GRACE - timedelta(seconds=1)
        db.session.execute(update(RefreshToken).where(RefreshToken.used_at.is_not(None)).values(used_at=long_ago))
        db.session.commit()
        answers = _at_once(10, lambda: ask(first))
        assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(400, "invalid_grant")}
        assert requests.get(f"{live.url}/oauth/userinfo", headers=header, timeout=TIMEOUT).status_code == 401
        browser.close()


@pytest.mark.attack("parallel races")
def test_parallel_agreements_leave_one(live: Live) -> None:
    with live.app.app_context():
        party = Party(issuer=live.url)
        browser = browser_of(live)
        url = f"{live.url}/oauth/authorize?{_query(party)}"
        callbacks = _at_once(8, lambda: consent(_copy(browser), url))
        assert len({parse_qs(urlsplit(callback).query)["code"][0] for callback in callbacks}) == 8
        count = select(func.count()).select_from(Consent).where(Consent.service == party.client_id)
        assert db.session.scalar(count) == 1
        browser.close()


@pytest.mark.attack("kid injection")
def test_fetched_keys_rotate_and_are_fetched_seldom(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [ECKey.generate_key("P-256", {"kid": "one"})]
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}

    def ask(party: Party, key: ECKey, kid: str) -> int:
        data = {**form, "client_assertion": party.assertion(key=key, header={"kid": kid})}
        return requests.post(f"{live.url}/oauth/token", data=data, timeout=TIMEOUT).status_code

    with live.app.app_context(), key_server(keys) as (uri, calls):
        party = Party(
            issuer=live.url,
            auth_method="private_key_jwt",
            registration={"jwks": None, "jwks_uri": uri},
            is_mailbox_sender=True,
        )
        assert [ask(party, keys[0], "one") for _ in range(3)] == [200, 200, 200]
        assert len(calls) == 1
        keys.append(ECKey.generate_key("P-256", {"kid": "two"}))
        # Unknown kids cost one call in 30 seconds, however many come.
        assert {ask(party, keys[1], f"unknown-{number}") for number in range(5)} == {401}
        assert len(calls) == 1
        monkeypatch.setattr(client_keys, "JWKS_REFETCH_SECONDS", -1)
        assert ask(party, keys[1], "two") == 200
        assert len(calls) == 2


def test_unreachable_and_forbidden_key_addresses(live: Live) -> None:
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
    with live.app.app_context():
        for address in ("http://127.0.0.1:9", "http://169.254.169.254", "http://10.0.0.1", "file:///etc/passwd"):
            party = Party(
                issuer=live.url,
                auth_method="private_key_jwt",
                registration={"jwks": None, "jwks_uri": address + "/jwks"},
                is_mailbox_sender=True,
            )
            data = {**form, "client_assertion": party.assertion()}
            answer = requests.post(f"{live.url}/oauth/token", data=data, timeout=TIMEOUT)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def _copy(browser: requests.Session) -> requests.Session:
    other = requests.Session()
    other.cookies.update(browser.cookies)
    return other


def _query(party: Party) -> str:
    return urlencode(party.request())


def _at_once(count: int, call: Any) -> list[Any]:
    """Let `count` threads begin together."""
    barrier = threading.Barrier(count)

    def run(_: int) -> Any:
        barrier.wait(TIMEOUT)
        return call()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
