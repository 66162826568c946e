"""The search finds what people mean: inflections, parts of compounds, either way to write an umlaut, regions."""

import pytest
from flask import Flask
from sqlalchemy import text

from tests.factories import make_service
from unternehmenskonto.catalogue.search import MAXIMUM_RESULTS, find_services
from unternehmenskonto.db import db


def slugs(words: str = "", region: str = "") -> list[str]:
    return [service.slug for service in find_services(words=words, region=region).services]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("Gewerbeanmeldung", "gewerbeanmeldung", id="whole word"),
        pytest.param("gewerbe", "gewerbeanmeldung", id="first part of a compound"),
        pytest.param("steuer", "umsatzsteuer-voranmeldung", id="middle of a compound"),
        pytest.param("Erlaubnis", "gaststaettenerlaubnis", id="last part of a compound"),
        pytest.param("gaststaette", "gaststaettenerlaubnis", id="ae for ä"),
        pytest.param("Gaststätte", "gaststaettenerlaubnis", id="ä"),
        pytest.param("GASTSTÄTTEN", "gaststaettenerlaubnis", id="capital Ä"),
        pytest.param("Strassen", "sondernutzung", id="ss for ß"),
        pytest.param("Straßen", "sondernutzung", id="ß"),
        pytest.param("Anmeldung eines Gewerbes", "gewerbeanmeldung", id="inflected, with a word of no meaning"),
        pytest.param("Meisterprüfungen", "handwerksrolle", id="plural of a word in the description"),
        pytest.param("Musterkreis", "baugenehmigung", id="authority"),
    ],
)
def test_words_find_the_service(services: None, words: str, expected: str) -> None:
    assert expected in slugs(words)


def test_every_word_must_match(services: None) -> None:
    assert slugs("Gewerbe Handwerksrolle") == []


def test_hit_in_name_comes_before_authority_and_description(app: Flask) -> None:
    make_service(slug="c", name="Ausnahme", description="Ein Antrag für das Fischereiwesen.")
    make_service(slug="b", name="Bescheinigung", authority="Fischereiamt Nordhafen")
    make_service(slug="a", name="Zulassung zur Fischerei")
    assert slugs("fischerei") == ["a", "b", "c"]


def test_umlaut_is_found_whichever_way_it_stands_in_the_text(app: Flask) -> None:
    make_service(slug="one", name="Kanalanschluss für Gebaeude")
    make_service(slug="two", name="Abriss von Gebäuden")
    assert sorted(slugs("Gebäude")) == sorted(slugs("gebaeude")) == ["one", "two"]


@pytest.mark.parametrize("words", ["%", "_", "\x00", "' OR 1=1 --", "der die das", "a & | ! b:*", "😀" * 300, "\\"])
def test_hostile_words_do_no_harm(services: None, words: str) -> None:
    assert find_services(words=words).total <= 11


def test_percent_sign_is_no_wildcard(app: Flask) -> None:
    make_service(slug="one", name="Abriss")
    assert slugs("ab%ss") == []


@pytest.mark.parametrize(
    ("regions", "asked", "found"),
    [
        pytest.param([], "05", True, id="everywhere"),
        pytest.param(["05"], "059990001001", True, id="Land covers its towns"),
        pytest.param(["059990001001"], "05", True, id="town lies in the Land"),
        pytest.param(["05999"], "059990001001", True, id="district covers its towns"),
        pytest.param(["059990001001"], "059990001002", False, id="other town"),
        pytest.param(["05"], "09", False, id="other Land"),
        pytest.param(["09", "05"], "059", True, id="one of several"),
    ],
)
def test_region_is_a_prefix_both_ways(app: Flask, regions: list[str], asked: str, found: bool) -> None:
    make_service(slug="one", name="Abriss", regions=regions)
    assert (slugs(region=asked) == ["one"]) is found


def test_unlisted_and_disabled_services_are_not_found(app: Flask) -> None:
    make_service(slug="one", name="Abriss", is_listed=False)
    make_service(slug="two", name="Abriss", is_enabled=False)
    assert slugs("Abriss") == []


def test_total_tells_what_is_not_shown(app: Flask) -> None:
    for number in range(MAXIMUM_RESULTS + 3):
        make_service(slug=f"dienst-{number}", name=f"Abriss {number}")
    found = find_services(words="abriss")
    assert (len(found.services), found.total) == (MAXIMUM_RESULTS, MAXIMUM_RESULTS + 3)


def test_parts_of_words_are_found_through_the_index(app: Flask) -> None:
    db.session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = "\n".join(
        db.session.scalars(text("EXPLAIN SELECT slug FROM online_services WHERE trigrams(words) @> trigrams('steuer')"))
    )
    assert "ix_online_services_trigrams" in plan
