"""Signing out: here at once and for good, at the identity provider as far as it takes part."""

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.factories import csrf_token, make_membership, sign_in
from tests.login.conftest import Visitor, onward
from unternehmenskonto.db import db
from unternehmenskonto.demo.identity_provider import Fault, Provider
from unternehmenskonto.login import cookies, discovery
from unternehmenskonto.login.models import LoginSession


def press(visitor: Visitor) -> TestResponse:
    return visitor.konto.post("/abmelden", data={"csrf_token": csrf_token(visitor.konto)})


def test_signing_out_ends_both_sessions(visitor: Visitor, idp: Provider) -> None:
    visitor.log_in()
    cookie = visitor.konto.get_cookie(cookies.SESSION)
    assert cookie is not None
    answer = press(visitor)
    url = onward(answer)
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert "Angemeldet als" not in answer.text
    upstream = visitor.elsewhere.get(url, allow_redirects=False, timeout=10)
    assert (upstream.status_code, upstream.headers["Location"].split("=")[0]) == (
        303, "http://127.0.0.1:8000/abgemeldet?state",
    )  # fmt: skip
    page = visitor.come_back(upstream.headers["Location"]).text
    assert "Sie sind abgemeldet" in page and "vielleicht noch angemeldet" not in page
    assert visitor.konto.get_cookie(cookies.SESSION) is None
    visitor.konto.set_cookie(cookies.SESSION, cookie.value)
    assert visitor.konto.get("/unternehmen").status_code == 303, "the old cookie is worth nothing"
    asks = visitor.elsewhere.get(onward(visitor.start()), timeout=10)
    assert "interaction" in asks.text, "the identity provider has forgotten the person too"


def test_the_id_token_is_sealed_and_forgotten(visitor: Visitor) -> None:
    visitor.log_in()
    session = db.session.scalars(select(LoginSession)).one()
    assert session.sealed_id_token is not None
    assert b"eyJ" not in session.sealed_id_token
    press(visitor)
    db.session.refresh(session)
    assert (session.ended_reason, session.sealed_id_token) == ("signed_out", None)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name)
def test_a_dead_provider_does_not_keep_anybody_signed_in(visitor: Visitor, idp: Provider, fault: Fault) -> None:
    visitor.log_in()
    visitor.konto.application.extensions[discovery.EXTENSION] = discovery.empty_cache()
    idp.behaviour.faults["discovery"] = fault
    answer = press(visitor)
    assert (answer.status_code, answer.location) == (303, "/abgemeldet")
    assert visitor.konto.get("/unternehmen").status_code == 303


def test_sessions_without_upstream_end_here(visitor: Visitor) -> None:
    sign_in(visitor.konto, make_membership())
    assert press(visitor).location == "/abgemeldet"


def test_signing_out_twice_is_harmless(visitor: Visitor) -> None:
    sign_in(visitor.konto, make_membership())
    token = csrf_token(visitor.konto)
    for _ in range(2):
        assert visitor.konto.post("/abmelden", data={"csrf_token": token}).location == "/abgemeldet"


def test_nobody_is_signed_out_from_outside(visitor: Visitor) -> None:
    sign_in(visitor.konto, make_membership())
    assert visitor.konto.get("/abmelden").status_code == 405
    assert visitor.konto.post("/abmelden").status_code == 400
    assert visitor.konto.get("/unternehmen").status_code == 200


def test_each_browser_has_its_own_session(visitor: Visitor) -> None:
    membership = make_membership()
    second = visitor.konto.application.test_client()
    sign_in(visitor.konto, membership)
    sign_in(second, membership)
    press(visitor)
    assert second.get("/unternehmen").status_code == 200
