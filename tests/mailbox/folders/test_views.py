"""The pages of the folders: lists with boxes to tick, results with undo, the final deletion, the preview."""

import re
import uuid
from datetime import UTC, datetime

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.factories import csrf_token, make_membership, sign_in
from tests.mailbox.reading_data import acting, authority, file, put, reader
from tests.mailbox.team.team_data import make_topic
from tests.mailbox.test_inbox import START, counted_statements, fill
from tests.page_checks import Tree, faults
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.mailbox import places
from unternehmenskonto.mailbox.folders import actions, erasure
from unternehmenskonto.mailbox.models import Mailbox, Message, Receipt

MORNING = datetime(2026, 12, 1, 9, tzinfo=UTC)


def select_and(client: FlaskClient, action: str, *ids: uuid.UUID, back: str = "/postfach", **more: str) -> TestResponse:
    """Tick messages and press a button."""
    data = {"csrf_token": csrf_token(client), "nachricht": [str(one) for one in ids], "aktion": action, "weiter": back}
    return client.post("/postfach/auswahl", data={**data, **more}, follow_redirects=True)


def words(answer: TestResponse) -> str:
    return " ".join(Tree(answer.text).all("main")[0].text.split())


def test_an_act_is_told_and_taken_back(client: FlaskClient) -> None:
    membership = reader(client)
    ids = [put(membership.company, authority(), subject=f"Nummer {number}").id for number in range(3)]
    answer = select_and(client, "archive", *ids[:2])
    assert "2 Nachrichten liegen jetzt im Archiv" in words(answer) and faults(answer.text) == []
    assert "<title>(1) Posteingang" in answer.text
    assert "<title>(2) Archiv" in client.get("/postfach/archiv").text
    (address,) = re.findall(r'action="(/postfach/auswahl/[^"]+/rueckgaengig)"', answer.text)
    data = {"csrf_token": csrf_token(client), "weiter": "/postfach/archiv"}
    answer = client.post(address, data=data, follow_redirects=True)
    assert "2 Nachrichten sind wieder, wie sie waren" in words(answer)
    assert "Das Archiv ist leer" in answer.text
    again = client.post(address, data=data)
    assert again.status_code == 410 and "24 Stunden" in again.text


def test_what_was_refused_is_named_with_its_reason(client: FlaskClient) -> None:
    membership, service = reader(client), authority()
    with time_machine.travel(MORNING, tick=False):
        sign_in(client, membership)
        running = put(membership.company, service, regime="ozg9", subject="Laufender Bescheid").id
        waiting = put(membership.company, service, regime="vwvfg41_2a", subject="Wartender Bescheid").id
        plain = put(membership.company, service, subject="Rundschreiben").id
        answer = select_and(client, "bin", running, waiting, plain)
        text = words(answer)
        assert "„Rundschreiben“ liegt jetzt im Papierkorb" in text
        assert "Seine Frist läuft noch bis 05.01.2027." in text and "bis 11.12.2026 abrufbar" in text
        assert f'href="/postfach/{running}/vorschau"' in answer.text and faults(answer.text) == []
        answer = select_and(client, "read", running)
        assert "bleibt ungelesen, weil ihn noch niemand geöffnet hat" in words(answer)
        assert db.session.scalars(select(Receipt).filter_by(kind="first_retrieved")).all() == []


def test_the_page_of_a_message_says_when_the_bin_is_open_to_it(client: FlaskClient) -> None:
    membership = reader(client)
    with time_machine.travel(MORNING, tick=False):
        sign_in(client, membership)
        message = put(membership.company, authority(), regime="ozg9")
        db.session.commit()
        page = client.get(f"/postfach/{message.id}").text
        assert "wenn seine Frist am 05.01.2027 abgelaufen ist" in page
        assert f'action="/postfach/{message.id}/papierkorb"' not in page
        data = {"csrf_token": csrf_token(client)}
        answer = client.post(f"/postfach/{message.id}/papierkorb", data=data, follow_redirects=True)
        assert "Seine Frist läuft noch bis 05.01.2027." in words(answer) and message.binned_at is None


