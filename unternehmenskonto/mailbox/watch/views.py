"""The pages of the deadlines: the list, and one decision explained without opening it."""

import uuid

from flask import Blueprint, render_template, request

from unternehmenskonto.db import now
from unternehmenskonto.mailbox import explanation
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.watch import due, steps
from unternehmenskonto.mailbox.watch.forms import DayForm
from unternehmenskonto.mailbox.watch.what_if import WhatIf, possible_days, what_if
from unternehmenskonto.permissions import current_actor, require

bp = Blueprint("watch", __name__)


@bp.get("/fristen")
@require("mailbox.read")
def show_due() -> str:
    """List the deadlines, the next first."""
    cursor = request.args.get("seite") or None
    actor = current_actor()
    page = due.list_due(actor=actor, cursor=cursor)
    covered = steps.covered_on(actor.company_id, [one.id for one in page.entries])
    return render_template(
        "mailbox/watch/list.html",
        page=page,
        covered=covered,
        own_dates=due.own_dates(actor) if cursor is None else [],
        is_first=cursor is None,
        after_days=due.SHOWN_AFTER_DAYS,
    )


@bp.get("/fristen/<uuid:message_id>")
@require("mailbox.read")
def show_decision(message_id: uuid.UUID) -> tuple[str, int]:
    """Explain the dates of a decision and what opening it would mean; opens nothing."""
    message = due.decision_of(actor=current_actor(), message_id=message_id)
    moment = now()
    first, last = possible_days(message, moment)
    form = DayForm(request.args, data={"tag": first})
    form.limit(first, last)
    chosen: WhatIf | None = None
    if "tag" in request.args and form.validate() and form.tag.data is not None:
        chosen = what_if(message, day=form.tag.data, at=moment)
    page = render_template(
        "mailbox/watch/decision.html",
        message=message,
        form=form,
        today=what_if(message, day=first, at=moment),
        chosen=chosen if chosen and chosen.day != first else None,
        by_retrieval=due.by_retrieval(message.regime, message.remedy_ends_on),
        days_left=None if message.due_on is None else (message.due_on - legal_day(moment)).days,
        **_explained(message),
    )
    return page, 422 if form.errors else 200


def _explained(message: Message) -> dict[str, object]:
    """Return what the shared explanation wants."""
    deadline = explanation.deadline_of(message)
    return {
        "opened": {"deadline": deadline},
        "sentences": explanation.sentences(message, deadline, legal_day(now())) if deadline else [],
        "land": explanation.LAND_NAMES.get(message.land or "", ""),
        "remedy": explanation.REMEDY_NAMES.get(message.remedy_kind or "", ""),
    }
