"""Nothing that matches is missed: the search against a plain scan of random mailboxes."""

import re
import unicodedata
from typing import Any

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import make_membership
from tests.mailbox.search.data import fill, found


def plain(text: str) -> str:
    """Fold without the code under test: lower case, umlauts written out."""
    lowered = unicodedata.normalize("NFC", text).lower()
    for letter, written in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
        lowered = lowered.replace(letter, written)
    return lowered


#: Words that share parts, inflections and spellings, so that random texts hit each other.
PIECES = st.sampled_from(
    (
        *("Steuer", "Gewerbesteuer", "STEUERBESCHEID", "Gaststätte", "gaststaette", "Gaststa\u0308tte", "Straße"),
        *("STRASSE", "Grüße", "Gruesse", "GA-2026-0001", "GA-2026-00012", "26,00", "§", "14", "§14", "Anmeldung"),
        *("(Anmeldung)", "„Anmeldung“", "Anträge", "Antrag", "100%_sicher", "a\\b", "über", "Über", "ÜBER", "E-Mail"),
        *("Öl", "öl", "Muster-AG", "der", "**fett**ung", "[Link](https://amt.example/x)", "x" * 130 + "ende", "`a_b`"),
        "Grundstücksverkehrsgenehmigungszuständigkeitsübertragungsverordnungsstellenleitungsvertretung",
    )
)
TEXTS = st.lists(st.one_of(PIECES, st.text("aäeÄ1-ß. ", min_size=1, max_size=6)), min_size=1, max_size=8).map(
    lambda words: " ".join(words)[:250]
)
MESSAGE = {"subject": TEXTS, "body": TEXTS, "reference": TEXTS, "body_format": st.sampled_from(["text", "markdown"])}
MESSAGES = st.lists(st.fixed_dictionaries(MESSAGE), max_size=6)
PARTS = re.compile(r"[^\W_]\S+[^\W_]")
EDGES = re.compile(r"^[\W_]+|[\W_]+$")
SEARCHED = ("subject", "body", "reference")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=MESSAGES, data=st.data())
def test_nothing_that_contains_the_words_is_missed(app: Flask, messages: list[dict[str, str]], data: Any) -> None:
    """A mailbox finds a message by every part of three characters and more of all words in it."""
    membership = make_membership()
    fill(membership, messages)
    everything = " ".join(plain(" ".join(one[name] for name in SEARCHED)) for one in messages)
    # Punctuation at the ends of what is asked does not count, so three characters are what is left without it.
    parts = [part for chunk in everything.split() for part in PARTS.findall(chunk)] or ["steuer"]
    terms = []
    for _ in range(data.draw(st.integers(1, 2))):
        part = data.draw(st.sampled_from(parts))
        middle = data.draw(st.integers(1, len(part) - 2))
        start, end = data.draw(st.integers(0, middle - 1)), data.draw(st.integers(middle + 2, len(part)))
        terms.append(part[start:end])
    terms = [term for term in terms if len(EDGES.sub("", term)) >= 3] or [parts[0]]
    expected = {
        number
        for number, one in enumerate(messages, start=1)
        if all(any(term in plain(one[name]) for name in SEARCHED) for term in terms)
    }
    assert expected <= set(found(membership, " ".join(terms)))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.sampled_from(("Steuer", "Antrag", "Straße", "GA-1", "Öl")), min_size=1, max_size=6))
def test_nothing_else_is_found_and_the_newest_comes_first(app: Flask, words: list[str]) -> None:
    membership = make_membership()
    fill(membership, [{"subject": word} for word in words])
    for word in set(words):
        assert found(membership, word) == [number for number in range(len(words), 0, -1) if words[number - 1] == word]
