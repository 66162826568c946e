"""Several logins of one person: added after a proof and a plain yes, never by a name; the last one stays."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from playwright.sync_api import Browser
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from tests.demo.person import choose_certificate
from tests.factories import csrf_token, make_membership, sign_in
from tests.login.conftest import SLUG, Visitor, declare, onward
from tests.login.test_callbacks import changed
from tests.login.test_concurrency import konto as konto
from tests.page_checks import faults
from tests.test_accessibility import complaints, open_window
from unternehmenskonto import keys
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import Person
from unternehmenskonto.db import db, now
from unternehmenskonto.demo import identity_provider
from unternehmenskonto.demo.identity_provider import Fault, Provider
from unternehmenskonto.demo.serving import Listener
from unternehmenskonto.login import actions, linking
from unternehmenskonto.login.models import Identity, LinkOffer, LoginSession
from unternehmenskonto.settings import Settings

SECOND = "zweites"


@pytest.fixture
def second(visitor: Visitor, idp: Provider, settings: Settings, tmp_path: Path) -> Iterator[identity_provider.Provider]:
    """A second identity provider with the same people under the same subjects."""
    client = identity_provider.Client(
        client_id="unternehmenskonto",
        name="Unternehmenskonto",
        redirect_uris=(f"http://127.0.0.1:8000/anmelden/{SECOND}/rueckkehr",),
        post_logout_redirect_uris=("http://127.0.0.1:8000/abgemeldet",),
        jwks=keys.jwks(),
    )
    with Listener("127.0.0.3") as listener:
        app = identity_provider.create_app(issuer=listener.url, data=tmp_path / "second", clients=[client])
        listener.serve(app)
        more = (tmp_path / "identity_providers.toml").read_text().replace(f'"{SLUG}"', f'"{SECOND}"')
        more = more.replace('"Demo-Zertifikat"', '"Zweiter Dienst"').replace(idp.issuer, listener.url)
        declare(visitor.konto.application, settings, tmp_path, issuer=idp.issuer, more=more)
        yield app.extensions["identity_provider"]


@pytest.fixture
def erika(visitor: Visitor, second: Provider) -> Visitor:
    """Erika, signed in by the first provider."""
    assert visitor.log_in("erika-musterbau").status_code == 303
    return visitor


def press(visitor: Visitor, address: str) -> TestResponse:
    return visitor.konto.post(address, data={"csrf_token": csrf_token(visitor.konto)})


def prove(visitor: Visitor, certificate: str | None = "erika-musterbau", slug: str = SECOND) -> str:
    """Press the button that adds a login and prove it; return the address the browser is sent back to."""
    start = onward(press(visitor, f"/sitzungen/anmeldungen/{slug}/hinzufuegen"))
    return choose_certificate(visitor.elsewhere, start, certificate)


def offer(visitor: Visitor, certificate: str = "erika-musterbau", slug: str = SECOND) -> str:
    """Return the address of the question."""
    answer = visitor.come_back(prove(visitor, certificate, slug))
    assert answer.status_code == 303, answer.text
    return answer.location


def link(visitor: Visitor, certificate: str = "erika-musterbau") -> None:
    assert press(visitor, offer(visitor, certificate) + "/bestaetigen").location == "/sitzungen"


def people() -> int:
    return db.session.scalar(select(func.count()).select_from(Person)) or 0


def identity_at(issuer: str) -> Identity:
    return db.session.scalars(select(Identity).filter_by(issuer=issuer)).one()


def test_a_second_login_leads_to_the_same_person(erika: Visitor, second: Provider) -> None:
    address = offer(erika)
    page = erika.konto.get(address).text
    assert faults(page) == []
    for part in ("Zweiter Dienst", "Dr. Erika Beispiel", "Musterbau GmbH"):
        assert part in page
    assert "Der Name ist ein anderer" not in page
    assert db.session.scalar(select(func.count()).select_from(Identity)) == 1, "nothing without a yes"
    assert press(erika, address + "/bestaetigen").location == "/sitzungen"
    assert identity_at(second.issuer).person_id == identity_at(second.issuer).person_id
    again = Visitor(erika.konto.application)
    url = choose_certificate(again.elsewhere, onward(again.start(SECOND)), "erika-musterbau")
    assert again.come_back(url).status_code == 303
    assert people() == 1
    assert again.konto.get("/sitzungen").text.count("angemeldet mit Zweiter Dienst") == 1
    event = db.session.scalars(select(AuditEvent).filter_by(event="identity.linked")).one()
    assert event.fields == {"identity_provider": SECOND}


@pytest.mark.attack("account confusion")
def test_without_linking_the_same_name_is_somebody_else(erika: Visitor) -> None:
    again = Visitor(erika.konto.application)
    url = choose_certificate(again.elsewhere, onward(again.start(SECOND)), "erika-musterbau")
    assert again.come_back(url).status_code == 303
    assert people() == 2


def test_proving_a_login_neither_changes_the_session_nor_makes_anybody(erika: Visitor) -> None:
    before = erika.konto.get_cookie("konto_session")
    offer(erika, "jonas-musterbau")
    assert erika.konto.get_cookie("konto_session") == before
    assert people() == 1
    assert "Erika Beispiel" in erika.konto.get("/sitzungen").text


def test_another_name_is_pointed_out(erika: Visitor) -> None:
    page = erika.konto.get(offer(erika, "jonas-musterbau")).text
    assert faults(page) == []
    assert "Der Name ist ein anderer" in page


def test_no_means_no(erika: Visitor) -> None:
    address = offer(erika)
    assert press(erika, address + "/verwerfen").location == "/sitzungen"
    assert press(erika, address + "/bestaetigen").status_code == 404
    assert db.session.scalar(select(func.count()).select_from(Identity)) == 1


@pytest.mark.parametrize("verb", ["bestaetigen", "verwerfen"])
def test_the_question_is_answered_by_the_session_that_asked(erika: Visitor, verb: str) -> None:
    address = offer(erika)
    jonas = Visitor(erika.konto.application)
    jonas.log_in("jonas-musterbau")
    twin = Visitor(erika.konto.application)
    twin.log_in("erika-musterbau")
    for stranger in (jonas, twin):
        assert stranger.konto.get(address).status_code == 404
        assert press(stranger, f"{address}/{verb}").status_code == 404
    assert erika.konto.post(f"{address}/{verb}").status_code == 400, "without form token"
    assert erika.konto.get(address).status_code == 200


def test_the_question_lives_ten_minutes(erika: Visitor) -> None:
    address = offer(erika)
    moment = now()
    with time_machine.travel(moment + timedelta(minutes=9), tick=False):
        assert erika.konto.get(address).status_code == 200
    with time_machine.travel(moment + timedelta(minutes=11), tick=False):
        assert press(erika, address + "/bestaetigen").status_code == 404
        actions.forget()
    assert db.session.scalar(select(func.count()).select_from(LinkOffer)) == 0


@pytest.mark.attack("account confusion")
def test_the_answer_of_another_session_adds_nothing(erika: Visitor) -> None:
    """Login CSRF: an attacker's proof, brought into the victim's browser, must not become the victim's login."""
    url = prove(erika, "jonas-musterbau")
    erika.log_in("erika-musterbau", fresh="1")
    answer = erika.come_back(url)
    assert answer.status_code == 400
    assert faults(answer.text) == []
    attacker = Visitor(erika.konto.application)
    attacker.log_in("jonas-musterbau")
    assert erika.come_back(prove(attacker, "jonas-musterbau")).status_code == 400
    assert db.session.scalar(select(func.count()).select_from(LinkOffer)) == 0


