"""An identity provider that is down: known after five failures, asked by one request later, harmless for the others."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import time_machine
from flask import Flask

from tests.demo.person import choose_certificate
from tests.login.conftest import SLUG, Visitor, declare, onward
from tests.page_checks import faults
from unternehmenskonto import http
from unternehmenskonto.demo.identity_provider import Fault, Provider
from unternehmenskonto.demo.serving import Listener
from unternehmenskonto.login import breaker, discovery
from unternehmenskonto.login.config import providers
from unternehmenskonto.login.errors import ProviderDown, ProviderSlow
from unternehmenskonto.settings import Settings
from unternehmenskonto.web import limiter

NOW = 1_795_000_000


@pytest.fixture
def second(visitor: Visitor, idp: Provider, settings: Settings, tmp_path: Path) -> Iterator[str]:
    """The slug of a second identity provider, that of the first under another address."""
    block = (tmp_path / "identity_providers.toml").read_text().replace(f'"{SLUG}"', '"other"')
    block = block.replace('"Demo-Zertifikat"', '"Zweiter Dienst"')
    with Listener("127.0.0.3") as listener:
        app = Flask("second")

        @app.get("/.well-known/openid-configuration")
        def describe() -> dict[str, object]:
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            return {"issuer": listener.url, **{name: f"{listener.url}/{name}" for name in names}}

        @app.get("/jwks_uri")
        def publish() -> dict[str, object]:
            return idp.keys.published()

        listener.serve(app)
        more = block.replace(idp.issuer, listener.url)
        declare(visitor.konto.application, settings, tmp_path, issuer=idp.issuer, more=more)
        yield "other"


def forget_endpoints(visitor: Visitor) -> None:
    visitor.konto.application.extensions[discovery.EXTENSION] = discovery.empty_cache()


def break_down(visitor: Visitor, idp: Provider, fault: Fault = Fault.UNAVAILABLE) -> None:
    idp.behaviour.faults["discovery"] = fault
    for _ in range(breaker.FAILURES):
        assert visitor.start().status_code == 503


def test_the_figures() -> None:
    assert (breaker.FAILURES, breaker.DOWN_SECONDS, breaker.CALLS_AT_ONCE, breaker.WAIT_SECONDS) == (5, 30, 2, 1.0)


def test_down_after_five_failures_and_back_after_one_good_answer(
    visitor: Visitor, idp: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        break_down(visitor, idp)
        answer = visitor.start(next="/unternehmen")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= breaker.DOWN_SECONDS
        assert f"down for {breaker.DOWN_SECONDS} s more" in caplog.text
        assert "zurzeit gestört" in answer.text
        assert 'name="next" value="/unternehmen"' in answer.text
        assert idp.behaviour.calls["discovery"] == breaker.FAILURES, "it is left alone"
        del idp.behaviour.faults["discovery"]
        clock.shift(breaker.DOWN_SECONDS - 1)
        assert "zurzeit gestört" in visitor.start().text
        clock.shift(1)
        assert visitor.start().status_code == 200
        assert visitor.log_in().status_code == 303


def test_a_failed_trial_means_another_pause(visitor: Visitor, idp: Provider) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        break_down(visitor, idp)
        clock.shift(breaker.DOWN_SECONDS)
        assert "nicht erreichbar" in visitor.start().text
        assert "zurzeit gestört" in visitor.start().text
        assert idp.behaviour.calls["discovery"] == breaker.FAILURES + 1


def test_failures_must_come_in_a_row(visitor: Visitor, idp: Provider) -> None:
    for _ in range(3):
        for fault in [Fault.UNAVAILABLE] * (breaker.FAILURES - 1) + [None]:
            forget_endpoints(visitor)
            idp.behaviour.faults = {"discovery": fault} if fault else {}
            assert visitor.start().status_code == (503 if fault else 200)


@pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.SERVER_ERROR, Fault.OAUTH_ERROR])
def test_wrong_answers_do_not_switch_a_provider_off(visitor: Visitor, idp: Provider, fault: Fault) -> None:
    """They cost no time, and whoever sends forged codes could provoke them."""
    idp.behaviour.faults["discovery"] = fault
    for _ in range(2 * breaker.FAILURES):
        assert "zurzeit gestört" not in visitor.start().text
    assert idp.behaviour.calls["discovery"] == 2 * breaker.FAILURES


def test_a_provider_that_nobody_listens_at_is_down(visitor: Visitor, settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.2", 0))
        declare(visitor.konto.application, settings, tmp_path, issuer=f"http://127.0.0.2:{closed.getsockname()[1]}")
        for _ in range(breaker.FAILURES):
            assert "nicht erreichbar" in visitor.start().text
        assert "zurzeit gestört" in visitor.start().text


def test_a_provider_that_is_slow_is_down(visitor: Visitor, idp: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.1)
    idp.behaviour.slow["discovery"] = 0.4
    for _ in range(breaker.FAILURES):
        assert "antwortet zu langsam" in visitor.start().text
    assert "zurzeit gestört" in visitor.start().text


def test_with_known_endpoints_nobody_is_sent_to_a_dead_end(visitor: Visitor, idp: Provider) -> None:
    assert visitor.start().status_code == 200
    idp.behaviour.faults["token"] = Fault.UNAVAILABLE
    for _ in range(breaker.FAILURES):
        assert visitor.log_in(fresh="1").status_code == 503
    assert "zurzeit gestört" in visitor.start().text


def test_the_page_says_so_and_offers_the_others(visitor: Visitor, idp: Provider, second: str) -> None:
    break_down(visitor, idp)
    refusal, page = visitor.start().text, visitor.konto.get("/anmelden").text
    assert "Mit Zweiter Dienst anmelden" in refusal
    assert page.count("Zurzeit gestört") == 1
    assert faults(page) == faults(refusal) == []
    assert visitor.start(second).status_code == 200


def test_a_slow_provider_holds_two_threads_and_no_other_login(
    visitor: Visitor, idp: Provider, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Really slow, with real threads: eight callers of the slow one, and one of the other beside them."""
    monkeypatch.setattr(http, "TOTAL_SECONDS", 3.0)
    monkeypatch.setattr(breaker, "WAIT_SECONDS", 0.2)
    app = visitor.konto.application
    with app.app_context():
        slow, other = providers()[SLUG], providers()[second]
        breakers = {one.slug: breaker.of(one) for one in (slow, other)}
    idp.behaviour.slow["discovery"] = 5.0
    found: list[tuple[str, float]] = []

    def ask() -> None:
        begun = time.monotonic()
        with app.app_context():
            try:
                discovery.metadata(slow)
            except ProviderDown:
                found.append(("down", time.monotonic() - begun))
            except ProviderSlow:
                found.append(("slow", time.monotonic() - begun))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    with app.app_context():
        assert discovery.metadata(other).token_endpoint
    assert time.monotonic() - begun < 2.5, "the other provider waits for nobody"
    for thread in threads:
        thread.join(20)
    assert sorted(kind for kind, _ in found) == ["down"] * 6 + ["slow"] * 2
    assert max(seconds for kind, seconds in found if kind == "down") < 2.5
    assert idp.behaviour.calls["discovery"] == 2
    assert [breakers[slug].seconds_down() for slug in (SLUG, second)] == [0, 0], "two failures are not five"


