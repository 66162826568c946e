"""What opening on a certain day would do, against what opening really does."""

from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import csrf_token
from tests.mailbox.reading_data import authority, put, reader
from tests.mailbox.watch.deadline_data import MORNING, TODAY
from tests.page_checks import faults
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.watch.what_if import what_if


def a_message(client: FlaskClient, regime: str, *, age: int = 2, **law: object) -> Message:
    """Deliver a decision `age` days before MORNING to a company for which the client is signed in then."""
    with time_machine.travel(MORNING, tick=False):
        membership = reader(client)
    message = put(membership.company, authority(), regime=regime, at=MORNING - timedelta(days=age), **law)
    db.session.commit()
    return message


def look(client: FlaskClient, message: Message, query: str = "", *, later: int = 0) -> TestResponse:
    """Show the page of the deadline to a colleague, so many days later."""
    with time_machine.travel(MORNING + timedelta(days=later), tick=False):
        reader(client, db.session.get_one(Company, message.company_id))
        return client.get(f"/fristen/{message.id}{query}")


@pytest.mark.parametrize("later", range(9))
def test_it_foretells_what_opening_does(client: FlaskClient, later: int) -> None:
    message = a_message(client, "vwvfg41_2a")
    day = TODAY + timedelta(days=later)
    foretold = what_if(message, day=day, at=MORNING)
    assert foretold.effect == "moves"
    page = look(client, message, later=later).text
    assert f"{foretold.remedy_ends_on:%d.%m.%Y}" in page and faults(page) == []
    with time_machine.travel(MORNING + timedelta(days=later), tick=False):
        answer = client.post(f"/postfach/{message.id}/abrufen", data={"csrf_token": csrf_token(client)})
        assert answer.status_code == 303
    db.session.refresh(message)
    assert (message.announced_on, message.remedy_ends_on) == (foretold.announced_on, foretold.remedy_ends_on)
    assert "wurde bereits geöffnet" in look(client, message, later=later).text


@pytest.mark.parametrize("regime", ["ozg9", "ao122a"])
def test_where_reading_moves_nothing_it_says_so(client: FlaskClient, regime: str) -> None:
    message = a_message(client, regime)
    assert message.due_on is not None
    for day in (TODAY, TODAY + timedelta(days=9), message.due_on):
        found = what_if(message, day=day, at=MORNING)
        assert found.effect == "same"
        assert (found.announced_on, found.remedy_ends_on) == (message.announced_on, message.remedy_ends_on)
    page = look(client, message).text
    assert "Das macht keinen Unterschied" in page and faults(page) == []


def test_another_day_can_be_chosen(client: FlaskClient) -> None:
    message = a_message(client, "vwvfg41_2a")
    page = look(client, message, "?tag=2026-12-09").text
    assert "Wenn Sie ihn am 09.12.2026 öffnen" in page
    assert "am 10.12.2026" in page and "endet dann am 11.01.2027" in page
    assert faults(page) == []


@pytest.mark.parametrize("day", ["2026-11-30", "2026-12-10", "9999-12-31", "x", "", "2026-02-30"])
def test_impossible_days_are_refused_in_words(client: FlaskClient, day: str) -> None:
    answer = look(client, a_message(client, "vwvfg41_2a"), f"?tag={day}")
    assert answer.status_code == 422
    assert "Bitte prüfen Sie Ihre Angaben" in answer.text and faults(answer.text) == []
    assert day == "" or f'value="{day}"' in answer.text


def test_after_the_provision_it_is_too_late(client: FlaskClient) -> None:
    message = a_message(client, "vwvfg41_2a")
    page = look(client, message, later=9).text
    assert "lässt sich der Bescheid nicht mehr öffnen" in page and faults(page) == []


def test_it_speaks_english(client: FlaskClient) -> None:
    message = a_message(client, "vwvfg41_2a")
    client.set_cookie("sprache", "en", domain="localhost")
    page = look(client, message, "?tag=2026-12-09").text
    assert "What if I open it today?" in page and faults(page, language="en") == []


def test_only_days_that_can_come_are_computed(app: Flask, client: FlaskClient) -> None:
    message = a_message(client, "ozg9")
    assert message.due_on is not None
    for day in (TODAY - timedelta(days=1), message.due_on + timedelta(days=1)):
        with pytest.raises(ValueError, match="a day from"):
            what_if(message, day=day, at=MORNING)
    ordinary = put(db.session.get_one(Company, message.company_id), authority())
    with pytest.raises(ValueError, match="no dates"):
        what_if(ordinary, day=TODAY, at=MORNING)
