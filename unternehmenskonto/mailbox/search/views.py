"""The pages of the search."""

import uuid
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from unternehmenskonto.errors import Conflict
from unternehmenskonto.mailbox.search import actions, queries, results
from unternehmenskonto.mailbox.search.forms import NameForm, SearchForm
from unternehmenskonto.permissions import current_actor, require
from unternehmenskonto.web import limiter, show_date

bp = Blueprint("mailbox_search", __name__)

ADDRESS = "/postfach/suche"
#: Nobody reads results faster; a search costs more than a page of the list.
SEARCHES_PER_ADDRESS = "120 per minute"


@bp.get("/postfach/suche")
@require("mailbox.read")
@limiter.limit(SEARCHES_PER_ADDRESS)
def show() -> tuple[str, int]:
    """Show the search, and what matches if something was asked for; opens no message."""
    actor = current_actor()
    form = _form(request.args)
    if not form.validate():
        return render_template("mailbox/search/page.html", form=form, page=None, asked=None, chips=[], saved=[]), 422
    filled = form.filled()
    asked, page = queries.ask(form.suche.data or ""), None
    if asked.terms or filled.keys() - {"suche"}:
        page = results.search(actor=actor, asked=asked, filters=form.filters(), before=_before())
    return (
        render_template(
            "mailbox/search/page.html",
            form=form,
            page=page,
            asked=asked,
            chips=_chips(form, filled),
            address=f"{ADDRESS}?{urlencode(filled)}",
            keep=f"{ADDRESS}/merken?{urlencode(filled)}",
            coverage=results.coverage(actor),
            maximum=results.MAXIMUM_COUNT,
            saved=[] if page else [(one, f"{ADDRESS}?{urlencode(one.fields)}") for one in actions.saved(actor)],
            undo=_deleted_now(),
        ),
        200,
    )


@bp.route("/postfach/suche/merken", methods=["GET", "POST"])
@require("mailbox.read")
def save() -> Any:
    """Keep a search under a name."""
    actor, search = current_actor(), _form(request.args)
    filled = search.filled() if search.validate() else {}
    if not filled:
        return redirect(f"{ADDRESS}?{request.query_string.decode(errors='replace')}", code=303)
    form = NameForm(data={"name": search.suche.data or ""})
    if form.validate_on_submit():
        try:
            actions.save(actor=actor, name=form.chosen(), fields=filled)
        except Conflict as refusal:
            form.name.errors = [refusal.sentence]
        else:
            flash(_("Die Suche ist gemerkt. Sie finden sie auf der Seite „Suche“."), "success")
            return redirect(f"{ADDRESS}?{urlencode(filled)}", code=303)
    page = render_template(
        "mailbox/search/name.html", form=form, chips=_chips(search, filled), back=f"{ADDRESS}?{urlencode(filled)}"
    )
    return page, 422 if form.errors else 200


@bp.route("/postfach/suche/gemerkt/<uuid:search_id>", methods=["GET", "POST"])
@require("mailbox.read")
def rename(search_id: uuid.UUID) -> Any:
    """Give a kept search another name."""
    actor = current_actor()
    search = actions.get(actor=actor, search_id=search_id)
    form = NameForm(data={"name": search.name})
    if form.validate_on_submit():
        try:
            actions.rename(actor=actor, search_id=search_id, name=form.chosen())
        except Conflict as refusal:
            form.name.errors = [refusal.sentence]
        else:
            flash(_("Der neue Name ist gespeichert."), "success")
            return redirect(ADDRESS, code=303)
    found = _form(MultiDict(search.fields))
    page = render_template("mailbox/search/name.html", form=form, chips=_chips(found, search.fields), back=ADDRESS)
    return page, 422 if form.errors else 200


@bp.post("/postfach/suche/gemerkt/<uuid:search_id>/loeschen")
@require("mailbox.read")
def remove(search_id: uuid.UUID) -> Response:
    """Delete a kept search and offer to take it back."""
    actions.remove(actor=current_actor(), search_id=search_id)
    return redirect(f"{ADDRESS}?geloescht={search_id}", code=303)


@bp.post("/postfach/suche/gemerkt/<uuid:search_id>/wiederherstellen")
@require("mailbox.read")
def take_back(search_id: uuid.UUID) -> Response:
    """Bring a deleted search back."""
    actions.take_back(actor=current_actor(), search_id=search_id)
    flash(_("Die Suche ist wieder da."), "success")
    return redirect(ADDRESS, code=303)


def _form(values: Any) -> SearchForm:
    form = SearchForm(values)
    form.offer(results.senders(current_actor()), results.labels(current_actor()))
    return form


def _before() -> int | None:
    """Return the place in the list; anything that is none is the top."""
    value = request.args.get("vor", "")
    return int(value) if value.isascii() and value.isdigit() and 0 < int(value[:19]) < queries.NEWEST else None


def _deleted_now() -> Any:
    try:
        search_id = uuid.UUID(request.args.get("geloescht", ""))
    except ValueError:
        return None
    return actions.removed(actor=current_actor(), search_id=search_id)


def _chips(form: SearchForm, filled: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return name, value and the address without it for every filter that is set."""
    chips = []
    for name in (name for name in filled if name != "suche" and name in form):
        field = form[name]
        shown = show_date(field.data) if name in ("von", "bis") else _label(field)
        rest = urlencode({key: value for key, value in filled.items() if key != name})
        chips.append((field.label.text, shown, f"{ADDRESS}?{rest}"))
    return chips


def _label(field: Any) -> str:
    return str(dict(field.choices).get(field.data, field.data))
