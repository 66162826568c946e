"""The pages of the search: words, filters, what they say, what they cost, and searches that are kept."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.factories import csrf_token, make_membership, make_service
from tests.mailbox.reading_data import authority, file, put, reader
from tests.mailbox.search.data import fill, found
from tests.mailbox.search.pdf_data import pdf
from tests.mailbox.test_inbox import counted_statements
from tests.page_checks import Tree, faults
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.search import actions, highlight, queries, results
from unternehmenskonto.mailbox.search.files import read_file
from unternehmenskonto.mailbox.search.models import SavedSearch

MORNING = datetime(2026, 11, 2, 9, tzinfo=UTC)


def text_of(page: str) -> str:
    return " ".join(Tree(page).all("main")[0].text.split())


@pytest.mark.parametrize(
    ("asked", "subject"),
    [
        ("Steuer", "Gewerbesteuerbescheid"),
        ("Antrag", "Ihre Anträge"),
        ("anträge", "Ein Antrag"),
        ("strasse", "Straßenreinigung"),
        ("Straße", "STRASSENREINIGUNG"),
        ("gaststaette", "Gaststättenerlaubnis"),
        ("Gaststatte", "Gaststätte"),
        ("0001", "Zeichen GA-2026-0001."),
        ("„Bescheid“", "Bescheid!"),
        ("AG", "Muster-AG"),
        ("bescheid der stadt", "Stadtbescheid"),
        ("100%", "100% sicher"),
    ],
)
def test_words_are_found(client: FlaskClient, asked: str, subject: str) -> None:
    membership = reader(client)
    fill(membership, [{"subject": "Anderes"}, {"subject": subject}])
    assert found(membership, asked) == [2]


def test_filters_hold_together(client: FlaskClient) -> None:
    membership, service = reader(client), authority()
    other = make_service(name="Zoll", authority="Hauptzollamt", is_mailbox_sender=True)
    put(membership.company, service, subject="Erste", at=MORNING - timedelta(days=400), regime="ozg9")
    put(membership.company, other, subject="Zweite", at=MORNING, files=[file("a.csv", b"a", "text/csv")])
    third = put(membership.company, service, subject="Dritte", regime="ozg9")
    third.archived_at, third.is_unread = now(), False
    db.session.commit()
    day = MORNING.date()
    for filters, expected in (
        ({"authority": "Hauptzollamt"}, [2]),
        ({"service": service.slug}, [3, 1]),
        ({"kind": "decision"}, [3, 1]),
        ({"kind": "message"}, [2]),
        ({"read": "yes"}, [3]),
        ({"read": "no"}, [2, 1]),
        ({"deadline": "running"}, [3]),
        ({"deadline": "over"}, [1]),
        ({"deadline": "none"}, [2]),
        ({"deadline": "soon"}, []),
        ({"attachment": "yes"}, [2]),
        ({"attachment": "no"}, [3, 1]),
        ({"folder": "archive"}, [3]),
        ({"folder": "inbox"}, [2, 1]),
        ({"since": day, "until": day}, [2]),
        ({"until": day - timedelta(days=1)}, [1]),
        ({"since": day + timedelta(days=1)}, [3]),
        ({"kind": "decision", "folder": "inbox", "deadline": "over"}, [1]),
    ):
        assert found(membership, **filters) == expected, filters
        assert set(found(membership, "e", **filters)) <= set(expected)
    assert found(membership, "dritte", kind="decision") == [3]
    assert found(membership, "dritte", kind="message") == []


def test_a_deadline_that_ends_soon(client: FlaskClient) -> None:
    membership = reader(client)
    put(membership.company, authority(), regime="ozg9", at=now() - timedelta(days=28))
    (message,) = db.session.scalars(db.select(Message).filter_by(company_id=membership.company_id))
    assert message.remedy_ends_on is not None
    left = (message.remedy_ends_on - legal_day(now())).days
    assert found(membership, deadline="soon") == ([1] if left <= 7 else [])


def test_nobody_finds_the_messages_of_others(client: FlaskClient) -> None:
    membership, other = reader(client), make_membership()
    fill(membership, [{"subject": "Gewerbesteuer"}])
    fill(other, [{"subject": "Grundsteuer"}])
    assert found(membership, "steuer") == [1] and found(membership, "grundsteuer") == []
    assert found(other, "gewerbe") == []


def test_the_page_marks_what_was_found(client: FlaskClient) -> None:
    membership = reader(client)
    opened = put(membership.company, authority(), subject="<b>Gewerbesteuer</b>", body="Ihre Steuer <i>ist</i> fällig.")
    put(membership.company, authority(), subject="Bescheid", body="Ihre Steuer ist geheim.", reference="St-1")
    db.session.commit()
    client.get(f"/postfach/{opened.id}")
    page = client.get("/postfach/suche?suche=steuer").text
    assert faults(page) == []
    assert "&lt;b&gt;Gewerbe<mark>steuer</mark>&lt;/b&gt;" in page
    assert "Ihre <mark>Steuer</mark> &lt;i&gt;ist" in page
    assert "geheim" not in page and "Treffer im Text" in page
    assert "2 Treffer" in page and "2 von 2 Nachrichten durchsucht." in text_of(page)
    assert db.session.scalars(db.select(Message.first_retrieved_at)).all().count(None) == 1


def test_a_hit_in_a_file_is_named(client: FlaskClient) -> None:
    membership = reader(client)
    message = put(
        membership.company, authority(), files=[file("Anlage.pdf", pdf("Umsatzsteuer")), file("b.pdf", pdf("x"))]
    )
    db.session.commit()
    page = client.get("/postfach/suche?suche=umsatzsteuer").text
    assert "0 Treffer" in page and "2 PDF-Anhänge werden noch gelesen" in text_of(page)
    from_job = [str(one.id) for one in message.attachments]
    for attachment_id in from_job:
        read_now(membership, attachment_id)
    page = client.get("/postfach/suche?suche=umsatzsteuer").text
    assert "Treffer im Anhang: Anlage.pdf" in text_of(page) and "b.pdf" not in page
    assert "noch gelesen" not in page and faults(page) == []


def read_now(membership: Membership, attachment_id: str) -> None:
    read_file(company_id=str(membership.company_id), attachment_id=attachment_id)
    db.session.commit()


def test_chips_take_one_filter_away(client: FlaskClient) -> None:
    membership = reader(client)
    put(membership.company, authority(), subject="Gewerbe")
    db.session.commit()
    page = client.get("/postfach/suche?suche=gewerbe&art=message&gelesen=no&von=2026-01-01").text
    for words in ("Art: Nachricht", "Gelesen: Ungelesen", "Bereitgestellt ab: 01.01.2026"):
        assert words in text_of(page)
    assert 'href="/postfach/suche?suche=gewerbe&amp;gelesen=no&amp;von=2026-01-01"' in page


def test_nothing_found_says_what_to_try(client: FlaskClient) -> None:
    reader(client)
    page = client.get("/postfach/suche?suche=unauffindbar+wort&art=decision").text
    for words in (
        "Dazu gibt es keine Nachricht",
        "Nehmen Sie einen Filter weg",
        "weniger Wörtern",
        "kürzeren Wortteil",
    ):
        assert words in page
    assert faults(page) == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("von=gestern", "Geben Sie einen Tag ein"),
        ("von=2026-05-02&bis=2026-05-01", "Der letzte Tag liegt vor dem ersten"),
        ("art=falsch", "Diese Auswahl gibt es nicht mehr"),
        ("suche=" + "x" * 201, "Geben Sie höchstens 200 Zeichen ein"),
    ],
)
def test_bad_input_gets_a_sentence_and_stays(client: FlaskClient, query: str, sentence: str) -> None:
    reader(client)
    answer = client.get(f"/postfach/suche?{query}&dienst=&absender=")
    assert answer.status_code == 422 and sentence in answer.text and faults(answer.text) == []
    if "gestern" in query:
        assert 'value="gestern"' in answer.text


@pytest.mark.parametrize("vor", ["x", "-1", "9" * 40, "٣", "1", ""])
def test_foreign_places_in_the_list_are_harmless(client: FlaskClient, vor: str) -> None:
    membership = reader(client)
    fill(membership, [{}])
    db.session.commit()
    assert client.get(f"/postfach/suche?art=message&vor={quote(vor)}").status_code == 200


@pytest.mark.parametrize("asked", ["%", "_", "\\", "' OR 1=1", "\x00", "a" * 200, "= *", "::", "🦆🦆🦆"])
def test_any_input_is_only_words(client: FlaskClient, asked: str) -> None:
    membership = reader(client)
    fill(membership, [{"subject": "Bescheid"}])
    db.session.commit()
    answer = client.get(f"/postfach/suche?suche={quote(asked)}")
    assert answer.status_code == 200 and found(membership, asked.replace("\0", " ") or "x") in ([], [1])


def test_all_pages_show_each_hit_once(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAXIMUM_COUNT", 60)
    membership = reader(client)
    fill(membership, [{"subject": f"Bescheid {number}"} for number in range(110)])
    db.session.commit()
    seen, address = [], "/postfach/suche?suche=bescheid"
    steps = []
    while address:
        page = Tree(client.get(address).text)
        seen += [link.text for link in page.all("a") if link.attributes.get("href", "").startswith("/postfach/0")]
        steps.append(address)
        address = next(
            (str(one.attributes["href"]) for one in page.all("a") if one.attributes.get("rel") == "next"), ""
        )
    assert len(seen) == len(set(seen)) == 110 and len(steps) == 5
    back = [one for one in Tree(client.get(steps[2]).text).all("a") if one.attributes.get("rel") == "prev"]
    assert back[0].attributes["href"] == steps[1]
    assert "Mehr als 60 Treffer" in client.get(steps[0]).text


def test_a_page_costs_the_same_whatever_is_found(client: FlaskClient) -> None:
    counts = []
    for number in (1, 40):
        membership = reader(client)
        for _ in range(number):
            fill(membership, [{"subject": "Gewerbesteuer"}])
        put(
            membership.company,
            authority(),
            subject="Gewerbesteuer",
            files=[file("a.pdf", pdf("Steuer"))] * min(number, 3),
        )
        db.session.commit()
        client.get("/postfach/suche?suche=steuer+gewerbe&art=message")
        with counted_statements() as statements:
            assert client.get("/postfach/suche?suche=steuer+gewerbe&art=message").status_code == 200
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_searches_are_kept_renamed_and_deleted(client: FlaskClient) -> None:
    membership = reader(client)
    fill(membership, [{"subject": "Gewerbesteuer"}])
    db.session.commit()
    token = csrf_token(client)
    keep = "/postfach/suche/merken?suche=steuer&art=message"
    assert faults(client.get(keep).text) == []
    answer = client.post(keep, data={"csrf_token": token, "name": "  Meine   Steuern "})
    assert answer.status_code == 303 and answer.headers["Location"] == "/postfach/suche?suche=steuer&art=message"
    page = client.get("/postfach/suche").text
    assert "Meine Steuern" in page and "/postfach/suche?art=message&amp;suche=steuer" in page and faults(page) == []
    twice = client.post(keep, data={"csrf_token": token, "name": "meine steuern"})
    assert twice.status_code == 422 and "heißt schon so" in twice.text and 'value="meine steuern"' in twice.text
    assert client.post(keep, data={"csrf_token": token, "name": " "}).status_code == 422
    (search,) = db.session.scalars(db.select(SavedSearch))
    address = f"/postfach/suche/gemerkt/{search.id}"
    assert client.post(address, data={"csrf_token": token, "name": "Steuern"}).status_code == 303
    gone = client.post(f"{address}/loeschen", data={"csrf_token": token})
    page = client.get(gone.headers["Location"]).text
    assert "Die Suche „Steuern“ ist gelöscht" in page and faults(page) == []
    assert client.get(address).status_code == 404
    client.post(f"{address}/wiederherstellen", data={"csrf_token": token})
    assert "Steuern" in client.get("/postfach/suche").text
    assert client.post(f"{address}/wiederherstellen", data={"csrf_token": token}).status_code == 404


def test_searches_belong_to_one_person_and_have_a_limit(client: FlaskClient) -> None:
    colleague = make_membership()
    theirs = SavedSearch(company_id=colleague.company_id, membership_id=colleague.id, name="Ihre", fields={})
    db.session.add(theirs)
    membership = reader(client, colleague.company)
    for number in range(actions.MAXIMUM_SAVED):
        name = f"Suche {number}"
        db.session.add(
            SavedSearch(company_id=membership.company_id, membership_id=membership.id, name=name, fields={"suche": "a"})
        )
    db.session.commit()
    token = csrf_token(client)
    answer = client.post("/postfach/suche/merken?suche=a", data={"csrf_token": token, "name": "Zu viel"})
    assert answer.status_code == 422 and "schon 30 Suchen" in answer.text
    for way in ("", "/loeschen", "/wiederherstellen"):
        assert client.post(f"/postfach/suche/gemerkt/{theirs.id}{way}", data={"csrf_token": token}).status_code == 404


@pytest.mark.parametrize(
    ("text", "asked", "shown"),
    [
        ("Gewerbesteuer", "steuer", "Gewerbe<mark>steuer</mark>"),
        ("Die Straße", "strasse", "Die <mark>Straße</mark>"),
        ("Anträge & mehr", "antrag", "Anträge &amp; mehr"),
        ("aaa", "aa a", "aaa"),
        ("<script>", "script", "&lt;<mark>script</mark>&gt;"),
        ("steuersteuer", "steuer", "<mark>steuersteuer</mark>"),
    ],
)
def test_hits_are_marked_and_everything_is_escaped(text: str, asked: str, shown: str) -> None:
    terms = [queries.Term(word, ()) for word in asked.split()]
    assert str(highlight.mark(text, terms)) == shown


def test_an_excerpt_shows_the_words_around() -> None:
    text = "Anfang " * 40 + "die Gewerbesteuer ist fällig " + "Ende " * 80
    shown = highlight.excerpt(text, [queries.Term("steuer", ())])
    assert shown is not None and shown.startswith("… ") and shown.endswith(" …")
    assert "die Gewerbe<mark>steuer</mark> ist fällig" in shown and len(shown) < 280
    assert highlight.excerpt("nichts", [queries.Term("steuer", ())]) is None
