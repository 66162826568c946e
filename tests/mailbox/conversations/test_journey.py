"""Writing to authorities in a real browser: keyboard only, without JavaScript, on a phone, in German and English."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Locator, Page, Route, expect
from sqlalchemy import select

from tests.factories import access_token
from tests.mailbox.cases.case_data import state
from tests.mailbox.conversations.writing_data import asking, authority, writer
from tests.test_accessibility import HOP_HEADERS, ORIGIN, sideways
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.conversations.models import SentMessage

LONG = "Grundstücksverkehrsgenehmigungszuständigkeitsübertragungsverordnung"
QUESTIONS = [
    {"id": "zweck", "kind": "text", "label": f"Wozu dient die {LONG}?", "choices": [], "required": True},
    {"id": "betrieb", "kind": "yes_no", "label": "Ist der Betrieb geöffnet?", "choices": [], "required": True},
    {"id": "termin", "kind": "date_choice", "label": "Termin", "choices": ["2099-01-12"], "required": True},
]
WORDS = {
    "de": {
        "reply": "Antworten", "review": "Weiter zur Prüfung", "yes": "Ja",
        "day": "12.01.2099", "haste": "Nehmen Sie sich Zeit", "change": "Ändern", "save": "Entwurf speichern",
        "saved": "Der Entwurf ist gespeichert", "send": "Jetzt senden", "sent": "Das ist Ihre Kopie",
        "waiting": "noch nicht abgeholt", "arrived": "bei der Behörde eingegangen", "no_drafts": "Keine Entwürfe",
        "new": "Neue Nachricht", "delete": "Entwurf löschen", "deleted": "Der Entwurf ist gelöscht",
        "undo": "Rückgängig machen", "back": "Der Entwurf ist wieder da",
        "subject": "Betreff", "body": "Ihre Nachricht",
        "case": "Stand: in Bearbeitung", "no_cases": "Keine offenen Vorgänge",
    },
    "en": {
        "reply": "Reply", "review": "Continue to review", "yes": "Yes",
        "day": "12 January 2099", "haste": "Take your time", "change": "Change", "save": "Save draft",
        "saved": "The draft is saved", "send": "Send now", "sent": "This is your copy",
        "waiting": "not fetched yet", "arrived": "received by the authority", "no_drafts": "No drafts",
        "new": "New message", "delete": "Delete draft", "deleted": "The draft is deleted",
        "undo": "Undo", "back": "The draft is back", "subject": "Subject", "body": "Your message",
        "case": "State: being processed", "no_cases": "No open cases",
    },
}  # fmt: skip


@pytest.fixture(params=["de", "en"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def phone(browser: Browser, client: FlaskClient, language: str) -> Iterator[Page]:
    """A narrow window without JavaScript whose requests the test client answers, forms and redirects too."""
    client.set_cookie("sprache", language, domain="localhost")
    context = browser.new_context(viewport={"width": 390, "height": 844}, java_script_enabled=False)

    def answer(route: Route) -> None:
        parts, asked = urlsplit(route.request.url), route.request
        headers = {"Content-Type": asked.headers.get("content-type", "")} if asked.post_data_buffer else {}
        path = f"{parts.path}?{parts.query}"
        with client.open(
            path, method=asked.method, data=asked.post_data_buffer, headers=headers, follow_redirects=True
        ) as found:
            kept = {name: value for name, value in found.headers if name.lower() not in HOP_HEADERS}
            route.fulfill(status=found.status_code, headers=kept, body=found.get_data())

    context.route("**/*", answer)
    yield context.new_page()
    context.close()


def press(target: Locator, key: str = "Enter") -> None:
    """Use a link, button or choice as the keyboard does; it must be reachable and show that it has the focus."""
    target.focus()
    expect(target).to_be_focused()
    target.press(key)


def fits(page: Page) -> None:
    assert sideways(page) == []


def test_answer_review_send_and_arrival(client: FlaskClient, phone: Page, language: str) -> None:
    words, membership, service = WORDS[language], writer(client), authority()
    names = (membership.company.name, membership.person.name)
    headers = {"Authorization": f"Bearer {access_token(service, scope='mailbox.replies')}"}
    reply = {"until": "2099-12-31", "attachments": False, "questions": QUESTIONS}
    message_id = asking(membership.company, service, reply=reply, subject=f"Rückfrage zur {LONG}").id
    main = phone.get_by_role("main")
    phone.goto(f"{ORIGIN}/postfach/{message_id}")
    press(main.get_by_role("link", name=words["reply"], exact=True))

    # Something is missing: it is said, and what was typed stays.
    phone.get_by_label("Wozu dient die").fill(f"Für {LONG}")
    press(main.get_by_role("button", name=words["review"]))
    expect(main.get_by_role("alert")).to_be_visible()
    expect(phone.get_by_label("Wozu dient die")).to_have_value(f"Für {LONG}")
    fits(phone)
    press(phone.get_by_label(words["yes"], exact=True), " ")
    press(phone.get_by_label(words["day"]), " ")
    press(main.get_by_role("button", name=words["save"]))
    expect(main).to_contain_text(words["saved"])
    press(main.get_by_role("button", name=words["review"]))

    # The review shows exactly what goes, and lets one go back.
    for text in (words["haste"], f"Für {LONG}", words["day"], *names):
        expect(main).to_contain_text(text)
    fits(phone)
    press(main.get_by_role("link", name=words["change"]))
    press(main.get_by_role("button", name=words["review"]))
    press(main.get_by_role("button", name=words["send"]))
    expect(main).to_contain_text(words["sent"])
    expect(main).to_contain_text(words["waiting"])
    fits(phone)

    sent = db.session.scalars(select(SentMessage)).one()
    assert client.put(f"/api/v1/replies/{sent.id}/acknowledgement", headers=headers).status_code == 200
    phone.goto(f"{ORIGIN}/postfach/gesendet")
    expect(main).to_contain_text(words["arrived"])
    fits(phone)


def test_begin_throw_away_and_take_back(client: FlaskClient, phone: Page, language: str) -> None:
    words, membership = WORDS[language], writer(client)
    accepts = {"topics": [f"Fragen zur {LONG}"], "attachments": True}
    service = authority(accepts_messages=accepts, authority=f"Amt für {LONG}")
    db.session.commit()
    company_id, slug = membership.company_id, service.slug
    main = phone.get_by_role("main")
    phone.goto(f"{ORIGIN}/postfach/entwuerfe")
    expect(main).to_contain_text(words["no_drafts"])
    fits(phone)
    press(main.get_by_role("link", name=words["new"]))
    press(main.get_by_role("link", name=re.compile("^Amt für")))
    phone.get_by_role("textbox", name=words["subject"]).fill(f"Plan {LONG}")
    phone.get_by_role("textbox", name=words["body"]).fill("<b>Guten Tag</b>")
    press(main.get_by_role("button", name=words["save"]))
    expect(main).to_contain_text(words["saved"])
    fits(phone)
    press(main.get_by_role("button", name=words["delete"]))
    expect(main).to_contain_text(words["deleted"])
    press(main.get_by_role("button", name=words["undo"]))
    expect(main).to_contain_text(words["back"])
    press(main.get_by_role("link", name=re.compile("^Plan")))
    expect(phone.get_by_role("textbox", name=words["body"])).to_have_value("<b>Guten Tag</b>")

    phone.goto(f"{ORIGIN}/vorgaenge")
    expect(main).to_contain_text(words["no_cases"])
    company, service = db.session.get_one(Company, company_id), db.session.get_one(OnlineService, slug)
    state(company, service, state="processing", title=LONG, text=LONG)
    db.session.commit()
    phone.goto(f"{ORIGIN}/vorgaenge")
    fits(phone)
    press(main.get_by_role("link", name=LONG))
    expect(main).to_contain_text(words["case"])
    fits(phone)