def test_signed_out_on_the_way_adds_nothing(erika: Visitor) -> None:
    url = prove(erika)
    press(erika, "/abmelden")
    assert erika.come_back(url).status_code == 400
    assert people() == 1


def test_a_login_of_somebody_else_stays_theirs(erika: Visitor) -> None:
    jonas = Visitor(erika.konto.application)
    url = choose_certificate(jonas.elsewhere, onward(jonas.start(SECOND)), "jonas-musterbau")
    jonas.come_back(url)
    answer = erika.come_back(prove(erika, "jonas-musterbau"))
    assert answer.status_code == 409
    assert "gehört schon zu einer anderen Person" in answer.text
    assert faults(answer.text) == []
    retry = f'action="/sitzungen/anmeldungen/{SECOND}/hinzufuegen"'
    assert retry in answer.text and f'action="/anmelden/{SECOND}"' not in answer.text


def test_a_login_that_is_mine_already(erika: Visitor) -> None:
    answer = erika.come_back(prove(erika, "erika-musterbau", SLUG))
    assert answer.status_code == 409
    assert "gehört schon zu Ihnen" in answer.text


def test_somebody_else_was_faster(erika: Visitor) -> None:
    address = offer(erika, "jonas-musterbau")
    jonas = Visitor(erika.konto.application)
    jonas.come_back(choose_certificate(jonas.elsewhere, onward(jonas.start(SECOND)), "jonas-musterbau"))
    answer = press(erika, address + "/bestaetigen")
    assert answer.status_code == 409
    assert "Personen führen wir nicht zusammen" in answer.text


def test_a_weak_login_is_not_added(erika: Visitor) -> None:
    answer = erika.come_back(prove(erika, "karl-nordlicht"))
    assert answer.status_code == 403
    assert "Das Vertrauensniveau reicht nicht" in answer.text
    assert db.session.scalar(select(func.count()).select_from(LinkOffer)) == 0


def test_a_forged_answer_adds_nothing(erika: Visitor, second: Provider) -> None:
    assert erika.come_back(changed(prove(erika), iss="https://evil.example")).status_code == 502
    second.behaviour.id_token["nonce"] = "another"
    assert erika.come_back(prove(erika)).status_code == 502
    assert db.session.scalar(select(func.count()).select_from(LinkOffer)) == 0


