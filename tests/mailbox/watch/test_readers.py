"""No mail without a living reader: what counts as one, who is warned, and that it ends when somebody is there."""

import logging
import uuid
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from tests.factories import make_company, make_membership, sign_in
from tests.mailbox.reading_data import authority, put
from tests.mailbox.test_inbox import counted_statements
from tests.mailbox.watch.deadline_data import MORNING, decisions
from tests.notifications.conftest import Box
from tests.page_checks import faults
from unternehmenskonto.companies.models import Company, Membership
from unternehmenskonto.db import db
from unternehmenskonto.login.config import providers
from unternehmenskonto.login.models import Identity
from unternehmenskonto.mailbox.team.models import Topic, TopicMember
from unternehmenskonto.mailbox.watch import readers
from unternehmenskonto.mailbox.watch.models import MissingReader
from unternehmenskonto.notifications.actions import send_notice
from unternehmenskonto.notifications.models import Notice


def issuer() -> str:
    return str(next(iter(providers().values())).issuer)


def person(company: Company, *roles: str, login: str | None = "", **columns: object) -> Membership:
    """Return a membership whose person can log in; `login`: another issuer, None for no identity at all."""
    membership = make_membership(company=company, roles=roles, **columns)
    if login is not None:
        known = Identity(issuer=login or issuer(), subject=uuid.uuid4().hex, person_id=membership.person_id)
        db.session.add(known)
        db.session.flush()
    return membership


def company_with_mail(name: str = "Musterbau GmbH") -> Company:
    company = make_company(name=name)
    decisions(company, [5])
    return company


def a_topic(company: Company, *members: Membership, **columns: object) -> Topic:
    topic = Topic(company_id=company.id, name="Steuern", **columns)
    db.session.add(topic)
    db.session.flush()
    for one in members:
        row = TopicMember(company_id=company.id, topic_id=topic.id, membership_id=one.id, added_by=one.id)
        db.session.add(row)
    db.session.flush()
    return topic


def reasons(company: Company) -> list[tuple[str, str]]:
    return [(one.area, one.reason) for one in readers.find_faults([company.id])]


def no_reader_notices(company: Company) -> list[Notice]:
    return list(db.session.scalars(select(Notice).filter_by(company_id=company.id, kind="no_reader")))


@pytest.mark.parametrize(
    ("roles", "columns", "reason"),
    [
        (("mailbox",), {}, None),
        (("administrator", "services"), {}, "nobody_may_read"),
        ((), {}, "nobody_may_read"),
        (("mailbox",), {"ended_at": MORNING}, "nobody_may_read"),
        (("mailbox",), {"login": None}, "nobody_can_log_in"),
        (("mailbox",), {"login": "https://abgeschaltet.example"}, "nobody_can_log_in"),
        (("mailbox",), {"email": None}, "nobody_has_address"),
    ],
    ids=["reader", "no right", "no roles", "left", "no login", "provider gone", "no address"],
)
def test_who_counts_as_a_living_reader(app: Flask, roles: tuple[str, ...], columns: dict, reason: str | None) -> None:
    company = company_with_mail()
    person(company, *roles, **columns)
    assert reasons(company) == ([("", reason)] if reason else [])


def test_one_person_must_be_all_of_it(app: Flask) -> None:
    company = company_with_mail()
    person(company, "mailbox", email=None)
    person(company, "mailbox", login=None)
    person(company, "administrator")
    assert reasons(company) == [("", "nobody_has_address")]


def test_company_without_anybody_or_without_messages(app: Flask) -> None:
    empty, deserted = make_company(), company_with_mail()
    assert readers.find_faults([empty.id]) == []
    assert reasons(deserted) == [("", "nobody_may_read")]


def test_each_topic_needs_a_reader_of_its_own(app: Flask) -> None:
    company = company_with_mail()
    reader, other = person(company, "mailbox"), person(company, "mailbox", email=None)
    a_topic(company, reader)
    assert reasons(company) == []
    db.session.execute(text("UPDATE mailbox_topic_members SET membership_id = :m"), {"m": other.id})
    topic = db.session.scalars(select(Topic)).one()
    assert reasons(company) == [(str(topic.id), "nobody_has_address")]
    topic.ended_at = MORNING
    db.session.flush()
    assert reasons(company) == []


