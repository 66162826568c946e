"""Every page in a real browser: no violation of WCAG 2.2 AA, no sideways scrolling, no message in the console.

The browser's requests are answered by the test client, so that pages show what the test has made, in one process.
"""

from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, Route, ViewportSize

from tests.every_page import find_pages, make_addresses
from tests.factories import make_membership, sign_in

ORIGIN = "http://127.0.0.1:8000"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NARROW: ViewportSize = {"width": 320, "height": 800}
WIDE: ViewportSize = {"width": 1280, "height": 800}
HOP_HEADERS = ("content-length", "connection", "date", "server")


def open_window(browser: Browser, client: FlaskClient, **options: object) -> Page:
    """Return a browser page whose requests the test client answers."""
    page = browser.new_context(locale="de-DE", **options).new_page()  # type: ignore[arg-type]

    def answer(route: Route) -> None:
        parts = urlsplit(route.request.url)
        assert f"{parts.scheme}://{parts.netloc}" == ORIGIN, route.request.url
        with client.get(f"{parts.path}?{parts.query}") as found:
            headers = {name: value for name, value in found.headers if name.lower() not in HOP_HEADERS}
            route.fulfill(status=found.status_code, headers=headers, body=found.get_data())

    page.route("**/*", answer)
    return page


def complaints(page: Page, path: str) -> list[str]:
    """Return what axe, the console or the width have against a page: narrow and light, then wide and dark."""
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.set_viewport_size(NARROW)
    page.emulate_media(color_scheme="light")
    page.goto(ORIGIN + path)
    found = violations(page, RULES) + sideways(page)
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="dark")
    found += violations(page, ["color-contrast", "target-size"]) + sideways(page)
    refused = tuple(f"status of {status}" for status in (400, 403, 404, 410))
    found += [text for text in messages if not any(status in text for status in refused)]
    return [f"{path}: {one}" for one in found]


def violations(page: Page, rules: list[str]) -> list[str]:
    found = Axe().run(page, options={"runOnly": rules}).response["violations"]
    return [f"{one['id']} {node['html'][:200]}" for one in found for node in one["nodes"][:2]]


def sideways(page: Page) -> list[str]:
    return ["scrolls sideways"] if page.evaluate("document.documentElement.scrollWidth > window.innerWidth") else []


@pytest.mark.parametrize(
    "roles", [(), ("administrator", "mailbox", "correspondence", "services")], ids=["no rights", "all rights"]
)
def test_pages(browser: Browser, app: Flask, client: FlaskClient, roles: tuple[str, ...]) -> None:
    membership = make_membership(roles=roles)
    paths = make_addresses(app, membership)
    sign_in(client, membership)
    page = open_window(browser, client)
    by_title = {html.split("<title>")[1].split("</title>")[0]: path for path, html in find_pages(client, paths).items()}
    found = [one for path in by_title.values() for one in complaints(page, path)]
    page.context.close()
    assert found == []


@pytest.mark.parametrize("path", ["/", "/anmelden", "/dienste", "/abgemeldet", "/gibt-es-nicht"])
def test_pages_for_everybody(browser: Browser, client: FlaskClient, path: str) -> None:
    page = open_window(browser, client)
    assert complaints(page, path) == []
    page.context.close()


def test_wide_letters_and_lines_fit(browser: Browser, client: FlaskClient) -> None:
    """WCAG 1.4.12: nothing is lost with more space between letters, words, lines and paragraphs."""
    sign_in(client, make_membership())
    page = open_window(browser, client, viewport=NARROW)
    page.goto(ORIGIN + "/seiten/datenschutz")
    page.evaluate(
        """() => { const sheet = new CSSStyleSheet(); sheet.replaceSync(
        '* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }');
        document.adoptedStyleSheets = [sheet]; }"""
    )
    assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    page.context.close()


def test_keyboard_reaches_the_content_first(browser: Browser, client: FlaskClient) -> None:
    sign_in(client, make_membership())
    page = open_window(browser, client)
    page.goto(ORIGIN + "/seiten/impressum")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Zum Inhalt springen"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "inhalt"
    page.context.close()
