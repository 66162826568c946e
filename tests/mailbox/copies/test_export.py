"""The export of a whole mailbox: what is in it, what is not, who may have it, and how it ends."""

import hashlib
import io
import json
import zipfile
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import csrf_token, make_membership, sign_in
from tests.mailbox.reading_data import acting, authority, file, put, reader
from tests.page_checks import faults
from tests.worker import work_off
from unternehmenskonto import keys, storage
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.chain import hash_of
from unternehmenskonto.mailbox.copies import actions, archive
from unternehmenskonto.mailbox.copies.models import MailboxExport
from unternehmenskonto.mailbox.models import Message


@pytest.fixture
def visitor(fresh_app: Flask) -> FlaskClient:
    keys.ensure_keys()
    db.session.commit()
    return fresh_app.test_client()


def three(visitor: FlaskClient) -> tuple[Membership, list[Message]]:
    """Return a reader with two opened messages and a closed one."""
    membership, service = reader(visitor), authority()
    messages = [
        put(membership.company, service, subject="Erste", body="Text eins", files=[file("a.pdf", b"%PDF eins")]),
        put(membership.company, service, subject="Geheime", body="Verschlossen", files=[file("b.pdf", b"%PDF zwei")]),
        put(membership.company, service, subject="Dritte", regime="ozg9", files=[file("c.pdf", b"%PDF" * 50_000)]),
    ]
    db.session.commit()
    for message in (messages[0], messages[2]):
        visitor.get(f"/postfach/{message.id}")
    return membership, messages


def ask(visitor: FlaskClient) -> MailboxExport:
    token = csrf_token(visitor)
    assert visitor.post("/postfach/export", data={"csrf_token": token}).status_code == 303
    db.session.expire_all()
    return db.session.scalars(db.select(MailboxExport).order_by(MailboxExport.created_at.desc())).first()  # type: ignore[return-value]


def test_everything_opened_is_in_the_file_and_nothing_closed(fresh_app: Flask, visitor: FlaskClient) -> None:
    membership, messages = three(visitor)
    page = visitor.get("/postfach/export").text
    assert faults(page) == [] and "3 Nachrichten exportieren" in page and "1 Nachricht hat noch niemand" in page
    export = ask(visitor)
    waiting = visitor.get("/postfach/export")
    assert "wartet" in waiting.text and waiting.headers["Refresh"] and faults(waiting.text) == []
    work_off(fresh_app)
    db.session.expire_all()
    assert (export.state, export.written, export.closed, export.damaged) == ("done", 3, 1, 0)
    page = visitor.get("/postfach/export")
    assert "fertig" in page.text and "Refresh" not in page.headers and faults(page.text) == []
    answer = visitor.post(f"/postfach/export/{export.id}/datei", data={"csrf_token": csrf_token(visitor)})
    assert hashlib.sha256(answer.data).hexdigest() == export.sha256
    packed = zipfile.ZipFile(io.BytesIO(answer.data))
    assert packed.testzip() is None
    records = [json.loads(packed.read(f"nachrichten/{n:07d}/nachricht.json")) for n in (1, 2, 3)]
    assert [one["subject"] for one in records] == ["Erste", "Geheime", "Dritte"]
    assert [one["is_opened"] for one in records] == [True, False, True]
    assert records[0]["body"] == "Text eins" and "body" not in records[1] and "salt" not in records[1]
    assert not [name for name in packed.namelist() if name.endswith("b.pdf")]
    for record in (records[0], records[2]):
        (known,) = record["attachments"]
        assert hashlib.sha256(packed.read(known["path"])).hexdigest() == known["sha256"]
        claims, _ = keys.decode_own(record["receipts"]["first_retrieved"])
        assert claims["message_id"] == record["id"]
    previous = bytes(32)
    for line in packed.read("kette.jsonl").splitlines():
        link = json.loads(line)
        assert link["previous"] == previous.hex()
        previous = hash_of(previous, link["sequence_number"], bytes.fromhex(link["leaf"]))
        assert link["hash"] == previous.hex()
    assert "Ein Export ist kein Abruf" in packed.read("LIESMICH.txt").decode()
    db.session.refresh(messages[1])
    assert messages[1].first_retrieved_at is None
    events = set(db.session.scalars(db.select(AuditEvent.event).filter_by(company_id=membership.company_id)))
    assert {"export.requested", "export.made", "export.fetched"} <= events


