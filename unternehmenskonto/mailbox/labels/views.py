"""The labels of the company: their list, the messages with one of them, and making, changing, removing."""

import uuid

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response

from unternehmenskonto.mailbox import inbox
from unternehmenskonto.mailbox.folders.listing import Listing
from unternehmenskonto.mailbox.labels import actions
from unternehmenskonto.mailbox.labels.forms import LabelForm
from unternehmenskonto.permissions import current_actor, require

bp = Blueprint("labels", __name__, url_prefix="/postfach/etiketten")


@bp.get("")
@require("mailbox.read")
def show_labels() -> str:
    """List the labels; whoever may change messages makes one here."""
    return _labels_page(LabelForm())


@bp.post("")
@require("mailbox.manage")
def make() -> tuple[str, int] | Response:
    """Make a label."""
    form = LabelForm()
    if form.validate_on_submit():
        try:
            label = actions.make(actor=current_actor(), name=form.name.data or "", colour=form.colour.data)
        except (actions.NameTaken, actions.TooManyLabels) as error:
            form.name.errors = [str(error.sentence)]
        else:
            flash(_("Das Etikett „%(name)s“ ist angelegt.", name=label.name), "success")
            return redirect("/postfach/etiketten", code=303)
    return _labels_page(form), 422


@bp.get("/<uuid:label_id>")
@require("mailbox.read")
def show_messages(label_id: uuid.UUID) -> str:
    """List the messages with this label, in inbox and archive."""
    actor, listing = current_actor(), Listing.asked()
    label = actions.get_label(actor=actor, label_id=label_id)
    page = inbox.list_labelled(actor=actor, label_id=label_id, cursor=listing.cursor, size=listing.size)
    return render_template("mailbox/labels/messages.html", label=label, page=page, folder="label", **listing.context())


@bp.route("/<uuid:label_id>/bearbeiten", methods=["GET", "POST"])
@require("mailbox.manage")
def edit(label_id: uuid.UUID) -> tuple[str, int] | Response:
    """Give the label another name or colour."""
    actor = current_actor()
    label = actions.get_label(actor=actor, label_id=label_id)
    form = LabelForm(data={"name": label.name, "colour": label.colour})
    if form.validate_on_submit():
        try:
            actions.change(actor=actor, label_id=label_id, name=form.name.data or "", colour=form.colour.data)
        except actions.NameTaken as error:
            form.name.errors = [str(error.sentence)]
        else:
            flash(_("Das Etikett ist geändert."), "success")
            return redirect("/postfach/etiketten", code=303)
    return render_template("mailbox/labels/edit.html", form=form, label=label), 422 if form.errors else 200


@bp.route("/<uuid:label_id>/loeschen", methods=["GET", "POST"])
@require("mailbox.manage")
def remove(label_id: uuid.UUID) -> str | Response:
    """Ask, saying how many messages carry it, then remove the label."""
    actor, form = current_actor(), FlaskForm()
    label = actions.get_label(actor=actor, label_id=label_id)
    if not form.validate_on_submit():
        count = actions.count_messages(actor=actor, label_id=label_id)
        return render_template("mailbox/labels/remove.html", form=form, label=label, count=count)
    name = label.name
    count = actions.remove(actor=actor, label_id=label_id)
    flash(
        ngettext(
            "Das Etikett „%(name)s“ ist gelöscht. Eine Nachricht trug es.",
            "Das Etikett „%(name)s“ ist gelöscht. %(num)d Nachrichten trugen es.",
            count,
            name=name,
        ),
        "success",
    )
    return redirect("/postfach/etiketten", code=303)


def _labels_page(form: LabelForm) -> str:
    labels = actions.list_labels(actor=current_actor())
    return render_template("mailbox/labels/list.html", form=form, labels=labels, maximum=actions.LABEL_MAXIMUM)
