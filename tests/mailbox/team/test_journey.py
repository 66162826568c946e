"""Team work in a real browser: keyboard only, without JavaScript, on a phone, in German and English."""

from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from tests.factories import make_membership, sign_in
from tests.mailbox.reading_data import authority, put
from tests.mailbox.watch.test_journey import language, phone, press
from tests.test_accessibility import ORIGIN, sideways
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Message

__all__ = ["language", "phone"]
WORDS = {
    "de": {
        "rules": "Themen und Regeln", "new": "Thema anlegen", "name": "Name", "save": "Speichern",
        "rule": "Regel anlegen", "words": "Wörter im Betreff", "try": "Welche Nachrichten träfe diese Regel?",
        "trial": "nichts wurde verschoben", "apply": "Jetzt anwenden", "done": "Fertig",
        "comment": "Kommentar", "keep": "Kommentar speichern", "take": "Ich übernehme das", "yours": "zuständig",
        "finish": "Erledigt", "tasks": "Aufgaben", "list": "Erledigte Aufgaben", "unread": "Noch von niemandem",
    },
    "en": {
        "rules": "Topics and rules", "new": "Create topic", "name": "Name", "save": "Save", "rule": "Create rule",
        "words": "Words in the subject", "try": "Which messages would this rule match?",
        "trial": "nothing has been moved", "apply": "Apply now", "done": "Finished",
        "comment": "Comment", "keep": "Save comment", "take": "I will take care of it", "yours": "yours",
        "finish": "Done", "tasks": "Tasks", "list": "Tasks that are done", "unread": "Not retrieved by anybody",
    },
}  # fmt: skip


def test_a_topic_a_rule_and_a_task(app: Flask, client: FlaskClient, phone: Page, language: str) -> None:
    words = WORDS[language]
    membership = make_membership(roles=("administrator", "mailbox"))
    message = put(membership.company, authority(), regime="ozg9", subject="Bescheid über Gewerbesteuer")
    key, address = (membership.company_id, message.id), f"{ORIGIN}/postfach/{message.id}/team"
    sign_in(client, membership)

    # A topic with a rule, tried and then applied to what is there.
    phone.goto(f"{ORIGIN}/postfach/themen")
    press(phone.get_by_role("link", name=words["new"]))
    phone.get_by_label(words["name"], exact=True).fill("Steuern")
    phone.get_by_role("checkbox").first.focus()
    phone.keyboard.press("Space")
    press(phone.get_by_role("button", name=words["save"]))
    expect(phone.get_by_role("rowheader", name="Steuern")).to_be_visible()
    press(phone.get_by_role("link", name=words["rule"]))
    phone.get_by_label(words["words"]).fill("steuer")
    press(phone.get_by_role("button", name=words["try"]))
    expect(phone.get_by_text(words["trial"])).to_be_visible()
    expect(phone.get_by_text("Bescheid über Gewerbesteuer")).to_be_visible()
    press(phone.get_by_role("button", name=words["save"]))
    press(phone.get_by_role("button", name=words["apply"]))
    expect(phone.get_by_role("status").get_by_text(words["done"])).to_be_visible()
    assert sideways(phone) == []

    # Work on the message; it stays unopened.
    phone.goto(address)
    phone.get_by_label(words["comment"], exact=True).fill("Bitte prüfen")
    press(phone.get_by_role("button", name=words["keep"]))
    expect(phone.get_by_text("Bitte prüfen")).to_be_visible()
    press(phone.get_by_role("button", name=words["take"]))
    expect(phone.get_by_role("status")).to_contain_text(words["yours"])
    press(phone.get_by_role("button", name=words["finish"], exact=True))
    expect(phone.get_by_text(words["unread"])).to_be_visible()
    phone.goto(f"{ORIGIN}/postfach/aufgaben?liste=erledigt")
    expect(phone.get_by_role("heading", level=1)).to_have_text(words["list"])
    expect(phone.get_by_role("link", name="Bescheid über Gewerbesteuer")).to_be_visible()
    assert sideways(phone) == []
    db.session.expire_all()
    kept = db.session.get_one(Message, key)
    assert kept.is_unread and kept.first_retrieved_at is None and kept.topic_id is not None
