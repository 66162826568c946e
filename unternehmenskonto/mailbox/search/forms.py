"""The forms of the search: words and filters (by GET, so that an address can be kept), names of saved searches."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import DateField, SearchField, SelectField, StringField
from wtforms.validators import DataRequired, Length, Optional, ValidationError

from unternehmenskonto.mailbox.labels.models import Label
from unternehmenskonto.mailbox.search.filters import Filters
from unternehmenskonto.mailbox.search.models import SearchSender

MAXIMUM_SEARCH = 200
MAXIMUM_NAME = 80
NO_CHOICE = _l("Diese Auswahl gibt es nicht mehr. Bitte wählen Sie neu.")
NO_DATE = _l("Geben Sie einen Tag ein, zum Beispiel 24.11.2026.")


class _Choice(SelectField):
    """A list to choose from, with a sentence in our words for what is not in it."""

    def pre_validate(self, form: Any) -> None:
        """Refuse what is not in the list."""
        if self.data not in {choice[0] for choice in self.choices or ()}:
            raise ValidationError(str(NO_CHOICE))


class _Day(DateField):
    """A day as browsers send it, or as people write it."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read the day; raise ValueError with a sentence for anything else."""
        if not valuelist or not valuelist[0].strip():
            self.data = None
            return
        try:
            super().process_formdata([valuelist[0].strip()])
        except ValueError:
            raise ValueError(str(NO_DATE)) from None


def _choices(names: Mapping[str, Any]) -> Callable[[], list[tuple[str, Any]]]:
    """Return what can be chosen, first of all not to choose."""
    return lambda: [("", _l("Alle")), *names.items()]


class SearchForm(FlaskForm):
    """Words and filters; empty fields do not restrict."""

    class Meta:
        """No token: a search changes nothing and its address may be kept."""

        csrf = False

    suche = SearchField(
        _l("Wonach suchen Sie?"),
        description=_l("Ein oder mehrere Wörter, auch Wortteile oder ein Aktenzeichen."),
        validators=[
            Optional(),
            Length(max=MAXIMUM_SEARCH, message=_l("Geben Sie höchstens %(max)d Zeichen ein.")),
        ],
    )
    absender = _Choice(_l("Behörde"), default="")
    dienst = _Choice(_l("Online-Dienst"), default="")
    art = _Choice(_l("Art"), choices=_choices({"message": _l("Nachricht"), "decision": _l("Bescheid")}), default="")
    gelesen = _Choice(_l("Gelesen"), choices=_choices({"no": _l("Ungelesen"), "yes": _l("Gelesen")}), default="")
    frist = _Choice(
        _l("Frist"),
        choices=_choices(
            {
                "running": _l("Frist läuft"),
                "soon": _l("Frist endet in 7 Tagen"),
                "over": _l("Frist abgelaufen"),
                "none": _l("Ohne Frist"),
            }
        ),
        default="",
    )
    anhang = _Choice(_l("Anhang"), choices=_choices({"yes": _l("Mit Anhang"), "no": _l("Ohne Anhang")}), default="")
    ordner = _Choice(
        _l("Ordner"),
        choices=_choices({"inbox": _l("Posteingang"), "archive": _l("Archiv"), "bin": _l("Papierkorb")}),
        default="",
    )
    kennzeichen = _Choice(_l("Kennzeichen"), default="")
    von = _Day(_l("Bereitgestellt ab"), format=["%Y-%m-%d", "%d.%m.%Y"], validators=[Optional()])
    bis = _Day(_l("Bereitgestellt bis"), format=["%Y-%m-%d", "%d.%m.%Y"], validators=[Optional()])

    def offer(self, senders: Iterable[SearchSender], labels: Iterable[Label]) -> None:
        """Fill the lists with who has written to this mailbox and with the company's labels."""
        self.kennzeichen.choices = _choices({str(one.id): one.name for one in labels})()
        known = list(senders)
        services = {one.service: one.name for one in known}
        self.absender.choices = _choices({name: name for name in sorted({one.authority for one in known})})()
        self.dienst.choices = _choices(dict(sorted(services.items(), key=lambda item: item[1])))()

    def validate_bis(self, field: DateField) -> None:
        """Refuse a period that ends before it begins."""
        if field.data and self.von.data and field.data < self.von.data:
            raise ValidationError(str(_l("Der letzte Tag liegt vor dem ersten. Bitte tauschen Sie beide Angaben.")))

    def filters(self) -> Filters:
        """Return what the valid form asks for."""
        return Filters(
            words=self.suche.data or "",
            authority=self.absender.data,
            service=self.dienst.data,
            kind=self.art.data,
            read=self.gelesen.data,
            deadline=self.frist.data,
            attachment=self.anhang.data,
            folder=self.ordner.data,
            label=self.kennzeichen.data,
            since=self.von.data,
            until=self.bis.data,
        )

    def filled(self) -> dict[str, str]:
        """Return the fields with a value as the address carries them."""
        values = {field.name: field.data for field in self if field.data}
        return {name: value if isinstance(value, str) else value.isoformat() for name, value in values.items()}


class NameForm(FlaskForm):
    """The name under which a search is kept."""

    name = StringField(
        _l("Name der Suche"),
        description=_l("Zum Beispiel „Offene Steuerbescheide“. Nur Sie sehen diese Suche."),
        validators=[
            DataRequired(_l("Geben Sie der Suche einen Namen.")),
            Length(max=MAXIMUM_NAME, message=_l("Geben Sie höchstens %(max)d Zeichen ein.")),
        ],
    )

    def chosen(self) -> str:
        """Return the name with single spaces."""
        return " ".join((self.name.data or "").split())
