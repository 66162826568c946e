"""An identity provider that is away, slow or talks nonsense: a page with what to do, nothing stored, nothing hung."""

import socket
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.login.conftest import SLUG, Visitor, declare
from unternehmenskonto import http
from unternehmenskonto.db import db
from unternehmenskonto.demo.identity_provider import Fault, Provider
from unternehmenskonto.login import discovery
from unternehmenskonto.login.models import LoginSession
from unternehmenskonto.settings import Settings

#: What the status of our page is for each way to fail.
STATUS = {Fault.SERVER_ERROR: 503, Fault.UNAVAILABLE: 503}


def says_what_to_do(text: str) -> bool:
    return "Kennung dieser Anfrage" in text and "Noch einmal versuchen" in text


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name)
@pytest.mark.parametrize("endpoint", ["discovery", "jwks", "token", "userinfo"])
def test_faulty_endpoints(visitor: Visitor, idp: Provider, endpoint: str, fault: Fault) -> None:
    url = visitor.walk()
    visitor.konto.application.extensions[discovery.EXTENSION] = discovery.empty_cache()
    idp.behaviour.faults[endpoint] = fault
    answer = visitor.come_back(url)
    assert answer.status_code == STATUS.get(fault, 502)
    assert says_what_to_do(answer.text)
    assert db.session.scalars(select(LoginSession)).all() == []


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.GARBAGE])
def test_the_start_fails_visibly(visitor: Visitor, idp: Provider, fault: Fault) -> None:
    idp.behaviour.faults["discovery"] = fault
    answer = visitor.start(next="/unternehmen")
    assert answer.status_code == STATUS.get(fault, 502)
    assert says_what_to_do(answer.text)
    assert 'name="next" value="/unternehmen"' in answer.text


@pytest.mark.parametrize("endpoint", ["discovery", "token", "userinfo"])
def test_slow_endpoints(visitor: Visitor, idp: Provider, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = visitor.walk()
    visitor.konto.application.extensions[discovery.EXTENSION] = discovery.empty_cache()
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.3)
    idp.behaviour.slow[endpoint] = 6.0
    begun = time.monotonic()
    answer = visitor.come_back(url)
    assert time.monotonic() - begun < 5
    assert answer.status_code == 503
    assert "antwortet zu langsam" in answer.text
    assert answer.headers["Retry-After"]


def test_the_limits_of_a_call() -> None:
    assert (http.CONNECT_SECONDS, http.TOTAL_SECONDS) == (5, 10)
    assert (discovery.KEYS_SECONDS, discovery.REFETCH_SECONDS, discovery.STALE_KEYS_SECONDS) == (600, 30, 86_400)


def test_nobody_listens(visitor: Visitor, settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.2", 0))
        declare(visitor.konto.application, settings, tmp_path, issuer=f"http://127.0.0.2:{closed.getsockname()[1]}")
        answer = visitor.start()
    assert answer.status_code == 503
    assert "nicht erreichbar" in answer.text


def test_other_providers_are_offered(visitor: Visitor, idp: Provider, settings: Settings, tmp_path: Path) -> None:
    second = (tmp_path / "identity_providers.toml").read_text()
    second = second.replace(f'"{SLUG}"', '"other"').replace('"Demo-Zertifikat"', '"Zweiter Dienst"')
    second = second.replace(idp.issuer, "http://127.0.0.3:9")
    declare(visitor.konto.application, settings, tmp_path, issuer=idp.issuer, more=second)
    idp.behaviour.faults["discovery"] = Fault.UNAVAILABLE
    assert "Mit Zweiter Dienst anmelden" in visitor.start().text


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://login.example/authorize"},
        {"authorization_endpoint": "https://user@evil.example/authorize"},
        {"authorization_endpoint": ["https://login.example/"]},
        {"authorization_endpoint": "https://[broken/"},
        {"token_endpoint": "http://10.0.0.1/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://169.254.169.254/latest/meta-data"},
        {"userinfo_endpoint": "ftp://login.example/"},
        {"end_session_endpoint": "data:text/html,hello"},
    ],
)
@pytest.mark.attack("issuer impersonation")
def test_unsafe_discovery_documents(visitor: Visitor, idp: Provider, document: dict[str, object]) -> None:
    idp.behaviour.discovery = document
    answer = visitor.start()
    assert answer.status_code == 502
    assert idp.behaviour.calls["token"] == idp.behaviour.calls["jwks"] == 0


@pytest.mark.parametrize("address", ["https://127.0.0.9/jwks", "https://[::1]/jwks", "https://169.254.169.254/jwks"])
@pytest.mark.attack("registered address of an inner server")
def test_private_addresses_are_not_called(visitor: Visitor, idp: Provider, address: str) -> None:
    idp.behaviour.discovery = {"jwks_uri": address}
    answer = visitor.log_in()
    assert answer.status_code == 503
    assert db.session.scalars(select(LoginSession)).all() == []


def test_a_provider_that_does_not_name_itself_need_not(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.discovery = {"authorization_response_iss_parameter_supported": None}
    idp.behaviour.callback = {"iss": None}
    assert visitor.log_in().status_code == 303


def test_a_provider_without_userinfo_and_logout(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.discovery = {"userinfo_endpoint": None, "end_session_endpoint": None}
    assert visitor.log_in().status_code == 303
    assert idp.behaviour.calls["userinfo"] == 0


def test_the_person_cancels(visitor: Visitor) -> None:
    answer = visitor.log_in(None)
    assert answer.status_code == 403
    assert "Anmeldung abgebrochen" in answer.text
    assert says_what_to_do(answer.text)


@pytest.mark.parametrize(
    ("claim", "word"),
    [
        ("org_company_name", "der Name des Unternehmens"),
        ("elster_datenuebermittler", "die Kennung des Unternehmens"),
        ("family_name", "Ihr Nachname"),
    ],
)
@pytest.mark.parametrize("value", [None, "", "   ", 0.5, ["x"]])
def test_missing_company_data(visitor: Visitor, idp: Provider, claim: str, word: str, value: object) -> None:
    for place in (idp.behaviour.id_token, idp.behaviour.userinfo):
        place[claim] = value
    answer = visitor.log_in()
    assert answer.status_code == 422
    assert word in answer.text
    assert db.session.scalars(select(LoginSession)).all() == []


def test_unknown_providers_have_no_page(visitor: Visitor) -> None:
    assert visitor.start("nobody").status_code == 404
    assert visitor.konto.get("/anmelden/nobody/rueckkehr?state=x&code=y").status_code == 404
