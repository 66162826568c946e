"""A link to a message of another own company: an offer to change to it, and nothing for anybody else."""

import pytest
from flask.testing import FlaskClient

from tests.factories import csrf_token, make_membership, make_person, sign_in
from tests.mailbox.reading_data import authority, put
from tests.mailbox.team.team_data import make_topic
from tests.page_checks import faults
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.models import Message


@pytest.fixture
def two(client: FlaskClient) -> tuple[Membership, Membership]:
    """Somebody who acts for two companies and is signed in for the first."""
    person = make_person()
    here, there = make_membership(person=person), make_membership(person=person)
    sign_in(client, here)
    return here, there


def test_the_right_company_is_offered_and_the_message_opened_there(
    client: FlaskClient, two: tuple[Membership, Membership]
) -> None:
    here, there = two
    message = put(there.company, authority(), regime="ozg9", subject="Geheimer Betreff")
    answer = client.get(f"/postfach/{message.id}")
    assert answer.status_code == 200
    assert faults(answer.text) == []
    assert there.company.name in answer.text and here.company.name in answer.text
    assert "Geheimer Betreff" not in answer.text
    assert db.session.get_one(Message, (there.company_id, message.id)).first_retrieved_at is None
    fields = {"membership_id": str(there.id), "next": f"/postfach/{message.id}"}
    for name, value in fields.items():
        assert f'name="{name}" value="{value}"' in answer.text
    changed = client.post("/unternehmen/wechseln", data={"csrf_token": csrf_token(client), **fields})
    page = client.get(changed.headers["Location"])
    assert page.status_code == 200
    assert "Geheimer Betreff" in page.text


def test_without_the_right_here_it_is_offered_too(client: FlaskClient) -> None:
    person = make_person()
    here, there = make_membership(person=person, roles=("services",)), make_membership(person=person)
    sign_in(client, here)
    message = put(there.company, authority())
    assert "wechseln und lesen" in client.get(f"/postfach/{message.id}").text
    foreign = put(make_membership().company, authority())
    db.session.commit()
    assert client.get(f"/postfach/{foreign.id}").status_code == 403


def test_nobody_else_learns_that_it_exists(client: FlaskClient, two: tuple[Membership, Membership]) -> None:
    _, there = two
    foreign = put(make_membership().company, authority())
    hidden = put(there.company, authority())
    hidden.topic_id = make_topic(there.company).id
    db.session.commit()
    unknown = "018f0000-0000-7000-8000-000000000000"
    for message_id in (foreign.id, hidden.id, unknown):
        assert client.get(f"/postfach/{message_id}").status_code == 404, message_id
    message = put(there.company, authority())
    db.session.commit()
    for path in ("druck", "zip", f"anhang/{unknown}"):
        assert client.get(f"/postfach/{message.id}/{path}").status_code == 404, path
    there.roles = ["services", "administrator"]
    db.session.commit()
    assert client.get(f"/postfach/{message.id}").status_code == 404
    there.roles, there.ended_at = ["mailbox"], now()
    db.session.commit()
    assert client.get(f"/postfach/{message.id}").status_code == 404
