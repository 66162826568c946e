"""Two worker processes behind one address: what is good once is good once over both of them."""

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import psutil
import pytest
import requests
from sqlalchemy import func, select

from tests.installation import HOST, Installation
from tests.provider.conftest import Live
from tests.provider.party import ASSERTION_TYPE, Party
from tests.provider.test_live import browser_of, consent
from tests.provider.test_request_objects import signed
from unternehmenskonto.db import db
from unternehmenskonto.provider.models import AuthorizationCode, UsedAssertion

#: Issue: always one success, however many ask at once.
AT_ONCE = 200
#: Browsers follow redirects: each of these is a whole request of a signed-in person.
FEW = 16
TIMEOUT = 120


@dataclass(frozen=True)
class Pair:
    """An installation whose web server answers from two processes."""

    installation: Installation
    workers: tuple[psutil.Process, ...]

    @property
    def live(self) -> Live:
        """Return it as what the other tests call a running provider."""
        return Live(self.installation.app, self.installation.base_url)

    def at_once(self, form: dict[str, str]) -> list[tuple[int, dict[str, Any]]]:
        """Send the token request on many open connections together; return status and answer of each.

        Both processes must have had work, or nothing would have been shown.
        """
        before = [_cpu_seconds(worker) for worker in self.workers]
        barrier = threading.Barrier(AT_ONCE)
        body = urlencode(form)

        def send(_: int) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(HOST, self.installation.port, timeout=TIMEOUT)
            connection.connect()
            barrier.wait(TIMEOUT)
            connection.request("POST", "/oauth/token", body, {"Content-Type": "application/x-www-form-urlencoded"})
            answer = connection.getresponse()
            found = answer.status, answer.read()
            connection.close()
            return found

        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(send, range(AT_ONCE)))
        assert all(_cpu_seconds(worker) > spent for worker, spent in zip(self.workers, before, strict=True))
        return [(status, json.loads(content)) for status, content in answers]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with Installation(tmp_path_factory.mktemp("two"), fsync=False) as installation:
        server = installation.start_web(workers=2, threads=4)
        workers = tuple(installation.workers_of(server))
        assert len(workers) == 2
        yield Pair(installation, workers)


@pytest.mark.attack("code replay", "parallel races")
def test_two_hundred_parallel_exchanges_of_one_code_have_one_winner(pair: Pair) -> None:
    live = pair.live
    with live.app.app_context():
        party = Party(issuer=live.url, auth_method="none", registration={"offline_access": True})
        wish = urlencode(party.request(scope="openid offline_access"))
        with browser_of(live) as browser:
            callback = consent(browser, f"{live.url}/oauth/authorize?{wish}")
        code = parse_qs(urlsplit(callback).query)["code"][0]
        answers = pair.at_once({**party.token_request(code), "client_id": party.client_id})
        assert Counter(status for status, _ in answers) == {200: 1, 400: AT_ONCE - 1}
        assert {content["error"] for status, content in answers if status == 400} == {"invalid_grant"}
        # Somebody has the code who should not: what the winner got is dead, whoever the winner was.
        won = next(content for status, content in answers if status == 200)
        bearer = {"Authorization": f"Bearer {won['access_token']}"}
        assert requests.get(f"{live.url}/oauth/userinfo", headers=bearer, timeout=TIMEOUT).status_code == 401
        spent = {
            "grant_type": "refresh_token",
            "refresh_token": won["refresh_token"],
            "client_id": party.client_id,
        }
        refused = requests.post(f"{live.url}/oauth/token", data=spent, timeout=TIMEOUT)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        used = select(func.count()).where(
            AuthorizationCode.service == party.client_id, AuthorizationCode.used_at.is_not(None)
        )
        assert db.session.scalar(used) == 1


@pytest.mark.attack("assertion replay", "parallel races")
def test_two_hundred_parallel_uses_of_one_assertion_have_one_winner(pair: Pair) -> None:
    live = pair.live
    with live.app.app_context():
        party = Party(issuer=live.url, auth_method="private_key_jwt", is_mailbox_sender=True)
        answers = pair.at_once(
            {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": party.assertion(),
            }
        )
        found = Counter(status for status, _ in answers)
        # Too many refusals of one client are answered with 429 (REFUSED_CLIENT_LIMIT).
        assert (found.pop(200), found.total(), found.keys() <= {401, 429}) == (1, AT_ONCE - 1, True)
        count = select(func.count()).where(UsedAssertion.service == party.client_id)
        assert db.session.scalar(count) == 1


@pytest.mark.attack("request object replay", "parallel races")
def test_parallel_uses_of_one_request_object_have_one_winner(pair: Pair) -> None:
    live = pair.live
    with live.app.app_context():
        party = Party(issuer=live.url, auth_method="private_key_jwt")
        with browser_of(live) as browser:
            consent(browser, f"{live.url}/oauth/authorize?{urlencode(party.request())}")
            token = signed(party, aud=live.url, prompt="none", jti="one")
            url = f"{live.url}/oauth/authorize?{urlencode({'client_id': party.client_id, 'request': token})}"
            barrier, cookies = threading.Barrier(FEW), browser.cookies.get_dict()

            def send(_: int) -> dict[str, list[str]]:
                barrier.wait(TIMEOUT)
                answer = requests.get(url, cookies=cookies, allow_redirects=False, timeout=TIMEOUT)
                return parse_qs(urlsplit(answer.headers["Location"]).query)

            with ThreadPoolExecutor(FEW) as pool:
                found = list(pool.map(send, range(FEW)))
        assert sum("code" in answer for answer in found) == 1
        errors = [answer["error"] for answer in found if "error" in answer]
        assert errors == [["invalid_request_object"]] * (FEW - 1)


def _cpu_seconds(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)
