"""Deadlines in a real browser: keyboard only, without JavaScript, on a phone, in German and English."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from icalendar import Calendar
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.factories import make_membership, make_person
from tests.mailbox.reading_data import authority, put, reader
from tests.mailbox.watch.deadline_data import MORNING, TODAY, decisions
from tests.test_accessibility import HOP_HEADERS, ORIGIN, sideways
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Message

LONG = "Grundstücksverkehrsgenehmigungszuständigkeitsübertragungsverordnungsbescheid"
WORDS = {
    "de": {
        "deadlines": "Fristen", "today": "Heute", "what_if": "Was wäre, wenn ich ihn heute öffne?", "day": "Tag",
        "compute": "Für diesen Tag berechnen", "result": "Wenn Sie ihn am 09.12.2026 öffnen",
        "fault": "Wählen Sie einen Tag vom",
        "calendar": "Fristen im Kalender", "subject": "Mit Betreff", "create": "Adresse erzeugen",
        "once": "nur dieses eine Mal", "absence": "Abwesenheit und Vertretung", "first": "Erster Tag",
        "last": "Letzter Tag", "substitute": "Vertretung", "enter": "Eintragen", "entered": "ist eingetragen",
        "settings": "Erinnerungen einstellen", "reminders": "Erinnerungen: Tage", "save": "Speichern",
        "wrong": "höchstens fünf Zahlen", "saved": "Gespeichert", "empty": "Keine laufenden Fristen",
    },
    "en": {
        "deadlines": "Deadlines", "today": "Today", "what_if": "What if I open it today?", "day": "Day",
        "compute": "Calculate for this day", "result": "If you open it on 9 December 2026",
        "fault": "Choose a day from",
        "calendar": "Deadlines in your calendar", "subject": "With subject", "create": "Create address",
        "once": "only this once", "absence": "Absence and substitute", "first": "First day", "last": "Last day",
        "substitute": "Substitute", "enter": "Enter", "entered": "has been entered", "settings": "Set reminders",
        "reminders": "Reminders: days", "save": "Save", "wrong": "at most five numbers", "saved": "Saved",
        "empty": "No running deadlines",
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
    with time_machine.travel(MORNING, tick=False):
        yield context.new_page()
    context.close()


def press(target: Locator) -> None:
    """Use a link or button as the keyboard does; it must be reachable and show that it has the focus."""
    target.focus()
    expect(target).to_be_focused()
    target.press("Enter")


def full_mailbox(client: FlaskClient) -> tuple[uuid.UUID, uuid.UUID]:
    """Sign an administrator in whose company has decisions of all kinds; return the key of the one that waits."""
    membership = reader(client, roles=("mailbox", "administrator"))
    decisions(membership.company, [0, 3, 12, -2], subject=f"{LONG} über Gebühren")
    waiting = put(
        membership.company, authority(), regime="vwvfg41_2a", at=MORNING - timedelta(days=2), subject="Zum Abruf"
    )
    make_membership(company=membership.company, person=make_person(given_name="Ada", family_name="Vertreterin"))
    db.session.commit()
    return waiting.company_id, waiting.id


def test_deadlines_from_the_list_to_what_would_be(client: FlaskClient, phone: Page, language: str) -> None:
    words = WORDS[language]
    key = full_mailbox(client)
    phone.goto(ORIGIN + "/postfach")
    press(phone.get_by_role("main").get_by_role("link", name=words["deadlines"]))
    expect(phone.get_by_role("heading", level=1)).to_have_text(words["deadlines"])
    assert phone.get_by_role("heading", level=2).first.inner_text() == words["today"]
    assert sideways(phone) == []
    press(phone.get_by_role("link", name="Zum Abruf"))
    expect(phone.get_by_role("heading", name=words["what_if"])).to_be_visible()
    phone.get_by_label(words["day"], exact=True).fill("2026-12-09")
    press(phone.get_by_role("button", name=words["compute"]))
    expect(phone.get_by_role("heading", name=words["result"])).to_be_visible()
    phone.get_by_label(words["day"], exact=True).fill("2027-12-09")
    press(phone.get_by_role("button", name=words["compute"]))
    expect(phone.get_by_role("alert")).to_contain_text(words["fault"])
    expect(phone.get_by_label(words["day"], exact=True)).to_have_value("2027-12-09")
    assert sideways(phone) == []
    assert db.session.get_one(Message, key, populate_existing=True).first_retrieved_at is None


def test_calendar_address_from_the_first_to_the_other_program(
    app: Flask, client: FlaskClient, phone: Page, language: str
) -> None:
    words = WORDS[language]
    full_mailbox(client)
    phone.goto(ORIGIN + "/fristen")
    press(phone.get_by_role("link", name=words["calendar"]))
    phone.get_by_label(words["subject"]).press("Space")
    press(phone.get_by_role("button", name=words["create"]))
    expect(phone.get_by_role("status")).to_contain_text(words["once"])
    assert sideways(phone) == []
    address = urlsplit(phone.locator("#adresse").input_value()).path
    found = Calendar.from_ical(app.test_client().get(address).data).walk("VEVENT")
    assert len(found) == 5 and any(LONG in event["summary"] for event in found)


def test_absence_and_reminders(client: FlaskClient, phone: Page, language: str) -> None:
    words = WORDS[language]
    full_mailbox(client)
    phone.goto(ORIGIN + "/fristen")
    press(phone.get_by_role("link", name=words["absence"]))
    phone.get_by_label(words["first"]).fill(TODAY.isoformat())
    phone.get_by_label(words["last"]).fill((TODAY + timedelta(days=9)).isoformat())
    phone.get_by_label(words["substitute"], exact=True).select_option(label="Ada Vertreterin")
    press(phone.get_by_role("button", name=words["enter"], exact=True))
    expect(phone.get_by_role("status")).to_contain_text(words["entered"])
    expect(phone.get_by_role("table")).to_contain_text("Ada Vertreterin")
    assert sideways(phone) == []
    phone.goto(ORIGIN + "/fristen")
    press(phone.get_by_role("link", name=words["settings"]))
    phone.get_by_label(words["reminders"]).fill("1,2,3,4,5,6")
    press(phone.get_by_role("button", name=words["save"]))
    expect(phone.get_by_role("alert")).to_contain_text(words["wrong"])
    phone.get_by_label(words["reminders"]).fill("14, 2")
    press(phone.get_by_role("button", name=words["save"]))
    expect(phone.get_by_role("status")).to_contain_text(words["saved"])
    expect(phone.get_by_label(words["reminders"])).to_have_value("14, 2")


def test_empty_page(client: FlaskClient, phone: Page, language: str) -> None:
    reader(client)
    phone.goto(ORIGIN + "/fristen")
    expect(phone.get_by_role("main")).to_contain_text(WORDS[language]["empty"])
    assert sideways(phone) == []
