"""Forms of the company's pages."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import EmailField, SelectMultipleField
from wtforms.validators import ValidationError
from wtforms.widgets import CheckboxInput, ListWidget

from unternehmenskonto.companies.actions import MAXIMUM_EMAIL, checked_email
from unternehmenskonto.errors import InvalidInput
from unternehmenskonto.permissions import PERMISSIONS, ROLE_NAMES, ROLES


class RolesForm(FlaskForm):
    """Which rights a person has; none is a choice too."""

    roles = SelectMultipleField(
        _l("Rechte"),
        description=_l("Änderungen gelten sofort, auch wenn die Person gerade angemeldet ist."),
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )

    def offer_roles(self) -> None:
        """Name each role with what it allows, in the language of the page."""
        allowed = {
            role: ", ".join(str(text) for name, text in PERMISSIONS.items() if name in permissions)
            for role, permissions in ROLES.items()
        }
        self.roles.choices = [(role, f"{ROLE_NAMES[role]} – {text}") for role, text in allowed.items()]


class EmailForm(FlaskForm):
    """Where a person wants to be told about new messages."""

    email = EmailField(
        _l("E-Mail-Adresse"),
        description=_l("Leer lassen, um keine Benachrichtigungen zu bekommen."),
        filters=[lambda value: (value or "").strip()],
        render_kw={"autocomplete": "email", "maxlength": MAXIMUM_EMAIL},
    )

    def validate_email(self, field: EmailField) -> None:
        """Say what an address looks like."""
        try:
            if field.data:
                checked_email(field.data)
        except InvalidInput as error:
            raise ValidationError(str(error.sentence)) from None
