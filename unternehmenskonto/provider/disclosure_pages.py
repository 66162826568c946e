"""The pages "Datenweitergaben": what goes where, what went where, and how to stop it."""

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from unternehmenskonto.permissions import current_actor, signed_in
from unternehmenskonto.provider import consents, disclosures

bp = Blueprint("disclosures", __name__, url_prefix="/datenweitergaben")

PAGE = "/datenweitergaben"


@bp.get("")
@signed_in
def show() -> str:
    """Show every living agreement of this person for this company."""
    found = disclosures.agreements_of(current_actor().membership_id)
    return render_template(
        "provider/disclosures.html", agreements=found, is_cut=len(found) == disclosures.MAXIMUM_AGREEMENTS
    )


@bp.get("/verlauf")
@signed_in
def history() -> str:
    """Show what was passed on, newest first."""
    page = disclosures.disclosures_of(
        current_actor().membership_id, before=request.args.get("vor"), after=request.args.get("nach")
    )
    return render_template("provider/disclosure_history.html", page=page, path=f"{PAGE}/verlauf")


@bp.post("/<slug>/zuruecknehmen")
@signed_in
def withdraw(slug: str) -> Response:
    """Take an agreement back; everything that hangs on it ends."""
    actor = current_actor()
    name = consents.withdraw(
        person_id=actor.person_id, company_id=actor.company_id, membership_id=actor.membership_id, service=slug
    )
    flash(
        _(
            "„%(service)s“ bekommt ab jetzt nichts mehr und meldet Sie ab. Angaben, die der Dienst schon hat, bleiben "
            "dort. Wenn Sie ihn wieder nutzen, fragen wir Sie neu.",
            service=name,
        ),
        "success",
    )
    return redirect(PAGE, code=303)
