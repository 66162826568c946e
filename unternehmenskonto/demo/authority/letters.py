"""What the authority writes: the decision on an application and an ordinary message."""

import textwrap
from datetime import date, datetime, timedelta
from typing import Any

from .pdf import letter

NAME = "Gewerbeamt Musterstadt"
ADDRESS = "Rathausplatz 1, 12345 Musterstadt"
LAND = "NW"
#: In Nordrhein-Westfalen there is no objection before the lawsuit in such matters (JustG NRW section 110).
COURT = "Verwaltungsgericht Musterstadt, Justizplatz 1, 12345 Musterstadt"
FEE_EURO = 26
WIDTH = 88
TITLE_CHARACTERS = 255
LEIKA_KEY = "99050012104000"
COMPLETED = "completed"


def decision_message(application: dict[str, str], reference: str) -> dict[str, Any]:
    """Return the decision as the delivery interface wants it."""
    return {
        "recipient": {"org_sub": application["org_sub"]},
        "kind": "decision",
        "subject": f"Bescheid zu Ihrer Gewerbeanmeldung {reference}",
        "body_format": "markdown",
        "body": _decision_text(application),
        "reference": reference,
        "decision": {
            "regime": "ozg9",
            "land": LAND,
            "remedy": {
                "kind": "lawsuit",
                "length": 1,
                "unit": "month",
                "instructed": True,
                "addressee": COURT,
            },
        },
    }


def case_reports(application: dict[str, str], received_at: datetime, decided_at: datetime) -> list[dict[str, Any]]:
    """Return what the company is told of its application's state, as the case interface wants it, in this order."""
    states = (
        ("received", received_at, "Ihre Gewerbeanzeige ist beim Gewerbeamt eingegangen."),
        ("processing", received_at + timedelta(seconds=1), "Wir bearbeiten Ihre Gewerbeanzeige."),
        (COMPLETED, max(decided_at, received_at + timedelta(seconds=1)), "Der Bescheid liegt in Ihrem Postfach."),
    )
    return [
        {
            "recipient": {"org_sub": application["org_sub"]},
            "title": f"Gewerbeanmeldung: {application['activity']}"[:TITLE_CHARACTERS],
            "state": state,
            "at": at.isoformat(),
            "text": text,
            "public_service": LEIKA_KEY,
        }
        for state, at, text in states
    ]


def note_message(application: dict[str, str], reference: str, number: int) -> dict[str, Any]:
    """Return an ordinary message about an application."""
    return {
        "recipient": {"org_sub": application["org_sub"]},
        "kind": "message",
        "subject": f"Hinweis {number} zu {reference}",
        "body_format": "text",
        "body": (
            "Sehr geehrte Damen und Herren,\n\n"
            f"zu Ihrer Gewerbeanmeldung „{application['activity']}“ weisen wir darauf hin, dass wir auch das "
            "Finanzamt, die Industrie- und Handelskammer und die Berufsgenossenschaft unterrichtet haben. "
            "Sie müssen nichts weiter tun.\n\n"
            f"Mit freundlichen Grüßen\n{NAME}"
        ),
        "reference": reference,
    }


def decision_pdf(application: dict[str, str], reference: str, day: date) -> bytes:
    """Return the decision as a document."""
    paragraphs = [
        NAME,
        ADDRESS,
        "",
        f"An: {application['company']}",
        application["address"],
        "",
        f"Aktenzeichen: {reference}",
        f"Musterstadt, den {day:%d.%m.%Y}",
        "",
        f"Sie haben am {day:%d.%m.%Y} die folgende gewerbliche Tätigkeit angezeigt:",
        f"Tätigkeit: {application['activity']}",
        f"Beginn: {_german(application['begins_on'])}",
        "",
        "Wir bescheinigen den Empfang Ihrer Anzeige nach § 15 Absatz 1 der Gewerbeordnung.",
        f"Für die Bescheinigung setzen wir eine Gebühr von {FEE_EURO},00 € fest.",
        "",
        "Rechtsbehelfsbelehrung",
        _instruction(),
        "",
        "Dieses Schreiben gehört zu einer Demonstration. Es hat keine rechtliche Wirkung.",
    ]
    lines = [line for text in paragraphs for line in textwrap.wrap(text, WIDTH) or [""]]
    return letter(f"Bescheid {reference}", lines)


def _decision_text(application: dict[str, str]) -> str:
    return (
        "Sehr geehrte Damen und Herren,\n\n"
        f"wir bescheinigen den Empfang Ihrer Gewerbeanzeige für **{_plain(application['company'])}**:\n\n"
        f"- Tätigkeit: {_plain(application['activity'])}\n"
        f"- Beginn: {_german(application['begins_on'])}\n"
        f"- Anschrift: {_plain(application['address'])}\n\n"
        f"Für die Bescheinigung setzen wir eine Gebühr von **{FEE_EURO},00 €** fest.\n\n"
        "## Rechtsbehelfsbelehrung\n\n"
        f"{_instruction()}\n\n"
        f"Mit freundlichen Grüßen\n\n{NAME}\n"
    )


def _instruction() -> str:
    return (
        "Gegen diesen Bescheid kann innerhalb eines Monats nach Bekanntgabe Klage erhoben werden. "
        f"Die Klage ist schriftlich, elektronisch oder zur Niederschrift bei {COURT}, zu erheben."
    )


def _german(day: str) -> str:
    return f"{date.fromisoformat(day):%d.%m.%Y}"


def _plain(text: str) -> str:
    """Return what somebody typed so that Markdown shows it as typed."""
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]()#+-.!<>|~" else sign for sign in " ".join(text.split()))