def test_a_dead_provider_is_told_on_the_way_out(erika: Visitor, second: Provider) -> None:
    second.behaviour.faults["discovery"] = Fault.UNAVAILABLE
    answer = press(erika, f"/sitzungen/anmeldungen/{SECOND}/hinzufuegen")
    assert answer.status_code == 503
    assert "Zurück zu den Sitzungen" in answer.text
    assert press(erika, "/sitzungen/anmeldungen/niemand/hinzufuegen").status_code == 404


def test_an_old_proof_does_not_suffice(visitor: Visitor) -> None:
    membership = make_membership()
    sign_in(visitor.konto, membership, auth_time=now() - timedelta(seconds=linking.PROOF_SECONDS + 1))
    db.session.add(Identity(issuer="https://a.example", subject="a", person_id=membership.person_id))
    db.session.commit()
    (mine,) = db.session.scalars(select(Identity.id))
    for address in (f"{SLUG}/hinzufuegen", f"{mine}/entfernen"):
        answer = press(visitor, f"/sitzungen/anmeldungen/{address}")
        assert answer.location == "/anmelden?next=%2Fsitzungen&fresh=1&max_age=900"


def test_removing_a_login_ends_its_sessions_and_only_those(erika: Visitor, second: Provider, idp: Provider) -> None:
    link(erika)
    other = Visitor(erika.konto.application)
    other.come_back(choose_certificate(other.elsewhere, onward(other.start(SECOND)), "erika-musterbau"))
    page = erika.konto.get("/sitzungen").text
    assert faults(page) == []
    assert page.count("Entfernen<") == 2
    assert press(erika, f"/sitzungen/anmeldungen/{identity_at(second.issuer).id}/entfernen").status_code == 303
    assert other.konto.get("/unternehmen").status_code == 303
    assert erika.konto.get("/unternehmen").status_code == 200
    reasons = db.session.scalars(select(LoginSession.ended_reason).order_by(LoginSession.id)).all()
    assert reasons == [None, "login_removed"]
    assert db.session.scalars(select(AuditEvent.fields).filter_by(event="identity.unlinked")).one() == {
        "identity_provider": SECOND
    }
    assert "Entfernen<" not in erika.konto.get("/sitzungen").text
    answer = press(erika, f"/sitzungen/anmeldungen/{identity_at(idp.issuer).id}/entfernen")
    assert answer.status_code == 409
    assert "Ihre einzige Anmeldung" in answer.text


def test_nobody_removes_a_strangers_login(erika: Visitor, idp: Provider) -> None:
    link(erika)
    jonas = Visitor(erika.konto.application)
    jonas.log_in("jonas-musterbau")
    theirs = db.session.scalars(select(Identity.id).join(Identity.person).where(Person.given_name == "Jonas")).one()
    assert press(erika, f"/sitzungen/anmeldungen/{theirs}/entfernen").status_code == 404


def test_a_provider_that_is_gone_can_still_be_removed(erika: Visitor) -> None:
    person = db.session.scalars(select(Person.id)).one()
    db.session.add(Identity(issuer="https://gone.example", subject="x", person_id=person))
    db.session.commit()
    assert "https://gone.example" in erika.konto.get("/sitzungen").text
    gone = identity_at("https://gone.example").id
    assert press(erika, f"/sitzungen/anmeldungen/{gone}/entfernen").status_code == 303


def test_the_last_two_removed_at_once_leave_one(konto: Flask) -> None:
    visitor = Visitor(konto)
    visitor.log_in("erika-musterbau")
    person = db.session.scalars(select(Person.id)).one()
    db.session.add(Identity(issuer="https://gone.example", subject="x", person_id=person))
    db.session.commit()
    twin = konto.test_client()
    sign_in(twin, db.session.scalars(select(LoginSession)).one().membership)
    browsers = [(visitor.konto, csrf_token(visitor.konto)), (twin, csrf_token(twin))]
    mine = [one.id for one in db.session.scalars(select(Identity).order_by(Identity.created_at))]
    db.session.commit()
    barrier, statuses = threading.Barrier(2), []

    def remove(number: int) -> None:
        client, token = browsers[number]
        barrier.wait(10)
        address = f"/sitzungen/anmeldungen/{mine[number]}/entfernen"
        statuses.append(client.post(address, data={"csrf_token": token}).status_code)

    threads = [threading.Thread(target=remove, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) in ([303, 401], [303, 409])
    assert db.session.scalar(select(func.count()).select_from(Identity)) == 1


def test_the_pages_are_accessible(browser: Browser, erika: Visitor) -> None:
    link(erika)
    address = offer(erika, "petra-nordlicht")
    window = open_window(browser, erika.konto)
    found = [one for path in ("/sitzungen", address) for one in complaints(window, path)]
    window.context.close()
    assert found == []
