"""The pages of a message: what they show, what they hand out, and what does not count as reading."""

import hashlib
import io
import re
import subprocess
import uuid
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from tests.factories import csrf_token, make_company
from tests.mailbox.reading_data import authority, example, file, put, reader
from tests.mailbox.test_inbox import counted_statements
from tests.mailbox.test_markup import CORPUS
from tests.page_checks import Tree, faults
from unternehmenskonto import keys
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Receipt
from unternehmenskonto.mailbox.views import content_disposition

MORNING = datetime(2026, 12, 1, 9, tzinfo=UTC)


def audited(event: str) -> list[AuditEvent]:
    return list(db.session.scalars(select(AuditEvent).filter_by(event=event)))


def test_a_decision_shows_its_dates_and_why(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(membership.company, authority(), regime="ao122a", at=datetime(2026, 3, 30, 9, tzinfo=UTC))
    db.session.commit()
    page = client.get(f"/postfach/{message.id}").text
    assert faults(page) == []
    text = " ".join(Tree(page).all("main")[0].text.split())
    assert "Gilt als bekannt gegeben am 07.04.2026" in text
    assert "Frist endet am 07.05.2026" in text
    for words in (
        "Montag, 30.03.2026",
        "Karfreitag, Nordrhein-Westfalen",
        "Samstag, 04.04.2026 fällt auf ein Wochenende",
        "Ostermontag, Nordrhein-Westfalen",
        "Dienstag, 07.04.2026",
        "§ 122a Abs. 4 AO",
        "§ 108 Abs. 3 AO",
        "§ 187 Abs. 1, § 188 BGB",
        "ein Monat",
        "bis zum 30.04.2026",
        "Gewerbeamt Musterstadt, Rathausplatz 1",
    ):
        assert words in text, words


def test_the_shift_that_does_not_happen_is_named(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(membership.company, authority(), regime="ozg9", at=MORNING)
    db.session.commit()
    page = client.get(f"/postfach/{message.id}").text
    assert "05.12.2026" in page and "05.01.2027" in page
    assert "verschiebt ihn nicht" in page


def test_a_missing_instruction_is_explained(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(membership.company, authority(), regime="ozg9", at=MORNING, remedy_instructed=False)
    db.session.commit()
    page = client.get(f"/postfach/{message.id}").text
    assert "06.12.2027" in page and "§ 58 Abs. 2 VwGO" in page and "ein Jahr" in page


def test_an_ended_provision_shows_no_content(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(
        membership.company, authority(), regime="vwvfg41_2a", at=datetime(2026, 11, 1, 9, tzinfo=UTC),
        body="Geheimes", files=[file("a.pdf", b"%PDF")],
    )  # fmt: skip
    db.session.commit()
    page = client.get(f"/postfach/{message.id}").text
    assert faults(page) == []
    assert "nicht mehr abgerufen werden" in page
    assert "auf diesem Weg nicht bekannt gegeben" in page and "noch nicht bekannt" not in page
    assert "Abruf am 11.11.2026 beendet" in client.get("/postfach").text
    assert "Geheimes" not in page and "a.pdf" not in page
    attachment = message.attachments[0].id
    for path in ("/zip", f"/anhang/{attachment}"):
        assert client.get(f"/postfach/{message.id}{path}").status_code == 410
    assert "Geheimes" not in client.get(f"/postfach/{message.id}/druck").text


@pytest.mark.parametrize("path", ["", "/druck", "/zip", "/anhang/{attachment}"])
def test_a_foreign_message_is_answered_like_none(client: FlaskClient, path: str) -> None:
    reader(client)
    foreign = put(make_company(), authority(), files=[file("a.pdf", b"%PDF")])
    db.session.commit()
    path = path.format(attachment=foreign.attachments[0].id)
    answers = [client.get(f"/postfach/{found}{path}") for found in (foreign.id, uuid.uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]
    texts = [
        re.sub(r"[0-9A-F]{4}(-[0-9A-F]{4}){2}|value=\"[^\"]+\"|next=[^\"]+", "", answer.text) for answer in answers
    ]
    assert texts[0] == texts[1]
    assert foreign.is_unread


def test_the_attachment_of_another_message_is_not_found(client: FlaskClient) -> None:
    membership, service = reader(client), authority()
    one, two = (put(membership.company, service, files=[file("a.pdf", b"%PDF")]) for _ in range(2))
    db.session.commit()
    assert client.get(f"/postfach/{one.id}/anhang/{two.attachments[0].id}").status_code == 404
    assert one.is_unread and one.first_retrieved_at is None


@pytest.mark.parametrize("act", ["ungelesen", "archivieren", "wiederherstellen"])
def test_a_foreign_message_cannot_be_changed(client: FlaskClient, act: str) -> None:
    reader(client)
    foreign = put(make_company(), authority())
    db.session.commit()
    data = {"csrf_token": csrf_token(client)}
    assert client.post(f"/postfach/{foreign.id}/{act}", data=data).status_code == 404
    assert client.post(f"/postfach/{foreign.id}/{act}").status_code == 400
    assert client.get(f"/postfach/{foreign.id}/{act}").status_code == 405


@pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"])
@pytest.mark.parametrize("value", ["prefetch", "prefetch;prerender", "preview"])
@pytest.mark.parametrize("path", ["", "/zip"])
def test_a_browser_that_looks_ahead_opens_nothing(client: FlaskClient, header: str, value: str, path: str) -> None:
    membership = reader(client)
    message = put(membership.company, authority(), body="Geheimes")
    db.session.commit()
    answer = client.get(f"/postfach/{message.id}{path}", headers={header: value})
    assert answer.status_code == 503 and "Geheimes" not in answer.text
    assert message.is_unread and message.first_retrieved_at is None


def test_head_opens_nothing(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(membership.company, authority(), files=[file("a.pdf", b"%PDF")])
    db.session.commit()
    for path in ("", "/druck", "/zip", f"/anhang/{message.attachments[0].id}"):
        answer = client.head(f"/postfach/{message.id}{path}")
        assert (answer.status_code, answer.data) == (200, b"")
    assert client.head(f"/postfach/{uuid.uuid4()}").status_code == 404
    assert message.is_unread and message.first_retrieved_at is None


@pytest.mark.parametrize("body_format", ["text", "markdown"])
def test_hostile_messages_stay_text(client: FlaskClient, body_format: str) -> None:
    membership, service = reader(client), authority()
    messages = [
        put(
            membership.company, service, regime="ozg9", subject=text.replace("\n", " ").replace("\u202e", "")[:255],
            body=text, body_format=body_format, reference=text.replace("\n", " ")[:255], remedy_addressee=text[:500],
        )
        for text in CORPUS
    ]  # fmt: skip
    db.session.commit()
    plain = Tree(client.get("/seiten/impressum").text)
    harmless = {element.tag for element in plain.elements} | {
        "details",
        "summary",
        "section",
        "time",
        "dl",
        "dt",
        "dd",
        "label",
    }
    harmless |= {
        "ol",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "strong",
        "em",
        "code",
        "pre",
        "blockquote",
        "hr",
        "br",
    }
    harmless |= {f"h{level}" for level in range(2, 7)}
    pages = ["/postfach", *(f"/postfach/{message.id}{path}" for message in messages for path in ("", "/druck"))]
    for path in pages:
        page = client.get(path).text
        tree = Tree(page)
        assert {element.tag for element in tree.elements} <= harmless, path
        assert not [name for element in tree.elements for name in element.attributes if name.startswith("on")], path
        for link in tree.all("a"):
            assert link.attributes.get("href", "/").startswith(("/", "#", "https://")), path


def test_marks_and_folders_on_the_pages(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(membership.company, authority(), subject="Bescheid <b>")
    db.session.commit()
    address = f"/postfach/{message.id}"
    assert "Ungelesen:" in client.get("/postfach").text
    client.get(address)
    assert "Ungelesen:" not in client.get("/postfach").text
    data = {"csrf_token": csrf_token(client)}
    answer = client.post(f"{address}/ungelesen", data=data, follow_redirects=True)
    assert "als ungelesen markiert" in answer.text and "Ungelesen:" in answer.text
    answer = client.post(f"{address}/archivieren", data=data, follow_redirects=True)
    assert "„Bescheid &lt;b&gt;“ liegt jetzt im Archiv" in answer.text
    assert '/rueckgaengig"' in answer.text
    assert "app-empty" in answer.text and faults(answer.text) == []
    assert address in client.get("/postfach/archiv").text
    assert "liegt im Archiv" in client.get(address).text
    answer = client.post(f"{address}/wiederherstellen", data=data, follow_redirects=True)
    assert "wieder im Posteingang" in answer.text and address in answer.text


def test_an_attachment_comes_in_its_original_bytes(client: FlaskClient) -> None:
    membership = reader(client)
    content = b"%PDF-1.7\r\n\x00\xff" * 200_000
    message = put(membership.company, authority(), files=[file("Bescheid über Gebühren.pdf", content)])
    db.session.commit()
    attachment = message.attachments[0]
    answer = client.get(f"/postfach/{message.id}/anhang/{attachment.id}")
    assert answer.data == content
    headers = answer.headers
    assert headers["Content-Length"] == str(len(content))
    assert headers["Content-Type"] == "application/pdf"
    assert headers["Content-Disposition"] == (
        "attachment; filename=\"Bescheid _ber Geb_hren.pdf\"; filename*=UTF-8''Bescheid%20%C3%BCber%20Geb%C3%BChren.pdf"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox")
    assert headers["Cache-Control"] == "no-store"
    assert headers["Repr-Digest"] == headers["Content-Digest"]
    assert headers["Repr-Digest"].startswith("sha-256=:")
    (event,) = audited("attachment.downloaded")
    assert event.fields == {"message_id": str(message.id), "attachment_id": str(attachment.id)}
    assert event.by == f"person:{membership.person_id}"
    assert message.first_retrieved_by == membership.id


@pytest.mark.parametrize("path", ["/zip", "/anhang/{attachment}"])
def test_a_damaged_file_is_refused_with_an_alarm(app: Flask, client: FlaskClient, path: str) -> None:
    membership = reader(client)
    message = put(membership.company, authority(), files=[file("a.pdf", b"%PDF" * 800_000)])
    db.session.commit()
    attachment = message.attachments[0]
    stored = app.extensions["storage_dir"] / attachment.path
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(content)
    answer = client.get(f"/postfach/{message.id}{path.format(attachment=attachment.id)}")
    assert answer.status_code == 500
    assert "beschädigt" in answer.text and answer.mimetype == "text/html"
    assert faults(answer.text) == []
    (event,) = audited("attachment.damaged")
    assert event.fields["attachment_id"] == str(attachment.id)
    assert audited("attachment.downloaded") == []


@given(st.text(min_size=1, max_size=60))
def test_file_names_cannot_break_the_header(name: str) -> None:
    header = content_disposition(name)
    assert header.isascii() and header.isprintable()
    found = re.fullmatch(r'attachment; filename="([^"\\;%]*)"; filename\*=UTF-8\'\'([A-Za-z0-9._~%-]*)', header)
    assert found
    assert unquote(found[2]) == name.encode(errors="replace").decode()


@pytest.mark.parametrize("name", ['a"; filename="b.exe', "a\r\nSet-Cookie: x=1.pdf", "😀;%00.pdf", "\u202efdp.exe"])
def test_hostile_file_names(name: str) -> None:
    header = content_disposition(name)
    assert header.count('"') == 2 and "\n" not in header and "\u202e" not in header


def test_everything_as_one_archive(client: FlaskClient, tmp_path: Path) -> None:
    membership, service = reader(client), authority()
    files = {"Bescheid.pdf": b"%PDF-1.7" * 300_000, "Größen.txt": "Größe".encode()}
    message = put(
        membership.company, service, regime="ozg9", at=MORNING, reference="GA-1", body="Erste Zeile\n<b>fett</b>",
        files=[file(name, content) for name, content in files.items()] + [file("Bescheid.pdf", b"%PDF zweite")],
    )  # fmt: skip
    db.session.commit()
    answer = client.get(f"/postfach/{message.id}/zip")
    assert answer.status_code == 200
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="Bescheid-1.zip"')
    packed = zipfile.ZipFile(io.BytesIO(answer.data))
    assert packed.testzip() is None
    names = packed.namelist()
    assert len(names) == len(set(names))
    assert not [name for name in names if name.startswith(("/", "..")) or "\\" in name]
    for attachment in message.attachments:
        content = packed.read(f"anhaenge/{attachment.position:02d}_{attachment.file_name}")
        assert hashlib.sha256(content).hexdigest() == attachment.sha256
    packed.extractall(tmp_path)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)
    for kind in ("accepted", "made_available", "first_retrieved"):
        claims, _ = keys.decode_own(packed.read(f"nachweise/{kind}.jws").decode())
        assert (claims["receipt"], claims["message_id"]) == (kind, str(message.id))
    text = packed.read("nachricht.txt").decode()
    assert "Erste Zeile\n<b>fett</b>" in text and "Frist endet am 05.01.2027" in text and "§ 188 BGB" in text
    page = packed.read("nachricht.html").decode()
    assert "&lt;b&gt;fett" in page and "05.01.2027" in page and "<script" not in page
    assert len(audited("attachment.downloaded")) == 3


def test_an_archive_without_files(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(membership.company, authority())
    db.session.commit()
    packed = zipfile.ZipFile(io.BytesIO(client.get(f"/postfach/{message.id}/zip").data))
    assert sorted(packed.namelist()) == [
        "nachricht.html", "nachricht.txt",
        "nachweise/accepted.jws", "nachweise/first_retrieved.jws", "nachweise/made_available.jws",
    ]  # fmt: skip


def test_the_print_view_holds_everything_unfolded(client: FlaskClient) -> None:
    membership = reader(client)
    message = example(membership.company)
    db.session.commit()
    page = client.get(f"/postfach/{message.id}/druck").text
    assert faults(page) == []
    assert "<details" not in page.split("<main")[1].split("</main>")[0]
    for attachment in message.attachments:
        assert attachment.sha256 in page
    assert membership.company.name in page and "§ 122a Abs. 4 AO" in page


def test_a_message_costs_the_same_whatever_lies_around(client: FlaskClient) -> None:
    from_the_page = []
    for neighbours in (0, 30):
        membership, service = reader(client), authority()
        for _ in range(neighbours):
            put(membership.company, service)
        message = put(membership.company, service, files=[file(f"{n}.pdf", b"%PDF") for n in range(neighbours or 1)])
        db.session.commit()
        client.get(f"/postfach/{message.id}")
        from_the_page.append(statements_of(client, f"/postfach/{message.id}"))
    assert from_the_page[0] == from_the_page[1]


def statements_of(client: FlaskClient, path: str) -> int:
    with counted_statements() as statements:
        assert client.get(path).status_code == 200
    return len(statements)


def test_without_session_one_is_led_to_the_login(client: FlaskClient) -> None:
    message = put(make_company(), authority())
    db.session.commit()
    answer = client.get(f"/postfach/{message.id}")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/anmelden?next=")
    assert db.session.scalars(select(Receipt).filter_by(kind="first_retrieved")).all() == []


def test_the_pages_speak_english(client: FlaskClient) -> None:
    membership = reader(client)
    message = example(membership.company)
    db.session.commit()
    client.set_cookie("sprache", "en")
    for path in ("/postfach", f"/postfach/{message.id}", f"/postfach/{message.id}/druck", "/postfach/archiv"):
        assert faults(client.get(path).text, language="en") == []
