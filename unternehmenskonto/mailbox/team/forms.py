"""Forms of team work: task, comment, topic, rule."""

from collections.abc import Iterable
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import BooleanField, DateField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length
from wtforms.validators import Optional as MayBeEmpty
from wtforms.widgets import CheckboxInput, ListWidget

from unternehmenskonto.companies.models import Membership
from unternehmenskonto.mailbox.team.comments import MAXIMUM_LENGTH
from unternehmenskonto.mailbox.team.models import Topic
from unternehmenskonto.mailbox.team.topics import MAXIMUM_DESCRIPTION, MAXIMUM_NAME

MAXIMUM_CONDITION = 200


def _stripped(value: str | None) -> str:
    return (value or "").strip()


class TaskForm(FlaskForm):
    """Who cares for the message, and until when; both may stay empty."""

    assignee = SelectField(_l("Zuständig"), description=_l("Die Person bekommt eine E-Mail ohne Inhalt."))
    due_on = DateField(
        _l("Intern fällig am"),
        description=_l("Nur für Ihr Unternehmen. Gesetzliche Fristen ändern sich dadurch nicht."),
        validators=[MayBeEmpty()],
    )

    def offer(self, readers: Iterable[Membership], own_id: Any) -> None:
        """Name everybody who reads the message, oneself first."""
        found = sorted(readers, key=lambda one: one.id != own_id)
        names = [(str(one.id), _("%(name)s (Sie)", name=one.person.name)) for one in found if one.id == own_id]
        names += [(str(one.id), one.person.name) for one in found if one.id != own_id]
        self.assignee.choices = [("", _("niemand")), *names]


class CommentForm(FlaskForm):
    """An internal comment."""

    text = TextAreaField(
        _l("Kommentar"),
        description=_l("Höchstens 2000 Zeichen. Nur Personen Ihres Unternehmens lesen ihn, Behörden nie."),
        render_kw={"rows": 4, "maxlength": MAXIMUM_LENGTH},
    )


class MoveForm(FlaskForm):
    """Where a message belongs."""

    topic = SelectField(
        _l("Thema"),
        description=_l("Wer das Thema nicht liest, sieht die Nachricht danach nicht mehr – auch Sie selbst."),
    )

    def offer(self, topics: Iterable[Topic]) -> None:
        """Name every topic of the company."""
        self.topic.choices = [("", _("kein Thema (alle sehen die Nachricht)"))]
        self.topic.choices += [(str(topic.id), topic.name) for topic in topics]


class TopicForm(FlaskForm):
    """Name, description and readers of a topic."""

    name = StringField(
        _l("Name"),
        filters=[_stripped],
        validators=[
            InputRequired(_l("Geben Sie einen Namen ein.")),
            Length(max=MAXIMUM_NAME, message=_l("Kürzen Sie den Namen auf 80 Zeichen.")),
        ],
        render_kw={"maxlength": MAXIMUM_NAME},
    )
    description = StringField(
        _l("Beschreibung"),
        description=_l("Damit alle wissen, was hierher gehört."),
        filters=[_stripped],
        validators=[Length(max=MAXIMUM_DESCRIPTION, message=_l("Kürzen Sie die Beschreibung auf 500 Zeichen."))],
        render_kw={"maxlength": MAXIMUM_DESCRIPTION},
    )
    members = SelectMultipleField(
        _l("Wer liest dieses Thema?"),
        description=_l("Nur diese Personen sehen die Nachrichten. Jede Änderung steht im Protokoll."),
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )

    def offer(self, readers: Iterable[Membership], own_id: Any) -> None:
        """Name everybody who may read the mailbox."""
        self.members.choices = [
            (str(one.id), _("%(name)s (Sie)", name=one.person.name) if one.id == own_id else one.person.name)
            for one in readers
        ]


class RuleForm(FlaskForm):
    """The conditions of a rule; all that are not empty must hold."""

    topic = SelectField(_l("Neue Nachrichten gehen in das Thema"))
    authority = StringField(
        _l("Behörde enthält"),
        description=_l("Zum Beispiel „Finanzamt“. Groß- und Kleinschreibung ist egal."),
        filters=[_stripped],
        validators=[Length(max=MAXIMUM_CONDITION, message=_l("Kürzen Sie die Angabe auf 200 Zeichen."))],
        render_kw={"maxlength": MAXIMUM_CONDITION},
    )
    service = StringField(
        _l("Online-Dienst"),
        description=_l("Die Kennung des Dienstes, zum Beispiel „gewerbeamt-musterstadt“."),
        filters=[_stripped],
        validators=[Length(max=63, message=_l("Eine Kennung hat höchstens 63 Zeichen."))],
        render_kw={"maxlength": 63, "list": "dienste", "autocomplete": "off"},
    )
    leika = StringField(
        _l("LeiKa-Schlüssel"),
        description=_l("14 Ziffern. Die Regel trifft Dienste, die diese Leistung anbieten."),
        filters=[_stripped],
        validators=[Length(max=14, message=_l("Ein LeiKa-Schlüssel hat 14 Ziffern."))],
        render_kw={"maxlength": 14, "inputmode": "numeric"},
    )
    words = StringField(
        _l("Wörter im Betreff"),
        description=_l("Alle müssen vorkommen, auch als Teil: „Steuer“ trifft „Gewerbesteuer“."),
        filters=[_stripped],
        validators=[Length(max=MAXIMUM_CONDITION, message=_l("Kürzen Sie die Angabe auf 200 Zeichen."))],
        render_kw={"maxlength": MAXIMUM_CONDITION},
    )

    def offer(self, topics: Iterable[Topic]) -> None:
        """Name the topics of the company."""
        self.topic.choices = [(str(topic.id), topic.name) for topic in topics]


class FourEyesForm(FlaskForm):
    """Whether "done" needs a second person."""

    four_eyes = BooleanField(
        _l("„Erledigt“ muss eine zweite Person bestätigen (Vier-Augen-Prinzip)"),
        description=_l("Gilt für alles, was ab jetzt als erledigt markiert wird."),
    )
