"""The pages of the cases."""

import uuid

from flask import Blueprint, render_template, request

from unternehmenskonto.mailbox.cases import reading
from unternehmenskonto.permissions import current_actor, require

bp = Blueprint("cases", __name__, url_prefix="/vorgaenge")


@bp.get("")
@require("mailbox.read")
def open_cases() -> str:
    """List the cases that are not completed, the last changed first."""
    return _list(is_open=True)


@bp.get("/abgeschlossen")
@require("mailbox.read")
def completed_cases() -> str:
    """List the cases that are completed, the last changed first."""
    return _list(is_open=False)


@bp.get("/<uuid:case_id>")
@require("mailbox.read")
def show_case(case_id: uuid.UUID) -> str:
    """Show one case with everything that belongs to it."""
    actor = current_actor()
    case = reading.find_case(actor=actor, case_id=case_id)
    return render_template(
        "mailbox/cases/show.html",
        case=case,
        steps=reading.timeline(case, actor),
        names=reading.STATE_NAMES,
        kinds=reading.STATE_KINDS,
    )


def _list(*, is_open: bool) -> str:
    page = reading.list_cases(actor=current_actor(), is_open=is_open, cursor=request.args.get("seite") or None)
    return render_template(
        "mailbox/cases/list.html",
        page=page,
        is_open=is_open,
        path=request.path,
        names=reading.STATE_NAMES,
        kinds=reading.STATE_KINDS,
    )
