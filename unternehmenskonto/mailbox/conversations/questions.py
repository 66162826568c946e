"""What an authority asks, what people type, and what it means; nothing here touches the database."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_babel import format_decimal, gettext

from unternehmenskonto.mailbox.conversations.limits import AMOUNT_DIGITS, ANSWER_CHARACTERS
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.web import show_date, show_datetime

YES, NO = "ja", "nein"
#: Soft hyphen and the two joiners are part of written words.
_ALLOWED_FORMAT = "\u00ad\u200c\u200d"
_DROPPED_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
#: 1.234,56 and 1234,56 · 1,234.56 · 1234.56; a single dot before three digits groups thousands, as in German.
_AMOUNT = (
    re.compile(r"(?P<whole>\d{1,3}(\.\d{3})+|\d+)(,(?P<cents>\d{1,2}))?"),
    re.compile(r"(?P<whole>\d{1,3}(,\d{3})+)\.(?P<cents>\d{1,2})"),
    re.compile(r"(?P<whole>\d+)\.(?P<cents>\d{1,2})"),
)


class Invalid(Exception):
    """What was typed is no answer; the text says what to do."""


@dataclass(frozen=True)
class Question:
    """One thing the company is asked (schemas.QuestionSchema)."""

    id: str
    kind: str
    label: str
    choices: tuple[str, ...]
    required: bool


@dataclass(frozen=True)
class Asked:
    """How a message may be answered (schemas.ReplySchema)."""

    until: date | None
    attachments: bool
    questions: tuple[Question, ...]

    def is_over(self, today: date) -> bool:
        """Tell whether the last day for an answer has passed."""
        return self.until is not None and today > self.until


def asked_by(message: Message) -> Asked | None:
    """Return how the message may be answered; None if not at all."""
    stored = message.reply
    if stored is None:
        return None
    return Asked(
        until=date.fromisoformat(stored["until"]) if stored["until"] else None,
        attachments=stored["attachments"],
        questions=tuple(
            Question(**{**question, "choices": tuple(question["choices"])}) for question in stored["questions"]
        ),
    )


def clean(text: str, *, lines: bool = True) -> str:
    """Return what was typed without characters that nobody sees (they come along when text is pasted), NFC."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    if not lines:
        text = " ".join(text.split())
    kept = (c for c in text if c in "\n\t" or c in _ALLOWED_FORMAT or not _is_invisible(c))
    return "".join(kept).strip()


def answer_to(question: Question, typed: str, file_names: Sequence[str]) -> Any:
    """Return the value as the authority gets it, None where nothing was answered; raise Invalid with a sentence.

    text: str; yes_no: bool; date_choice: one of the choices; amount: "1234.56" (euro); upload: names of the files.
    """
    if question.kind == "upload":
        if question.required and not file_names:
            raise Invalid(gettext("„%(label)s“: Wählen Sie eine Datei aus.", label=question.label))
        return list(file_names) or None
    typed = clean(typed)
    if not typed:
        if question.required:
            raise Invalid(_missing(question))
        return None
    return _READERS[question.kind](question, typed)


def shown(answer: dict[str, Any]) -> str:
    """Return the value of a kept answer as people read it."""
    value, kind = answer["value"], answer["kind"]
    if value is None:
        return str(gettext("keine Angabe"))
    if kind == "yes_no":
        return str(gettext("Ja") if value else gettext("Nein"))
    if kind == "amount":
        return f"{format_decimal(Decimal(value), '#,##0.00')} €"
    if kind == "date_choice":
        return shown_choice(value)
    return ", ".join(value) if kind == "upload" else str(value)


def shown_choice(choice: str) -> str:
    """Return a day or time that can be chosen as people read it."""
    if "T" not in choice:
        return show_date(date.fromisoformat(choice))
    return show_datetime(datetime.fromisoformat(choice))


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _DROPPED_CATEGORIES


def _missing(question: Question) -> str:
    if question.kind in ("yes_no", "date_choice"):
        return str(gettext("„%(label)s“: Wählen Sie eine Antwort aus.", label=question.label))
    return str(gettext("„%(label)s“: Bitte beantworten Sie diese Frage.", label=question.label))


def _text(question: Question, typed: str) -> str:
    if len(typed) > ANSWER_CHARACTERS:
        raise Invalid(
            gettext(
                "„%(label)s“: Kürzen Sie die Antwort auf %(maximum)s Zeichen; es sind %(number)s.",
                label=question.label,
                maximum=ANSWER_CHARACTERS,
                number=len(typed),
            )
        )
    return typed


def _yes_no(question: Question, typed: str) -> bool:
    if typed not in (YES, NO):
        raise Invalid(_missing(question))
    return typed == YES


def _choice(question: Question, typed: str) -> str:
    if typed not in question.choices:
        raise Invalid(_missing(question))
    return typed


def _amount(question: Question, typed: str) -> str:
    plain = typed.removesuffix("€").removesuffix("EUR").replace("\u00a0", " ").strip().replace(" ", "")
    found = next((match for form in _AMOUNT if (match := form.fullmatch(plain)) and plain.isascii()), None)
    whole = re.sub(r"[.,]", "", found["whole"]).lstrip("0") if found else ""
    if found is None or len(whole) > AMOUNT_DIGITS:
        raise Invalid(
            gettext("„%(label)s“: Geben Sie einen Betrag in Euro an, zum Beispiel 1.234,56.", label=question.label)
        )
    return f"{whole or '0'}.{(found['cents'] or '').ljust(2, '0')}"


_READERS = {"text": _text, "yes_no": _yes_no, "date_choice": _choice, "amount": _amount}
