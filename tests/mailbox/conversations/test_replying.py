"""Answering a message: form, draft, review, sending, own copy."""

import hashlib
import re
import uuid
from datetime import UTC, datetime

import pytest
import time_machine
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select

from tests.factories import csrf_token, make_company
from tests.mailbox.conversations.writing_data import (
    PLAIN_REPLY,
    asking,
    authority,
    form_address,
    full_answer,
    opened,
    save,
    send,
    writer,
)
from tests.mailbox.samples import MINIMAL_PDF
from tests.page_checks import faults
from unternehmenskonto import keys
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import db
from unternehmenskonto.mailbox import chain
from unternehmenskonto.mailbox.conversations import proofs
from unternehmenskonto.mailbox.conversations.models import Draft, DraftFile, SentMessage


def events(name: str) -> list[AuditEvent]:
    return list(db.session.scalars(select(AuditEvent).filter_by(event=name)))


def test_a_reply_is_written_reviewed_and_sent(client: FlaskClient) -> None:
    membership = writer(client)
    message = opened(client, membership.company, reference="GA-2026-0001")
    page = client.get(f"/postfach/{message.id}").text
    assert "5 Fragen an Sie" in page and f"/postfach/{message.id}/antworten" in page
    form = client.get(f"/postfach/{message.id}/antworten").text
    assert faults(form) == []
    for words in ("Wozu dient die Fläche?", "12.01.2027, 09:30 Uhr", "11.01.2027", "Lageplan", "Betrag in Euro"):
        assert words in form, words

    saved = save(client, form, **full_answer(MINIMAL_PDF))
    draft = form_address(form)
    assert (saved.status_code, saved.headers["Location"]) == (303, f"{draft}/pruefen")
    review = client.get(f"{draft}/pruefen").text
    assert faults(review) == []
    for words in (
        "Lager für Baustoffe", "Ja", "12.01.2027, 09:30 Uhr", "1.234,50 €", "Lageplan.pdf", "anbei der Plan.",
        "Nehmen Sie sich Zeit", membership.company.name, membership.person.name, "GA-2026-0001",
    ):  # fmt: skip
        assert words in review, words
    assert db.session.scalars(select(SentMessage)).all() == []
    (planned,) = db.session.scalars(select(DraftFile))
    assert client.get(f"{draft}/anhang/{planned.id}").data == MINIMAL_PDF
    assert client.get(f"{draft}/anhang/{uuid.uuid4()}").status_code == 404

    done = send(client, draft, review)
    sent = db.session.scalars(select(SentMessage)).one()
    assert (done.status_code, done.headers["Location"]) == (303, f"/postfach/gesendet/{sent.id}?neu=1")
    copy = client.get(done.headers["Location"]).text
    assert faults(copy) == []
    assert "noch nicht abgeholt" in copy and "1.234,50 €" in copy and "Lageplan.pdf" in copy
    assert [answer["value"] for answer in sent.answers] == [
        "Lager für Baustoffe", True, "2027-01-12T09:30:00+01:00", "1234.50", ["Lageplan.pdf"],
    ]  # fmt: skip
    assert (sent.sequence_number, sent.service_number, sent.message_id) == (1, 1, message.id)
    assert sent.subject == "Antwort: Rückfrage zu Ihrem Antrag" and sent.assurance_level == "substantial"
    assert db.session.scalars(select(Draft)).all() == db.session.scalars(select(DraftFile)).all() == []
    (event,) = events("correspondence.sent")
    assert (event.by, event.fields["sent_id"]) == (f"person:{membership.person_id}", str(sent.id))
    assert "Antwort vom" in client.get(f"/postfach/{message.id}").text
    assert f"/postfach/gesendet/{sent.id}" in client.get("/postfach/gesendet").text
    assert client.get(draft).headers["Location"] == f"/postfach/gesendet/{sent.id}"

    (file,) = sent.files
    answer = client.get(f"/postfach/gesendet/{sent.id}/anhang/{file.id}")
    assert answer.data == MINIMAL_PDF and answer.headers["Content-Disposition"].startswith("attachment;")
    jws = client.get(f"/postfach/gesendet/{sent.id}/nachweis/gesendet").text
    receipt = jwt.decode(jws, KeySet.import_key_set(keys.jwks()), algorithms=["ES256"])
    assert receipt.header["typ"] == "receipt+jwt"
    assert (receipt.claims["receipt"], receipt.claims["sent_id"]) == ("sent", str(sent.id))
    assert receipt.claims["body_sha256"] == hashlib.sha256(b"Guten Tag,\n\nanbei der Plan.").hexdigest()
    assert receipt.claims["attachments"] == [
        {"sha256": hashlib.sha256(MINIMAL_PDF).hexdigest(), "size": len(MINIMAL_PDF)}
    ]
    assert membership.company.name not in str(receipt.claims)
    assert client.get(f"/postfach/gesendet/{sent.id}/nachweis/eingegangen").status_code == 404
    verdict = proofs.verify(membership.company_id)
    assert (verdict.links, verdict.faults) == (1, [])
    assert chain.verify(membership.company_id).faults == []


