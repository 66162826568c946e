"""The warning before a session ends, in a real browser with a clock that is moved by hand."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from sqlalchemy import select

from tests.factories import make_membership, sign_in
from tests.test_accessibility import HOP_HEADERS, ORIGIN, RULES, sideways, violations
from unternehmenskonto.db import db
from unternehmenskonto.login.models import LoginSession

MINUTE = 60_000
FORM = "/unternehmen/e-mail"


@pytest.fixture
def window(browser: Browser, client: FlaskClient) -> Iterator[BrowserContext]:
    """A browser profile whose requests the test client answers, forms too."""
    context = browser.new_context(locale="de-DE", timezone_id="Europe/Berlin")

    def answer(route: Route) -> None:
        parts, asked = urlsplit(route.request.url), route.request
        headers = {"Content-Type": asked.headers.get("content-type", "")} if asked.post_data_buffer else {}
        with client.open(
            f"{parts.path}?{parts.query}", method=asked.method, data=asked.post_data_buffer, headers=headers
        ) as found:
            kept = {name: value for name, value in found.headers if name.lower() not in HOP_HEADERS}
            route.fulfill(status=found.status_code, headers=kept, body=found.get_data())

    context.route("**/*", answer)
    yield context
    context.close()


def open_form(window: BrowserContext, client: FlaskClient) -> Page:
    sign_in(client, make_membership())
    page = window.new_page()
    page.clock.install()
    page.goto(ORIGIN + FORM)
    page.get_by_label("E-Mail").fill("halb-getippt@firma.example")
    return page


def assert_typed_text_is_there(page: Page) -> None:
    expect(page.get_by_label("E-Mail")).to_have_value("halb-getippt@firma.example")


def test_staying_signed_in_keeps_what_was_typed(window: BrowserContext, client: FlaskClient) -> None:
    page = open_form(window, client)
    dialog = page.get_by_role("dialog", name="Sind Sie noch da?")
    page.clock.fast_forward(23 * MINUTE)
    expect(dialog).to_be_hidden()
    page.clock.fast_forward(2 * MINUTE)
    expect(dialog).to_be_visible()
    page.get_by_role("button", name="Angemeldet bleiben").click()
    expect(dialog).to_be_hidden()
    assert_typed_text_is_there(page)
    page.clock.fast_forward(23 * MINUTE)
    expect(dialog).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_warning_is_accessible(window: BrowserContext, client: FlaskClient, scheme: str) -> None:
    page = open_form(window, client)
    page.set_viewport_size({"width": 320, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for minutes in (25, 6):
        page.clock.fast_forward(minutes * MINUTE)
        expect(page.locator("#sitzungsende")).to_be_visible()
        assert violations(page, RULES) + sideways(page) == []
        assert page.evaluate("document.getElementById('sitzungsende').contains(document.activeElement)")


def test_the_end_leaves_the_page_as_it_is(window: BrowserContext, client: FlaskClient) -> None:
    page = open_form(window, client)
    page.clock.fast_forward(31 * MINUTE)
    expect(page.get_by_role("dialog", name="Ihre Sitzung ist beendet")).to_be_visible()
    assert page.get_by_role("link", name="In neuem Tab anmelden").get_attribute("target") == "_blank"
    page.get_by_role("button", name="Zurück zur Seite").click()
    page.clock.fast_forward(MINUTE)
    expect(page.locator("#sitzungsende")).to_be_hidden()
    assert_typed_text_is_there(page)


def test_a_session_that_has_ended_elsewhere_cannot_be_prolonged(window: BrowserContext, client: FlaskClient) -> None:
    page = open_form(window, client)
    page.clock.fast_forward(25 * MINUTE)
    client.delete_cookie("konto_session", domain="localhost")
    page.get_by_role("button", name="Angemeldet bleiben").click()
    expect(page.get_by_role("dialog", name="Ihre Sitzung ist beendet")).to_be_visible()


def test_without_network_the_warning_says_so(window: BrowserContext, client: FlaskClient) -> None:
    page = open_form(window, client)
    page.clock.fast_forward(25 * MINUTE)
    page.route("**/verlaengern", lambda route: route.abort())
    page.get_by_role("button", name="Angemeldet bleiben").click()
    expect(page.get_by_text("Prüfen Sie Ihre Internetverbindung")).to_be_visible()


def test_another_tab_keeps_the_session_alive(window: BrowserContext, client: FlaskClient) -> None:
    page = open_form(window, client)
    page.clock.fast_forward(25 * MINUTE)
    dialog = page.get_by_role("dialog", name="Sind Sie noch da?")
    expect(dialog).to_be_visible()
    window.new_page().goto(ORIGIN + "/unternehmen")
    expect(dialog).to_be_hidden()


def test_the_last_end_cannot_be_put_off(window: BrowserContext, client: FlaskClient) -> None:
    sign_in(client, make_membership())
    db.session.scalars(select(LoginSession)).one().created_at -= timedelta(hours=11, minutes=20)
    db.session.commit()
    page = window.new_page()
    page.clock.install()
    page.goto(ORIGIN + FORM)
    page.clock.fast_forward(25 * MINUTE)
    page.get_by_role("button", name="Angemeldet bleiben").click()
    expect(page.locator("#sitzungsende")).to_be_hidden()
    page.clock.fast_forward(11 * MINUTE)
    expect(page.get_by_role("dialog", name="Ihre Sitzung endet bald")).to_be_visible()
    page.get_by_role("button", name="Verstanden").click()
    page.clock.fast_forward(MINUTE)
    expect(page.locator("#sitzungsende")).to_be_hidden()
    page.clock.fast_forward(4 * MINUTE)
    expect(page.get_by_role("dialog", name="Ihre Sitzung ist beendet")).to_be_visible()


def test_without_javascript_nothing_is_shown(browser: Browser, client: FlaskClient) -> None:
    sign_in(client, make_membership())
    page = browser.new_context(java_script_enabled=False).new_page()
    page.set_content(client.get(FORM).text)
    expect(page.locator("#sitzungsende")).to_be_hidden()
    page.context.close()
