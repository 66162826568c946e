"""The pages of team work: what they show, what they refuse, what they cost, and that none of them opens a message."""

import re
import uuid
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.factories import csrf_token, make_membership, sign_in
from tests.mailbox.reading_data import authority, put, reader
from tests.mailbox.team.team_data import acting, make_topic
from tests.mailbox.team.test_tasks import legal_state
from tests.mailbox.test_inbox import counted_statements
from tests.page_checks import faults
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.actions import locked_mailbox
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team import comments, tasks
from unternehmenskonto.mailbox.team.models import Comment, Task

ALL = ("administrator", "mailbox")


def post(client: FlaskClient, path: str, **fields: object) -> str:
    """Send a form and follow to the page it leads to."""
    answer = client.post(path, data={"csrf_token": csrf_token(client), **fields}, follow_redirects=True)
    assert answer.status_code in (200, 422), answer.status_code
    assert faults(answer.text) == []
    return answer.text


def given(client: FlaskClient) -> tuple[Membership, Membership, Message]:
    membership = reader(client, roles=ALL)
    colleague = make_membership(company=membership.company, roles=("mailbox",))
    message = put(membership.company, authority(), regime="ozg9", subject="Bescheid über Grundsteuer")
    db.session.commit()
    return membership, colleague, message


def test_a_task_from_start_to_end_without_opening_the_message(client: FlaskClient) -> None:
    membership, colleague, message = given(client)
    locked_mailbox(message.company_id).has_four_eyes = True
    db.session.commit()
    before = legal_state()
    address = f"/postfach/{message.id}"
    due = legal_day(now()) + timedelta(days=5)
    page = post(client, f"{address}/aufgabe", assignee=str(colleague.id), due_on=due.isoformat())
    assert "Die Aufgabe ist gespeichert." in page and colleague.person.name in page
    assert f"{due:%d.%m.%Y}" in page and "Letzten Schritt rückgängig machen" in page
    page = post(client, f"{address}/kommentare", text="Habe <b>angerufen</b>\nund warte.")
    assert "&lt;b&gt;angerufen&lt;/b&gt;" in page
    page = post(client, f"{address}/erledigt")
    assert "Wartet auf eine zweite Person" in page and "Erledigung bestätigen" not in page
    sign_in(client, colleague)
    assert "Erledigung bestätigen" in client.get(f"{address}/team").text
    page = post(client, f"{address}/bestaetigen")
    assert "Bestätigt: Die Aufgabe ist erledigt." in page
    page = post(client, f"{address}/wieder-oeffnen")
    assert "Die Aufgabe ist wieder offen." in page
    page = post(client, f"{address}/uebernehmen")
    assert "Sie sind jetzt zuständig." in page
    page = post(client, f"{address}/keine-aufgabe")
    assert "nicht mehr bei den Aufgaben" in page
    assert "Noch niemand hat diese Nachricht geöffnet" in client.get(f"{address}/gesehen").text
    assert legal_state() == before
    assert membership.id != colleague.id


@pytest.mark.parametrize("due", ["2020-01-01", "9999-12-31", "morgen", "2026-13-01"])
def test_a_bad_day_gets_a_sentence_and_loses_nothing(client: FlaskClient, due: str) -> None:
    _, colleague, message = given(client)
    answer = client.post(
        f"/postfach/{message.id}/aufgabe",
        data={"csrf_token": csrf_token(client), "assignee": str(colleague.id), "due_on": due},
    )
    assert answer.status_code == 422
    assert faults(answer.text) == [] and "app-error-summary" in answer.text
    assert re.search(rf'value="{colleague.id}"[^>]* selected|selected value="{colleague.id}"', answer.text)
    assert f'value="{due}"' in answer.text
    assert db.session.scalar(select(Task).where(Task.is_listed)) is None


def test_a_foreign_assignee_is_refused(client: FlaskClient) -> None:
    _, _, message = given(client)
    stranger = make_membership(roles=("mailbox",))
    answer = client.post(
        f"/postfach/{message.id}/aufgabe", data={"csrf_token": csrf_token(client), "assignee": str(stranger.id)}
    )
    assert answer.status_code == 422


@pytest.mark.parametrize(("text", "sentence"), [(" ", "Schreiben Sie"), ("ä" * 2001, "Kürzen Sie ihn")])
def test_a_bad_comment_gets_a_sentence_and_loses_nothing(client: FlaskClient, text: str, sentence: str) -> None:
    _, _, message = given(client)
    answer = client.post(f"/postfach/{message.id}/kommentare", data={"csrf_token": csrf_token(client), "text": text})
    assert answer.status_code == 422 and sentence in answer.text and faults(answer.text) == []
    assert text.strip() in answer.text


def test_a_comment_is_changed_and_deleted(client: FlaskClient) -> None:
    membership, colleague, message = given(client)
    note = comments.write(actor=acting(membership), message_id=message.id, text="Erst so")
    db.session.commit()
    address = f"/postfach/{message.id}/kommentare/{note.id}"
    assert "Erst so" in client.get(address).text
    assert "Schreiben Sie" in post(client, address, text="")
    assert "(geändert)" in post(client, address, text="Dann so")
    page = post(client, f"{address}/loeschen")
    assert "Dann so" not in page and "gelöscht" in page
    assert client.get(address).status_code == 404
    sign_in(client, colleague)
    assert client.get(address).status_code == 404


