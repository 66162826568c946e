"""Say in sentences how the dates of a decision come about."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import flask_babel
import structlog
from babel.dates import format_date
from flask_babel import lazy_gettext as _l

from unternehmenskonto.mailbox import actions, deadlines
from unternehmenskonto.mailbox.deadlines import Deadline, SkippedDay, Step
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.web import current_language

log = structlog.get_logger()
_: Callable[..., str] = flask_babel.gettext
ngettext: Callable[..., str] = flask_babel.ngettext

LAND_NAMES = {
    "BB": _l("Brandenburg"),
    "BE": _l("Berlin"),
    "BW": _l("Baden-Württemberg"),
    "BY": _l("Bayern"),
    "HB": _l("Bremen"),
    "HE": _l("Hessen"),
    "HH": _l("Hamburg"),
    "MV": _l("Mecklenburg-Vorpommern"),
    "NI": _l("Niedersachsen"),
    "NW": _l("Nordrhein-Westfalen"),
    "RP": _l("Rheinland-Pfalz"),
    "SH": _l("Schleswig-Holstein"),
    "SL": _l("Saarland"),
    "SN": _l("Sachsen"),
    "ST": _l("Sachsen-Anhalt"),
    "TH": _l("Thüringen"),
}
REMEDY_NAMES = {"objection": _l("Widerspruch oder Einspruch"), "lawsuit": _l("Klage")}
SATURDAY = 5


@dataclass(frozen=True)
class Sentence:
    """One step in words, and the paragraph it follows."""

    text: str
    paragraph: str


def deadline_of(message: Message) -> Deadline | None:
    """Return the dates of a decision with their steps, None for an ordinary message.

    What was computed and stored on the day of delivery or retrieval stays; if today's tables would say otherwise,
    the stored days are kept and the steps are left out.
    """
    if message.regime is None:
        return None
    retrieved = message.first_retrieved_at
    computed = actions.deadline(message, retrieved_on=None if retrieved is None else deadlines.legal_day(retrieved))
    stored = (message.announced_on, message.remedy_ends_on)
    if stored == (computed.announced_on, computed.remedy_ends_on):
        return computed
    log.warning("dates differ from today's rules", message_id=str(message.id), rule=message.rule_version)
    return Deadline(
        announced_on=message.announced_on,
        remedy_ends_on=message.remedy_ends_on,
        provision_ends_on=computed.provision_ends_on,
        safe_on=computed.safe_on,
        rule_version=message.rule_version or computed.rule_version,
        steps=(),
    )


def sentences(message: Message, deadline: Deadline, today: date) -> list[Sentence]:
    """Return the explanation in the language of the page, one sentence or two for each step."""
    return [Sentence(_words(step, today)(step, message), step.paragraph) for step in deadline.steps]


def long_day(day: date) -> str:
    """Show a day with its weekday: Samstag, 05.12.2026."""
    language = current_language()
    return str(format_date(day, "EEEE, dd.MM.yyyy" if language == "de" else "EEEE, d MMMM yyyy", language))


def duration(length: int, unit: str) -> str:
    """Show a period: ein Monat, 14 Tage."""
    words = {
        "day": ngettext("ein Tag", "%(num)d Tage", length),
        "week": ngettext("eine Woche", "%(num)d Wochen", length),
        "month": ngettext("ein Monat", "%(num)d Monate", length),
        "year": ngettext("ein Jahr", "%(num)d Jahre", length),
    }
    return words[unit]


def _provided(step: Step, message: Message) -> str:
    return _("Am %(day)s wurde der Bescheid in Ihrem Postfach zum Abruf bereitgestellt.", day=long_day(step.starts_on))


def _announced(step: Step, message: Message) -> str:
    if message.regime == "vwvfg41_2a":
        return _(
            "Am %(day)s wurde er zum ersten Mal abgerufen. Er gilt am Tag danach als bekannt gegeben: %(end)s.",
            day=long_day(step.starts_on),
            end=long_day(step.ends_on),
        )
    text = ngettext(
        "Er gilt einen Tag danach als bekannt gegeben. Gezählt wird: %(days)s.",
        "Er gilt am %(num)d. Tag danach als bekannt gegeben. Gezählt werden: %(days)s.",
        step.length,
        days=", ".join(long_day(day) for day in step.counted),
    )
    is_free = step.ends_on.weekday() >= SATURDAY or deadlines.holiday_name(step.ends_on, land=message.land)
    if message.regime == "ozg9" and is_free:
        return f"{text} " + _("Dass dieser Tag auf ein Wochenende oder einen Feiertag fällt, verschiebt ihn nicht.")
    return text


def _announcement_shifted(step: Step, message: Message) -> str:
    return _(
        "%(reasons)s Deshalb gilt er am nächsten Werktag als bekannt gegeben: %(end)s.",
        reasons=_reasons(step.skipped, message),
        end=long_day(step.ends_on),
    )


def _waiting(step: Step, message: Message) -> str:
    return _(
        "Er wurde noch nicht abgerufen und ist deshalb noch nicht bekannt gegeben. Er kann bis %(end)s abgerufen "
        "werden (%(num)d Tage); danach endet die Bereitstellung.",
        end=long_day(step.ends_on),
        num=step.length,
    )


def _not_announced(step: Step, message: Message) -> str:
    return _(
        "Er wurde bis %(end)s (%(num)d Tage) nicht abgerufen. Die Bereitstellung ist beendet und der Bescheid ist "
        "auf diesem Weg nicht bekannt gegeben.",
        end=long_day(step.ends_on),
        num=step.length,
    )


def _remedy(step: Step, message: Message) -> str:
    text = ""
    if not step.instructed:
        text = _("Die Belehrung über den Rechtsbehelf fehlt oder ist unrichtig. Deshalb gilt statt der üblichen Frist:")
        text += " "
    text += _(
        "Frist für %(remedy)s: %(duration)s. Der Tag der Bekanntgabe (%(start)s) zählt nicht mit. "
        "Der letzte Tag der Frist ist %(end)s.",
        remedy=REMEDY_NAMES.get(message.remedy_kind or "", _("den Rechtsbehelf")),
        duration=duration(step.length, step.unit),
        start=long_day(step.starts_on),
        end=long_day(step.ends_on),
    )
    if step.month_is_shorter:
        text += " " + _("Den %(day)d. gibt es in diesem Monat nicht, deshalb zählt der letzte.", day=step.starts_on.day)
    return text


def _end_shifted(step: Step, message: Message) -> str:
    return _(
        "%(reasons)s Deshalb endet die Frist erst am nächsten Werktag: %(end)s.",
        reasons=_reasons(step.skipped, message),
        end=long_day(step.ends_on),
    )


def _reasons(skipped: tuple[SkippedDay, ...], message: Message) -> str:
    """Name each day on which nothing can end, and the holiday where it is one."""
    return " ".join(_reason(one, message) for one in skipped)


def _reason(skipped: SkippedDay, message: Message) -> str:
    if skipped.reason != "holiday":
        return _("%(day)s fällt auf ein Wochenende.", day=long_day(skipped.day))
    name = deadlines.holiday_name(skipped.day, land=message.land, language=current_language())
    place = LAND_NAMES.get(message.land or "", _("ganz Deutschland"))
    return _("%(day)s ist ein Feiertag (%(name)s, %(land)s).", day=long_day(skipped.day), name=name, land=place)


def _words(step: Step, today: date) -> Callable[[Step, Message], str]:
    """Return the words for a step; a decision waits for its retrieval until the last day is over."""
    return _not_announced if step.kind == "waiting" and step.ends_on < today else _WORDS[step.kind]


_WORDS = {
    "provided": _provided,
    "announced": _announced,
    "announcement_shifted": _announcement_shifted,
    "waiting": _waiting,
    "not_announced": _not_announced,
    "remedy": _remedy,
    "end_shifted": _end_shifted,
}
