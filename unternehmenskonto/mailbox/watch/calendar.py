"""Deadlines as iCalendar (RFC 5545): one event for a whole day each, the same bytes as long as nothing changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from flask_babel import force_locale
from flask_babel import gettext as _
from icalendar import Alarm, Calendar, Event
from icalendar.prop import vDuration

from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.watch.due import by_retrieval
from unternehmenskonto.settings import get_settings

PRODUCT = "-//Unternehmenskonto//Fristen//DE"
MEDIA_TYPE = "text/calendar; charset=utf-8"
#: How often a calendar is asked to look again.
REFRESH = timedelta(hours=6)
#: Alarms ring at nine in the morning of their day.
ALARM_TIME = timedelta(hours=9)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Style:
    """How to write: language, whether subjects may be told, the company's name, alarms so many days before."""

    language: str
    with_subject: bool
    company: str
    alarm_days: Sequence[int]


def calendar(messages: Iterable[Message], style: Style) -> bytes:
    """Return the calendar object with one event for each decision, encoded and folded (RFC 5545 section 3.1)."""
    with force_locale(style.language):
        made = Calendar()
        made.add("prodid", PRODUCT)
        made.add("version", "2.0")
        made.add("method", "PUBLISH")
        made.add("x-wr-calname", _text(_("Fristen: %(company)s", company=style.company)))
        # RFC 7986 section 5.7, and what older programs read.
        made.add("refresh-interval", vDuration(REFRESH), parameters={"value": "DURATION"})
        made.add("x-published-ttl", vDuration(REFRESH))
        for message in messages:
            if message.due_on is not None:
                made.add_component(_event(message, message.due_on, style))
        return bytes(made.to_ical())


def _event(message: Message, day: date, style: Style) -> Event:
    settings = get_settings()
    link = f"{settings.base_url}/fristen/{message.id}"
    event = Event()
    event.add("uid", f"frist-{message.id}@{urlsplit(settings.base_url).hostname}")
    event.add("dtstamp", _changed_at(message))
    # The day moves once at most: when the retrieval begins the period (VwVfG section 41(2a)).
    event.add("sequence", 1 if _has_moved(message) else 0)
    event.add("dtstart", day)
    event.add("dtend", day + ONE_DAY)
    event.add("summary", _summary(message, style))
    event.add("description", _description(message, style, link))
    event.add("url", link)
    event.add("class", "PRIVATE")
    event.add("transp", "TRANSPARENT")
    event.add("status", "CONFIRMED")
    for days in style.alarm_days:
        event.add_component(_alarm(days, _summary(message, style)))
    return event


def _alarm(days: int, words: str) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", words)
    # Counted from the midnight with which the last day begins.
    alarm.add("trigger", ALARM_TIME - timedelta(days=days))
    return alarm


def _summary(message: Message, style: Style) -> str:
    sender = message.sender_authority
    if by_retrieval(message.regime, message.remedy_ends_on):
        words = _("Bescheid nur noch heute abrufbar: %(sender)s", sender=sender)
    else:
        words = _("Rechtsbehelfsfrist endet: %(sender)s", sender=sender)
    return _text(f"{words} – {message.subject}" if style.with_subject else words)


def _description(message: Message, style: Style, link: str) -> str:
    return _text(
        _("Der Bescheid liegt im Postfach von %(company)s.", company=style.company)
        + "\n"
        + _("Nach der Anmeldung sehen Sie hier, wie sich der Tag berechnet: %(link)s", link=link)
        + "\n"
        + _("Der Tag ist berechnet. Maßgeblich sind das Gesetz und die Belehrung im Bescheid."),
        keep="\n",
    )


def _has_moved(message: Message) -> bool:
    return message.regime == "vwvfg41_2a" and message.first_retrieved_at is not None


def _changed_at(message: Message) -> datetime:
    moved = message.first_retrieved_at if _has_moved(message) else None
    return (moved or message.made_available_at).replace(microsecond=0)


def _text(words: str, *, keep: str = "") -> str:
    """Return the text without control characters, which RFC 5545 section 3.3.11 forbids."""
    return "".join(character if character.isprintable() or character in keep else " " for character in words)
