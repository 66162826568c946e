"""Folders and preview in a real browser: keyboard only, without JavaScript, on a phone, in German and English."""

import re
import uuid
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, expect

from tests.mailbox.reading_data import authority, file, put, reader
from tests.mailbox.watch.deadline_data import MORNING
from tests.mailbox.watch.test_journey import LONG, press
from tests.test_accessibility import ORIGIN, RULES, open_window, sideways
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.folders.models import ErasedMessage
from unternehmenskonto.mailbox.models import Message

WORDS = {
    "de": {
        "inbox": "Posteingang", "edit": "Ausgewählte Nachrichten bearbeiten", "archive": "Ins Archiv",
        "archived": "2 Nachrichten liegen jetzt im Archiv", "undo": "Rückgängig machen",
        "undone": "2 Nachrichten sind wieder, wie sie waren", "bin": "In den Papierkorb",
        "all": "Alle auf dieser Seite auswählen",
        "kept": "Seine Frist läuft noch bis 14.12.2026", "folder": "Papierkorb", "erase": "Endgültig löschen …",
        "lost": "Das geht verloren", "confirm": "Endgültig löschen", "erased": "endgültig gelöscht",
        "labels": "Etiketten", "name": "Name des Etiketts", "make": "Etikett anlegen", "fault": "Geben Sie dem Etikett",
        "add": "Anbringen", "labelled": "hat jetzt das Etikett", "deadline": "Frist bis 14.12.2026",
        "preview": "Vorschau ohne Öffnen", "same": "Öffnen ändert an der Frist nichts", "open": "Öffnen",
        "moves": "gilt am 02.12.2026 als bekannt gegeben", "not_yet": "Noch nicht öffnen",
        "retrieve": "Jetzt öffnen und damit bekannt geben lassen", "ends": "04.01.2027", "empty": "ist leer",
        "none": "Wählen Sie zuerst",
    },
    "en": {
        "inbox": "Inbox", "edit": "Edit selected messages", "archive": "To the archive",
        "archived": "2 messages are now in the archive", "undo": "Undo",
        "undone": "2 messages are as they were", "bin": "Move to bin", "all": "Select all on this page",
        "kept": "its deadline runs until 14 December 2026", "folder": "Bin", "erase": "Delete permanently …",
        "lost": "This is lost", "confirm": "Delete permanently", "erased": "permanently deleted",
        "labels": "Labels", "name": "Name of the label", "make": "Create label", "fault": "Give the label a name",
        "add": "Add", "labelled": "now has the label", "deadline": "14 December 2026",
        "preview": "Preview without opening", "same": "Opening changes nothing about the deadline", "open": "Open",
        "moves": "counts as announced on 2 December 2026", "not_yet": "Do not open yet",
        "retrieve": "Open now and let it be announced", "ends": "4 January 2027", "empty": "is empty",
        "none": "First select at least one message",
    },
}  # fmt: skip


def full_mailbox(client: FlaskClient) -> dict[str, uuid.UUID]:
    """Sign somebody in whose mailbox holds two letters, a running decision and one that waits to be retrieved."""
    membership, service = reader(client), authority()
    at = MORNING - timedelta(days=21)
    messages = {
        "running": put(membership.company, service, regime="ozg9", at=at, subject=LONG, reference="GA 17"),
        "first": put(membership.company, service, subject="Rundschreiben", files=[file("a.pdf", b"%PDF")]),
        "second": put(membership.company, service, subject="Einladung"),
        "waiting": put(membership.company, service, regime="vwvfg41_2a", subject="Erlaubnis"),
    }
    db.session.commit()
    return {name: message.id for name, message in messages.items()}


def tick(page: Page, *ids: uuid.UUID) -> None:
    for one in ids:
        box = page.locator(f'input[value="{one}"]')
        box.focus()
        box.press("Space")
        expect(box).to_be_checked()


