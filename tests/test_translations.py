"""Every text a person sees exists in English, and the catalogue holds nothing else."""

import re
from collections.abc import Iterator

from babel.messages.catalog import Message

from tools.translations import extract, read_catalogue

PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")
MARKUP = re.compile(r"</?\w+")


def messages() -> Iterator[Message]:
    return (message for message in read_catalogue() if message.id)


def texts(value: str | tuple[str, ...] | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def test_catalogue_holds_exactly_the_texts_of_the_program() -> None:
    in_program = {(message.id, message.context) for message in extract() if message.id}
    in_catalogue = {(message.id, message.context) for message in messages()}
    assert in_program - in_catalogue == set(), "run: python tools/translations.py update"
    assert in_catalogue - in_program == set(), "run: python tools/translations.py update"


def test_every_text_has_its_english() -> None:
    missing = [message.id for message in messages() if not all(texts(message.string)) or message.fuzzy]
    assert missing == []


def test_plural_texts_have_both_english_forms() -> None:
    wrong = [message.id for message in messages() if message.pluralizable and len(texts(message.string)) != 2]
    assert wrong == []


def test_english_keeps_the_placeholders_and_markup() -> None:
    for message in messages():
        german = texts(message.id)
        for index, english in enumerate(texts(message.string)):
            source = german[min(index, len(german) - 1)]
            assert set(PLACEHOLDER.findall(english)) == set(PLACEHOLDER.findall(source)), source
            assert sorted(MARKUP.findall(english)) == sorted(MARKUP.findall(source)), source


def test_english_ends_like_the_german() -> None:
    """A sentence stays a sentence, a label stays a label: " – " and ":" at the ends carry the layout."""
    for message in messages():
        german, english = texts(message.id)[0], texts(message.string)[0]
        for end in (":", "?", " ", "…"):
            assert german.endswith(end) == english.endswith(end), (german, english)
