"""Take the pictures in docs/screenshots: the main pages of the demonstration, wide and on a phone.

Run by `make screenshots` with the demonstration on other ports and data that is thrown away.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser import start_browser  # noqa: E402
from tests.journeys.people import agree, go_on_to_service, log_in, messages, register_business, wait_for  # noqa: E402
from unternehmenskonto.demo.addresses import OFFSET_VARIABLE, Addresses, addresses  # noqa: E402

FOLDER = ROOT / "docs" / "screenshots"
OFFSET = 22_000
WIDE, PHONE = {"width": 1280, "height": 1050}, {"width": 390, "height": 844}


def main() -> None:
    """Start the demonstration, walk through it once and leave the pictures behind."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        demo = subprocess.Popen(
            [sys.executable, "-m", "unternehmenskonto.demo", "--data", data],
            cwd=ROOT, env={**os.environ, OFFSET_VARIABLE: str(OFFSET)}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            if not any(line.strip() == "READY" for line in demo.stdout or ()):
                sys.exit("The demonstration did not start.")
            with sync_playwright() as playwright:
                browser = start_browser(playwright)
                page = browser.new_context(locale="de-DE", timezone_id="Europe/Berlin", viewport=WIDE).new_page()
                walk(page, addresses(OFFSET))
                browser.close()
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate()


def walk(page: Page, demo: Addresses) -> None:
    """Show every main page in the order in which a company meets it."""
    page.goto(demo.konto.url)
    take(page, "start")
    log_in(page, demo, "Erika Beispiel")
    go_on_to_service(page, demo)
    take(page, "consent")
    agree(page)
    take(page, "online-service")
    register_business(page, "Einzelhandel mit Baustoffen")
    wait_for(page, f"{demo.konto.url}/postfach", lambda: messages(page) == 1)
    take(page, "inbox")
    page.locator("main a[href*='/postfach/']").first.click()
    page.get_by_text("So kommen die Daten zustande").click()
    take(page, "decision")
    page.goto(f"{demo.konto.url}/dienste")
    take(page, "services")
    page.goto(f"{demo.konto.url}/unternehmen")
    take(page, "company")


def take(page: Page, name: str) -> None:
    """Save the page twice: on a wide screen and at 390 pixels."""
    for suffix, size in (("", WIDE), ("-390", PHONE)):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.screenshot(path=FOLDER / f"{name}{suffix}.png")
        print(f"docs/screenshots/{name}{suffix}.png")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
