"""The pages of the demo parties in a real browser: accessible, and narrow enough for 320 pixels."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from unternehmenskonto.demo import authority, mail
from unternehmenskonto.demo.serving import Listener

from .scene import Scene
from .test_authority import APPLICATION

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
NARROW = {"width": 320, "height": 700}


def check(page: Page) -> None:
    """Hold the page that is open against the rules, wide and narrow."""
    wide = page.viewport_size
    for size in (wide, NARROW):
        assert size
        page.set_viewport_size(size)
        violations = Axe().run(page, options=WCAG).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in violations] == [], page.url
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{page.url} is too wide"
    page.set_viewport_size(wide)


@pytest.fixture
def watched(page: Page) -> Iterator[Page]:
    """A page whose console must stay empty: no blocked style, no missing file."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    assert [text for text in complaints if "status of 4" not in text and "status of 5" not in text] == []


def test_the_way_through_the_service(watched: Page, scene: Scene) -> None:
    watched.goto(scene.issuer)
    check(watched)
    watched.goto(scene.url)
    check(watched)
    watched.get_by_role("link", name="Mit Unternehmenskonto anmelden").click()
    expect(watched.get_by_role("heading", level=1)).to_have_text("Welches Zertifikat möchten Sie verwenden?")
    check(watched)
    watched.get_by_role("button", name="Abbrechen").click()
    expect(watched.get_by_role("heading", level=1)).to_have_text("Sie haben die Anmeldung abgebrochen")
    check(watched)
    watched.get_by_role("link", name="Noch einmal anmelden").click()
    watched.get_by_role("button", name="Erika Beispiel").click()
    expect(watched.get_by_text("Musterbau GmbH")).to_be_visible()
    check(watched)
    watched.get_by_role("button", name="Gewerbe anmelden").click()
    expect(watched.get_by_role("alert")).to_be_visible()
    check(watched)
    watched.get_by_label("Tätigkeit", exact=True).fill("Donaudampfschifffahrtsgesellschaftskapitänsmützenhandel" * 3)
    watched.get_by_label("Beginn der Tätigkeit").fill("2027-01-31")
    scene.authority_status = 503
    watched.get_by_role("button", name="Gewerbe anmelden").click()
    expect(watched.get_by_role("heading", level=1)).to_have_text("Ihre Anmeldung ist gespeichert")
    check(watched)
    scene.authority_status = 202
    watched.get_by_role("button", name="Erneut übermitteln").click()
    expect(watched.get_by_role("status")).to_contain_text("Der Bescheid kommt in Ihr Postfach")
    check(watched)
    watched.goto(f"{scene.issuer}/end-session")
    expect(watched.get_by_role("heading", level=1)).to_have_text("Möchten Sie sich abmelden?")
    check(watched)
    watched.goto(scene.url)
    watched.get_by_role("button", name="Abmelden").click()
    expect(watched.get_by_role("heading", level=1)).to_have_text("Sie sind abgemeldet")
    check(watched)
    watched.goto(f"{scene.url}/gibt-es-nicht")
    check(watched)
    watched.goto(f"{scene.issuer}/authorize?client_id=x")
    check(watched)


def test_pages_of_the_authority(watched: Page, tmp_path: Path) -> None:
    app = authority.create_app(konto_url="http://127.0.0.1:9", data=tmp_path, decision_after=0)
    register = app.extensions["register"]
    with Listener("127.0.0.4") as listener:
        listener.serve(app)
        watched.goto(listener.url)
        check(watched)
        register.receive(APPLICATION, due_at=0)
        key = register.due()[0].idempotency_key
        register.failed(key, "422 " + "x" * 200)
        watched.get_by_role("link", name="Neu laden").click()
        check(watched)
        watched.get_by_role("button", name="Weitere Nachricht senden").click()
        expect(watched.locator("strong", has_text="Hinweis 1 zu")).to_be_visible()
        watched.get_by_role("button", name="Erneut zustellen").first.click()
        register.delivered(key, {"sequence_number": 7, "announced_on": "2026-11-27"}, {"accepted": "valid"})
        watched.reload()
        expect(watched.get_by_text("Unterschrift geprüft")).to_be_visible()
        check(watched)


def test_pages_of_the_mail_viewer(watched: Page, tmp_path: Path) -> None:
    letterbox = mail.Letterbox(tmp_path)
    with Listener("127.0.0.5") as listener:
        listener.serve(mail.create_app(folder=tmp_path))
        watched.goto(listener.url)
        check(watched)
        lines = [
            "Subject: Neue Nachricht",
            "Date: Mon, 23 Nov 2026 10:00:00 +0100",
            "",
            "http://127.0.0.1:8000/" + "x" * 200,
        ]
        letterbox.put("\r\n".join(lines).encode(), ["erika.beispiel@musterbau.example"])
        watched.get_by_role("link", name="Neu laden").click()
        check(watched)
        watched.get_by_role("link", name="Neue Nachricht").click()
        watched.get_by_text("Alle Kopfzeilen").click()
        check(watched)
