"""The labels of a company: made, changed, removed, put on messages, and the list of what carries one."""

import uuid
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text, update

from tests.factories import csrf_token, make_company, make_membership
from tests.mailbox.folders.test_views import select_and, words
from tests.mailbox.reading_data import acting, authority, put, reader
from tests.mailbox.team.team_data import make_topic
from tests.mailbox.test_inbox import START, counted_statements, explained, fill
from tests.page_checks import Tree, faults
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.errors import NotFound
from unternehmenskonto.mailbox import inbox
from unternehmenskonto.mailbox.folders import actions as folders
from unternehmenskonto.mailbox.labels import actions
from unternehmenskonto.mailbox.labels.models import MessageLabel
from unternehmenskonto.mailbox.models import Mailbox, Message
from unternehmenskonto.settings import ROOT


@pytest.fixture
def member(app: Flask) -> Membership:
    return make_membership()


def test_made_changed_and_removed(member: Membership) -> None:
    actor = acting(member)
    label = actions.make(actor=actor, name="Steuern", colour="red")
    actions.change(actor=actor, label_id=label.id, name="steuern", colour="blue")
    assert [(one.name, one.colour) for one in actions.list_labels(actor=actor).values()] == [("steuern", "blue")]
    message = put(member.company, authority())
    folders.act(actor=actor, action="label", message_ids=[message.id], label_id=label.id)
    assert [one.is_set for one in actions.labels_for(actor=actor, message_id=message.id)] == [True]
    assert actions.remove(actor=actor, label_id=label.id) == 1
    assert db.session.scalar(select(func.count()).select_from(MessageLabel)) == 0
    found = db.session.scalars(select(AuditEvent.event).where(AuditEvent.event.like("label.%")).order_by(AuditEvent.id))
    assert list(found) == ["label.made", "label.changed", "label.removed"]


def test_names_are_there_once_and_fifty_at_most(member: Membership) -> None:
    actor = acting(member)
    first = actions.make(actor=actor, name="Steuern", colour="red")
    for act in (
        lambda: actions.make(actor=actor, name="STEUERN", colour="red"),
        lambda: actions.change(
            actor=actor, label_id=actions.make(actor=actor, name="B", colour="red").id, name="steuern", colour="red"
        ),
    ):
        with pytest.raises(actions.NameTaken):
            act()
    for number in range(48):
        actions.make(actor=actor, name=f"L{number}", colour="grey")
    with pytest.raises(actions.TooManyLabels) as caught:
        actions.make(actor=actor, name="eins zu viel", colour="grey")
    assert "50 Etiketten" in str(caught.value.sentence)
    for bad in ("", "x" * 41):
        with pytest.raises(ValueError, match="name"):
            actions.change(actor=actor, label_id=first.id, name=bad, colour="red")


def test_another_company_has_labels_of_its_own(member: Membership) -> None:
    actions.make(actor=acting(member), name="Steuern", colour="red")
    other = acting(make_membership(company=make_company()))
    label = actions.make(actor=other, name="Steuern", colour="red")
    for act in (actions.get_label, actions.remove):
        with pytest.raises(NotFound):
            act(actor=acting(member), label_id=label.id)


def test_the_list_of_a_label_pages_over_inbox_and_archive(member: Membership) -> None:
    actor = acting(member)
    label = actions.make(actor=actor, name="Steuern", colour="red")
    ids = [key[1] for key in fill(member.company, [START + timedelta(minutes=number) for number in range(90)])]
    carrying = ids[::2]
    db.session.get_one(Mailbox, member.company_id).unread_count = 90
    folders.act(actor=actor, action="label", message_ids=carrying, label_id=label.id)
    folders.act(actor=actor, action="archive", message_ids=carrying[:10])
    db.session.execute(update(Message).where(Message.id == carrying[3]).values(binned_at=START))
    topic = make_topic(member.company, make_membership(company=member.company))
    db.session.execute(update(Message).where(Message.id == carrying[5]).values(topic_id=topic.id))
    expected = [one for number, one in enumerate(carrying) if number not in (3, 5)]
    seen: list[uuid.UUID] = []
    cursor: str | None = None
    while True:
        page = inbox.list_labelled(actor=actor, label_id=label.id, cursor=cursor)
        seen += [entry.id for entry in page.entries]
        if page.older is None:
            break
        cursor = page.older
    assert seen == expected
    assert page.newer is not None
    back = inbox.list_labelled(actor=actor, label_id=label.id, cursor=page.newer)
    assert [entry.id for entry in back.entries] == expected[: inbox.PAGE_SIZE]
    assert all(label.id in entry.labels for entry in back.entries)
    # So few rows are scanned as they lie, unless that is forbidden: then only a missing index does it.
    db.session.execute(text("SET LOCAL enable_seqscan = off"))
    ((_, plan), *_rest) = explained(lambda: inbox.list_labelled(actor=actor, label_id=label.id, cursor=cursor))
    assert "Seq Scan on messages" not in plan


