"""Forms of the pages that watch over deadlines."""

from collections.abc import Sequence
from datetime import date
from typing import cast

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, IntegerField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, InputRequired, StopValidation, ValidationError

from unternehmenskonto.companies.models import Membership
from unternehmenskonto.mailbox.watch.absence import LONGEST_DAYS
from unternehmenskonto.mailbox.watch.actions import LONGEST_COVER_DAYS, LONGEST_REMINDER_DAYS, MAXIMUM_REMINDERS
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


class SettingsForm(FlaskForm):
    """When a company is reminded, and when others are told of an unopened decision."""

    reminders = StringField(
        _l("Erinnerungen: Tage vor dem Ende der Frist"),
        description=_l(
            "Höchstens fünf Zahlen von 1 bis 60, mit Komma getrennt, zum Beispiel 7, 3, 1. Leer lassen, wenn niemand "
            "erinnert werden soll. Erinnert werden alle, die den Bescheid lesen dürfen und eine E-Mail-Adresse haben."
        ),
        filters=[lambda value: (value or "").strip()],
        render_kw={"maxlength": 100, "inputmode": "text", "autocomplete": "off"},
    )
    cover_days = IntegerField(
        _l("Vertretung: Tage vor dem Ende der Frist"),
        description=_l(
            "Hat bis dahin niemand den Bescheid geöffnet, benachrichtigen wir zuerst die Vertretung, zwei Tage später "
            "die Verwaltung und weitere zwei Tage später alle Personen mit E-Mail-Adresse. 0 bis 30; 0 heißt: nie."
        ),
        validators=[InputRequired(_l("Geben Sie eine Zahl von 0 bis 30 ein."))],
        render_kw={"min": 0, "max": LONGEST_COVER_DAYS},
    )

    @property
    def reminder_days(self) -> list[int]:
        """Return the numbers typed; raise ValueError for anything else."""
        parts = (part.strip() for part in (self.reminders.data or "").replace(";", ",").split(","))
        return [int(part) for part in parts if part]

    def validate_reminders(self, field: StringField) -> None:
        """Say what can be typed."""
        try:
            days = self.reminder_days
        except ValueError:
            days = [0]
        if len(set(days)) > MAXIMUM_REMINDERS or not all(1 <= day <= LONGEST_REMINDER_DAYS for day in days):
            raise ValidationError(
                str(_l("Geben Sie höchstens fünf Zahlen von 1 bis 60 ein, mit Komma getrennt, zum Beispiel 7, 3, 1."))
            )

    def validate_cover_days(self, field: IntegerField) -> None:
        """Say which numbers are possible."""
        if field.data is None or not 0 <= field.data <= LONGEST_COVER_DAYS:
            raise StopValidation(str(_l("Geben Sie eine Zahl von 0 bis 30 ein.")))


class AbsenceForm(FlaskForm):
    """From when until when a person is away, and who stands in."""

    starts_on = DateField(_l("Erster Tag"), validators=[DataRequired(_l("Wählen Sie den ersten Tag."))])
    ends_on = DateField(_l("Letzter Tag"), validators=[DataRequired(_l("Wählen Sie den letzten Tag."))])
    substitute_id = SelectField(
        _l("Vertretung"), description=_l("Zur Wahl stehen alle, die das Postfach lesen dürfen.")
    )

    def offer(self, colleagues: Sequence[Membership], today: date) -> None:
        """Name the colleagues, and let the days begin today."""
        self.today = today
        self.substitute_id.choices = [SelectChoice("", str(_l("Bitte wählen")))] + [
            SelectChoice(str(one.id), one.person.name) for one in colleagues
        ]

    @property
    def period(self) -> tuple[date, date]:
        """Return the first and the last day of an accepted form."""
        return cast(date, self.starts_on.data), cast(date, self.ends_on.data)

    def validate_ends_on(self, field: DateField) -> None:
        """Say which days make sense."""
        if field.data and field.data < self.today:
            raise ValidationError(str(_l("Der letzte Tag liegt in der Vergangenheit. Wählen Sie einen späteren.")))
        if field.data and self.starts_on.data and field.data < self.starts_on.data:
            raise ValidationError(str(_l("Der letzte Tag liegt vor dem ersten. Wählen Sie einen späteren.")))
        if field.data and self.starts_on.data and (field.data - self.starts_on.data).days > LONGEST_DAYS:
            raise ValidationError(str(_l("Länger als ein Jahr geht nicht. Wählen Sie einen früheren Tag.")))

    def validate_substitute_id(self, field: SelectField) -> None:
        """Ask for a person."""
        if not field.data:
            raise ValidationError(str(_l("Wählen Sie, wer Sie vertritt.")))
