"""Name a colleague who stands in while a person is away."""

import uuid
from collections.abc import Sequence
from datetime import date, timedelta

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from unternehmenskonto import audit
from unternehmenskonto.companies.actions import people_of
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import InvalidInput, NotFound, Unprocessable
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.watch.audience import may_read
from unternehmenskonto.mailbox.watch.models import Absence
from unternehmenskonto.permissions import Actor

#: Present and coming absences of one person.
MAXIMUM_ABSENCES = 20
LONGEST_DAYS = 366


class TooManyAbsences(Unprocessable):
    """Refuse to keep more than MAXIMUM_ABSENCES for one person."""

    code = "too_many_absences"
    sentence = _l("Sie haben schon 20 Abwesenheiten eingetragen. Entfernen Sie eine, bevor Sie eine neue eintragen.")


def colleagues(actor: Actor) -> list[Membership]:
    """Return who can stand in: living memberships that read the mailbox, by name."""
    return [one for one in people_of(actor.company_id) if one.id != actor.membership_id and may_read(one)]


def absences_of(actor: Actor) -> Sequence[Absence]:
    """Return the person's present and coming absences, the first one first."""
    return _listed(actor, Absence.membership_id == actor.membership_id)


def substitutions_of(actor: Actor) -> Sequence[Absence]:
    """Return the present and coming absences in which the person stands in."""
    return _listed(actor, Absence.substitute_id == actor.membership_id)


def enter(*, actor: Actor, starts_on: date, ends_on: date, substitute_id: uuid.UUID) -> Absence:
    """Keep an absence; both days count.

    Raises InvalidInput for days in the wrong order, over already or more than LONGEST_DAYS, and for somebody who
    cannot stand in; TooManyAbsences.
    """
    today = legal_day(now())
    if ends_on < starts_on or ends_on < today or ends_on - starts_on > timedelta(days=LONGEST_DAYS):
        raise InvalidInput(_l("Der letzte Tag darf nicht vor dem ersten und nicht in der Vergangenheit liegen."))
    if substitute_id not in {one.id for one in colleagues(actor)}:
        raise InvalidInput(_l("Wählen Sie eine Person, die das Postfach lesen darf."))
    count = select(func.count()).select_from(Absence).where(
        Absence.company_id == actor.company_id,
        Absence.membership_id == actor.membership_id,
        Absence.ends_on >= today,
    )  # fmt: skip
    if (db.session.scalar(count) or 0) >= MAXIMUM_ABSENCES:
        raise TooManyAbsences
    absence = Absence(
        company_id=actor.company_id,
        membership_id=actor.membership_id,
        substitute_id=substitute_id,
        starts_on=starts_on,
        ends_on=ends_on,
    )
    db.session.add(absence)
    db.session.flush()
    _audit("absence.entered", actor, absence_id=absence.id, substitute_id=substitute_id)
    return absence


def remove(*, actor: Actor, absence_id: uuid.UUID) -> None:
    """Remove an absence of the person's own; raise NotFound for any other."""
    found = db.session.get(Absence, (actor.company_id, absence_id))
    if found is None or found.membership_id != actor.membership_id:
        raise NotFound
    db.session.delete(found)
    _audit("absence.removed", actor, absence_id=absence_id)
    db.session.flush()


def _listed(actor: Actor, whose: object) -> Sequence[Absence]:
    query = select(Absence).where(Absence.company_id == actor.company_id, Absence.ends_on >= legal_day(now()), whose)  # type: ignore[arg-type]
    return db.session.scalars(query.order_by(Absence.starts_on, Absence.id)).unique().all()


def _audit(event: str, actor: Actor, **fields: uuid.UUID) -> None:
    audit.record(event, by=f"person:{actor.person_id}", company_id=actor.company_id, **fields)
