"""What people do in the browser, step by step; each step waits until its page is there."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from unternehmenskonto.demo.addresses import Addresses

#: The authority decides after two seconds and repeats a refused delivery.
DECISION_SECONDS = 30


def log_in(page: Page, demo: Addresses, name: str, company: str = "Musterbau GmbH") -> None:
    """Log in with the certificate of this person for this company."""
    page.goto(demo.konto.url)
    page.get_by_role("main").get_by_role("link", name="Anmelden").click()
    page.get_by_role("button", name="Mit Demo-Zertifikat anmelden").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Welches Zertifikat möchten Sie verwenden?")
    page.locator("button.card", has_text=name).filter(has_text=company).click()
    expect(page.get_by_role("banner")).to_contain_text(name)


def go_on_to_service(page: Page, demo: Addresses) -> None:
    """Walk from the directory into the Gewerbeanmeldung."""
    page.get_by_role("navigation", name="Hauptnavigation").get_by_role("link", name="Dienste").click()
    page.get_by_label("Wonach suchen Sie?").fill("Gewerbe")
    page.get_by_role("button", name="Suchen").click()
    page.get_by_role("main").get_by_role("link", name="Gewerbeanmeldung").click()
    page.get_by_role("link", name="Weiter zum Dienst").click()


def agree(page: Page) -> None:
    """Let the values shown go to the service."""
    expect(page.get_by_role("heading", level=1)).to_contain_text("weitergeben?")
    page.get_by_role("button", name="Weiter zu Gewerbeanmeldung").click()


def register_business(page: Page, activity: str) -> None:
    """Fill in and submit the form of the Gewerbeanmeldung."""
    page.get_by_role("textbox", name="Tätigkeit", exact=True).fill(activity)
    page.get_by_label("Beginn der Tätigkeit").fill(datetime.now(UTC).date().isoformat())
    page.get_by_role("button", name="Gewerbe anmelden").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ihre Anmeldung ist beim Gewerbeamt")


def wait_for(page: Page, url: str, is_there: Callable[[], bool]) -> None:
    """Load the page again until it shows what is awaited."""
    ends_at = time.monotonic() + DECISION_SECONDS
    while time.monotonic() < ends_at:
        page.goto(url)
        if is_there():
            return
        time.sleep(0.5)
    raise AssertionError(f"{url} did not show what was awaited within {DECISION_SECONDS} s")


def messages(page: Page) -> int:
    """Return how many messages the open list shows."""
    return page.locator("main .app-entry__title a[href*='/postfach/']").count()
