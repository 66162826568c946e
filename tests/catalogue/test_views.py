"""The directory and the page of a service, as a visitor sees them."""

from html import unescape
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient

from tests.factories import make_membership, make_service, sign_in
from tests.page_checks import faults
from unternehmenskonto.db import db


def page(client: FlaskClient, url: str, status: int = 200) -> str:
    answer = client.get(url)
    html = answer.get_data(as_text=True)
    assert answer.status_code == status
    assert faults(html) == []
    return unescape(html)


def entrance(html: str) -> str:
    before = html.split('<span class="kern-label">Weiter zum Dienst')[0]
    return before.rsplit('href="', 1)[1].split('"', 1)[0]


def test_directory_lists_every_service_with_its_number(client: FlaskClient, services: None) -> None:
    html = page(client, "/dienste")
    assert "10 Dienste" in html
    assert "Handwerksrolle" in html
    assert "/dienste/gewerbeamt-musterstadt" not in html


def test_search_keeps_what_was_asked(client: FlaskClient, services: None) -> None:
    html = page(client, "/dienste?suche=steuer&region=05")
    assert "<title>2 Dienste gefunden" in html
    assert 'value="steuer"' in html
    assert '<option selected value="05">' in html


def test_empty_result_says_what_to_try(client: FlaskClient, services: None) -> None:
    html = page(client, "/dienste?suche=raumfahrt&region=09")
    assert "Dazu ist kein Dienst verzeichnet." in html
    assert "Überall" in html


def test_empty_directory_says_that_services_will_come(client: FlaskClient) -> None:
    assert "Noch ist kein Dienst verzeichnet." in page(client, "/dienste")


def test_unknown_region_is_refused_with_a_sentence(client: FlaskClient, services: None) -> None:
    assert "Bitte prüfen Sie Ihre Angaben" in page(client, "/dienste?region=99", status=422)


def test_too_long_search_is_refused_with_a_sentence(client: FlaskClient, services: None) -> None:
    assert "höchstens 200 Zeichen" in page(client, "/dienste?suche=" + "a" * 201, status=422)


def test_region_smaller_than_a_land_stays_chosen(client: FlaskClient, services: None) -> None:
    html = page(client, "/dienste?region=059990001001")
    assert '<option selected value="059990001001">' in html
    assert "Gewerbeanmeldung" in html
    assert "Umweltamt Hansestadt Nordhafen" not in html


def test_list_cut_off_says_so(client: FlaskClient, app: Flask) -> None:
    for number in range(53):
        make_service(slug=f"dienst-{number}", name=f"Abriss {number}")
    db.session.commit()
    html = page(client, "/dienste?suche=abriss")
    assert "53 Dienste" in html
    assert "die ersten 50" in html


def test_service_page_tells_who_gets_what_and_why(client: FlaskClient, services: None) -> None:
    html = page(client, "/dienste/gewerbeanmeldung")
    assert "Name des Unternehmens" in html
    assert "Wird als Name des Gewerbetreibenden in die Anmeldung übernommen." in html
    assert "99050012104000" in html
    assert "Nordrhein-Westfalen" in html
    assert "Sie verlassen dann das Unternehmenskonto." in html


def test_way_in_starts_the_login_at_the_service(client: FlaskClient, services: None) -> None:
    parts = urlsplit(entrance(page(client, "/dienste/gewerbeanmeldung")))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "http://127.0.0.3:8002/login"
    assert parse_qs(parts.query) == {"iss": ["http://127.0.0.1:8000"], "target_link_uri": ["http://127.0.0.3:8002/"]}


def test_way_in_keeps_the_query_of_the_address(client: FlaskClient, app: Flask) -> None:
    client_data = {"initiate_login_uri": "https://dienst.example/login?mandant=7", "redirect_uris": []}
    make_service(slug="one", client=client_data, start_url=None)
    db.session.commit()
    assert entrance(page(client, "/dienste/one")) == (
        "https://dienst.example/login?mandant=7&iss=http%3A%2F%2F127.0.0.1%3A8000"
    )


def test_way_into_a_service_that_is_only_listed_is_its_start_page(client: FlaskClient, services: None) -> None:
    html = page(client, "/dienste/handwerksrolle")
    assert entrance(html) == "https://handwerksrolle.hwk-musterland.example/eintragung"
    assert "nicht angeschlossen" in html
    assert "gibt an diesen Dienst nichts weiter" in html


def test_mailbox_sender_has_a_page_without_way_in(client: FlaskClient, services: None) -> None:
    html = page(client, "/dienste/gewerbeamt-musterstadt")
    assert "Weiter zum Dienst" not in html
    assert "darf Nachrichten und Bescheide in das Postfach" in html


def test_person_without_the_right_is_told_whom_to_ask(client: FlaskClient, services: None) -> None:
    sign_in(client, make_membership(roles=("mailbox",)))
    assert "Ihnen fehlt das Recht, Online-Dienste zu nutzen" in page(client, "/dienste/gewerbeanmeldung")


def test_disabled_and_unknown_services_have_no_page(client: FlaskClient, app: Flask) -> None:
    make_service(slug="one", is_enabled=False)
    db.session.commit()
    for path in ("one", "two", "x" * 64, "%00", "ä"):
        page(client, f"/dienste/{path}", status=404)


def test_texts_of_a_service_are_escaped(client: FlaskClient, app: Flask) -> None:
    make_service(slug="one", name="<script>alert(1)</script>", description="<img src=x onerror=alert(1)>")
    db.session.commit()
    for url in ("/dienste", "/dienste/one"):
        raw = client.get(url).get_data(as_text=True)
        assert "<script>alert" not in raw
        assert "<img" not in raw
