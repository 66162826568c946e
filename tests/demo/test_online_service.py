"""The demo online service at a provider that can be made to lie: what an integrator copies must notice it."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from unternehmenskonto.demo import online_service
from unternehmenskonto.demo.identity_provider import Fault

from .person import TIMEOUT, parameters
from .scene import ORG_SUB, WELCOME, Scene

FORM = {"activity": "Einzelhandel", "begins_on": "2027-01-31", "address": "Hauptstraße 12, 12345 Musterstadt"}


def test_login_shows_company_and_person(scene: Scene) -> None:
    assert WELCOME in scene.get("/").text
    page = scene.log_in().text
    assert "Musterbau GmbH" in page
    assert "Dr. Erika Beispiel" in page
    assert 'value="Hauptstraße 12, 12345 Musterstadt"' in page


def test_application_reaches_the_authority(scene: Scene) -> None:
    scene.log_in()
    page = scene.post("/anmeldungen", **FORM)
    assert "Der Bescheid kommt in Ihr Postfach" in page.text
    assert f"{scene.issuer}/postfach" in page.text
    (application,) = scene.applications
    assert application["org_sub"] == ORG_SUB
    assert application["company"] == "Musterbau GmbH"
    assert application["person"] == "Erika Beispiel"


def test_application_waits_while_the_authority_is_away(scene: Scene) -> None:
    scene.log_in()
    scene.authority_status = 503
    page = scene.post("/anmeldungen", **FORM)
    assert "Ihre Anmeldung ist gespeichert" in page.text
    scene.authority_status = 202
    again = re.search(r'action="(/anmeldungen/[0-9a-f]+)"', page.text)
    assert again
    assert "Der Bescheid kommt in Ihr Postfach" in scene.post(again[1]).text
    assert len(scene.applications) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"activity": "x"}, "3 bis 200 Zeichen"),
        ({"begins_on": "morgen"}, "als Datum"),
        ({"address": ""}, "5 bis 200 Zeichen"),
    ],
    ids=str,
)
def test_faulty_field_is_explained_and_kept(scene: Scene, changes: dict[str, str], sentence: str) -> None:
    scene.log_in()
    answer = scene.post("/anmeldungen", **{**FORM, **changes})
    assert answer.status_code == 400
    assert sentence in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert scene.applications == []


def test_invisible_characters_do_not_travel(scene: Scene) -> None:
    scene.log_in()
    scene.post("/anmeldungen", **{**FORM, "activity": " Ein\u200bzel\thandel\r\nmit\u00a0Fliesen\x07 "})
    assert scene.applications[0]["activity"] == "Einzel handel mit Fliesen"


def test_application_of_another_company_is_not_shown(scene: Scene) -> None:
    scene.log_in()
    mine = scene.post("/anmeldungen", **FORM).url
    scene.behaviour.id_token["org_sub"] = "du-" + "c" * 40
    scene.log_in()
    assert scene.browser.get(mine, timeout=TIMEOUT).status_code == 404
    assert scene.browser.post(mine, timeout=TIMEOUT).status_code == 404


def test_refusal_gets_a_friendly_page(scene: Scene) -> None:
    page = scene.browser.get(scene.callback(certificate=None), timeout=TIMEOUT)
    assert "Sie haben die Anmeldung abgebrochen" in page.text
    assert not scene.is_logged_in()


def test_login_can_be_started_by_the_issuer_only(scene: Scene) -> None:
    for address, status in ((scene.issuer, 303), ("http://127.0.0.9:1", 400), (scene.issuer + "/", 400)):
        answer = requests.get(f"{scene.url}/login", {"iss": address}, allow_redirects=False, timeout=TIMEOUT)
        assert answer.status_code == status, address


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_login_started_from_outside_leads_to_our_issuer_only(scene: Scene, method: str) -> None:
    """OpenID Connect Core 4: target_link_uri is an open redirector for whoever trusts it."""
    values = {"iss": scene.issuer, "target_link_uri": "https://evil.example/", "login_hint": "somebody"}
    where = {"params": values} if method == "GET" else {"data": values}
    begin = scene.browser.request(method, f"{scene.url}/login", allow_redirects=False, timeout=TIMEOUT, **where)
    address = begin.headers["Location"]
    assert (begin.status_code, address.startswith(f"{scene.issuer}/authorize?")) == (303, True)
    assert "evil" not in address and "somebody" not in address


def test_logout_ends_both_sessions(scene: Scene) -> None:
    scene.log_in()
    page = scene.post("/abmelden")
    assert page.url.startswith(f"{scene.url}/abgemeldet?state=")
    assert "Sie sind abgemeldet" in page.text
    assert not scene.is_logged_in()
    begin = scene.browser.get(f"{scene.url}/login", allow_redirects=False, timeout=TIMEOUT)
    assert "Welches Zertifikat" in scene.browser.get(begin.headers["Location"], timeout=TIMEOUT).text


def test_logout_page_confirms_only_what_was_asked_for(scene: Scene) -> None:
    assert scene.get("/abgemeldet?state=forged").status_code == 400
    assert scene.get("/abgemeldet").status_code == 200


LIES = {
    "wrong issuer in the ID token": {"id_token": {"iss": "http://127.0.0.9:1"}},
    "other audience": {"id_token": {"aud": "other"}},
    "other audience, but we are azp": {"id_token": {"aud": ["other"], "azp": "gewerbeanmeldung"}},
    "foreign azp": {"id_token": {"aud": ["gewerbeanmeldung", "other"], "azp": "other"}},
    "wrong nonce": {"id_token": {"nonce": "forged"}},
    "no nonce": {"id_token": {"nonce": None}},
    "expired": {"id_token": {"exp": 1}},
    "wrong at_hash": {"id_token": {"at_hash": "forged"}},
    "unsigned": {"algorithm": "none"},
    "unsigned and advertised": {
        "algorithm": "none",
        "discovery": {"id_token_signing_alg_values_supported": ["RS256", "none"]},
    },
    "key confusion": {"algorithm": "HS256"},
    "foreign key": {"foreign_key": True},
    "no ID token": {"token": {"id_token": None}},
    "facts about somebody else": {"userinfo": {"sub": "other"}},
    "facts about nobody": {"userinfo": {"sub": None}},
    "answer of another issuer": {"callback": {"iss": "http://127.0.0.9:1"}},
    "answer of nobody": {"callback": {"iss": None}},
    "forged state": {"callback": {"state": "forged"}},
    "no state": {"callback": {"state": None}},
    "no code": {"callback": {"code": None}},
    "token endpoint refuses": {"faults": {"token": Fault.OAUTH_ERROR}},
    "token endpoint is broken": {"faults": {"token": Fault.SERVER_ERROR}},
    "token endpoint talks rubbish": {"faults": {"token": Fault.GARBAGE}},
    "userinfo is broken": {"faults": {"userinfo": Fault.SERVER_ERROR}},
    "keys are rubbish": {"faults": {"jwks": Fault.GARBAGE}},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_no_lie_logs_anybody_in(scene: Scene, lie: dict[str, Any]) -> None:
    for name, value in lie.items():
        honest = getattr(scene.behaviour, name)
        setattr(scene.behaviour, name, {**honest, **value} if isinstance(value, dict) else value)
    page = scene.log_in()
    assert page.status_code in (400, 502)
    assert "Noch einmal anmelden" in page.text
    assert not scene.is_logged_in()


def test_no_code_is_redeemed_for_another_issuer(scene: Scene) -> None:
    scene.behaviour.callback["iss"] = "http://127.0.0.9:1"
    scene.log_in()
    assert scene.behaviour.calls["token"] == 0


def test_metadata_of_another_issuer_stops_the_login(scene: Scene) -> None:
    scene.behaviour.discovery["issuer"] = "http://127.0.0.9:1"
    assert scene.get("/login").status_code == 400


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.GARBAGE, Fault.HTML, Fault.EMPTY])
def test_unreachable_konto_gets_a_page_and_heals(scene: Scene, fault: Fault) -> None:
    scene.behaviour.faults["discovery"] = fault
    answer = scene.get("/login")
    assert answer.status_code == 502
    assert "Das Unternehmenskonto ist nicht erreichbar" in answer.text
    scene.behaviour.faults.clear()
    scene.log_in()
    assert scene.is_logged_in()


def test_answer_of_one_browser_is_worthless_in_another(scene: Scene) -> None:
    with requests.Session() as victim:
        answer = victim.get(scene.callback(), timeout=TIMEOUT)
        assert answer.status_code == 400
        assert WELCOME in victim.get(scene.url, timeout=TIMEOUT).text


def test_session_gets_a_new_name_at_login_and_dies_at_logout(scene: Scene) -> None:
    scene.log_in()
    stolen = scene.browser.cookies.get_dict()
    scene.log_in()
    assert scene.browser.cookies.get_dict()["gewerbeanmeldung"] != stolen["gewerbeanmeldung"]
    kept = scene.browser.cookies.get_dict()
    scene.post("/abmelden")
    assert WELCOME in requests.get(scene.url, cookies=kept, timeout=TIMEOUT).text


def test_many_logins_at_once_all_succeed(scene: Scene) -> None:
    results: list[bool] = []

    def visit() -> None:
        with requests.Session() as browser:
            own = Scene(scene.url, scene.issuer, scene.behaviour, browser)
            own.log_in()
            results.append(own.is_logged_in())

    threads = [threading.Thread(target=visit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 6


def test_example_imports_nothing_of_ours() -> None:
    folder = Path(online_service.__file__).parent
    for file in folder.glob("*.py"):
        assert not re.search(r"^(from|import) unternehmenskonto", file.read_text(), re.M), file


def test_callback_parameters_do_not_stay_in_the_address(scene: Scene) -> None:
    page = scene.log_in()
    assert page.url == f"{scene.url}/"
    assert parameters(page.url) == {}
