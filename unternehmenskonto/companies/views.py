"""The company's pages: its data, its people and their rights."""

import uuid

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from unternehmenskonto.companies import actions, identifiers
from unternehmenskonto.companies.forms import EmailForm, RolesForm
from unternehmenskonto.companies.models import Company, Membership
from unternehmenskonto.db import db
from unternehmenskonto.permissions import ROLE_NAMES, current_actor, require, signed_in

bp = Blueprint("companies", __name__, url_prefix="/unternehmen")


@bp.get("")
@signed_in
def show() -> str:
    """Show the company; to somebody without rights, whom to ask for them."""
    actor = current_actor()
    people = actions.people_of(actor.company_id)
    return render_template(
        "companies/show.html",
        company=db.session.get_one(Company, actor.company_id),
        numbers=_numbers(actor.company_id),
        people=people,
        administrators=[one for one in people if actions.ADMINISTRATOR in one.roles],
        own=actions.membership_of(company_id=actor.company_id, membership_id=actor.membership_id),
        memberships=actions.memberships_of(actor.person_id) if actor.has_other_companies else [],
        role_names=ROLE_NAMES,
    )


@bp.route("/personen/<uuid:membership_id>", methods=["GET", "POST"])
@require("company.manage")
def edit_roles(membership_id: uuid.UUID) -> tuple[str, int] | Response:
    """Give and take rights of one person."""
    actor, membership = current_actor(), _membership(membership_id)
    form = RolesForm(data={"roles": list(membership.roles)})
    form.offer_roles()
    if not form.validate_on_submit():
        return _roles_page(form, membership)
    try:
        actions.set_roles(
            company_id=actor.company_id,
            membership_id=membership_id,
            roles=form.roles.data or (),
            by=f"person:{actor.person_id}",
        )
    except actions.Indispensable as error:
        form.roles.errors = [str(error.sentence)]
        return _roles_page(form, membership)
    flash(_("Die Rechte von %(name)s sind geändert.", name=membership.person.name), "success")
    return redirect("/unternehmen", code=303)


@bp.route("/personen/<uuid:membership_id>/entfernen", methods=["GET", "POST"])
@require("company.manage")
def remove(membership_id: uuid.UUID) -> tuple[str, int] | Response:
    """Ask, then end a membership."""
    actor, membership = current_actor(), _membership(membership_id)
    form = RolesForm(data={})
    del form.roles
    if not form.validate_on_submit():
        return render_template("companies/remove.html", form=form, membership=membership, refusal=None), 200
    try:
        actions.end_membership(company_id=actor.company_id, membership_id=membership_id, by=f"person:{actor.person_id}")
    except actions.Indispensable as error:
        page = render_template("companies/remove.html", form=form, membership=membership, refusal=error.sentence)
        return page, error.status
    flash(_("%(name)s gehört nicht mehr zum Unternehmen.", name=membership.person.name), "success")
    return redirect("/unternehmen", code=303)


@bp.route("/e-mail", methods=["GET", "POST"])
@signed_in
def edit_email() -> tuple[str, int] | Response:
    """Choose where notices about new messages go."""
    actor = current_actor()
    membership = _membership(actor.membership_id)
    form = EmailForm(data={"email": membership.email or ""})
    if not form.validate_on_submit():
        status = 422 if form.errors else 200
        return render_template("companies/email.html", form=form), status
    actions.set_email(
        company_id=actor.company_id,
        membership_id=actor.membership_id,
        email=form.email.data or None,
        by=f"person:{actor.person_id}",
    )
    flash(_("Ihre E-Mail-Adresse ist gespeichert."), "success")
    return redirect("/unternehmen", code=303)


def _membership(membership_id: uuid.UUID) -> Membership:
    return actions.membership_of(company_id=current_actor().company_id, membership_id=membership_id)


def _roles_page(form: RolesForm, membership: Membership) -> tuple[str, int]:
    page = render_template("companies/roles.html", form=form, membership=membership)
    return page, 422 if form.errors else 200


def _numbers(company_id: uuid.UUID) -> list[tuple[str, str | None]]:
    known = actions.identifiers_of(company_id)
    return [
        (_("W-IdNr."), known.get(identifiers.W_IDNR)),
        (_("USt-IdNr."), known.get(identifiers.VAT_ID)),
    ]
