"""The list of messages: paging against a plain sort, what a line says, and what it costs."""

import random
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, insert, text, update

from tests.factories import make_company, make_membership, sign_in
from tests.mailbox.reading_data import authority, file, put, reader, somebody_of
from tests.page_checks import Tree, faults
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.mailbox import inbox
from unternehmenskonto.mailbox.models import Mailbox, Message

START = datetime(2026, 11, 1, 8, tzinfo=UTC)


def fill(company: Company, moments: list[datetime], **columns: object) -> list[tuple[datetime, uuid.UUID]]:
    """Put rows straight into the table, many at once; return their keys, newest first."""
    if db.session.get(Mailbox, company.id) is None:
        db.session.add(Mailbox(company_id=company.id))
        db.session.flush()
    first = db.session.scalar(text("SELECT count(*) FROM messages WHERE company_id = :id"), {"id": company.id}) or 0
    common = {"company_id": company.id, "service": "dienst", "sender_name": "Dienst", "sender_authority": "Amt"}
    common |= {"kind": "message", "subject": "Betreff", "body": "Text", "body_format": "text", "is_unread": True}
    rows = [
        {**common, "id": new_id(), "sequence_number": number, "accepted_at": at, "made_available_at": at, **columns}
        for number, at in enumerate(moments, start=first + 1)
    ]
    if rows:
        db.session.execute(insert(Message), rows)
    return sorted(((row["made_available_at"], row["id"]) for row in rows), reverse=True)


def walk(company: Company, folder: inbox.Folder = "inbox") -> tuple[list[uuid.UUID], list[uuid.UUID]]:
    """Read all pages from the newest to the oldest and back; return the ids seen on both ways."""
    actor, down = somebody_of(company), []
    cursor: str | None = None
    while True:
        page = inbox.list_messages(actor=actor, folder=folder, cursor=cursor)
        down += [entry.id for entry in page.entries]
        if page.older is None:
            break
        cursor = page.older
    up = [entry.id for entry in page.entries]
    while page.newer:
        page = inbox.list_messages(actor=actor, folder=folder, cursor=page.newer)
        up = [entry.id for entry in page.entries] + up
    return down, up


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *more: object) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            statements.append(statement)

    engine = db.session.connection().engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 50, 51, 137])
def test_paging_shows_each_message_once_in_order(app: Flask, count: int) -> None:
    company, other = make_company(), make_company()
    # Few different moments, so that many messages share one and the id decides.
    moments = [START + timedelta(minutes=random.randrange(max(count // 4, 1))) for _ in range(count)]
    expected = [key[1] for key in fill(company, moments)]
    fill(other, [START] * 3)
    down, up = walk(company)
    assert down == expected
    # On the way up the newest page is filled, so it repeats some messages of the one before.
    assert up[: inbox.PAGE_SIZE] == expected[: inbox.PAGE_SIZE]
    rest = up[inbox.PAGE_SIZE :]
    assert rest == expected[len(expected) - len(rest) :]
    assert set(up) == set(expected)


def test_the_archive_is_a_list_of_its_own(app: Flask) -> None:
    company = make_company()
    keys = fill(company, [START + timedelta(minutes=number) for number in range(60)])
    archived = {key[1] for key in keys[::2]}
    db.session.execute(update(Message).where(Message.id.in_(archived)).values(archived_at=now()))
    assert walk(company)[0] == [key[1] for key in keys[1::2]]
    assert walk(company, "archive")[0] == [key[1] for key in keys[::2]]


def test_new_messages_do_not_shift_the_pages(app: Flask) -> None:
    company = make_company()
    actor = somebody_of(company)
    keys = fill(company, [START + timedelta(minutes=number) for number in range(40)])
    first = inbox.list_messages(actor=actor, folder="inbox")
    fill(company, [START + timedelta(days=1)] * 10)
    second = inbox.list_messages(actor=actor, folder="inbox", cursor=first.older)
    assert [entry.id for entry in first.entries + second.entries] == [key[1] for key in keys]


def test_a_page_that_is_gone_leads_to_the_first(app: Flask) -> None:
    company = make_company()
    actor = somebody_of(company)
    fill(company, [START + timedelta(minutes=number) for number in range(30)])
    older = inbox.list_messages(actor=actor, folder="inbox").older
    oldest = update(Message).where(Message.made_available_at < START + timedelta(minutes=6))
    db.session.execute(oldest.values(archived_at=now()))
    found = inbox.list_messages(actor=actor, folder="inbox", cursor=older)
    assert found == inbox.list_messages(actor=actor, folder="inbox")


@given(
    st.sampled_from([b"o", b"n"]),
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.uuids(),
)
def test_cursors_come_back_as_they_went(direction: bytes, moment: datetime, message_id: uuid.UUID) -> None:
    cursor = inbox.encode(direction, (moment, message_id))
    assert inbox.decode(cursor) == (direction, (moment, message_id))
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=60))
def test_foreign_cursors_are_refused(cursor: str) -> None:
    with pytest.raises(inbox.InvalidCursor):
        inbox.decode(cursor)


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "ß", "x" * 34, "'; DROP TABLE messages"])
def test_a_broken_cursor_gets_a_page_that_says_so(client: FlaskClient, cursor: str) -> None:
    reader(client)
    answer = client.get("/postfach", query_string={"seite": cursor})
    assert answer.status_code == 400
    assert "Öffnen Sie das Postfach neu" in answer.text
    assert faults(answer.text) == []