def test_what_is_missing_is_said_and_nothing_typed_is_lost(client: FlaskClient) -> None:
    membership = writer(client)
    message = opened(client, membership.company)
    form = client.get(f"/postfach/{message.id}/antworten").text
    answer = save(client, form, frage__umsatz="viel", body="Mein Text", files=[("frage-plan", "virus.exe", b"MZ" * 40)])
    page = answer.text
    assert answer.status_code == 422 and faults(page) == []
    for words in (
        "„Wozu dient die Fläche?“: Bitte beantworten Sie diese Frage.",
        "„Ist der Betrieb geöffnet?“: Wählen Sie eine Antwort aus.",
        "Geben Sie einen Betrag in Euro an",
        "„virus.exe“ wurde nicht übernommen.",
        "ist als Entwurf gespeichert",
    ):
        assert words in page, words
    assert 'value="viel"' in page and "Mein Text" in page
    draft = db.session.scalars(select(Draft)).one()
    assert (draft.body, draft.answers["umsatz"], draft.files) == ("Mein Text", "viel", [])
    again = save(client, page, frage__umsatz="1", body="Mein Text", files=[("frage-plan", "b.pdf", MINIMAL_PDF)])
    assert again.status_code == 422 and "b.pdf" in again.text and "wurde nicht übernommen" not in again.text
    assert [file.file_name for file in db.session.scalars(select(DraftFile))] == ["b.pdf"]
    assert client.get(f"/postfach/{message.id}/antworten").headers["Location"] == f"/postfach/entwuerfe/{draft.id}"
    # A file can be taken out again.
    kept = client.get(f"/postfach/entwuerfe/{draft.id}").text
    file = db.session.scalars(select(DraftFile)).one()
    assert save(client, kept, button="speichern", removed=str(file.id)).status_code == 303
    assert db.session.scalars(select(DraftFile)).all() == []


def test_a_form_sent_twice_is_one_draft(client: FlaskClient) -> None:
    membership = writer(client)
    message = opened(client, membership.company, reply=PLAIN_REPLY)
    form = client.get(f"/postfach/{message.id}/antworten").text
    first = save(client, form, button="speichern", body="Erste")
    assert first.status_code == 303
    second = save(client, form, button="speichern", body="Zweite")
    assert second.status_code == 409
    assert "Inzwischen hat jemand anderes" in second.text and "Zweite" in second.text
    assert db.session.scalars(select(Draft)).one().body == "Erste"
    third = save(client, second.text, button="speichern", body="Zweite")
    assert third.status_code == 303
    assert db.session.scalars(select(Draft)).one().body == "Zweite"


def test_sending_needs_the_right_and_writing_does_not(client: FlaskClient) -> None:
    membership = writer(client, roles=("mailbox",))
    message = opened(client, membership.company, reply=PLAIN_REPLY)
    form = client.get(f"/postfach/{message.id}/antworten").text
    assert save(client, form, body="Vorbereitet").status_code == 303
    draft = form_address(form)
    review = client.get(f"{draft}/pruefen").text
    assert faults(review) == [] and "Ihnen fehlt das Recht" in review and "/senden" not in review
    data = {"csrf_token": csrf_token(client), "version": "2"}
    assert client.post(f"{draft}/senden", data=data).status_code == 403
    # A colleague with the right finds the draft and sends it.
    colleague = writer(client, membership.company)
    assert membership.person.name in client.get("/postfach/entwuerfe").text
    assert send(client, draft, client.get(f"{draft}/pruefen").text).status_code == 303
    assert db.session.scalars(select(SentMessage)).one().sent_by == colleague.id


