"""Calendar files and the personal address: read again by the library, hostile subjects, who gets what how long."""

import uuid
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from icalendar import Calendar
from icalendar.cal import Component
from sqlalchemy import select, text

from tests.factories import csrf_token, make_company, make_membership, sign_in
from tests.mailbox.reading_data import authority, put, reader
from tests.mailbox.test_inbox import counted_statements
from tests.mailbox.watch.deadline_data import MORNING, TODAY, decisions
from tests.page_checks import faults
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.watch.calendar import Style, calendar
from unternehmenskonto.mailbox.watch.models import CalendarFeed

HOSTILE = (
    "Bescheid; mit, Zeichen \\ und \\n",
    "Betreff\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:falsch",
    "Betreff\nATTACH:https://evil.example/x",
    'ä"€' * 60,
    "\u2028\u0085\x0b\x0c\x1f",
    "=?utf-8?q?x?=",
    "👩‍⚖️" * 40,
)


@pytest.fixture(autouse=True)
def _morning() -> Iterator[None]:
    with time_machine.travel(MORNING, tick=False):
        yield


def style(**fields: object) -> Style:
    return Style(**{"language": "de", "with_subject": True, "company": "Prüf GmbH", "alarm_days": (7, 1), **fields})


def in_memory(**columns: object) -> Message:
    fields = {"id": uuid.UUID(int=7), "regime": "ozg9", "remedy_ends_on": date(2027, 1, 5), "due_on": date(2027, 1, 5)}
    fields |= {"sender_authority": "Amt", "subject": "Betreff", "made_available_at": MORNING}
    return Message(**{**fields, **columns})


def parsed(content: bytes) -> Component:
    """Return the calendar; every line is well formed (RFC 5545 section 3.1)."""
    assert content.endswith(b"\r\n")
    for line in content.split(b"\r\n")[:-1]:
        assert len(line) <= 75 and b"\n" not in line and b"\r" not in line
        line.decode()  # no character is torn apart
    return Calendar.from_ical(content)


def events(content: bytes) -> list[Component]:
    return list(parsed(content).walk("VEVENT"))


def post(client: FlaskClient, path: str, **fields: str) -> str:
    answer = client.post(path, data={"csrf_token": csrf_token(client), **fields}, follow_redirects=True)
    assert answer.status_code == 200
    return answer.text


def address(page: str) -> str:
    return "/kalender/" + page.split("/kalender/")[1].split('"')[0]


def test_an_event_is_what_the_standard_says(app: Flask) -> None:
    found = parsed(calendar([in_memory()], style()))
    assert (found["version"], found["method"], found["x-wr-calname"]) == ("2.0", "PUBLISH", "Fristen: Prüf GmbH")
    assert found["refresh-interval"].dt == timedelta(hours=6)
    (event,) = found.walk("VEVENT")
    assert event["uid"] == f"frist-{uuid.UUID(int=7)}@127.0.0.1"
    assert (event["dtstart"].dt, event["dtend"].dt) == (date(2027, 1, 5), date(2027, 1, 6))
    assert event["dtstart"].params["value"] == "DATE"
    assert event["dtstamp"].dt == MORNING and event["sequence"] == 0
    assert event["summary"] == "Rechtsbehelfsfrist endet: Amt – Betreff"
    assert event["url"] == f"http://127.0.0.1:8000/fristen/{uuid.UUID(int=7)}"
    assert (event["class"], event["transp"]) == ("PRIVATE", "TRANSPARENT")
    alarms = event.walk("VALARM")
    assert [alarm["action"] for alarm in alarms] == ["DISPLAY"] * 2
    midnight = datetime(2027, 1, 5)  # noqa: DTZ001 - a local time, as the calendar reckons
    assert [midnight + alarm["trigger"].dt for alarm in alarms] == [
        datetime(2026, 12, 29, 9),  # noqa: DTZ001
        datetime(2027, 1, 4, 9),  # noqa: DTZ001
    ]


def test_without_subject_nothing_of_it_is_told(app: Flask) -> None:
    content = calendar([in_memory(subject="Geheim")], style(with_subject=False))
    assert b"Geheim" not in content
    assert events(content)[0]["summary"] == "Rechtsbehelfsfrist endet: Amt"


def test_it_speaks_english(app: Flask) -> None:
    (event,) = events(calendar([in_memory()], style(language="en", with_subject=False)))
    assert event["summary"] == "Deadline for remedies ends: Amt"
    assert "After signing in" in event["description"]


