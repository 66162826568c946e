"""Take the pictures in docs/screenshots from a running demonstration: ``python tools/screenshots.py ADDRESS``.

Walks through it as Erika Beispiel: log in, apply in the Gewerbeanmeldung, wait for the decision, open it.
Start with fresh data (`make demo-reset`, `make demo`), so that the pictures show the first decision.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser import start_browser  # noqa: E402

FOLDER = ROOT / "docs" / "screenshots"
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}
WAIT_SECONDS = 60


def main() -> int:
    """Take all pictures; return the exit status."""
    if len(sys.argv) != 2:
        print("usage: python tools/screenshots.py http://127.0.0.1:8000", file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = start_browser(playwright)
        walk(open_page(browser), sys.argv[1])
        browser.close()
    return 0


def open_page(browser: Browser) -> Page:
    """Return a page in German and in light colours."""
    context = browser.new_context(
        locale="de-DE", timezone_id="Europe/Berlin", viewport=WIDE, color_scheme="light", reduced_motion="reduce"
    )
    return context.new_page()


def walk(page: Page, konto: str) -> None:
    """Go through the main job, taking a picture of each page."""
    page.goto(konto)
    take(page, "home")
    page.get_by_role("main").get_by_role("link", name="Anmelden").click()
    take(page, "login")
    page.get_by_role("button", name="Mit Demo-Zertifikat anmelden").click()
    page.locator("button.card", has_text="Erika Beispiel").click()
    page.get_by_role("banner").get_by_text("Musterbau GmbH").wait_for()
    page.goto(f"{konto}/dienste")
    take(page, "services")
    page.get_by_role("main").get_by_role("link", name="Gewerbeanmeldung").click()
    take(page, "service")
    page.get_by_role("link", name="Weiter zum Dienst").click()
    page.get_by_role("heading", name="weitergeben?").wait_for()
    take(page, "consent")
    page.get_by_role("button", name="Weiter zu Gewerbeanmeldung").click()
    page.get_by_role("textbox", name="Tätigkeit", exact=True).fill("Einzelhandel mit Baustoffen")
    page.get_by_label("Beginn der Tätigkeit").fill(datetime.now(UTC).date().isoformat())
    page.get_by_role("button", name="Gewerbe anmelden").click()
    page.get_by_role("heading", name="Ihre Anmeldung ist beim Gewerbeamt").wait_for()
    wait_for_decision(page, f"{konto}/postfach")
    take(page, "mailbox")
    page.locator(".app-entry a").first.click()
    take(page, "decision")
    page.get_by_text("So kommen die Daten zustande").click()
    take(page, "decision-explained")
    page.goto(f"{konto}/unternehmen")
    take(page, "company")


def wait_for_decision(page: Page, inbox: str) -> None:
    """Load the mailbox until the authority has delivered."""
    ends_at = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < ends_at:
        page.goto(inbox)
        if page.locator(".app-entry").count():
            return
        time.sleep(1)
    raise SystemExit(f"No decision arrived within {WAIT_SECONDS} seconds.")


def take(page: Page, name: str) -> None:
    """Write NAME.png and NAME-narrow.png of what the page shows."""
    for size, suffix in ((NARROW, "-narrow"), (WIDE, "")):
        page.set_viewport_size(size)
        page.screenshot(path=FOLDER / f"{name}{suffix}.png")


if __name__ == "__main__":
    sys.exit(main())