def test_company_and_operators_are_warned_until_somebody_is_there(
    app: Flask, box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    company = company_with_mail()
    administrator, colleague = person(company, "administrator"), person(company, "services")
    with time_machine.travel(MORNING, tick=False), caplog.at_level(logging.WARNING):
        for _again in range(2):
            readers.check()
        db.session.flush()
    (notice,) = no_reader_notices(company)
    assert notice.membership_id == administrator.id
    assert str(company.id) in caplog.text and "Musterbau" not in caplog.text
    with time_machine.travel(MORNING, tick=False):
        send_notice(str(notice.id))
    (mail,) = box.mails
    assert mail["Subject"] == "Niemand kann die Post von Musterbau GmbH lesen"
    assert "/unternehmen" in mail.get_content() and "Bescheid 1" not in mail.get_content()
    for days, number in ((6, 1), (7, 2), (8, 2)):
        with time_machine.travel(MORNING + timedelta(days=days), tick=False):
            readers.check()
        assert len(no_reader_notices(company)) == number
    db.session.execute(text("UPDATE memberships SET roles = ARRAY['mailbox'] WHERE id = :m"), {"m": colleague.id})
    readers.check()
    db.session.flush()
    assert db.session.scalar(select(MissingReader).filter_by(company_id=company.id)) is None
    events = text("SELECT event FROM audit_events WHERE company_id = :c AND event LIKE 'reader.%' ORDER BY id")
    assert db.session.scalars(events, {"c": company.id}).all() == ["reader.missing", "reader.found"]


def test_without_administrators_any_address_is_written_to(app: Flask) -> None:
    company = company_with_mail()
    colleague = person(company, "services")
    person(company, "administrator", email=None)
    readers.check()
    assert [one.membership_id for one in no_reader_notices(company)] == [colleague.id]


def test_an_address_that_comes_later_is_written_to(app: Flask) -> None:
    company = company_with_mail()
    readers.check()
    assert no_reader_notices(company) == []
    colleague = person(company)
    readers.check()
    assert [one.membership_id for one in no_reader_notices(company)] == [colleague.id]


def test_a_topic_is_named_to_the_administrators(app: Flask, box: Box) -> None:
    company = company_with_mail()
    person(company, "mailbox")
    a_topic(company)
    person(company, "administrator")
    readers.check()
    (notice,) = no_reader_notices(company)
    send_notice(str(notice.id))
    assert "in „Steuern“ im Postfach von Musterbau GmbH" in box.mails[0].get_content()


def test_every_batch_is_looked_at(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "BATCH", 2)
    wanted = {company_with_mail().id for _ in range(5)}
    after: str | None = None
    for _batch in range(10):
        db.session.execute(text("DELETE FROM procrastinate_jobs WHERE task_name = 'readers.check'"))
        readers.check(after)
        after = db.session.scalar(
            text("SELECT args->>'after' FROM procrastinate_jobs WHERE task_name = 'readers.check'")
        )
        if after is None:
            break
    assert set(db.session.scalars(select(MissingReader.company_id))) >= wanted
    assert {fault.company_id for fault in readers.all_faults()} >= wanted


def test_the_check_costs_the_same_for_many_companies(app: Flask) -> None:
    costs = []
    for count in (1, 20):
        ids = [company_with_mail().id for _ in range(count)]
        with counted_statements() as statements:
            assert len(readers.find_faults(ids)) == count
        costs.append(len(statements))
    assert costs == [2, 2]


def test_administrators_see_it_others_do_not(client: FlaskClient) -> None:
    company = make_company()
    put(company, authority())
    administrator = make_membership(company=company, roles=("administrator", "mailbox"))
    sign_in(client, administrator)
    for path in ("/unternehmen", "/postfach", "/fristen"):
        page = client.get(path).text
        assert "Nachrichten an Ihr Unternehmen erreichen niemanden" in page, path
        assert "kann sich zurzeit anmelden" in page and faults(page) == []
    sign_in(client, make_membership(company=company, roles=("mailbox",)))
    assert "erreichen niemanden" not in client.get("/postfach").text
    person(company, "mailbox")
    sign_in(client, administrator)
    assert "erreichen niemanden" not in client.get("/unternehmen").text


def test_operators_ask_by_a_command(app: Flask) -> None:
    runner = app.test_cli_runner()
    silent, well = company_with_mail(), company_with_mail()
    person(well, "mailbox")
    topic = a_topic(well)
    db.session.commit()
    result = runner.invoke(args=["check-readers"])
    assert result.exit_code == 1
    assert f"company {silent.id}: nobody_may_read" in result.output
    assert f"company {well.id} topic {topic.id}: nobody_may_read" in result.output
    assert "2 without a living reader." in result.output and "Musterbau" not in result.output
