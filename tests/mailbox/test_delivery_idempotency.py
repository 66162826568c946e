"""Repeated, parallel and interrupted deliveries, with real commits on several connections."""

import io
import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select, text
from werkzeug.test import TestResponse

from tests.factories import access_token, make_company, make_membership, make_service, org_sub
from tests.mailbox.samples import MINIMAL_PDF, message, multipart
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox import chain, idempotency
from unternehmenskonto.mailbox.attachments import sweep_orphans
from unternehmenskonto.mailbox.models import (
    Attachment,
    ChainLink,
    IdempotencyKey,
    Mailbox,
    Message,
    Receipt,
)
from unternehmenskonto.notifications.models import Notice
from unternehmenskonto.storage import folder

PARALLEL = 4


class World:
    """An authority, a company, and clients that share nothing but the database."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        company, self.sender = make_company(), make_service(is_mailbox_sender=True)
        make_membership(company=company, roles=("mailbox",))
        self.company_id = company.id
        self.body = message({"org_sub": org_sub(self.sender, company)})
        self.token = access_token(self.sender)
        db.session.commit()

    def post(self, key: str | None = None, **request: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key or uuid.uuid4().hex}
        return self.app.test_client().post("/api/v1/messages", headers=headers, **(request or {"json": self.body}))

    def post_file(self, key: str | None = None) -> TestResponse:
        return self.post(key, **multipart(self.body, [("a.pdf", MINIMAL_PDF)]))

    def at_once(self, *keys_used: str) -> list[TestResponse]:
        """Send one delivery per key at the same moment; each thread has its own application context."""
        start = threading.Barrier(len(keys_used))

        def one(key: str) -> TestResponse:
            start.wait()
            return self.post(key)

        with ThreadPoolExecutor(len(keys_used)) as pool:
            return list(pool.map(one, keys_used))

    def count(self, model: Any) -> int:
        """Count this world's rows, as another connection sees them."""
        db.session.rollback()
        mine = model.client == self.sender.slug if model is IdempotencyKey else model.company_id == self.company_id
        return int(db.session.scalar(select(func.count()).select_from(model).where(mine)) or 0)


@pytest.fixture
def world(committed_app: Flask) -> World:
    return World(committed_app)


def objects() -> set[Path]:
    return {path for path in folder().rglob("*") if path.is_file()}


def test_a_repeated_request_gets_the_same_bytes(world: World) -> None:
    first = world.post("schlüssel".encode("punycode").decode())
    again = world.post("schlüssel".encode("punycode").decode())
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.data == again.data
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    assert [world.count(m) for m in (Message, Receipt, ChainLink, Notice)] == [1, 2, 1, 1]


def test_equal_content_in_another_notation_is_a_repetition(world: World) -> None:
    reordered = dict(reversed({**world.body, "subject": " x ", "body": "a\r\nb"}.items()))
    first = world.post("k", data=json.dumps(reordered, indent=4), content_type="application/json")
    assert first.status_code == 201
    again = world.post("k", json={**world.body, "subject": "x", "body": "a\nb", "body_format": "text"})
    assert first.data == again.data


def test_the_same_key_for_something_else_is_refused(world: World) -> None:
    world.post("k")
    for other in (
        {"json": {**world.body, "subject": "Anderes"}},
        multipart(world.body, [("a.pdf", MINIMAL_PDF)]),
    ):
        answer = world.post("k", **other)
        assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert world.count(Message) == 1


def test_two_senders_may_use_the_same_key(world: World) -> None:
    first = world.post("k")
    world.token = access_token(make_service(is_mailbox_sender=True, sector=world.sender.sector))
    db.session.commit()
    second = world.post("k")
    assert first.json["id"] != second.json["id"]


def test_identical_requests_at_once_make_one_message(world: World) -> None:
    for _ in range(5):
        key = uuid.uuid4().hex
        before = world.count(Message)
        answers = world.at_once(*[key] * PARALLEL)
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.data for answer in answers if answer.status_code == 201}) == 1
        assert world.count(Message) == before + 1
    assert world.count(AuditEvent) == world.count(Message)


def test_identical_requests_with_files_leave_no_second_object(world: World) -> None:
    before = objects()
    start = threading.Barrier(PARALLEL)

    def one(_: int) -> TestResponse:
        start.wait()
        return world.post_file("k")

    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(one, range(PARALLEL)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert world.count(Attachment) == 1
    assert len(objects() - before) == 1


def test_parallel_deliveries_count_without_gaps(world: World) -> None:
    answers = [answer for _ in range(10) for answer in world.at_once(uuid.uuid4().hex, uuid.uuid4().hex)]
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json["sequence_number"] for answer in answers) == list(range(1, 21))
    db.session.rollback()
    times = db.session.scalars(
        select(Message.made_available_at).filter_by(company_id=world.company_id).order_by(Message.sequence_number)
    ).all()
    assert list(times) == sorted(times)
    mailbox = db.session.get_one(Mailbox, world.company_id)
    assert (mailbox.last_sequence, mailbox.unread_count) == (20, 20)
    assert chain.verify(world.company_id).faults == []