def test_the_list_costs_the_same_whatever_it_shows(client: FlaskClient) -> None:
    membership = reader(client)
    costs = []
    for count in (0, 1, 24, 200):
        fill(membership.company, [START + timedelta(minutes=number) for number in range(count)])
        db.session.commit()
        client.get("/postfach")
        with counted_statements() as statements:
            assert client.get("/postfach").status_code == 200
        costs.append(len(statements))
    # Who is there, the list, the badge, one's open tasks, the deadlines that end soon; the team work on what is shown.
    assert costs == [6, 7, 7, 7]


def test_the_list_is_read_by_its_index(app: Flask) -> None:
    company = make_company()
    actor = somebody_of(company)
    fill(company, [START + timedelta(seconds=number) for number in range(3000)])
    db.session.execute(text("ANALYZE messages"))
    for direction in (b"o", b"n"):
        cursor = inbox.encode(direction, (START + timedelta(seconds=1000), uuid.UUID(int=0)))
        listing = partial(inbox.list_messages, actor=actor, folder="inbox", cursor=cursor)
        (statement, plan), *_ = explained(listing)
        assert "body" not in statement
        assert "ix_messages_inbox" in plan
        # Nothing is sorted but the few lines of the page.
        assert max(int(rows) for rows in re.findall(r"Sort .*rows=(\d+)", plan)) <= 2 * (inbox.PAGE_SIZE + 1)


def explained(act: Callable[[], object]) -> list[tuple[str, str]]:
    """Return each SELECT that the act runs, with the plan of the database for it."""
    asked: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: Any, *more: object) -> None:
        asked.append((statement, parameters))

    connection = db.session.connection()
    event.listen(connection.engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(connection.engine, "before_cursor_execute", note)
    plans = [connection.exec_driver_sql(f"EXPLAIN {one}", values) for one, values in asked]
    return [(one, "\n".join(row[0] for row in plan)) for (one, _), plan in zip(asked, plans, strict=True)]


def test_a_line_says_what_it_is_and_until_when(client: FlaskClient) -> None:
    membership, service = reader(client), authority()
    with time_machine.travel(datetime(2026, 12, 1, 9, tzinfo=UTC)):
        put(membership.company, service, regime="ozg9", subject="Steuerbescheid", files=[file("a.pdf", b"%PDF")])
    for moment, sentence in [
        (datetime(2026, 12, 24, 9, tzinfo=UTC), "Frist bis 05.01.2027 noch 12 Tage"),
        (datetime(2026, 12, 28, 22, 30, tzinfo=UTC), "noch 8 Tage"),
        (datetime(2027, 1, 4, 9, tzinfo=UTC), "Frist bis 05.01.2027 noch 1 Tag"),
        (datetime(2027, 1, 4, 23, 30, tzinfo=UTC), "endet heute"),
        (datetime(2027, 1, 5, 23, 30, tzinfo=UTC), "abgelaufen"),
    ]:
        with time_machine.travel(moment):
            sign_in(client, membership)
            page = client.get("/postfach").text
        assert sentence in " ".join(Tree(page).all("main")[0].text.split()), sentence
    assert "Steuerbescheid" in page and "Gewerbeamt Musterstadt" in page
    assert ">Bescheid<" in page and "mit Anhang" in page and "Ungelesen:" in page


def test_days_left_turn_at_german_midnight(app: Flask) -> None:
    company = make_company()
    actor = somebody_of(company)
    put(company, authority(), regime="ozg9", at=datetime(2026, 12, 1, 9, tzinfo=UTC))
    left = []
    for minute in (datetime(2027, 1, 1, 22, 59, tzinfo=UTC), datetime(2027, 1, 1, 23, 0, tzinfo=UTC)):
        with time_machine.travel(minute, tick=False):
            (entry,) = inbox.list_messages(actor=actor, folder="inbox").entries
        left.append(entry.days_left)
    assert entry.ends_on == date(2027, 1, 5)
    assert left == [4, 3]


def test_a_line_says_until_when_a_decision_must_be_retrieved(app: Flask) -> None:
    company = make_company()
    actor = somebody_of(company)
    put(company, authority(), regime="vwvfg41_2a", at=datetime(2026, 12, 1, 9, tzinfo=UTC))
    found = []
    for moment in (datetime(2026, 12, 11, 22, 59, tzinfo=UTC), datetime(2026, 12, 11, 23, 0, tzinfo=UTC)):
        with time_machine.travel(moment, tick=False):
            (entry,) = inbox.list_messages(actor=actor, folder="inbox").entries
        found.append((entry.retrieve_until, entry.is_ended, entry.ends_on))
    assert found == [(date(2026, 12, 11), False, None), (date(2026, 12, 11), True, None)]


@pytest.mark.parametrize("path", ["/postfach", "/postfach/archiv"])
def test_an_empty_folder_says_what_to_do(client: FlaskClient, path: str) -> None:
    reader(client)
    page = client.get(path).text
    assert "app-empty" in page and "app-entries" not in page
    assert faults(page) == []


def test_the_badge_counts_and_is_hidden_without_the_right(client: FlaskClient) -> None:
    membership, service = reader(client), authority()
    for _ in range(2):
        put(membership.company, service)
    db.session.commit()
    assert "(2 ungelesen)" in client.get("/unternehmen").text
    assert "<title>(2) Posteingang" in client.get("/postfach").text
    sign_in(client, make_membership(company=membership.company, roles=("administrator",)))
    assert "ungelesen)" not in client.get("/unternehmen").text
    assert client.get("/postfach").status_code == 403
