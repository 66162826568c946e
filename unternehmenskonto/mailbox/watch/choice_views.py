"""The pages on which a company and its people choose: reminders, cover, absences."""

import uuid

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from unternehmenskonto.db import now
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.watch import absence, actions
from unternehmenskonto.mailbox.watch.forms import AbsenceForm, SettingsForm
from unternehmenskonto.permissions import current_actor, require

bp = Blueprint("watch_choices", __name__)


@bp.route("/fristen/einstellungen", methods=["GET", "POST"])
@require("company.manage")
def edit_settings() -> tuple[str, int] | Response:
    """Choose when the company is reminded and when others are told."""
    actor = current_actor()
    chosen = actions.settings_of(actor.company_id)
    days = ", ".join(str(day) for day in chosen.reminder_days)
    form = SettingsForm(data={"reminders": days, "cover_days": chosen.cover_days})
    if not form.validate_on_submit():
        return render_template("mailbox/watch/settings.html", form=form), 422 if form.errors else 200
    actions.change_settings(actor=actor, reminder_days=form.reminder_days, cover_days=form.cover_days.data or 0)
    flash(_("Gespeichert. Es gilt ab der nächsten Prüfung der Fristen, jeden Morgen ab 7 Uhr."), "success")
    return redirect("/fristen/einstellungen", code=303)


@bp.route("/abwesenheit", methods=["GET", "POST"])
@require("mailbox.read")
def edit_absences() -> tuple[str, int] | Response:
    """Show the person's absences and enter another one."""
    actor = current_actor()
    colleagues = absence.colleagues(actor)
    form = AbsenceForm()
    form.offer(colleagues, legal_day(now()))
    if not form.validate_on_submit():
        return _absences(form, bool(colleagues)), 422 if form.errors else 200
    try:
        first, last = form.period
        absence.enter(actor=actor, starts_on=first, ends_on=last, substitute_id=uuid.UUID(form.substitute_id.data))
    except absence.TooManyAbsences as error:
        form.ends_on.errors = [str(error.sentence)]
        return _absences(form, bool(colleagues)), error.status
    flash(_("Ihre Abwesenheit ist eingetragen."), "success")
    return redirect("/abwesenheit", code=303)


@bp.post("/abwesenheit/<uuid:absence_id>/entfernen")
@require("mailbox.read")
def remove_absence(absence_id: uuid.UUID) -> Response:
    """Remove one of the person's absences."""
    absence.remove(actor=current_actor(), absence_id=absence_id)
    flash(_("Die Abwesenheit ist entfernt."), "success")
    return redirect("/abwesenheit", code=303)


def _absences(form: AbsenceForm, has_colleagues: bool) -> str:
    actor = current_actor()
    return render_template(
        "mailbox/watch/absence.html",
        form=form,
        has_colleagues=has_colleagues,
        own=absence.absences_of(actor),
        others=absence.substitutions_of(actor),
    )
