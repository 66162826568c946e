"""The form of a label."""

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import RadioField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, InputRequired, Length

from unternehmenskonto.mailbox.labels.models import COLOURS, NAME_LENGTH

COLOUR_NAMES = {
    "grey": _l("Grau"),
    "blue": _l("Blau"),
    "green": _l("Grün"),
    "yellow": _l("Gelb"),
    "red": _l("Rot"),
    "violet": _l("Violett"),
}


def _one_line(value: Any) -> Any:
    """Take away spaces around and more than one inside: nobody would see the difference."""
    return " ".join(value.split()) if isinstance(value, str) else value


class LabelForm(FlaskForm):
    """Name and colour."""

    name = StringField(
        _l("Name des Etiketts"),
        filters=[_one_line],
        validators=[
            DataRequired(_l("Geben Sie dem Etikett einen Namen, zum Beispiel „Steuern“.")),
            Length(
                max=NAME_LENGTH,
                message=_l("Der Name darf höchstens %(maximum)d Zeichen lang sein.", maximum=NAME_LENGTH),
            ),
        ],
    )
    colour = RadioField(
        _l("Farbe"),
        choices=[SelectChoice(colour, COLOUR_NAMES[colour]) for colour in COLOURS],
        default=COLOURS[0],
        validators=[InputRequired(_l("Wählen Sie eine Farbe."))],
    )
