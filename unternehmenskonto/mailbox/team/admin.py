"""Pages of the administrators: topics, their readers and rules, and the acts that move many messages."""

import uuid
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from unternehmenskonto.errors import AppError
from unternehmenskonto.mailbox.team import outside, runs, tasks, topics
from unternehmenskonto.mailbox.team.forms import FourEyesForm, RuleForm, TopicForm
from unternehmenskonto.mailbox.team.models import TopicRule
from unternehmenskonto.mailbox.team.readers import readers_of
from unternehmenskonto.mailbox.team.routing import rules_of
from unternehmenskonto.permissions import current_actor, require

bp = Blueprint("mailbox_topics", __name__, url_prefix="/postfach/themen")

LIST = "/postfach/themen"


@bp.get("")
@require("company.manage")
def show_topics() -> str:
    """List topics, rules, and what was done with many messages."""
    company_id = current_actor().company_id
    shown = topics.shown_topics(company_id)
    return render_template(
        "mailbox/team/topics.html",
        topics=shown,
        names={one.topic.id: one.topic.name for one in shown},
        rules=rules_of(company_id),
        runs=runs.runs_of(company_id),
        four_eyes=FourEyesForm(formdata=None, data={"four_eyes": tasks.has_four_eyes(company_id)}),
        limits=topics,
    )


@bp.route("/neu", methods=["GET", "POST"])
@require("company.manage")
def make_topic() -> Response | tuple[str, int]:
    """Make a topic."""
    actor, form = current_actor(), TopicForm()
    form.offer(readers_of(actor.company_id), actor.membership_id)
    if form.validate_on_submit():
        try:
            topic = topics.make(actor=actor, **_values(form))
            flash(_("Das Thema „%(name)s“ ist angelegt.", name=topic.name), "success")
            return redirect(LIST, code=303)
        except (topics.NameTaken, topics.LastReader, topics.TooManyTopics) as error:
            _refuse(form, error)
    return render_template("mailbox/team/topic.html", form=form, topic=None, outsides=None), _status(form)


@bp.route("/<uuid:topic_id>", methods=["GET", "POST"])
@require("company.manage")
def edit_topic(topic_id: uuid.UUID) -> Response | tuple[str, int]:
    """Change name, description and readers of a topic; show what lies in it from outside."""
    actor = current_actor()
    topic = topics.topic_of(actor.company_id, topic_id)
    members = [str(one) for one in topics.members_of(actor.company_id, topic_id)]
    form = TopicForm(data={"name": topic.name, "description": topic.description, "members": members})
    form.offer(readers_of(actor.company_id), actor.membership_id)
    if form.validate_on_submit():
        try:
            topics.change(actor=actor, topic_id=topic_id, **_values(form))
            flash(_("Das Thema „%(name)s“ ist gespeichert.", name=topic.name), "success")
            return redirect(LIST, code=303)
        except (topics.NameTaken, topics.LastReader) as error:
            _refuse(form, error)
    outsides = outside.outsides_of(
        company_id=actor.company_id, topic_id=topic_id, cursor=request.args.get("seite") or None
    )
    page = render_template("mailbox/team/topic.html", form=form, topic=topic, outsides=outsides)
    return page, _status(form)


@bp.route("/<uuid:topic_id>/aufloesen", methods=["GET", "POST"])
@require("company.manage")
def end_topic(topic_id: uuid.UUID) -> Response | str:
    """Ask, then end a topic; its messages become visible to everybody."""
    actor = current_actor()
    topic = topics.topic_of(actor.company_id, topic_id)
    if request.method == "GET":
        count = outside.count(company_id=actor.company_id, topic_id=topic_id)
        return render_template("mailbox/team/end.html", topic=topic, count=count, maximum=outside.MAXIMUM_COUNT)
    run = runs.end_topic(actor=actor, topic_id=topic_id)
    return redirect(f"{LIST}/laeufe/{run.id}", code=303)


@bp.route("/regeln/neu", methods=["GET", "POST"])
@require("company.manage")
def make_rule() -> Response | tuple[str, int]:
    """Make a rule, or try it."""
    actor, form = current_actor(), RuleForm()
    living = topics.topics_of(actor.company_id)
    form.offer(living)
    trial = None
    if living and form.validate_on_submit():
        try:
            if "probe" in request.form:
                trial = runs.try_rule(actor=actor, rule=_tried(form))
            else:
                rule = topics.make_rule(actor=actor, topic_id=uuid.UUID(form.topic.data), conditions=_conditions(form))
                flash(_("Die Regel gilt ab jetzt für neue Nachrichten."), "success")
                return redirect(f"{LIST}/regeln/{rule.id}/anwenden", code=303)
        except (topics.NoCondition, topics.TooManyRules) as error:
            _refuse(form, error)
    return _rule_page(form, rule=None, trial=trial)


