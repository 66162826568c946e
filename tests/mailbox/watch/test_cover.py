"""Absence cover: nobody opens a decision, and one group after the other hears of it, each once."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from tests.factories import csrf_token, make_company, make_membership, make_person, sign_in
from tests.mailbox.reading_data import authority, put
from tests.mailbox.watch.deadline_data import MORNING, TODAY, decisions
from tests.mailbox.watch.test_reminders import choose, notices, run_day
from tests.notifications.conftest import Box
from tests.page_checks import faults
from unternehmenskonto.companies.models import Company, Membership
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.watch.cover import first_step
from unternehmenskonto.mailbox.watch.models import Absence, WatchStep
from unternehmenskonto.notifications.actions import send_notice

COVER = "deadline_cover"


class Firm:
    """A company with a reader who is away, the substitute, an administrator who does not read, and a fourth person."""

    def __init__(self, *, with_absence: bool = True) -> None:
        self.company: Company = make_company(name="Musterbau GmbH")
        self.away = self._person("mailbox")
        self.substitute = self._person("mailbox")
        self.administrator = self._person("administrator")
        self.fourth = self._person("services")
        if with_absence:
            self.be_away(TODAY - timedelta(days=5), TODAY + timedelta(days=30))

    def _person(self, *roles: str) -> Membership:
        return make_membership(company=self.company, roles=roles)

    def be_away(self, first: date, last: date, **columns: Any) -> None:
        fields = {"membership_id": self.away.id, "substitute_id": self.substitute.id, "starts_on": first}
        db.session.add(Absence(company_id=self.company.id, ends_on=last, **{**fields, **columns}))
        db.session.flush()

    def told(self, days: int) -> dict[int, set[uuid.UUID]]:
        """Run so many days from today; return who was told on each, by days from now."""
        found = {}
        for number in range(days):
            before = {one.id for one in notices(COVER)}
            run_day(TODAY + timedelta(days=number))
            new = {one.membership_id for one in notices(COVER) if one.id not in before}
            if new:
                found[number] = new
        return found


def test_one_group_after_the_other_is_told(app: Flask) -> None:
    firm = Firm()
    decisions(firm.company, [12])
    everybody = {firm.away.id, firm.substitute.id, firm.administrator.id, firm.fourth.id}
    assert firm.told(15) == {2: {firm.substitute.id}, 4: {firm.administrator.id}, 6: everybody}
    kinds = [(step.kind, len(step.told)) for step in db.session.scalars(select(WatchStep).order_by(WatchStep.taken_at))]
    assert [one for one in kinds if one[0] != "reminder"] == [
        ("substitute", 1),
        ("administrators", 1),
        ("everybody", 4),
    ]


def test_without_a_substitute_the_administrators_come_at_once(app: Flask) -> None:
    firm = Firm(with_absence=False)
    firm.be_away(TODAY + timedelta(days=20), TODAY + timedelta(days=30))  # later, and of no use today
    decisions(firm.company, [10])
    told = firm.told(11)
    assert told[0] == {firm.administrator.id} and len(told[2]) == 4 and set(told) == {0, 2}


@pytest.mark.parametrize("change", ["left", "no right", "no address"])
def test_a_substitute_who_cannot_help_is_passed_over(app: Flask, change: str) -> None:
    firm = Firm()
    if change == "left":
        firm.substitute.ended_at = MORNING
    elif change == "no right":
        firm.substitute.roles = ["services"]
    else:
        firm.substitute.email = None
    db.session.flush()
    decisions(firm.company, [10])
    assert firm.told(1) == {0: {firm.administrator.id}}


@pytest.mark.parametrize("opened_after", [0, 1, 3, 5])
def test_it_ends_when_somebody_opens(app: Flask, opened_after: int) -> None:
    firm = Firm()
    (decision,) = decisions(firm.company, [10])
    told = firm.told(opened_after)
    message = db.session.get_one(Message, (firm.company.id, decision))
    message.first_retrieved_at, message.first_retrieved_by = MORNING, firm.substitute.id
    db.session.flush()
    for number in range(opened_after, 12):
        run_day(TODAY + timedelta(days=number))
    assert len({one.occasion for one in notices(COVER)}) == len(told)


def test_an_outage_takes_all_steps_and_writes_to_each_once(app: Flask) -> None:
    firm = Firm()
    decisions(firm.company, [3])
    assert firm.told(4) == {0: {firm.substitute.id, firm.administrator.id, firm.away.id, firm.fourth.id}}
    assert len(notices(COVER)) == 4
    sizes = {step.kind: len(step.told) for step in db.session.scalars(select(WatchStep))}
    assert sizes == {"substitute": 1, "administrators": 1, "everybody": 2, "reminder": 2}


def test_a_company_chooses_when_it_begins(app: Flask) -> None:
    firm, quiet = Firm(), Firm()
    choose(firm.company, cover_days=14)
    choose(quiet.company, cover_days=0)
    decisions(firm.company, [15])
    decisions(quiet.company, [1, 5])
    assert firm.told(2) == {1: {firm.substitute.id}}


def test_a_decision_by_retrieval_gets_two_days_first(app: Flask) -> None:
    firm = Firm()
    message = put(firm.company, authority(), regime="vwvfg41_2a", at=MORNING)
    assert message.due_on == TODAY + timedelta(days=10)
    assert set(firm.told(11)) == {2, 4, 6}


@given(st.integers(1, 30), st.integers(1, 400))
def test_the_first_step_lies_between_delivery_and_end(cover_days: int, length: int) -> None:
    days = first_step(cover_days=cover_days, due_on=TODAY + timedelta(days=length), available_on=TODAY)
    assert 1 <= days <= max(1, min(cover_days, length - 2))


def test_the_sender_is_told_only_to_those_who_may_read(app: Flask, box: Box) -> None:
    firm = Firm()
    (decision,) = decisions(firm.company, [3], subject="Geheim")
    run_day(TODAY)
    with time_machine.travel(MORNING, tick=False):
        for one in notices(COVER):
            send_notice(str(one.id))
    mails = {mail["To"]: mail.get_content() for mail in box.mails}
    for person, reads in (
        (firm.substitute, True),
        (firm.away, True),
        (firm.administrator, False),
        (firm.fourth, False),
    ):
        words = mails[person.email]
        assert ("Amt Musterstadt" in words) == reads
        assert (str(decision) in words) == reads
        assert ("Sie selbst dürfen ihn nicht lesen" in words) != reads
        assert "04.12.2026 (in 3 Tagen)" in words and "Geheim" not in words


def test_the_log_shows_who_was_told_when(app: Flask, client: FlaskClient) -> None:
    firm = Firm()
    db.session.execute(
        text("UPDATE people SET family_name = 'Vertreterin' WHERE id = :i"), {"i": firm.substitute.person_id}
    )
    # Announced on 11 November, so that the month ends on 11 December.
    decision = put(firm.company, authority(), regime="ozg9", at=datetime(2026, 11, 7, 9, tzinfo=UTC)).id
    run_day(TODAY)
    with time_machine.travel(MORNING + timedelta(hours=1), tick=False):
        db.session.expire_all()
        sign_in(client, firm.substitute)
        assert "Andere benachrichtigt am 01.12.2026, 09:07 Uhr" in client.get("/fristen").text
        for path in (f"/fristen/{decision}", f"/postfach/{decision}"):
            page = client.get(path).text
            assert "01.12.2026, 09:07 Uhr: Vertretung benachrichtigt – Maria Vertreterin" in page, path
            assert faults(page) == []


def test_a_person_names_a_substitute(client: FlaskClient) -> None:
    firm = Firm(with_absence=False)
    with time_machine.travel(MORNING, tick=False):
        sign_in(client, firm.away)
        page = client.get("/abwesenheit").text
        assert faults(page) == [] and str(firm.substitute.id) in page and str(firm.fourth.id) not in page
        data = {"csrf_token": csrf_token(client), "starts_on": "2026-12-01", "ends_on": "2026-12-24"}
        data["substitute_id"] = str(firm.substitute.id)
        page = client.post("/abwesenheit", data=data, follow_redirects=True).text
        assert "Ihre Abwesenheit ist eingetragen" in page and "01.12.2026 – 24.12.2026" in page and faults(page) == []
        absence = db.session.scalars(select(Absence)).one()
        sign_in(client, firm.substitute)
        assert "Sie vertreten" in client.get("/abwesenheit").text
        address = f"/abwesenheit/{absence.id}/entfernen"
        assert client.post(address, data={"csrf_token": csrf_token(client)}).status_code == 404
        sign_in(client, firm.away)
        page = client.post(address, data={"csrf_token": csrf_token(client)}, follow_redirects=True).text
        assert "Die Abwesenheit ist entfernt" in page and db.session.scalar(select(Absence)) is None
    told = db.session.scalars(text("SELECT event FROM audit_events WHERE event LIKE 'absence.%' ORDER BY id")).all()
    assert told == ["absence.entered", "absence.removed"]


@pytest.mark.parametrize(
    ("first", "last", "who"),
    [
        ("2026-12-10", "2026-12-09", "substitute"),
        ("2026-11-01", "2026-11-30", "substitute"),
        ("2026-12-01", "2027-12-03", "substitute"),
        ("", "2026-12-09", "substitute"),
        ("2026-12-01", "morgen", "substitute"),
        ("2026-12-01", "2026-12-09", ""),
        ("2026-12-01", "2026-12-09", "fourth"),
        ("2026-12-01", "2026-12-09", "away"),
        ("2026-12-01", "2026-12-09", "stranger"),
    ],
)
def test_impossible_absences_are_refused_in_words(client: FlaskClient, first: str, last: str, who: str) -> None:
    firm = Firm(with_absence=False)
    people = {"substitute": firm.substitute, "fourth": firm.fourth, "away": firm.away, "stranger": make_membership()}
    with time_machine.travel(MORNING, tick=False):
        sign_in(client, firm.away)
        data = {"csrf_token": csrf_token(client), "starts_on": first, "ends_on": last}
        data["substitute_id"] = str(people[who].id) if who else ""
        answer = client.post("/abwesenheit", data=data)
    assert answer.status_code == 422 and faults(answer.text) == []
    assert f'value="{first}"' in answer.text or not first
    assert db.session.scalar(select(Absence)) is None


def test_twenty_absences_are_enough(client: FlaskClient) -> None:
    firm = Firm(with_absence=False)
    for number in range(20):
        firm.be_away(TODAY + timedelta(days=number), TODAY + timedelta(days=number))
    with time_machine.travel(MORNING, tick=False):
        sign_in(client, firm.away)
        data = {"csrf_token": csrf_token(client), "starts_on": "2026-12-01", "ends_on": "2026-12-02"}
        answer = client.post("/abwesenheit", data={**data, "substitute_id": str(firm.substitute.id)})
    assert answer.status_code == 422 and "Entfernen Sie eine" in answer.text and faults(answer.text) == []


def test_somebody_alone_is_told_whom_to_ask(client: FlaskClient) -> None:
    sign_in(client, make_membership(roles=("mailbox",), person=make_person()))
    page = client.get("/abwesenheit").text
    assert "Außer Ihnen darf niemand das Postfach lesen" in page and faults(page) == []
