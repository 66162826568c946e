"""The text of PDF files: found once it is read, and no file takes the worker along."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.mailbox.reading_data import acting, authority, file, put, reader
from tests.mailbox.search.data import fill, found
from tests.mailbox.search.pdf_data import bomb, circle, pdf
from tests.worker import work_off
from unternehmenskonto import storage
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Attachment, Message
from unternehmenskonto.mailbox.search import files, index, results
from unternehmenskonto.mailbox.search.models import (
    AttachmentText,
    SearchBacklog,
    SearchDocument,
    SearchSegment,
    SearchWord,
)


def read_all(message: Message) -> None:
    """Run the jobs of the message's files as the worker does."""
    db.session.commit()
    for one in message.attachments:
        files.read_file(company_id=str(one.company_id), attachment_id=str(one.id))
        db.session.commit()


def state_of(app: Flask, content: bytes) -> tuple[str, str]:
    stored = file("a.pdf", content)
    return files.read(stored.path, sha256=stored.sha256, size=stored.size)


def test_text_of_files_is_found_when_it_was_read(client: FlaskClient) -> None:
    membership = reader(client)
    scan = file("scan.pdf", pdf(""))
    message = put(membership.company, authority(), files=[file("a.pdf", pdf("Gewerbesteuer", "Gebühr (§ 5)")), scan])
    assert found(membership, "gewerbesteuer") == []
    before = results.coverage(acting(membership))
    assert (before.searched, before.total, before.files_waiting, before.files_silent) == (1, 1, 2, 0)
    read_all(message)
    for words in ("gewerbesteuer", "Steuer", "gebuehr", "Gebühren", "guten steuer gebühr"):
        assert found(membership, words) == [1], words
    after = results.coverage(acting(membership))
    assert (after.searched, after.total, after.files_waiting, after.files_silent) == (1, 1, 0, 1)


def test_a_file_is_read_once(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(membership.company, authority(), files=[file("a.pdf", pdf("Gewerbesteuer"))])
    read_all(message)
    read_all(message)
    assert results.coverage(acting(membership)).files_waiting == 0
    assert db.session.query(AttachmentText).filter_by(company_id=membership.company_id).count() == 1


@pytest.mark.parametrize("name", ["bomb", "circle", "garbage", "cut"])
def test_hostile_files_have_no_text_and_harm_nobody(app: Flask, name: str) -> None:
    whole = pdf("Gewerbesteuer" * 20)
    content = {"bomb": bomb, "circle": circle, "garbage": lambda: b"%PDF-1.7" + bytes(range(256)) * 40}.get(
        name, lambda: whole[: len(whole) // 2]
    )()
    state, text = state_of(app, content)
    assert state in ("silent", "read") and len(text) <= files.MAXIMUM_CHARACTERS
    if name != "cut":
        assert (state, text) == ("silent", "")


def test_too_long_a_text_is_found_by_its_beginning(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAXIMUM_CHARACTERS", 30)
    state, text = state_of(app, pdf("Erste Seite", "Zweite Seite", "Dritte Seite"))
    assert state == "partly" and text.startswith("Erste Seite") and len(text) == 30


def test_a_missing_or_too_large_file_has_no_text(app: Flask) -> None:
    stored = file("a.pdf", pdf("Text"))
    assert files.read(stored.path, sha256=stored.sha256, size=files.MAXIMUM_BYTES + 1) == ("silent", "")
    assert files.read(stored.path, sha256="0" * 64, size=stored.size) == ("silent", "")
    storage.delete(stored.path)
    assert files.read(stored.path, sha256=stored.sha256, size=stored.size) == ("silent", "")


def test_the_worker_reads_files_and_old_mailboxes(fresh_app: Flask) -> None:
    """What was there before the search is found after the job, once, and the coverage says how far it is."""
    client = fresh_app.test_client()
    membership = reader(client)
    messages = fill(membership, [{"subject": f"Alter Bescheid {number}"} for number in range(5)])
    for table in ("search_documents", "search_words", "search_segments"):
        db.session.execute(db.text(f"DELETE FROM {table}"))  # noqa: S608 - names from above
    db.session.add(SearchBacklog(company_id=membership.company_id, next_sequence=1, last_sequence=len(messages)))
    new = put(membership.company, authority(), subject="Neuer Bescheid", files=[file("a.pdf", pdf("Gewerbesteuer"))])
    db.session.commit()
    assert found(membership, "bescheid") == [6]
    waiting = results.coverage(acting(membership))
    assert (waiting.searched, waiting.total) == (1, 6)
    work_off(fresh_app)
    files.catch_up()
    db.session.commit()
    assert found(membership, "bescheid") == [6, 5, 4, 3, 2, 1]
    assert found(membership, "steuer") == [new.sequence_number]
    done = results.coverage(acting(membership))
    assert (done.searched, done.total, done.files_waiting) == (6, 6, 0)
    assert db.session.query(SearchSegment).one().messages == 6
    assert db.session.query(Attachment).count() == 1


def test_erased_messages_leave_no_word_behind(client: FlaskClient) -> None:
    membership = reader(client)
    kept, gone = fill(membership, [{"subject": "Gewerbesteuer"}, {"subject": "Geheimwort Gewerbesteuer"}])
    index.forget(membership.company_id, [gone.sequence_number])
    db.session.execute(db.delete(SearchDocument).filter_by(sequence_number=gone.sequence_number))
    files.forget_words(company_id=str(membership.company_id), segment=0)
    words = set(db.session.scalars(db.select(SearchWord.word)))
    assert "geheimwort" not in words and "gewerbesteuer" in words
    assert found(membership, "geheimwort") == [] and found(membership, "steuer") == [kept.sequence_number]
    assert results.coverage(acting(membership)).total == 1
