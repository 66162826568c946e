"""Somebody signs out at the identity provider itself: our session ends with it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytest_httpserver import HTTPServer

from tests.login.conftest import Visitor, onward
from tests.login.test_backchannel import is_signed_in, post
from tests.login.test_logout import press
from unternehmenskonto.demo.identity_provider import Provider

CLIENT = "unternehmenskonto"
PATH = "/anmelden/demo-zertifikat/abmeldung"


@pytest.fixture
def telling(idp: Provider, httpserver: HTTPServer) -> Iterator[HTTPServer]:
    """Where the identity provider sends its logout tokens during the test."""
    before = idp.clients[CLIENT]
    idp.clients[CLIENT] = replace(before, backchannel_logout_uri=httpserver.url_for(PATH))
    httpserver.expect_request(PATH, method="POST").respond_with_data("")
    yield httpserver
    idp.clients[CLIENT] = before


def test_a_logout_there_ends_the_session_here(visitor: Visitor, idp: Provider, telling: HTTPServer) -> None:
    visitor.log_in()
    assert is_signed_in(visitor)
    assert visitor.elsewhere.post(f"{idp.issuer}/end-session", data={"confirm": "1"}, timeout=10).status_code == 200
    [(request, _)] = telling.log
    assert request.form.keys() == {"logout_token"}
    assert post(visitor, request.form["logout_token"]).status_code == 200
    assert not is_signed_in(visitor)
    assert post(visitor, request.form["logout_token"]).status_code == 400


def test_nobody_is_told_twice_or_of_nothing(visitor: Visitor, idp: Provider, telling: HTTPServer) -> None:
    for _ in range(2):
        visitor.elsewhere.post(f"{idp.issuer}/end-session", data={"confirm": "1"}, timeout=10)
    assert telling.log == []
    visitor.log_in()
    for _ in range(2):
        visitor.elsewhere.post(f"{idp.issuer}/end-session", data={"confirm": "1"}, timeout=10)
    assert len(telling.log) == 1


def test_whoever_asked_for_the_logout_knows_it(visitor: Visitor, idp: Provider, telling: HTTPServer) -> None:
    visitor.log_in()
    visitor.elsewhere.get(onward(press(visitor)), allow_redirects=False, timeout=10)
    page = visitor.elsewhere.get(idp.issuer, timeout=10).text
    assert "ist niemand angemeldet" in page
    assert telling.log == []


def test_a_client_that_does_not_answer_holds_up_nobody(visitor: Visitor, idp: Provider, telling: HTTPServer) -> None:
    idp.clients[CLIENT] = replace(idp.clients[CLIENT], backchannel_logout_uri="http://127.0.0.1:9/gone")
    visitor.log_in()
    answer = visitor.elsewhere.post(f"{idp.issuer}/end-session", data={"confirm": "1"}, timeout=10)
    assert answer.status_code == 200