def test_a_company_makes_one_at_a_time_and_it_can_be_cancelled(fresh_app: Flask, visitor: FlaskClient) -> None:
    three(visitor)
    export = ask(visitor)
    token = csrf_token(visitor)
    again = visitor.post("/postfach/export", data={"csrf_token": token})
    assert again.status_code == 409 and "läuft schon ein Export" in again.text
    assert visitor.post(f"/postfach/export/{export.id}/abbrechen", data={"csrf_token": token}).status_code == 303
    work_off(fresh_app)
    db.session.expire_all()
    assert (export.state, export.path) == ("cancelled", None)
    assert visitor.post(f"/postfach/export/{export.id}/datei", data={"csrf_token": token}).status_code == 404


def test_only_the_person_who_asked_may_fetch(fresh_app: Flask, visitor: FlaskClient) -> None:
    membership, _ = three(visitor)
    export = ask(visitor)
    work_off(fresh_app)
    sign_in(visitor, make_membership(company=membership.company, roles=("mailbox",)))
    token = csrf_token(visitor)
    for way in ("datei", "abbrechen"):
        assert visitor.post(f"/postfach/export/{export.id}/{way}", data={"csrf_token": token}).status_code == 404
    assert "Ihre Exporte" not in visitor.get("/postfach/export").text


def test_who_left_gets_nothing(fresh_app: Flask, visitor: FlaskClient) -> None:
    membership, _ = three(visitor)
    export = ask(visitor)
    db.session.get_one(Membership, membership.id).ended_at = now()
    db.session.commit()
    work_off(fresh_app)
    db.session.expire_all()
    assert (export.state, export.path) == ("cancelled", None)


def test_a_damaged_file_is_named_and_left_out(fresh_app: Flask, visitor: FlaskClient) -> None:
    _, messages = three(visitor)
    stored = fresh_app.extensions["storage_dir"] / messages[0].attachments[0].path
    stored.write_bytes(b"%PDF anders")
    export = ask(visitor)
    work_off(fresh_app)
    db.session.expire_all()
    assert (export.state, export.damaged) == ("done", 1)
    assert "1 Anhang fehlt" in visitor.get("/postfach/export").text


def test_a_job_that_begins_anew_ends_the_same(fresh_app: Flask, visitor: FlaskClient) -> None:
    """After a crash the state is "running" and the job comes again."""
    three(visitor)
    export = ask(visitor)
    export.state, export.written = "running", 2
    db.session.commit()
    work_off(fresh_app)
    db.session.expire_all()
    assert (export.state, export.written) == ("done", 3)


def test_cancelled_while_it_is_written(visitor: FlaskClient) -> None:
    membership, _ = three(visitor)

    def stop(progress: archive.Progress) -> None:
        raise archive.Cancelled

    with pytest.raises(archive.Cancelled):
        archive.write(io.BytesIO(), actor=acting(membership), notes="", report=stop)


def test_old_files_are_removed(fresh_app: Flask, visitor: FlaskClient) -> None:
    three(visitor)
    export = ask(visitor)
    work_off(fresh_app)
    db.session.expire_all()
    path = str(export.path)
    export.created_at = now() - timedelta(days=actions.KEPT_DAYS, minutes=1)
    actions.remove_old()
    db.session.commit()
    assert (export.state, export.path) == ("removed", None)
    assert not (storage.folder() / path).exists()
    assert "gelöscht" in visitor.get("/postfach/export").text


def test_an_empty_mailbox_says_so(client: FlaskClient) -> None:
    reader(client)
    page = client.get("/postfach/export").text
    assert "Noch liegt keine Nachricht" in page and faults(page) == []