def test_an_old_comment_is_changed_no_more(client: FlaskClient) -> None:
    membership, _, message = given(client)
    note = comments.write(actor=acting(membership), message_id=message.id, text="Alt")
    note.created_at = now() - comments.EDIT_FOR
    db.session.commit()
    answer = client.get(f"/postfach/{message.id}/kommentare/{note.id}")
    assert answer.status_code == 409 and "zehn Minuten" in answer.text
    assert f'kommentare/{note.id}"' not in client.get(f"/postfach/{message.id}/team").text


def test_a_move_out_of_sight_offers_the_way_back(client: FlaskClient) -> None:
    membership, colleague, message = given(client)
    topic = make_topic(membership.company, colleague, name="Steuern")
    db.session.commit()
    address = f"/postfach/{message.id}"
    page = post(client, f"{address}/thema", topic=str(topic.id))
    assert "Sie lesen das neue Thema nicht" in page
    assert client.get(f"{address}/team").status_code == 404
    step = re.search(r'name="schritt" value="([^"]+)"', page)
    assert step is not None
    assert "zurückgenommen" in post(client, f"{address}/schritt-zuruecknehmen", schritt=step[1])
    assert client.get(f"{address}/team").status_code == 200
    assert client.post(f"{address}/schritt-zuruecknehmen", data={"csrf_token": csrf_token(client)}).status_code == 400


@pytest.mark.parametrize("name", ["", "offen", "andere", "erledigt", "unsinn"])
def test_empty_lists_say_what_to_do(client: FlaskClient, name: str) -> None:
    reader(client)
    page = client.get("/postfach/aufgaben", query_string={"liste": name}).text
    assert "app-empty" in page and faults(page) == []


def test_the_list_of_messages_shows_who_cares(client: FlaskClient) -> None:
    membership, colleague, message = given(client)
    colleague.person.given_name, colleague.person.family_name = "Otto", "Beispiel"
    topic = make_topic(membership.company, membership, colleague, name="Steuern")
    tasks.assign(actor=acting(membership), message_id=message.id, assignee_id=colleague.id, due_on=legal_day(now()))
    tasks.move(actor=acting(membership), message_id=message.id, topic_id=topic.id)
    db.session.commit()
    page = client.get("/postfach").text
    assert ">OB</span>" in page and "Zuständig: Otto Beispiel" in page and "Steuern" in page and "intern bis" in page
    tasks.finish(actor=acting(membership), message_id=message.id)
    db.session.commit()
    assert "Erledigt" in client.get("/postfach").text


def test_pages_cost_the_same_whatever_they_show(client: FlaskClient) -> None:
    membership = reader(client, roles=ALL)
    service = authority()
    colleagues = [make_membership(company=membership.company, roles=("mailbox",)) for _ in range(3)]
    topic = make_topic(membership.company, membership, *colleagues)
    messages = [put(membership.company, service) for _ in range(12)]

    def work(message: Message) -> None:
        for number, one in enumerate(colleagues):
            tasks.assign(actor=acting(membership), message_id=message.id, assignee_id=one.id, due_on=None)
            comments.write(actor=acting(one), message_id=message.id, text=f"Kommentar {number}")
        tasks.move(actor=acting(membership), message_id=message.id, topic_id=topic.id)

    def cost() -> dict[str, int]:
        db.session.commit()
        found = {}
        paths = [f"/postfach/{messages[0].id}/team", "/postfach/aufgaben?liste=andere", "/postfach", "/postfach/themen"]
        for path in paths:
            client.get(path)
            with counted_statements() as statements:
                assert client.get(path).status_code == 200
            found[path.replace(str(messages[0].id), "x")] = len(statements)
        return found

    work(messages[0])
    few = cost()
    for message in messages[1:]:
        work(message)
    for _ in range(5):
        make_topic(membership.company, membership)
    work(messages[0])
    assert cost() == few
    assert few["/postfach/aufgaben?liste=andere"] <= 8
    assert few["/postfach/x/team"] <= 14


def test_what_hides_behind_a_topic_is_nowhere(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address with a message in it answers 404 to a reader of the mailbox who is not in the topic."""
    membership, colleague, message = given(client)
    topic = make_topic(membership.company, colleague)
    note = comments.write(actor=acting(membership), message_id=message.id, text="Bis hier")
    tasks.move(actor=acting(membership), message_id=message.id, topic_id=topic.id)
    db.session.commit()
    assert db.session.scalar(select(Comment.id)) == note.id
    rules = [rule for rule in client.application.url_map.iter_rules() if "message_id" in rule.arguments]
    opened = legal_state()
    seen = 0
    for rule in rules:
        if rule.rule.startswith("/api/"):
            continue
        values = {name: uuid.uuid4() if name != "comment_id" else note.id for name in rule.arguments}
        values["message_id"] = message.id
        with client.application.test_request_context():
            address = client.application.url_for(rule.endpoint, **values)
        for method in sorted((rule.methods or set()) & {"GET", "HEAD", "POST"}):
            data = {"csrf_token": csrf_token(client), "text": "x", "schritt": str(uuid.uuid4())}
            answer = client.open(address, method=method, data=data if method == "POST" else None)
            assert answer.status_code == 404, (method, rule.rule)
            seen += 1
    assert seen > 20
    assert legal_state() == opened
    for path in ("/postfach", "/postfach/archiv", "/fristen", "/postfach/aufgaben", "/postfach/aufgaben?liste=offen"):
        assert "Grundsteuer" not in client.get(path).text
