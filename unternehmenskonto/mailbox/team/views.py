"""Team work on one message, without opening it, and the lists of tasks."""

import uuid
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from unternehmenskonto.errors import InvalidInput
from unternehmenskonto.mailbox import reading
from unternehmenskonto.mailbox.team import comments, lists, seen, sheet, tasks
from unternehmenskonto.mailbox.team.forms import CommentForm, MoveForm, TaskForm
from unternehmenskonto.permissions import current_actor, require

bp = Blueprint("mailbox_team", __name__, url_prefix="/postfach")

#: Name of each list in its address.
LISTS: dict[str, lists.Which] = {"": "mine", "offen": "nobody", "andere": "others", "erledigt": "done"}


@bp.get("/aufgaben")
@require("mailbox.read")
def show_tasks() -> str:
    """List tasks: mine, of nobody, of others, done."""
    name = request.args.get("liste", "")
    which = LISTS.get(name, "mine")
    page = lists.list_tasks(actor=current_actor(), which=which, cursor=request.args.get("seite") or None)
    return render_template(
        "mailbox/team/tasks.html", page=page, which=which, name=name if name in LISTS else "", moved=_moved()
    )


@bp.get("/<uuid:message_id>/team")
@require("mailbox.read")
def show_team(message_id: uuid.UUID) -> tuple[str, int]:
    """Show task, comments and history of a message; opens nothing."""
    return _sheet(message_id)


@bp.post("/<uuid:message_id>/aufgabe")
@require("mailbox.manage")
def assign(message_id: uuid.UUID) -> Response | tuple[str, int]:
    """Say who cares for the message and until when."""
    actor, form = current_actor(), TaskForm()
    form.offer(sheet.readers(actor, message_id), actor.membership_id)
    if not form.validate_on_submit():
        return _sheet(message_id, task_form=form)
    assignee = uuid.UUID(form.assignee.data) if form.assignee.data else None
    try:
        tasks.assign(actor=actor, message_id=message_id, assignee_id=assignee, due_on=form.due_on.data)
    except tasks.BadDay as error:
        form.due_on.errors = [str(error.sentence)]
        return _sheet(message_id, task_form=form)
    return _back(message_id, _("Die Aufgabe ist gespeichert."))


@bp.post("/<uuid:message_id>/uebernehmen")
@require("mailbox.manage")
def take(message_id: uuid.UUID) -> Response:
    """Take the message oneself; the internal due date stays."""
    actor = current_actor()
    task = sheet.task_of(actor.company_id, message_id)
    due_on = task.due_on if task else None
    tasks.assign(actor=actor, message_id=message_id, assignee_id=actor.membership_id, due_on=due_on)
    return _back(message_id, _("Sie sind jetzt zuständig."))


@bp.post("/<uuid:message_id>/keine-aufgabe")
@require("mailbox.manage")
def withdraw(message_id: uuid.UUID) -> Response:
    """Take the message off the tasks."""
    tasks.withdraw(actor=current_actor(), message_id=message_id)
    return _back(message_id, _("Die Nachricht steht nicht mehr bei den Aufgaben."))


@bp.post("/<uuid:message_id>/erledigt")
@require("mailbox.manage")
def finish(message_id: uuid.UUID) -> Response:
    """Mark the task done."""
    task = tasks.finish(actor=current_actor(), message_id=message_id)
    if task.needs_second:
        return _back(message_id, _("Als erledigt vorgemerkt. Eine zweite Person muss es noch bestätigen."))
    return _back(message_id, _("Die Aufgabe ist erledigt."))


@bp.post("/<uuid:message_id>/bestaetigen")
@require("mailbox.manage")
def confirm(message_id: uuid.UUID) -> Response:
    """Confirm as the second person."""
    tasks.confirm(actor=current_actor(), message_id=message_id)
    return _back(message_id, _("Bestätigt: Die Aufgabe ist erledigt."))


@bp.post("/<uuid:message_id>/wieder-oeffnen")
@require("mailbox.manage")
def reopen(message_id: uuid.UUID) -> Response:
    """Open a task that was done."""
    tasks.reopen(actor=current_actor(), message_id=message_id)
    return _back(message_id, _("Die Aufgabe ist wieder offen."))


@bp.post("/<uuid:message_id>/thema")
@require("mailbox.manage")
def move(message_id: uuid.UUID) -> Response | tuple[str, int]:
    """Move the message to another topic."""
    actor, form = current_actor(), MoveForm()
    form.offer(sheet.topics(actor, message_id))
    if not form.validate_on_submit():
        return _sheet(message_id, move_form=form)
    topic_id = uuid.UUID(form.topic.data) if form.topic.data else None
    if not tasks.move(actor=actor, message_id=message_id, topic_id=topic_id):
        return _back(message_id, _("Die Nachricht liegt schon in diesem Thema."))
    if sheet.is_visible(actor, message_id):
        return _back(message_id, _("Die Nachricht ist verschoben."))
    event_id = sheet.last_event(actor.company_id, message_id)
    return redirect(f"/postfach/aufgaben?verschoben={message_id}&schritt={event_id}", code=303)


