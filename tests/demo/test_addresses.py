"""Ports can be moved, and one in use is named before anything starts."""

import socket

import pytest

from unternehmenskonto.demo.addresses import AddressError, addresses, check_free, port_offset


@pytest.mark.parametrize("text", ["-1", "1.5", "", "many", "57511", "１"])
def test_an_unusable_offset_is_a_sentence(text: str) -> None:
    with pytest.raises(AddressError, match="whole number from 0 to 57510"):
        port_offset(text)


def test_the_offset_moves_every_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_PORT_OFFSET", "57510")
    moved = [address.port for address in addresses().all()]
    assert moved == [address.port + 57510 for address in addresses(0).all()]
    assert max(moved) == 65535


def test_every_page_has_a_host_of_its_own() -> None:
    pieces = addresses(0)
    hosts = [
        piece.host
        for piece in (
            pieces.konto,
            pieces.identity_provider,
            pieces.online_service,
            pieces.authority,
            pieces.mail,
        )
    ]
    assert len(set(hosts)) == len(hosts)


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    needed = addresses(31000)
    with socket.socket() as other:
        other.bind((needed.authority.host, needed.authority.port))
        other.listen()
        with pytest.raises(AddressError, match=r"Port 39003 on 127\.0\.0\.4.*DEMO_PORT_OFFSET=100 make demo"):
            check_free(needed)
    check_free(needed)
