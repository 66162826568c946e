"""What a company chooses about its deadlines: when it is reminded, and when others are told."""

import uuid
from collections.abc import Iterable

from flask_babel import lazy_gettext as _l

from unternehmenskonto import audit
from unternehmenskonto.db import db
from unternehmenskonto.errors import InvalidInput
from unternehmenskonto.mailbox.watch.models import WatchSettings
from unternehmenskonto.permissions import Actor

DEFAULT_REMINDER_DAYS = (7, 3, 1)
MAXIMUM_REMINDERS = 5
LONGEST_REMINDER_DAYS = 60
DEFAULT_COVER_DAYS = 10
LONGEST_COVER_DAYS = 30


def settings_of(company_id: uuid.UUID) -> WatchSettings:
    """Return what the company chose, or the defaults."""
    return db.session.get(WatchSettings, company_id) or defaults(company_id)


def defaults(company_id: uuid.UUID) -> WatchSettings:
    """Return the settings of a company that chose nothing."""
    days = list(DEFAULT_REMINDER_DAYS)
    return WatchSettings(company_id=company_id, reminder_days=days, cover_days=DEFAULT_COVER_DAYS)


def change_settings(*, actor: Actor, reminder_days: Iterable[int], cover_days: int) -> None:
    """Keep what the company chose; holds from the next look of the jobs on.

    Days count back from the last day of a period. Raises InvalidInput for more than MAXIMUM_REMINDERS or days out
    of range.
    """
    days = sorted(set(reminder_days), reverse=True)
    if len(days) > MAXIMUM_REMINDERS or not all(1 <= day <= LONGEST_REMINDER_DAYS for day in days):
        raise InvalidInput(_l("Wählen Sie höchstens fünf Erinnerungen, jede 1 bis 60 Tage vor dem Ende."))
    if not 0 <= cover_days <= LONGEST_COVER_DAYS:
        raise InvalidInput(_l("Wählen Sie 0 bis 30 Tage."))
    chosen = db.session.get(WatchSettings, actor.company_id)
    if chosen is None:
        chosen = WatchSettings(company_id=actor.company_id)
        db.session.add(chosen)
    chosen.reminder_days, chosen.cover_days = days, cover_days
    audit.record(
        "deadlines.settings_changed",
        by=f"person:{actor.person_id}",
        company_id=actor.company_id,
        reminder_days=days,
        cover_days=cover_days,
    )
    db.session.flush()