def test_what_was_changed_since_the_review_is_not_sent(client: FlaskClient) -> None:
    membership = writer(client)
    message = opened(client, membership.company, reply=PLAIN_REPLY)
    form = client.get(f"/postfach/{message.id}/antworten").text
    save(client, form, body="Geprüft")
    draft = form_address(form)
    review = client.get(f"{draft}/pruefen").text
    save(client, client.get(draft).text, body="Ganz anders")
    answer = send(client, draft, review)
    assert answer.headers["Location"] == f"{draft}/pruefen"
    assert db.session.scalars(select(SentMessage)).all() == []
    assert "noch einmal" in client.get(f"{draft}/pruefen").text


def test_pressing_twice_sends_once(client: FlaskClient) -> None:
    membership = writer(client)
    message = opened(client, membership.company, reply=PLAIN_REPLY)
    form = client.get(f"/postfach/{message.id}/antworten").text
    save(client, form, body="Einmal")
    draft = form_address(form)
    review = client.get(f"{draft}/pruefen").text
    places = {send(client, draft, review).headers["Location"] for _ in range(3)}
    assert len(places) == 1
    assert len(db.session.scalars(select(SentMessage)).all()) == len(events("correspondence.sent")) == 1


def test_a_draft_can_be_thrown_away_and_taken_back(client: FlaskClient) -> None:
    membership = writer(client)
    message = opened(client, membership.company, reply=PLAIN_REPLY)
    save(client, client.get(f"/postfach/{message.id}/antworten").text, button="speichern", body="Halb")
    draft = db.session.scalars(select(Draft)).one()
    data = {"csrf_token": csrf_token(client)}
    gone = client.post(f"/postfach/entwuerfe/{draft.id}/loeschen", data=data, follow_redirects=True).text
    assert faults(gone) == [] and "Der Entwurf ist gelöscht" in gone and "Keine Entwürfe" in gone
    assert client.get(f"/postfach/entwuerfe/{draft.id}").status_code == 404
    back = client.post(f"/postfach/entwuerfe/{draft.id}/zurueckholen", data=data, follow_redirects=True).text
    assert "wieder da" in back and f"/postfach/entwuerfe/{draft.id}" in back
    assert [len(events(name)) for name in ("draft.saved", "draft.deleted", "draft.restored")] == [1, 1, 1]


def test_what_cannot_be_answered(client: FlaskClient) -> None:
    membership = writer(client)
    silent = opened(client, membership.company, reply=None)
    assert "Antworten" not in client.get(f"/postfach/{silent.id}").text
    assert client.get(f"/postfach/{silent.id}/antworten").status_code == 410
    closed = asking(membership.company)
    # Not opened yet: the questions are part of the message.
    assert client.get(f"/postfach/{closed.id}/antworten").headers["Location"] == f"/postfach/{closed.id}"
    foreign = asking(make_company())
    assert client.get(f"/postfach/{foreign.id}/antworten").status_code == 404
    assert client.get(f"/postfach/{uuid.uuid4()}/antworten").status_code == 404


def test_the_last_day_counts_and_the_next_does_not(client: FlaskClient) -> None:
    with time_machine.travel(datetime(2026, 12, 1, 9, tzinfo=UTC), tick=False):
        membership = writer(client)
        message = opened(client, membership.company, reply={**PLAIN_REPLY, "until": "2026-12-03"})
        form = client.get(f"/postfach/{message.id}/antworten").text
        assert "bis zum 03.12.2026" in form
        save(client, form, body="Später")
    draft = form_address(form)
    with time_machine.travel(datetime(2026, 12, 3, 22, 30, tzinfo=UTC), tick=False):
        writer(client, membership.company)
        review = client.get(f"{draft}/pruefen")
        assert review.status_code == 200
    with time_machine.travel(datetime(2026, 12, 3, 23, 30, tzinfo=UTC), tick=False):
        writer(client, membership.company)
        assert send(client, draft, review.text).status_code == 410
        assert "nicht mehr gesendet" in client.get(draft).text and "Später" in client.get(draft).text
        assert "bis zum 03.12.2026 möglich" in client.get(f"/postfach/{message.id}").text


