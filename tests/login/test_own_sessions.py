"""The page of one's own sessions: what it shows, ending one and all others, and what a late form gets."""

import re
import uuid
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.factories import csrf_token, make_company, make_membership, make_person, sign_in
from tests.login.conftest import Visitor
from tests.login.test_sessions import NOON
from tests.page_checks import faults
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.login.devices import UNKNOWN, Device, recognise
from unternehmenskonto.login.models import LoginSession

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
KHTML = "AppleWebKit/537.36 (KHTML, like Gecko)"


def session_of(client: FlaskClient, membership: Membership) -> LoginSession:
    """Sign the client in and return the row."""
    known = set(db.session.scalars(select(LoginSession.id)))
    sign_in(client, membership)
    return next(one for one in db.session.scalars(select(LoginSession)) if one.id not in known)


def press(client: FlaskClient, address: str) -> int:
    return client.post(address, data={"csrf_token": csrf_token(client)}).status_code


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (FIREFOX, Device(browser="Firefox", system="Windows")),
        (f"Mozilla/5.0 (X11; Linux x86_64) {KHTML} Chrome/142.0.0.0 Safari/537.36", ("Chrome", "Linux")),
        (f"Mozilla/5.0 (Windows NT 10.0) {KHTML} Chrome/142.0.0.0 Safari/537.36 Edg/142.0", ("Edge", "Windows")),
        (f"Mozilla/5.0 (Linux; Android 15) {KHTML} SamsungBrowser/28.0 Chrome/130 Mobile Safari/537.36",
         ("Samsung Internet", "Android")),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Version/18.1 Mobile/15E148 Safari/604.1", ("Safari", "iOS")),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Version/18.1 Safari/605.1.15", ("Safari", "macOS")),
        (f"Mozilla/5.0 (X11; CrOS x86_64) {KHTML} Chrome/142 Safari/537.36 OPR/120", ("Opera", "ChromeOS")),
        ("curl/8.11", UNKNOWN),
        ("", UNKNOWN),
        ("x" * 100_000 + "Firefox/1", UNKNOWN),
        ("<script>alert(1)</script>", UNKNOWN),
    ],
)  # fmt: skip
def test_browser_and_system_in_a_word_each(user_agent: str, expected: Device | tuple[str, str]) -> None:
    wanted = expected if isinstance(expected, Device) else Device(browser=expected[0], system=expected[1])
    assert recognise(user_agent) == wanted


def test_a_login_notes_the_device_and_nothing_more(visitor: Visitor) -> None:
    visitor.konto.environ_base["HTTP_USER_AGENT"] = FIREFOX
    visitor.log_in()
    row = db.session.scalars(select(LoginSession)).one()
    assert (row.browser, row.system) == ("Firefox", "Windows")
    assert not any("127.0.0.1" in str(value) or "Gecko" in str(value) for value in vars(row).values())
    page = visitor.konto.get("/sitzungen").text
    assert "Firefox unter Windows" in page
    assert "angemeldet mit Demo-Zertifikat" in page
    assert "Sonst sind Sie nirgends angemeldet." in page


def test_the_device_outlives_a_change_of_company(visitor: Visitor) -> None:
    visitor.konto.environ_base["HTTP_USER_AGENT"] = FIREFOX
    visitor.log_in("petra-nordlicht")
    visitor.log_in("petra-musterbau", fresh="1")
    other = db.session.scalars(select(Membership.id).join(Membership.company).filter_by(name="Nordlicht Logistik AG"))
    fields = {"csrf_token": csrf_token(visitor.konto), "membership_id": other.one()}
    assert visitor.konto.post("/unternehmen/wechseln", data=fields).status_code == 303
    row = db.session.scalars(select(LoginSession).filter_by(ended_at=None)).one()
    assert (row.browser, row.system, row.upstream_subject is None) == ("Firefox", "Windows", False)


def test_the_page_shows_all_living_sessions_of_the_person(app: Flask, client: FlaskClient) -> None:
    person = make_person()
    here = make_membership(person=person, company=make_company(name="Hier GmbH"))
    there = make_membership(person=person, company=make_company(name="Dort AG"))
    colleague = make_membership(company=here.company)
    with time_machine.travel(NOON, tick=False) as clock:
        old = session_of(app.test_client(), here)
        clock.shift(timedelta(minutes=31))
        session_of(app.test_client(), colleague)
        session_of(app.test_client(), there)
        session_of(client, here)
        page = client.get("/sitzungen").text
        assert page.count('class="app-entry ') + page.count('class="app-entry"') == 2
        assert "Für Hier GmbH" in page and "Für Dort AG" in page
        assert page.index("Dieses Gerät") < page.index("Für Dort AG")
        assert str(old.id) not in page, "it was quiet for too long"
        assert "Begonnen: 23.11.2026, 13:31 Uhr. Zuletzt benutzt: 23.11.2026, 13:31 Uhr." in page