def test_nothing_ticked_is_said_and_nothing_done(client: FlaskClient) -> None:
    reader(client)
    answer = select_and(client, "archive", back="/postfach/archiv?anzahl=50")
    assert "Wählen Sie zuerst mindestens eine Nachricht aus." in answer.text
    assert answer.request.full_path == "/postfach/archiv?anzahl=50"
    assert select_and(client, "explode").status_code == 400
    assert select_and(client, "delete").status_code == 200


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/unternehmen", "/postfachx", ""])
def test_the_way_back_stays_in_the_mailbox(client: FlaskClient, back: str) -> None:
    membership = reader(client)
    message = put(membership.company, authority())
    answer = select_and(client, "archive", message.id, back=back)
    assert answer.request.path == "/postfach"


def test_paging_and_ticking_keep_the_address(client: FlaskClient) -> None:
    membership = reader(client)
    fill(membership.company, [START] * 120)
    db.session.commit()
    page = client.get("/postfach?anzahl=50")
    boxes = [one for one in Tree(page.text).all("input") if one.attributes.get("name") == "nachricht"]
    assert len(boxes) == 50 and not any("checked" in box.attributes for box in boxes)
    assert "höchstens 100 auf einmal" in page.text
    older = next(one for one in Tree(page.text).all("a") if one.attributes.get("rel") == "next").attributes["href"]
    assert "anzahl=50" in older
    page = client.get(older + "&auswahl=alle")
    boxes = [one for one in Tree(page.text).all("input") if one.attributes.get("name") == "nachricht"]
    assert len(boxes) == 50 and all("checked" in box.attributes for box in boxes)
    assert client.get("/postfach?anzahl=7").text.count('name="nachricht"') == 25


def test_a_list_costs_the_same_whatever_it_shows(client: FlaskClient) -> None:
    membership, costs = reader(client), []
    for count in (1, 100):
        ids = [key[1] for key in fill(membership.company, [START] * count)]
        db.session.execute(db.update(Mailbox).values(unread_count=1000))
        bulk = actions.act(actor=acting(membership), action="bin", message_ids=ids)
        db.session.commit()
        path = f"/postfach/papierkorb?anzahl=100&ergebnis={bulk.id}"
        client.get(path)
        with counted_statements() as statements:
            assert client.get(path).status_code == 200
        costs.append(len(statements))
    assert costs[0] == costs[1] <= 11


def test_the_bin_asks_before_it_deletes(client: FlaskClient) -> None:
    membership, service = reader(client), authority()
    messages = [put(membership.company, service, subject=f"Alt {n}", files=[file("a.pdf", b"%PDF")]) for n in "ab"]
    ids = [one.id for one in messages]
    select_and(client, "bin", *ids)
    answer = select_and(client, "delete", *ids, back="/postfach/papierkorb")
    text = words(answer)
    assert "2 Nachrichten endgültig löschen?" in text and "Das bleibt" in text and "Alt a" in text
    assert "Niemand hat das geöffnet." in text and faults(answer.text) == []
    assert len(db.session.scalars(select(Message)).all()) == 2
    data = {"csrf_token": csrf_token(client), "nachricht": [str(one) for one in ids]}
    answer = client.post("/postfach/papierkorb/loeschen", data=data, follow_redirects=True)
    assert "2 Nachrichten sind endgültig gelöscht" in words(answer) and "Der Papierkorb ist leer" in answer.text
    answer = client.get("/postfach/papierkorb/geloescht")
    assert membership.person.name in answer.text and "Gewerbeamt" in answer.text and faults(answer.text) == []
    assert client.post("/postfach/papierkorb/loeschen", data=data).status_code == 404


def test_remains_are_paged(client: FlaskClient) -> None:
    membership = reader(client)
    for count in (20, 10):
        ids = [put(membership.company, authority()).id for _ in range(count)]
        actions.act(actor=acting(membership), action="bin", message_ids=ids)
        erasure.erase(actor=acting(membership), message_ids=ids)
    db.session.commit()
    first = client.get("/postfach/papierkorb/geloescht").text
    older = next(one for one in Tree(first).all("a") if one.attributes.get("rel") == "next").attributes["href"]
    numbers = [one.text.strip() for page in (first, client.get(older).text) for one in Tree(page).all("th")]
    assert len({number for number in numbers if number.isdigit()}) == 30
    assert client.get("/postfach/papierkorb/geloescht?seite=x").status_code == 400