def test_a_foreign_draft_or_copy_is_answered_like_none(client: FlaskClient) -> None:
    other = writer(client)
    message = opened(client, other.company, reply=PLAIN_REPLY)
    form = client.get(f"/postfach/{message.id}/antworten").text
    save(client, form, body="Geheim")
    draft = form_address(form)
    review = client.get(f"{draft}/pruefen").text
    writer(client)
    data = {"csrf_token": csrf_token(client), "version": "2", "message_id": str(message.id)}
    assert client.get(draft).status_code == client.get(f"{draft}/pruefen").status_code == 404
    for act in ("/senden", "/loeschen", "/zurueckholen", ""):
        assert client.post(draft + act, data=data).status_code == 404, act
    assert "Geheim" not in client.get("/postfach/entwuerfe").text
    assert "Geheim" in review


@pytest.mark.parametrize("version", ["", "x", "-1", "9" * 30, "²"])
def test_a_made_up_version_is_refused(client: FlaskClient, version: str) -> None:
    writer(client)
    data = {"csrf_token": csrf_token(client), "version": version}
    assert client.post(f"/postfach/entwuerfe/{uuid.uuid4()}/senden", data=data).status_code == 400


def test_invisible_characters_and_markup_stay_harmless(client: FlaskClient) -> None:
    membership = writer(client)
    message = opened(client, membership.company, reply=PLAIN_REPLY)
    form = client.get(f"/postfach/{message.id}/antworten").text
    evil = "<script>alert(1)</script>\u202e**fett** [x](javascript:alert(1)) <img src=x onerror=alert(1)>\x00"
    save(client, form, body=evil)
    draft = form_address(form)
    review = client.get(f"{draft}/pruefen").text
    assert faults(review) == [] and "&lt;script&gt;" in review and "\u202e" not in review
    page = client.get(send(client, draft, review).headers["Location"]).text
    assert "<script>alert" not in page and "onerror=alert(1)&gt;" in page and "<img src=x" not in page
    sent = db.session.scalars(select(SentMessage)).one()
    assert sent.body == evil.replace("\u202e", "").replace("\x00", "")


@pytest.mark.parametrize("name", ['a"; filename="b.pdf', "../../etc/x.pdf", "\u202efdp.pdf", "<img src=x>.pdf"])
def test_hostile_file_names_stay_names(client: FlaskClient, name: str) -> None:
    membership = writer(client)
    message = opened(client, membership.company, reply={**PLAIN_REPLY, "attachments": True})
    form = client.get(f"/postfach/{message.id}/antworten").text
    save(client, form, body="x", files=[("files", name, MINIMAL_PDF)])
    page = client.get(f"{form_address(form)}/pruefen").text
    assert faults(page) == []
    kept = db.session.scalars(select(DraftFile)).one().file_name
    assert not re.search(r'[<>":/\\\u202e]', kept) and kept.endswith(".pdf")


def test_the_service_that_asked_is_gone(client: FlaskClient) -> None:
    membership, service = writer(client), authority()
    message = opened(client, membership.company, service=service, reply=PLAIN_REPLY)
    service.is_enabled = False
    db.session.commit()
    assert client.get(f"/postfach/{message.id}/antworten").status_code == 410


def test_the_pages_speak_english(client: FlaskClient) -> None:
    membership = writer(client)
    message = opened(client, membership.company)
    client.set_cookie("sprache", "en")
    form = client.get(f"/postfach/{message.id}/antworten").text
    assert faults(form, language="en") == []
    assert faults(save(client, form, body="x").text, language="en") == []
    for path in ("/postfach/entwuerfe", "/postfach/gesendet", "/postfach/neu", f"/postfach/{message.id}"):
        assert faults(client.get(path).text, language="en") == [], path
