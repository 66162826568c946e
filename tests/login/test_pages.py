"""The pages of the login that only an event shows, in a real browser: accessible, narrow and quiet."""

from playwright.sync_api import Browser

from tests.login.conftest import Visitor
from tests.test_accessibility import complaints, open_window


def test_refusals_are_accessible(browser: Browser, visitor: Visitor) -> None:
    window = open_window(browser, visitor.konto)
    ways_back = [
        visitor.walk("karl-nordlicht"),
        visitor.walk(None, fresh="1"),
        "/anmelden/demo-zertifikat/rueckkehr?state=x",
    ]
    found = [one for url in ways_back for one in complaints(window, url.removeprefix("http://127.0.0.1:8000"))]
    window.context.close()
    assert found == []
