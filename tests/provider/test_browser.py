"""The pages in a real browser: the buttons lead to the service although the page's policy is strict."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from werkzeug import Response
from werkzeug.serving import make_server

from tests.factories import make_company, make_membership, make_person, session_cookie
from tests.provider.conftest import Live
from tests.provider.party import Party
from unternehmenskonto.db import db


@contextmanager
def service_at(host: str) -> Iterator[str]:
    """Run a service of another origin that shows the address it was called with; return its callback."""

    def serve(environ: dict[str, Any], start: Any) -> Any:
        form = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        return Response(f"angekommen: {environ['QUERY_STRING']}{form}")(environ, start)

    server = make_server(host, 0, serve, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}/callback"
    finally:
        server.shutdown()
        server.server_close()


def arrive(live: Live, page: Page, callback: str, **changes: str) -> None:
    """Come from the service as somebody with two companies."""
    with live.app.app_context():
        party = Party(
            issuer=live.url,
            name="Gewerbeanmeldung",
            authority="Gewerbeamt Musterstadt",
            registration={"redirect_uris": [callback]},
        )
        party.redirect_uri = callback
        person = make_person(given_name="Petra", family_name="Sommer")
        first = make_membership(person=person, company=make_company(name="Nordlicht Logistik AG"))
        make_membership(person=person, company=make_company(name="Musterbau GmbH"))
        cookies = session_cookie(first)
        db.session.commit()
        url = f"{live.url}/oauth/authorize?{urlencode(party.request(**changes))}"
    for name, value in cookies.items():
        page.context.add_cookies([{"name": name, "value": value, "url": live.url}])
    page.goto(url)


@pytest.mark.parametrize("script", [True, False])
def test_choose_agree_arrive(live: Live, page: Page, script: bool) -> None:
    with service_at("127.0.0.3") as callback:
        browser = page.context.browser
        assert browser is not None
        target = page if script else browser.new_page(java_script_enabled=False, locale="de-DE")
        arrive(live, target, callback)
        expect(target.get_by_role("heading", level=1)).to_have_text("Für welches Unternehmen?")
        target.get_by_role("button", name="Musterbau GmbH").click()
        expect(target.get_by_role("heading", level=1)).to_have_text("Daten an „Gewerbeanmeldung“ weitergeben?")
        expect(target.get_by_role("row").filter(has_text="Petra")).to_be_visible()
        target.get_by_role("button", name="Weiter zu Gewerbeanmeldung").click()
        expect(target.get_by_text("angekommen: code=")).to_be_visible()
        if not script:
            target.context.close()


@pytest.mark.parametrize("script", [True, False])
def test_form_is_sent_by_itself_or_by_the_button(live: Live, page: Page, script: bool) -> None:
    with service_at("127.0.0.3") as callback:
        browser = page.context.browser
        assert browser is not None
        target = page if script else browser.new_page(java_script_enabled=False, locale="de-DE")
        state = '"><script>alert(1)</script>'
        arrive(live, target, callback, response_mode="form_post", state=state)
        target.get_by_role("button", name="Abbrechen").click()
        if not script:
            expect(target.get_by_role("heading", level=1)).to_have_text("Zurück zum Online-Dienst")
            target.get_by_role("button", name="Weiter", exact=True).click()
        expect(target.get_by_text("angekommen: error=access_denied")).to_be_visible()
        expect(target.get_by_text("state=%22%3E%3Cscript%3Ealert%281%29%3C%2Fscript%3E")).to_be_visible()
        if not script:
            target.context.close()


def test_cancel_arrives_too(live: Live, page: Page) -> None:
    with service_at("127.0.0.3") as callback:
        arrive(live, page, callback)
        page.get_by_role("button", name="Abbrechen").click()
        expect(page.get_by_text("angekommen: error=access_denied")).to_be_visible()


@pytest.mark.attack("clickjacking")
def test_the_page_cannot_be_framed(live: Live, page: Page) -> None:
    with service_at("127.0.0.3") as callback:
        arrive(live, page, callback)
        inner = page.url
        page.goto(callback)
        page.evaluate("url => document.body.append(Object.assign(document.createElement('iframe'), {src: url}))", inner)
        page.wait_for_timeout(500)
        assert "Für welches Unternehmen?" not in page.frames[-1].content()