@pytest.mark.parametrize(
    ("regime", "sentence"),
    [
        (None, "beginnt keine Frist"),
        ("ozg9", "Öffnen ändert an der Frist nichts. Der Bescheid gilt am 05.12.2026"),
        ("ao122a", "§ 122a Abs. 4 AO"),
        ("vwvfg41_2a", "gilt am 02.12.2026 als bekannt gegeben"),
    ],
)
def test_the_preview_opens_nothing(client: FlaskClient, regime: str | None, sentence: str) -> None:
    membership = reader(client)
    with time_machine.travel(MORNING, tick=False):
        sign_in(client, membership)
        message = put(membership.company, authority(), regime=regime, reference="GA 17", body="Geheimes",
                      files=[file("anlage.pdf", b"%PDF" * 500)])  # fmt: skip
        db.session.commit()
        answer = client.get(f"/postfach/{message.id}/vorschau")
        text = words(answer)
        assert sentence in text and "GA 17" in text and "anlage.pdf (2 kB)" in text
        assert "Geheimes" not in answer.text and faults(answer.text) == []
        assert message.is_unread and message.first_retrieved_at is None
        client.set_cookie("sprache", "en")
        assert faults(client.get(f"/postfach/{message.id}/vorschau").text, language="en") == []


def test_where_opening_announces_the_person_chooses(client: FlaskClient) -> None:
    membership = reader(client)
    with time_machine.travel(MORNING, tick=False):
        sign_in(client, membership)
        message = put(membership.company, authority(), regime="vwvfg41_2a", files=[file("a.pdf", b"%PDF")])
        db.session.commit()
        assert f'href="/postfach/{message.id}/vorschau"' in client.get("/postfach").text
        for path in ("", "/druck"):
            assert client.get(f"/postfach/{message.id}{path}").headers["Location"].endswith("/vorschau")
        for path in ("/zip", f"/anhang/{message.attachments[0].id}"):
            answer = client.get(f"/postfach/{message.id}{path}")
            assert answer.status_code == 409 and "löst seine Bekanntgabe aus" in answer.text
        assert message.first_retrieved_at is None
        data = {"csrf_token": csrf_token(client)}
        answer = client.post(f"/postfach/{message.id}/abrufen", data=data, follow_redirects=True)
        assert "Text der Nachricht" in answer.text and "04.01.2027" in answer.text
        assert message.first_retrieved_at == MORNING
        assert "Erneutes Öffnen ändert nichts" in client.get(f"/postfach/{message.id}/vorschau").text
    with time_machine.travel(datetime(2026, 12, 20, 9, tzinfo=UTC), tick=False):
        sign_in(client, membership)
        late = put(membership.company, authority(), regime="vwvfg41_2a", at=MORNING)
        db.session.commit()
        page = client.get(f"/postfach/{late.id}/vorschau").text
        assert "kann nicht mehr geöffnet werden" in page and "/abrufen" not in page


def test_who_only_reads_gets_no_boxes(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    membership: Membership = make_membership(roles=("mailbox",))
    monkeypatch.setitem(
        __import__("unternehmenskonto.permissions", fromlist=["ROLES"]).ROLES, "mailbox", frozenset({"mailbox.read"})
    )
    sign_in(client, membership)
    put(membership.company, authority())
    db.session.commit()
    page = client.get("/postfach").text
    assert 'name="nachricht"' not in page and faults(page) == []
    assert select_and(client, "archive").status_code == 403


def test_who_acts_for_several_companies_sees_what_is_unread_in_each(client: FlaskClient) -> None:
    membership = reader(client)
    other = make_membership(person=membership.person, roles=("mailbox",))
    blind = make_membership(person=membership.person, roles=("administrator",))
    topic = make_topic(other.company, make_membership(company=other.company))
    messages = [put(other.company, authority()) for _ in range(3)]
    put(blind.company, authority())
    db.session.execute(db.update(Message).where(Message.id == messages[0].id).values(topic_id=topic.id))
    actions.act(actor=acting(other), action="bin", message_ids=[messages[1].id])
    assert places.unread_of([membership, other, blind]) == {other.id: 1}
    db.session.commit()
    answer = client.get("/unternehmen")
    assert "eine ungelesene Nachricht" in answer.text and faults(answer.text) == []
