"""A real browser for the tests, and a clear word where none can be had.

Chromium of the system first, then the one Playwright downloaded for itself (``playwright install chromium``).
Tests that need it ask for the fixture ``page``. Without a browser they do not run and the closing lines name them
and the command that brings one; with ``CI=true`` that is a failure.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REMEDY = "apt install chromium libatomic1   (elsewhere: .venv/bin/playwright install chromium)"
ACTION_TIMEOUT_MS = 10_000
WIDE = {"width": 1280, "height": 900}
# Chromium refuses its sandbox to root; what it opens here comes from this machine only.
ROOT_ARGUMENTS = ["--no-sandbox"]
ARGUMENTS = ["--disable-dev-shm-usage"]

NO_BROWSER = "no browser: "


def start_browser(playwright: Playwright) -> Browser:
    """Start the system's Chromium, else Playwright's; raise ``playwright.sync_api.Error`` without either."""
    arguments = ARGUMENTS + (ROOT_ARGUMENTS if os.geteuid() == 0 else [])
    for name in SYSTEM_BROWSERS:
        found = shutil.which(name)
        if found:
            return playwright.chromium.launch(executable_path=found, args=arguments)
    return playwright.chromium.launch(args=arguments)


def is_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1", "yes")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return the browser of the run; tests that ask for it do not run where there is none."""
    with contextlib.ExitStack() as stack:
        try:
            playwright = stack.enter_context(sync_playwright())
            running = start_browser(playwright)
        except Exception as error:  # Playwright raises plain Exception when its own program cannot start
            sentence = NO_BROWSER + str(error).strip().partition("\n")[0]
            if is_ci():
                pytest.fail(f"{sentence}. Run: {REMEDY}", pytrace=False)
            pytest.skip(sentence)
        stack.callback(running.close)
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Return a browser profile of its own: German, wide screen, nothing remembered."""
    opened = browser.new_context(locale="de-DE", timezone_id="Europe/Berlin", viewport=WIDE)
    opened.set_default_timeout(ACTION_TIMEOUT_MS)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """Return an empty page in a fresh profile."""
    return context.new_page()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the journeys that did not run, last before pytest's own closing line."""
    skipped = [(report, str(report.longrepr[2])) for report in terminalreporter.stats.get("skipped", ())]
    missed = [(report.nodeid, text) for report, text in skipped if NO_BROWSER in text]
    if not missed:
        return
    terminalreporter.section("journeys that did not run", yellow=True)
    for name, _ in missed:
        terminalreporter.line(f"  {name}")
    terminalreporter.line(missed[0][1])
    terminalreporter.line(f"To run them: {REMEDY}")
