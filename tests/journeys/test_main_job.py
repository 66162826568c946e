"""The main job, through the real processes of `make demo`, in a real browser."""

import hashlib
import re
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journeys.people import agree, go_on_to_service, log_in, messages, register_business, wait_for
from unternehmenskonto.demo.addresses import Addresses


def test_company_finds_decision_and_walks_on(
    demo: Addresses, page: Page, context: BrowserContext, browser: Browser, tmp_path: Path
) -> None:
    # A decision lies in the mailbox: somebody of the company applied for something.
    log_in(page, demo, "Erika Beispiel")
    expect(page.get_by_role("heading", level=1)).to_have_text("Posteingang")
    expect(page.get_by_text("Noch keine Nachrichten")).to_be_visible()
    go_on_to_service(page, demo)
    agree(page)
    expect(page.get_by_text("Musterbau GmbH").first).to_be_visible()
    register_business(page, "Einzelhandel mit Baustoffen")
    inbox = f"{demo.konto.url}/postfach"
    wait_for(page, inbox, lambda: messages(page) == 1)

    # The decision and its deadline, seen in the list and explained on its page.
    expect(page).to_have_title(re.compile(r"^\(1\) Posteingang"))
    expect(page.get_by_role("main")).to_contain_text(re.compile(r"Frist bis \d\d\.\d\d\.\d{4}"))
    page.locator("main .app-entry__title a").first.click()
    decision = page.url
    main = page.get_by_role("main")
    expect(main).to_contain_text("Gilt als bekannt gegeben am")
    expect(main).to_contain_text("Frist endet am")
    page.get_by_text("So kommen die Daten zustande").click()
    expect(main).to_contain_text("§ 9")
    expect(main).to_contain_text("§ 188")

    # The file is the one that was delivered.
    with page.expect_download() as started:
        main.get_by_role("link", name=re.compile("Herunterladen")).first.click()
    file = tmp_path / "bescheid.pdf"
    started.value.save_as(file)
    page.get_by_text("Prüfsummen der Anhänge").click()
    shown = main.locator("code").first.inner_text()
    assert hashlib.sha256(file.read_bytes()).hexdigest() == shown

    # The application as a case: its states, and the decision that belongs to it.
    main.get_by_role("link", name=re.compile("^Gewerbeanmeldung: Einzelhandel")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Gewerbeanmeldung: Einzelhandel mit Baustoffen")
    for words in ("Stand: eingegangen", "Stand: in Bearbeitung", "Bescheid zu Ihrer Gewerbeanmeldung"):
        expect(main).to_contain_text(words)
    wait_for(page, page.url, lambda: "Stand: abgeschlossen" in main.inner_text())

    # Into the service again: known there, and nothing is asked twice.
    page.goto(f"{demo.online_service.url}/")
    page.get_by_role("button", name="Abmelden").click()
    log_in_again_if_asked(page, demo)
    go_on_to_service(page, demo)
    expect(page.get_by_role("heading", level=1)).to_have_text("Gewerbe anmelden")
    register_business(page, "Transport von Baustoffen")
    wait_for(page, inbox, lambda: messages(page) == 2)

    # The e-mail tells of the message and nothing of its contents.
    page.goto(demo.mail.url)
    page.get_by_role("main").get_by_role("link", name=re.compile("Gewerbeamt|Postfach|Nachricht")).first.click()
    mail = page.get_by_role("main").inner_text()
    assert "Musterbau GmbH" in mail and demo.konto.url in mail and "Baustoffen" not in mail

    # Out, everywhere: the account, the identity provider, and the service at its own door.
    page.goto(f"{demo.online_service.url}/")
    page.get_by_role("button", name="Abmelden").click()
    page.goto(decision)
    expect(page.get_by_role("heading", level=1)).to_have_text("Anmelden")
    page.goto(demo.identity_provider.url)
    expect(page.get_by_text("In diesem Browser ist niemand angemeldet.")).to_be_visible()
    page.goto(demo.online_service.url)
    expect(page.get_by_role("link", name="Mit Unternehmenskonto anmelden")).to_be_visible()


def log_in_again_if_asked(page: Page, demo: Addresses) -> None:
    """Leaving the service ended the account's session too; somebody who works on logs in again."""
    page.goto(f"{demo.konto.url}/postfach")
    if page.get_by_role("heading", level=1).inner_text() == "Anmelden":
        log_in(page, demo, "Erika Beispiel")


def test_colleague_without_rights_sees_nothing(demo: Addresses, page: Page) -> None:
    log_in(page, demo, "Jonas Neumann")
    main = page.get_by_role("main")
    expect(main).to_contain_text("Erika Beispiel")
    navigation = page.get_by_role("navigation", name="Hauptnavigation")
    expect(navigation.get_by_role("link", name="Postfach")).to_have_count(0)
    page.goto(f"{demo.konto.url}/postfach")
    expect(main).to_contain_text("fehlt Ihnen das Recht")
    expect(main).not_to_contain_text("Bescheid")
    page.goto(f"{demo.online_service.url}/login?iss={demo.konto.url}")
    expect(page.get_by_role("main")).not_to_contain_text("Beginn der Tätigkeit")


def test_refusal_returns_to_the_service(demo: Addresses, page: Page) -> None:
    log_in(page, demo, "Petra Sommer", "Nordlicht Logistik AG")
    go_on_to_service(page, demo)
    page.get_by_role("button", name="Abbrechen").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sie haben die Anmeldung abgebrochen")


def test_sign_out_at_the_account_reaches_the_service(demo: Addresses, page: Page) -> None:
    log_in(page, demo, "Petra Sommer", "Nordlicht Logistik AG")
    go_on_to_service(page, demo)
    agree(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Gewerbe anmelden")
    page.goto(f"{demo.konto.url}/unternehmen")
    page.get_by_role("banner").get_by_role("button", name="Abmelden").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("abgemeldet")
    # The service did not ask for it, and the browser was not there: the account has told it.
    welcome = page.get_by_role("link", name="Mit Unternehmenskonto anmelden")
    wait_for(page, f"{demo.online_service.url}/", lambda: welcome.count() == 1)


def test_low_trust_level_is_told_what_to_do(demo: Addresses, page: Page) -> None:
    page.goto(f"{demo.konto.url}/anmelden")
    page.get_by_role("button", name="Mit Demo-Zertifikat anmelden").click()
    page.locator("button.card", has_text="Karl Niedrig").click()
    expect(page.get_by_role("main")).to_contain_text("Vertrauensniveau")
    expect(page.get_by_role("button", name="Abmelden")).to_have_count(0)
    page.goto(f"{demo.konto.url}/postfach")
    expect(page.get_by_role("heading", level=1)).to_have_text("Anmelden")