@bp.post("/<uuid:message_id>/schritt-zuruecknehmen")
@require("mailbox.manage")
def undo(message_id: uuid.UUID) -> Response:
    """Take back one's own last step."""
    try:
        event_id = uuid.UUID(request.form.get("schritt", ""))
    except ValueError:
        raise InvalidInput from None
    tasks.undo(actor=current_actor(), message_id=message_id, event_id=event_id)
    return _back(message_id, _("Der letzte Schritt ist zurückgenommen."))


@bp.post("/<uuid:message_id>/kommentare")
@require("mailbox.manage")
def comment(message_id: uuid.UUID) -> Response | tuple[str, int]:
    """Write an internal comment."""
    form = CommentForm()
    if not form.validate_on_submit():
        return _sheet(message_id, comment_form=form)
    try:
        comments.write(actor=current_actor(), message_id=message_id, text=form.text.data or "")
    except (InvalidInput, comments.TooManyComments) as error:
        form.text.errors = [str(error.sentence)]
        return _sheet(message_id, comment_form=form)
    return _back(message_id, _("Der Kommentar ist gespeichert."), place="#kommentare")


@bp.route("/<uuid:message_id>/kommentare/<uuid:comment_id>", methods=["GET", "POST"])
@require("mailbox.manage")
def edit_comment(message_id: uuid.UUID, comment_id: uuid.UUID) -> Response | tuple[str, int]:
    """Change one's own comment while it is young."""
    actor = current_actor()
    reading.require_message(actor=actor, message_id=message_id)
    found = comments.own(actor, message_id, comment_id)
    if not comments.may_edit(found):
        raise comments.TooLate
    form = CommentForm(data={"text": found.text})
    if form.validate_on_submit():
        try:
            comments.edit(actor=actor, message_id=message_id, comment_id=comment_id, text=form.text.data or "")
            return _back(message_id, _("Der Kommentar ist geändert."), place="#kommentare")
        except InvalidInput as error:
            form.text.errors = [str(error.sentence)]
    page = render_template("mailbox/team/comment.html", form=form, message_id=message_id)
    return page, 422 if form.errors else 200


@bp.post("/<uuid:message_id>/kommentare/<uuid:comment_id>/loeschen")
@require("mailbox.manage")
def delete_comment(message_id: uuid.UUID, comment_id: uuid.UUID) -> Response:
    """Delete one's own comment; a trace stays."""
    comments.delete(actor=current_actor(), message_id=message_id, comment_id=comment_id)
    return _back(message_id, _("Der Kommentar ist gelöscht."), place="#kommentare")


@bp.get("/<uuid:message_id>/gesehen")
@require("mailbox.read")
def show_seen(message_id: uuid.UUID) -> str:
    """List who of the company has seen the message and when; opens nothing."""
    actor = current_actor()
    facts = sheet.facts(actor, message_id)
    page = seen.sights_of(actor=actor, message_id=message_id, before=request.args.get("seite") or None)
    return render_template("mailbox/team/seen.html", facts=facts, page=page)


def _moved() -> dict[str, uuid.UUID] | None:
    """Return message and step of a move that took the message out of the person's sight, to offer the way back."""
    try:
        return {name: uuid.UUID(request.args.get(name, "")) for name in ("verschoben", "schritt")}
    except ValueError:
        return None


def _back(message_id: uuid.UUID, sentence: str, place: str = "") -> Response:
    """Lead to the page of the team work, never to the message: that would open it."""
    flash(sentence, "success")
    return redirect(f"/postfach/{message_id}/team{place}", code=303)


def _sheet(message_id: uuid.UUID, **forms: Any) -> tuple[str, int]:
    """Show the page with the forms, one of them perhaps refused."""
    actor = current_actor()
    shown = sheet.sheet_of(actor=actor, message_id=message_id)
    refused = next((form for form in forms.values() if form.errors), None)
    page = render_template("mailbox/team/sheet.html", sheet=shown, form=refused, **_forms(shown, forms))
    return page, 422 if refused else 200


def _forms(shown: sheet.Sheet, given: dict[str, Any]) -> dict[str, Any]:
    """Return the three forms of the page, new where none was sent."""
    actor, task = current_actor(), shown.task
    if "task_form" not in given:
        assignee = str(task.assignee_id) if task and task.assignee_id else ""
        form = TaskForm(formdata=None, data={"assignee": assignee, "due_on": task.due_on if task else None})
        form.offer(shown.readers, actor.membership_id)
        given["task_form"] = form
    if "move_form" not in given:
        form = MoveForm(formdata=None, data={"topic": str(shown.facts.topic_id or "")})
        form.offer(shown.topics)
        given["move_form"] = form
    given.setdefault("comment_form", CommentForm(formdata=None))
    for name, form in given.items():
        # Three forms on one page: no id stands there twice.
        form.csrf_token.id = f"{name}_token"
    return given