def test_a_day_that_moves_keeps_its_event(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(membership.company, authority(), regime="vwvfg41_2a", at=MORNING - timedelta(days=2))
    db.session.commit()
    path = f"/fristen/{message.id}/kalender.ics"
    (before,) = events(client.get(path).data)
    post(client, f"/postfach/{message.id}/abrufen")
    (after,) = events(client.get(path).data)
    assert before["uid"] == after["uid"]
    assert (before["sequence"], after["sequence"]) == (0, 1)
    assert before["dtstamp"].dt < after["dtstamp"].dt
    assert (before["dtstart"].dt, after["dtstart"].dt) == (date(2026, 12, 9), date(2027, 1, 4))
    assert "nur noch heute abrufbar" in before["summary"] and "Rechtsbehelfsfrist" in after["summary"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=255), st.text(max_size=20))
@example(HOSTILE[0], "")
@example(HOSTILE[1], HOSTILE[1])
@example(HOSTILE[2], "\r\nX-EVIL:1")
@example(HOSTILE[3], HOSTILE[3])
@example(HOSTILE[4], HOSTILE[4])
@example(HOSTILE[5], ";,\\")
@example(HOSTILE[6], ":")
def test_no_subject_breaks_out(app: Flask, subject: str, sender: str) -> None:
    found = parsed(calendar([in_memory(subject=subject, sender_authority=sender)], style()))
    (event,) = found.walk("VEVENT")
    assert not event.errors and not found.errors
    plain = "".join(one if one.isprintable() else " " for one in f"Rechtsbehelfsfrist endet: {sender} – {subject}")
    assert event["summary"] == plain
    assert set(event) == {"UID", "DTSTAMP", "SEQUENCE", "DTSTART", "DTEND", "SUMMARY", "DESCRIPTION", "URL", "CLASS",
                          "TRANSP", "STATUS"}  # fmt: skip
    assert len(event.walk("VALARM")) == 2


def test_one_deadline_as_a_file(client: FlaskClient) -> None:
    membership = reader(client)
    (decision,) = decisions(membership.company, [5], subject="Geheim")
    db.session.commit()
    answer = client.get(f"/fristen/{decision}/kalender.ics")
    assert answer.content_type == "text/calendar; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="frist-2026-12-06.ics"'
    assert events(answer.data)[0]["summary"] == "Rechtsbehelfsfrist endet: Amt Musterstadt"
    assert events(client.get(f"/fristen/{decision}/kalender.ics?betreff=ja").data)[0]["summary"].endswith("– Geheim")
    assert db.session.get_one(Message, (membership.company_id, decision)).first_retrieved_at is None
    (foreign,) = decisions(make_company(), [5])
    assert client.get(f"/fristen/{foreign}/kalender.ics").status_code == 404


def test_the_address_works_without_a_login(app: Flask, client: FlaskClient) -> None:
    membership = reader(client)
    decisions(membership.company, [-31, -30, 0, 5], subject="Geheim")
    decisions(make_company(), [4])
    db.session.commit()
    assert faults(client.get("/fristen/kalender").text) == []
    page = post(client, "/fristen/kalender", detail="dates", language="de")
    assert faults(page) == []
    path = address(page)
    assert path not in client.get("/fristen/kalender").text
    secret = path.removeprefix("/kalender/").removesuffix(".ics")
    assert len(secret) == 43
    stored = db.session.get_one(CalendarFeed, membership.id)
    assert secret.encode() not in stored.token_hash and len(stored.token_hash) == 32
    answer = app.test_client().get(path)
    assert answer.status_code == 200 and "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert [(one["dtstart"].dt - TODAY).days for one in events(answer.data)] == [-30, 0, 5]
    assert b"Geheim" not in answer.data
    told = db.session.scalars(text("SELECT event FROM audit_events WHERE event LIKE 'calendar%'")).all()
    assert told == ["calendar.address_made"]


def test_nothing_new_is_answered_with_304(app: Flask, client: FlaskClient) -> None:
    membership = reader(client)
    decisions(membership.company, [5])
    db.session.commit()
    path = address(post(client, "/fristen/kalender", detail="dates", language="de"))
    calendar_client = app.test_client()
    first = calendar_client.get(path)
    with time_machine.travel(MORNING + timedelta(hours=2), tick=False):
        second = calendar_client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (second.status_code, second.data) == (304, b"")
    decisions(membership.company, [6])
    db.session.commit()
    third = calendar_client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert third.status_code == 200 and len(events(third.data)) == 2