def test_a_running_request_with_the_same_key_is_a_conflict(world: World) -> None:
    db.session.add(
        IdempotencyKey(client=world.sender.slug, route="POST /api/v1/messages", key="k", fingerprint=bytes(32))
    )
    db.session.flush()  # not committed: another request is at work

    def other() -> TestResponse:
        return world.post("k")

    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        answer = pool.submit(other).result()
        took = time.monotonic() - started
    db.session.rollback()
    assert (answer.status_code, answer.json["code"]) == (409, "request_in_progress")
    assert answer.json["retry_after"] == idempotency.RUNNING_RETRY_SECONDS
    assert 1.5 < took < 5
    assert world.post("k").status_code == 201


def test_a_locked_mailbox_is_unavailable_and_a_retry_works(world: World) -> None:
    world.post("first")
    db.session.rollback()
    db.session.scalars(select(Mailbox).filter_by(company_id=world.company_id).with_for_update()).one()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(world.post, "k").result()
    db.session.rollback()
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert world.post("k").json["sequence_number"] == 2


FAIL_ONCE = """
CREATE OR REPLACE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('failures') = 1 THEN RAISE EXCEPTION 'disk on fire'; END IF;
    RETURN NEW;
END $$;
"""
TABLES = ("messages", "receipts", "notices", "audit_events", "chain_links", "attachments")
ROWS = (Message, Attachment, Receipt, Mailbox, ChainLink, Notice, AuditEvent, IdempotencyKey)


@contextmanager
def failing_once(table: str, moment: str) -> Iterator[None]:
    """Let the first insert into the table fail, at once or only at the commit."""
    kind, deferred = ("CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED") if moment == "commit" else ("TRIGGER", "")
    db.session.execute(text("CREATE SEQUENCE failures"))
    db.session.execute(text(FAIL_ONCE))
    db.session.execute(
        text(f"CREATE {kind} fire AFTER INSERT ON {table} {deferred} FOR EACH ROW EXECUTE FUNCTION fail_once()")
    )
    db.session.commit()
    yield
    db.session.rollback()
    db.session.execute(text(f"DROP TRIGGER fire ON {table}"))
    db.session.execute(text("DROP SEQUENCE failures"))
    db.session.commit()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("moment", ["write", "commit"])
def test_a_failure_leaves_nothing_and_a_retry_delivers(world: World, table: str, moment: str) -> None:
    count_jobs = text("SELECT count(*) FROM procrastinate_jobs")
    before, jobs = objects(), db.session.scalar(count_jobs)
    with failing_once(table, moment):
        failed = world.post_file("k")
        assert (failed.status_code, failed.json["code"]) == (500, "internal_error")
        assert {model.__name__: world.count(model) for model in ROWS} == {model.__name__: 0 for model in ROWS}
        assert db.session.scalar(count_jobs) == jobs
        # Nobody can tell whether a failed commit took place, so the object stays until the sweep.
        assert len(objects() - before) == (1 if moment == "commit" else 0)
        answer = world.post_file("k")
    assert (answer.status_code, answer.json["sequence_number"]) == (201, 1)
    assert chain.verify(world.company_id).faults == []


def test_the_sweep_removes_what_no_message_holds(world: World) -> None:
    assert world.post_file().status_code == 201
    db.session.rollback()
    held = db.session.scalars(select(Attachment.path).filter_by(company_id=world.company_id)).one()
    orphan = folder() / "aa" / "orphan"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"x")
    sweep_orphans()
    assert orphan.exists(), "a request of today may still need it"
    with time_machine.travel(now() + timedelta(days=2)):
        sweep_orphans()
    assert not orphan.exists()
    assert (folder() / held).exists()


def test_old_keys_are_forgotten(world: World) -> None:
    world.post("k")
    idempotency.forget_keys()
    assert world.count(IdempotencyKey) == 1
    with time_machine.travel(now() + timedelta(days=idempotency.IDEMPOTENCY_DAYS, minutes=1)):
        idempotency.forget_keys()
        db.session.commit()
    assert world.count(IdempotencyKey) == 0


def test_a_lost_answer_is_repeated_after_a_restart(world: World) -> None:
    first = world.post("k")
    world.app.extensions["key_ring"] = None
    db.engine.dispose()
    assert world.post("k").data == first.data


def test_no_connection_waits_for_a_slow_body(world: World) -> None:
    class Watching(io.BytesIO):
        """A body that notes how many database connections are in use while it is read."""

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            in_use.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]
            return super().readinto(buffer)

    in_use: list[int] = []
    form = multipart(world.body, [("a.txt", b"x" * 500_000)])
    body = {
        "wsgi.input": Watching(form["data"]),
        "CONTENT_LENGTH": str(len(form["data"])),
        "CONTENT_TYPE": form["content_type"],
    }
    db.session.rollback()
    answer = world.post(environ_overrides=body)
    assert answer.status_code == 201, answer.json
    assert set(in_use) == {0}