@bp.route("/regeln/<uuid:rule_id>", methods=["GET", "POST"])
@require("company.manage")
def edit_rule(rule_id: uuid.UUID) -> Response | tuple[str, int]:
    """Change a rule for new messages, or try it."""
    actor = current_actor()
    rule = topics.rule_of(actor.company_id, rule_id)
    names = ("authority", "service", "leika", "words")
    form = RuleForm(data={"topic": str(rule.topic_id), **{name: getattr(rule, name) for name in names}})
    form.offer(topics.topics_of(actor.company_id))
    trial = None
    if form.validate_on_submit():
        try:
            if "probe" in request.form:
                trial = runs.try_rule(actor=actor, rule=_tried(form, rule))
            else:
                topic_id = uuid.UUID(form.topic.data)
                topics.change_rule(actor=actor, rule_id=rule_id, topic_id=topic_id, conditions=_conditions(form))
                flash(_("Die Regel ist gespeichert und gilt für neue Nachrichten."), "success")
                return redirect(f"{LIST}/regeln/{rule_id}/anwenden", code=303)
        except topics.NoCondition as error:
            _refuse(form, error)
    return _rule_page(form, rule=rule, trial=trial)


@bp.post("/regeln/<uuid:rule_id>/verschieben")
@require("company.manage")
def move_rule(rule_id: uuid.UUID) -> Response:
    """Try the rule earlier or later."""
    topics.move_rule(actor=current_actor(), rule_id=rule_id, up=request.form.get("wohin") == "hoch")
    flash(_("Die Reihenfolge der Regeln ist geändert."), "success")
    return redirect(f"{LIST}#regeln", code=303)


@bp.post("/regeln/<uuid:rule_id>/loeschen")
@require("company.manage")
def remove_rule(rule_id: uuid.UUID) -> Response:
    """Remove the rule; messages stay where they are."""
    topics.remove_rule(actor=current_actor(), rule_id=rule_id)
    flash(_("Die Regel ist gelöscht. Schon einsortierte Nachrichten bleiben, wo sie sind."), "success")
    return redirect(f"{LIST}#regeln", code=303)


@bp.route("/regeln/<uuid:rule_id>/anwenden", methods=["GET", "POST"])
@require("company.manage")
def apply_rule(rule_id: uuid.UUID) -> Response | str:
    """Tell how many existing messages the rule would take; on request, let it."""
    actor = current_actor()
    rule = topics.rule_of(actor.company_id, rule_id)
    if request.method == "GET":
        topic = topics.topic_of(actor.company_id, rule.topic_id)
        trial = runs.try_rule(actor=actor, rule=rule)
        return render_template("mailbox/team/apply.html", rule=rule, topic=topic, trial=trial)
    run = runs.apply_rule(actor=actor, rule_id=rule_id)
    return redirect(f"{LIST}/laeufe/{run.id}", code=303)


@bp.get("/laeufe/<uuid:run_id>")
@require("company.manage")
def show_run(run_id: uuid.UUID) -> str:
    """Show how far an act on many messages is, and offer to take it back."""
    run = runs.run_of(current_actor().company_id, run_id)
    return render_template(
        "mailbox/team/run.html",
        run=run,
        topic=outside.name_of(run.company_id, run.topic_id),
        is_running=runs.is_running(run),
        can_undo=runs.can_undo(run),
    )


@bp.post("/laeufe/<uuid:run_id>/zuruecknehmen")
@require("company.manage")
def undo_run(run_id: uuid.UUID) -> Response:
    """Take back what an act on many messages moved."""
    runs.undo_run(actor=current_actor(), run_id=run_id)
    return redirect(f"{LIST}/laeufe/{run_id}", code=303)


@bp.post("/vier-augen")
@require("company.manage")
def set_four_eyes() -> Response:
    """Switch the two-person rule for "done" on or off."""
    form = FourEyesForm()
    if form.validate_on_submit():
        topics.set_four_eyes(actor=current_actor(), wanted=form.four_eyes.data)
        on = _("„Erledigt“ braucht ab jetzt eine zweite Person.")
        flash(on if form.four_eyes.data else _("„Erledigt“ gilt ab jetzt sofort."), "success")
    return redirect(f"{LIST}#vier-augen", code=303)


def _values(form: TopicForm) -> dict[str, Any]:
    members = [uuid.UUID(one) for one in form.members.data or ()]
    return {"name": form.name.data, "description": form.description.data, "member_ids": members}


def _conditions(form: RuleForm) -> topics.Conditions:
    return topics.Conditions(
        authority=form.authority.data or "",
        service=form.service.data or "",
        leika=form.leika.data or "",
        words=form.words.data or "",
    )


def _tried(form: RuleForm, kept: TopicRule | None = None) -> TopicRule:
    """Return the rule as it stands in the form, in the place of the kept one; it is never added to the session."""
    return topics.sketch(topic_id=uuid.UUID(form.topic.data), conditions=_conditions(form), kept=kept)


def _refuse(form: TopicForm | RuleForm, error: AppError) -> None:
    """Show a refusal at the field it speaks of, or above the form."""
    fields: dict[type[AppError], str] = {topics.NameTaken: "name", topics.LastReader: "members"}
    name = fields.get(type(error))
    if name is None:
        form.form_errors = [*form.form_errors, str(error.sentence)]
    else:
        form[name].errors = [str(error.sentence)]


def _status(form: Any) -> int:
    return 422 if form.errors else 200


def _rule_page(form: RuleForm, *, rule: TopicRule | None, trial: runs.Trial | None) -> tuple[str, int]:
    page = render_template(
        "mailbox/team/rule.html", form=form, rule=rule, trial=trial, services=outside.senders(), shown=runs.SHOWN
    )
    return page, _status(form)