def test_the_person_chooses_renews_and_ends(app: Flask, client: FlaskClient) -> None:
    membership = reader(client)
    decisions(membership.company, [5], subject="Geheim")
    db.session.commit()
    old = address(post(client, "/fristen/kalender", detail="dates", language="de"))
    page = post(client, "/fristen/kalender", detail="subjects", language="en")
    assert "Gespeichert" in page and "/kalender/" not in page.replace("/fristen/kalender", "") and faults(page) == []
    assert (
        events(app.test_client().get(old).data)[0]["summary"] == "Deadline for remedies ends: Amt Musterstadt – Geheim"
    )
    assert "01.12.2026" in client.get("/fristen/kalender").text  # when it was used last
    new = address(post(client, "/fristen/kalender/erneuern"))
    assert new != old
    assert app.test_client().get(old).status_code == 404
    assert "Geheim" in app.test_client().get(new).text
    assert "gilt nicht mehr" in post(client, "/fristen/kalender/widerrufen")
    assert app.test_client().get(new).status_code == 404
    assert db.session.scalar(select(CalendarFeed).filter_by(membership_id=membership.id)) is None


@pytest.mark.parametrize("what", ["ended", "no right"])
def test_the_address_ends_with_the_membership(app: Flask, client: FlaskClient, what: str) -> None:
    membership = reader(client)
    path = address(post(client, "/fristen/kalender", detail="dates", language="de"))
    assert app.test_client().get(path).status_code == 200
    membership = db.session.get_one(Membership, membership.id)
    if what == "ended":
        membership.ended_at = MORNING
    else:
        membership.roles = ["administrator"]
    db.session.commit()
    assert app.test_client().get(path).status_code == 404


def test_each_person_has_an_address_of_their_own(app: Flask, client: FlaskClient) -> None:
    company = make_company()
    decisions(company, [5])
    paths = []
    for _number in range(2):
        sign_in(client, make_membership(company=company, roles=("mailbox",)))
        paths.append(address(post(client, "/fristen/kalender", detail="dates", language="de")))
    post(client, "/fristen/kalender/widerrufen")
    assert [app.test_client().get(path).status_code for path in paths] == [200, 404]


@pytest.mark.parametrize("secret", ["x", "A" * 43, "A" * 44, "%00" * 43, "ß" * 43, "a/b", ".."])
def test_a_wrong_address_tells_nothing(client: FlaskClient, secret: str) -> None:
    assert client.get(f"/kalender/{secret}.ics").status_code == 404


def test_wrong_choices_are_refused_in_words(client: FlaskClient) -> None:
    reader(client)
    for fields in ({}, {"detail": "alles", "language": "de"}, {"detail": "dates", "language": "fr"}):
        answer = client.post("/fristen/kalender", data={"csrf_token": csrf_token(client), **fields})
        assert answer.status_code == 422 and faults(answer.text) == []
    assert db.session.scalar(select(CalendarFeed)) is None


def test_a_calendar_that_asks_too_often_is_told_to_wait(app: Flask, client: FlaskClient) -> None:
    reader(client)
    path = address(post(client, "/fristen/kalender", detail="dates", language="de"))
    other = app.test_client()
    answers = [other.get(path, environ_base={"REMOTE_ADDR": "127.1.2.3"}).status_code for _ in range(121)]
    assert answers == [200] * 120 + [429]
    guesses = [
        other.get(f"/kalender/{number:043d}.ics", environ_base={"REMOTE_ADDR": "127.9.8.7"}).status_code
        for number in range(31)
    ]
    assert guesses == [404] * 30 + [429]


def test_the_calendar_costs_the_same_whatever_it_holds(app: Flask, client: FlaskClient) -> None:
    membership = reader(client)
    path = address(post(client, "/fristen/kalender", detail="dates", language="de"))
    costs = []
    for count in (0, 1, 300):
        decisions(membership.company, [9] * count)
        db.session.commit()
        app.test_client().get(path)
        with counted_statements() as statements:
            app.test_client().get(path)
        costs.append(len(statements))
        assert not [one for one in statements if "messages.body," in one]
    assert len(set(costs)) == 1 and costs[0] <= 5