def test_the_pages(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(membership.company, authority(), subject="Rundschreiben")
    assert "Noch keine Etiketten" in client.get("/postfach/etiketten").text
    token = csrf_token(client)
    answer = client.post("/postfach/etiketten", data={"csrf_token": token, "name": "  ", "colour": "red"})
    assert answer.status_code == 422 and "zum Beispiel „Steuern“" in answer.text and faults(answer.text) == []
    data = {"csrf_token": token, "name": " Filiale   <Nord> ", "colour": "violet"}
    answer = client.post("/postfach/etiketten", data=data, follow_redirects=True)
    assert "Filiale &lt;Nord&gt;" in answer.text and faults(answer.text) == []
    assert client.post("/postfach/etiketten", data=data).status_code == 422
    (label,) = actions.list_labels(actor=acting(membership)).values()
    address = f"/postfach/etiketten/{label.id}"
    answer = select_and(client, "label", message.id, etikett=str(label.id))
    assert "„Rundschreiben“ hat jetzt das Etikett" in words(answer) and "app-label--violet" in answer.text
    assert "Rundschreiben" in client.get(address).text
    answer = client.get(f"/postfach/{message.id}")
    assert "app-label--violet" in answer.text and faults(answer.text) == []
    answer = client.post(f"{address}/bearbeiten", data={**data, "name": "Süd"}, follow_redirects=True)
    assert "Süd" in answer.text
    answer = client.get(f"{address}/loeschen")
    assert "Eine Nachricht trägt es" in answer.text and faults(answer.text) == []
    answer = client.post(f"{address}/loeschen", data={"csrf_token": token}, follow_redirects=True)
    assert "„Süd“ ist gelöscht. Eine Nachricht trug es." in words(answer)
    assert client.get(address).status_code == 404
    assert select_and(client, "label", message.id, etikett="x").status_code == 404


def test_the_list_of_a_label_costs_the_same_whatever_it_shows(client: FlaskClient) -> None:
    membership, costs = reader(client), []
    actor = acting(membership)
    label_id = actions.make(actor=actor, name="Steuern", colour="red").id
    for count in (1, 25):
        ids = [key[1] for key in fill(membership.company, [START] * count)]
        folders.act(actor=actor, action="label", message_ids=ids, label_id=label_id)
        db.session.commit()
        client.get(f"/postfach/etiketten/{label_id}")
        with counted_statements() as statements:
            assert client.get(f"/postfach/etiketten/{label_id}").status_code == 200
        costs.append(len(statements))
    assert costs[0] == costs[1] <= 10


def test_every_colour_is_one_of_kern() -> None:
    """KERN's own colours keep three to one in light, dark and forced colours (WCAG 1.4.11)."""
    sheet = (ROOT / "static" / "app.css").read_text(encoding="utf-8")
    found = [sheet.split(f".app-label--{name} {{ border-left-color: var(--kern-color-")[1] for name in actions.COLOURS]
    assert len({one.split(")")[0] for one in found}) == len(actions.COLOURS)


def test_the_page_of_labels_says_when_it_is_full(client: FlaskClient) -> None:
    membership = reader(client)
    for number in range(50):
        actions.make(actor=acting(membership), name=f"L{number}", colour="grey")
    db.session.commit()
    page = client.get("/postfach/etiketten").text
    assert "Mehr als 50 Etiketten gehen nicht" in page
    assert not [one for one in Tree(page).all("input") if one.attributes.get("name") == "name"]
