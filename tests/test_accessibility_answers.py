"""Pages that no plain address shows: answers to a form, another own company's message, a consent with everything."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser

from tests.every_page import LONG_WORD, a_decision
from tests.factories import csrf_token, make_company, make_membership, make_person, sign_in
from tests.provider.party import Party, path_of
from tests.provider.test_scopes import ALL, PERSON, all_known
from tests.test_accessibility import complaints, open_window


class Kept:
    """A test client that answers one address with something it got before."""

    def __init__(self, client: FlaskClient, path: str, answer: Any) -> None:
        self.client, self.path, self.answer = client, path, answer

    def get(self, path: str) -> Any:
        """Return the kept answer, or ask."""
        return self.answer if path.rstrip("?") == self.path else self.client.get(path)


@pytest.mark.parametrize("sends_cookies", [False, True])
def test_refused_forms(browser: Browser, app: Flask, sends_cookies: bool) -> None:
    client = app.test_client(use_cookies=sends_cookies)
    csrf_token(client, "/anmelden")
    answer = client.post("/anmelden/demo-zertifikat", data={"csrf_token": "x"})
    page = open_window(browser, Kept(client, "/antwort", answer))  # type: ignore[arg-type]
    assert complaints(page, "/antwort") == []
    assert ("Cookies sind nötig" in page.content()) != sends_cookies
    page.context.close()


def test_message_of_another_own_company(browser: Browser, client: FlaskClient) -> None:
    person = make_person()
    here = make_membership(person=person, company=make_company(name=LONG_WORD))
    there = make_membership(person=person, company=make_company(name=f"{LONG_WORD} GmbH & Co. KG"))
    sign_in(client, here)
    message = a_decision(there)
    page = open_window(browser, client)
    assert complaints(page, f"/postfach/{message.id}") == []
    assert "wechseln und lesen" in page.content()
    page.context.close()


def test_consent_to_everything_of_a_person(browser: Browser, client: FlaskClient) -> None:
    sign_in(client, all_known())
    party = Party(claims=PERSON, registration={"scopes": ALL.split()}, name=LONG_WORD)
    page = open_window(browser, client)
    assert complaints(page, path_of(party.authorize(client, scope=ALL))) == []
    assert "Anschrift der handelnden Person" in page.content()
    page.context.close()
