"""The search of the directory."""

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import SearchField, SelectField
from wtforms.validators import Length, Optional

from unternehmenskonto.catalogue.regions import LAENDER, is_region, region_name

MAXIMUM_SEARCH = 200


class SearchForm(FlaskForm):
    """Words and region; a form of method GET, so its address can be kept and sent."""

    class Meta:
        csrf = False

    suche = SearchField(
        _l("Wonach suchen Sie?"),
        description=_l("Zum Beispiel Gewerbe, Bauantrag oder der Name einer Behörde."),
        validators=[
            Optional(),
            Length(max=MAXIMUM_SEARCH, message=_l("Geben Sie höchstens %(max)d Zeichen ein.")),
        ],
    )
    region = SelectField(
        _l("Wo?"),
        validators=[Optional()],
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        choices = [("", _l("Überall")), *((key, name) for key, name in LAENDER.items())]
        asked = self.region.data or ""
        # A link may name a smaller region than a Land; it stays chosen.
        if is_region(asked) and asked not in LAENDER:
            choices.append((asked, region_name(asked)))
        self.region.choices = choices
        self.region.validate_choice = True
