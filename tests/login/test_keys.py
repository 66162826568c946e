"""The provider's keys: kept, renewed, and never fetched more often than allowed."""

import pytest
import time_machine

from tests.login.conftest import Visitor
from unternehmenskonto.demo.identity_provider import Fault, Provider
from unternehmenskonto.login import discovery

NOW = 1_795_000_000


def log_in(visitor: Visitor) -> int:
    return visitor.log_in(fresh="1").status_code


def test_discovery_and_keys_are_kept_for_ten_minutes(visitor: Visitor, idp: Provider) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        assert [log_in(visitor) for _ in range(3)] == [303] * 3
        assert (idp.behaviour.calls["discovery"], idp.behaviour.calls["jwks"]) == (1, 1)
        clock.shift(discovery.KEYS_SECONDS)
        assert log_in(visitor) == 303
        assert (idp.behaviour.calls["discovery"], idp.behaviour.calls["jwks"]) == (2, 2)


@pytest.mark.parametrize("keep_old", [True, False])
def test_a_new_key_is_fetched_at_once(visitor: Visitor, idp: Provider, keep_old: bool) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        assert log_in(visitor) == 303
        clock.shift(discovery.REFETCH_SECONDS)
        idp.keys.rotate(keep_old)
        assert log_in(visitor) == 303
        assert idp.behaviour.calls["jwks"] == 2


@pytest.mark.attack("kid injection")
def test_unknown_keys_cost_one_fetch_in_thirty_seconds(visitor: Visitor, idp: Provider) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        assert log_in(visitor) == 303
        idp.behaviour.id_token_header["kid"] = "invented"
        clock.shift(discovery.REFETCH_SECONDS)
        for _ in range(5):
            assert log_in(visitor) == 502
        assert idp.behaviour.calls["jwks"] == 2
        clock.shift(discovery.REFETCH_SECONDS)
        assert log_in(visitor) == 502
        assert idp.behaviour.calls["jwks"] == 3


def test_known_keys_outlive_an_outage_for_a_day(visitor: Visitor, idp: Provider) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        assert log_in(visitor) == 303
        idp.behaviour.faults["jwks"] = Fault.UNAVAILABLE
        clock.shift(discovery.STALE_KEYS_SECONDS - 60)
        assert log_in(visitor) == 303
        clock.shift(120)
        assert log_in(visitor) == 503
        del idp.behaviour.faults["jwks"]
        clock.shift(discovery.REFETCH_SECONDS)
        assert log_in(visitor) == 303


def test_during_an_outage_the_provider_is_asked_every_thirty_seconds(visitor: Visitor, idp: Provider) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        assert log_in(visitor) == 303
        idp.behaviour.faults["jwks"] = Fault.UNAVAILABLE
        clock.shift(discovery.KEYS_SECONDS)
        assert [log_in(visitor) for _ in range(3)] == [303] * 3
        assert idp.behaviour.calls["jwks"] == 2