def test_ending_one_acts_at_once_and_is_written_down(app: Flask, client: FlaskClient) -> None:
    membership, other = make_membership(), app.test_client()
    lost = session_of(other, membership)
    sign_in(client, membership)
    assert other.get("/unternehmen").status_code == 200
    assert press(client, f"/sitzungen/{lost.id}/beenden") == 303
    assert other.get("/unternehmen").status_code == 303
    assert client.get("/unternehmen").status_code == 200
    event = db.session.scalars(select(AuditEvent).filter_by(event="session.ended")).one()
    assert (event.by, event.fields) == (f"person:{membership.person_id}", {"reason": "ended_elsewhere"})
    assert press(client, f"/sitzungen/{lost.id}/beenden") == 404, "it is over already"


def test_ending_all_others(app: Flask, client: FlaskClient) -> None:
    person = make_person()
    mine, elsewhere = make_membership(person=person), make_membership(person=person)
    devices = [app.test_client() for _ in range(3)]
    for device, membership in zip(devices, (mine, mine, elsewhere), strict=True):
        sign_in(device, membership)
    stranger = app.test_client()
    sign_in(stranger, make_membership(company=mine.company))
    sign_in(client, mine)
    answer = client.post("/sitzungen/andere-beenden", data={"csrf_token": csrf_token(client)}, follow_redirects=True)
    assert "3 Sitzungen sind beendet." in answer.text
    assert [device.get("/unternehmen").status_code for device in devices] == [303] * 3
    assert [one.get("/unternehmen").status_code for one in (client, stranger)] == [200, 200]


@pytest.mark.parametrize("is_colleague", [True, False])
def test_nobody_ends_a_strangers_session(app: Flask, client: FlaskClient, is_colleague: bool) -> None:
    membership, stranger = make_membership(), app.test_client()
    theirs = session_of(stranger, make_membership(company=membership.company) if is_colleague else make_membership())
    sign_in(client, membership)
    for session_id in (theirs.id, uuid.uuid4()):
        assert press(client, f"/sitzungen/{session_id}/beenden") == 404
    assert stranger.get("/unternehmen").status_code == 200


def test_the_present_session_can_be_ended_too(client: FlaskClient) -> None:
    mine = session_of(client, make_membership())
    assert press(client, f"/sitzungen/{mine.id}/beenden") == 303
    assert client.get("/sitzungen").location == "/anmelden?next=%2Fsitzungen"


def test_asking_for_more_time_is_a_sign_of_life(client: FlaskClient) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        sign_in(client, make_membership())
        token = csrf_token(client)
        for _ in range(3):
            clock.shift(timedelta(minutes=25))
            assert client.post("/sitzungen/verlaengern", data={"csrf_token": token}).status_code == 204
        clock.shift(timedelta(minutes=31))
        assert client.post("/sitzungen/verlaengern", data={"csrf_token": token}).status_code == 401


def test_pages_know_how_long_the_session_lives(client: FlaskClient) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        assert "data-idle" not in client.get("/seiten/impressum").text
        sign_in(client, make_membership())
        clock.shift(timedelta(seconds=30))
        page = client.get("/unternehmen").text
        assert f'data-idle="{29 * 60}" data-rest="{12 * 3600 - 30}" data-warning="300"' in page


def test_a_form_sent_too_late_is_not_lost(client: FlaskClient) -> None:
    membership = make_membership()
    with time_machine.travel(NOON, tick=False) as clock:
        sign_in(client, membership)
        token = csrf_token(client)
        clock.shift(timedelta(minutes=31))
        typed = {"email": 'neu@firma.example"><b>', "csrf_token": token}
        answer = client.post("/unternehmen/e-mail?a=1", data=typed)
        assert answer.status_code == 401
        assert faults(answer.text) == []
        assert "noch nicht gespeichert" in answer.text
        assert 'name="email" value="neu@firma.example&#34;&gt;&lt;b&gt;"' in answer.text
        assert 'action="/unternehmen/e-mail?a=1"' in answer.text
        typed["email"] = "neu@firma.example"
        again = client.post("/unternehmen/e-mail", data=typed).text
        fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', again))
        sign_in(client, membership)
        assert client.post("/unternehmen/e-mail", data=fields).status_code == 303
    db.session.refresh(membership)
    assert membership.email == "neu@firma.example"


def test_a_foreign_form_is_not_repeated(client: FlaskClient) -> None:
    answer = client.post("/unternehmen/e-mail", data={"email": "evil@evil.example"})
    assert answer.status_code == 400
    assert "evil@evil.example" not in answer.text