def test_many_at_once_to_the_bin_and_for_good(client: FlaskClient, phone: Page, language: str) -> None:
    words, ids = WORDS[language], full_mailbox(client)
    main = phone.get_by_role("main")
    phone.goto(ORIGIN + "/postfach")
    expect(phone).to_have_title(re.compile(rf"^\(4\) {words['inbox']}"))
    expect(main).to_contain_text(words["deadline"])
    assert sideways(phone) == []
    press(main.get_by_text(words["edit"]).locator("xpath=ancestor::summary"))
    press(main.get_by_role("button", name=words["archive"]))
    expect(phone.get_by_role("alert")).to_contain_text(words["none"])
    tick(phone, ids["first"], ids["second"])
    press(main.get_by_text(words["edit"]).locator("xpath=ancestor::summary"))
    press(main.get_by_role("button", name=words["archive"]))
    expect(phone.get_by_role("status")).to_contain_text(words["archived"])
    expect(phone).to_have_title(re.compile(rf"^\(2\) {words['inbox']}"))
    press(phone.get_by_role("status").get_by_role("button", name=words["undo"]))
    expect(phone.get_by_role("status")).to_contain_text(words["undone"])
    press(main.get_by_role("link", name=words["all"]))
    press(main.get_by_role("button", name=words["bin"]))
    expect(phone.get_by_role("status")).to_contain_text(words["kept"])
    assert sideways(phone) == []
    press(phone.get_by_role("navigation").get_by_role("link", name=words["folder"]))
    tick(phone, ids["first"])
    press(main.get_by_text(words["edit"]).locator("xpath=ancestor::summary"))
    press(main.get_by_role("button", name=words["erase"]))
    expect(main).to_contain_text(words["lost"])
    assert sideways(phone) == []
    press(main.get_by_role("button", name=words["confirm"], exact=True))
    expect(phone.get_by_role("status")).to_contain_text(words["erased"])
    assert db.session.scalars(db.select(ErasedMessage.message_id)).all() == [ids["first"]]


def test_labels_are_made_and_put_on(client: FlaskClient, phone: Page, language: str) -> None:
    words, ids = WORDS[language], full_mailbox(client)
    main = phone.get_by_role("main")
    phone.goto(ORIGIN + "/postfach")
    press(phone.get_by_role("navigation").get_by_role("link", name=words["labels"]))
    press(main.get_by_role("button", name=words["make"]))
    expect(phone.get_by_role("alert")).to_contain_text(words["fault"])
    phone.get_by_label(words["name"]).fill(LONG[:40])
    press(main.get_by_role("button", name=words["make"]))
    expect(main).to_contain_text(LONG[:40])
    assert sideways(phone) == []
    phone.goto(ORIGIN + "/postfach")
    tick(phone, ids["first"])
    press(main.get_by_text(words["edit"]).locator("xpath=ancestor::summary"))
    press(main.get_by_role("button", name=words["add"]))
    expect(phone.get_by_role("status")).to_contain_text(words["labelled"])
    assert sideways(phone) == []


def test_looking_opens_nothing_and_opening_says_what_follows(client: FlaskClient, phone: Page, language: str) -> None:
    words, ids = WORDS[language], full_mailbox(client)
    main = phone.get_by_role("main")
    phone.goto(ORIGIN + "/postfach")
    press(main.get_by_role("link", name=words["preview"]).first)
    expect(main).to_contain_text(words["same"])
    expect(main).to_contain_text("GA 17")
    assert sideways(phone) == []
    phone.goto(ORIGIN + "/postfach")
    press(main.get_by_role("link", name="Erlaubnis"))
    expect(main).to_contain_text(words["moves"])
    press(main.get_by_role("link", name=words["not_yet"]))
    expect(phone.get_by_role("heading", level=1)).to_have_text(words["inbox"])
    assert db.session.scalars(db.select(Message.first_retrieved_at)).all() == [None] * 4
    press(main.get_by_role("link", name="Erlaubnis"))
    press(main.get_by_role("button", name=words["retrieve"]))
    expect(main).to_contain_text(words["ends"])
    found = {one.id for one in db.session.scalars(db.select(Message).where(Message.first_retrieved_at.is_not(None)))}
    assert found == {ids["waiting"]}


@pytest.mark.parametrize("folder", ["/postfach/archiv", "/postfach/papierkorb"])
def test_empty_folders(client: FlaskClient, phone: Page, language: str, folder: str) -> None:
    reader(client)
    phone.goto(ORIGIN + folder)
    expect(phone.get_by_role("main")).to_contain_text(WORDS[language]["empty"])
    assert sideways(phone) == []


def test_script_ticks_all_and_counts(browser: Browser, client: FlaskClient) -> None:
    ids = full_mailbox(client)
    page = open_window(browser, client)
    page.goto(ORIGIN + "/postfach")
    page.get_by_label("Alle auf dieser Seite auswählen").check()
    assert all(page.locator(f'input[value="{one}"]').is_checked() for one in ids.values())
    expect(page.get_by_text("Ausgewählte Nachrichten bearbeiten: 4")).to_be_visible()
    expect(page.get_by_role("button", name="Ins Archiv")).to_be_visible()
    assert Axe().run(page, options={"runOnly": RULES}).response["violations"] == []
    page.locator(f'input[value="{ids["first"]}"]').uncheck()
    expect(page.get_by_text("Ausgewählte Nachrichten bearbeiten: 3")).to_be_visible()
    page.context.close()
