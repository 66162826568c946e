"""Forms of the pages that watch over deadlines."""

from datetime import date

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, RadioField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, InputRequired, ValidationError

from unternehmenskonto.web import show_date


class DayForm(FlaskForm):
    """Which day to look at; sent by GET, because it changes nothing."""

    class Meta:
        """No token: the address may be kept and shared."""

        csrf = False

    tag = DateField(_l("Tag"), validators=[DataRequired(_l("Wählen Sie einen Tag."))])

    def limit(self, first: date, last: date) -> None:
        """Accept only days from the first to the last."""
        self.first, self.last = first, last
        self.tag.render_kw = {"min": first.isoformat(), "max": last.isoformat()}

    def validate_tag(self, field: DateField) -> None:
        """Say which days are possible."""
        if field.data and not self.first <= field.data <= self.last:
            raise ValidationError(
                str(
                    _l(
                        "Wählen Sie einen Tag vom %(first)s bis %(last)s.",
                        first=show_date(self.first),
                        last=show_date(self.last),
                    )
                )
            )


class FeedForm(FlaskForm):
    """What the personal calendar address tells."""

    detail = RadioField(
        _l("Was soll der Kalender zeigen?"),
        choices=[
            SelectChoice("dates", _l("Nur Fristen: Tag und Behörde")),
            SelectChoice("subjects", _l("Mit Betreff: Tag, Behörde und Betreff des Bescheids")),
        ],
        default="dates",
        description=_l("Wer Ihren Kalender sehen darf, sieht auch das. Der Text der Bescheide steht nie darin."),
        validators=[InputRequired(_l("Wählen Sie, was der Kalender zeigen soll."))],
    )
    language = RadioField(
        _l("Sprache der Einträge"),
        choices=[SelectChoice("de", "Deutsch"), SelectChoice("en", "English")],
        validators=[InputRequired(_l("Wählen Sie eine Sprache."))],
    )