def test_after_the_pause_exactly_one_tries(visitor: Visitor, idp: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "DOWN_SECONDS", 0.3)
    break_down(visitor, idp)
    asked = idp.behaviour.calls["discovery"]
    with visitor.konto.application.app_context():
        provider = providers()[SLUG]
    monkeypatch.setattr(breaker, "DOWN_SECONDS", 30)
    time.sleep(0.35)
    idp.behaviour.slow["discovery"] = 0.3
    kinds: list[str] = []
    barrier = threading.Barrier(6)

    def ask() -> None:
        barrier.wait(10)
        with visitor.konto.application.app_context():
            try:
                discovery.metadata(provider)
            except ProviderDown:
                kinds.append("down")
            except Exception:
                kinds.append("tried")

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(kinds) == ["down"] * 5 + ["tried"]
    assert idp.behaviour.calls["discovery"] == asked + 1


def test_a_login_under_way_fails_at_once_when_the_provider_is_known_to_be_down(visitor: Visitor, idp: Provider) -> None:
    url = choose_certificate(visitor.elsewhere, onward(visitor.start()))
    forget_endpoints(visitor)
    break_down(visitor, idp)
    limiter.reset()
    calls = idp.behaviour.calls["token"]
    answer = visitor.come_back(url)
    assert (answer.status_code, idp.behaviour.calls["token"]) == (503, calls)
    assert "zurzeit gestört" in answer.text
