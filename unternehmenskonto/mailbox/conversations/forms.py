"""The form in which people write: made for each message out of what the authority asks."""

import uuid
from collections.abc import Mapping
from typing import Any

from flask_babel import gettext
from flask_wtf import FlaskForm
from wtforms import (
    HiddenField,
    MultipleFileField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields import Field
from wtforms.validators import InputRequired
from wtforms.widgets import CheckboxInput, ListWidget

from unternehmenskonto.mailbox.conversations.actions import BODY, FILES, SUBJECT, TOPIC, Writing
from unternehmenskonto.mailbox.conversations.limits import (
    ANSWER_CHARACTERS,
    BODY_CHARACTERS,
    MAXIMUM_FILE_BYTES,
    MAXIMUM_FILES,
    MAXIMUM_FILES_BYTES,
    MIB,
    SUBJECT_CHARACTERS,
)
from unternehmenskonto.mailbox.conversations.models import Draft
from unternehmenskonto.mailbox.conversations.questions import NO, YES, Question, shown_choice
from unternehmenskonto.mailbox.conversations.targets import Target

PREFIX = "frage-"
ACCEPTED = ".pdf,.png,.jpg,.jpeg,.txt,.csv,.xml"


class WritingForm(FlaskForm):
    """What every draft has; the fields for questions are added by `writing_form`."""

    version = HiddenField()
    message_id = HiddenField()
    service = HiddenField()

    def writing(self) -> Writing:
        """Return what was typed."""
        names = {name.removeprefix(PREFIX): name for name in self._fields if name.startswith(PREFIX)}
        typed = {one: _storable(self[name].data) for one, name in names.items() if not _is_upload(self[name])}
        version = str(self.version.data or "")
        return Writing(
            topic=self._typed(TOPIC),
            subject=self._typed(SUBJECT),
            body=self._typed(BODY),
            answers=typed,
            version=int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0,
            removed=[found for one in self._removed() if (found := _uuid(one))],
        )

    def upload_fields(self) -> list[tuple[str | None, Field]]:
        """Return each field for files with the id of its question, None for the general one."""
        found: list[tuple[str | None, Field]] = []
        for name, field in self._fields.items():
            if _is_upload(field):
                found.append((None if name == FILES else name.removeprefix(PREFIX), field))
        return found

    def blame(self, faults: Mapping[str, str]) -> None:
        """Write each sentence at the field it is about."""
        for name, sentence in faults.items():
            field = self._fields.get(name) or self._fields.get(PREFIX + name)
            if field is not None:
                field.errors = [*field.errors, sentence]

    def offer_removal(self, draft: Draft) -> None:
        """Offer to take out each file of the draft again."""
        if "removed" in self._fields:
            self["removed"].choices = _files_of(draft)
            self["removed"].data = []

    def _typed(self, name: str) -> str:
        return _storable(self[name].data) if name in self._fields else ""

    def _removed(self) -> list[str]:
        return list(self["removed"].data or ()) if "removed" in self._fields else []


def writing_form(target: Target, draft: Draft | None, *, is_new_message: bool) -> WritingForm:
    """Return the form for this target, filled with the draft unless one was just sent in."""
    names: dict[str, Field] = {}
    if is_new_message:
        names[TOPIC] = SelectField(gettext("Worum geht es?"), validators=[InputRequired()])
        names[SUBJECT] = StringField(
            gettext("Betreff"), render_kw={"maxlength": SUBJECT_CHARACTERS}, validators=[InputRequired()]
        )
    for question in target.asked.questions:
        names[PREFIX + question.id] = _question_field(question)
    needed = [] if target.asked.questions else [InputRequired()]
    names[BODY] = TextAreaField(
        gettext("Weitere Mitteilung") if target.asked.questions else gettext("Ihre Nachricht"),
        render_kw={"maxlength": BODY_CHARACTERS, "rows": 8},
        validators=needed,
    )
    if target.asked.attachments:
        names[FILES] = _files_field(gettext("Anhänge"), required=False)
    if draft is not None and draft.files:
        names["removed"] = SelectMultipleField(
            gettext("Schon dabei – ankreuzen, was wieder entfernt werden soll"),
            option_widget=CheckboxInput(),
            widget=ListWidget(prefix_label=False),
        )
    form: WritingForm = type("WritingForm", (WritingForm,), names)(data=_filled(target, draft))
    for name, choices in _choices(target, draft).items():
        if name in names:
            form[name].choices = choices
    return form


def _choices(target: Target, draft: Draft | None) -> dict[str, list[tuple[str, str]]]:
    """Return what can be chosen in each field."""
    found = {TOPIC: [("", gettext("Bitte wählen")), *((topic, topic) for topic in target.topics)]}
    for question in target.asked.questions:
        if question.kind == "yes_no":
            found[PREFIX + question.id] = [(YES, gettext("Ja")), (NO, gettext("Nein"))]
        elif question.kind == "date_choice":
            found[PREFIX + question.id] = [(choice, shown_choice(choice)) for choice in question.choices]
    return {**found, "removed": _files_of(draft)} if draft else found


def _files_of(draft: Draft) -> list[tuple[str, str]]:
    return [(str(file.id), file.file_name) for file in draft.files]


def _filled(target: Target, draft: Draft | None) -> dict[str, Any]:
    values: dict[str, Any] = {
        "version": draft.version if draft else 0,
        "message_id": target.message.id if target.message else "",
        "service": target.service.slug,
    }
    if draft is not None:
        values |= {TOPIC: draft.topic, SUBJECT: draft.subject, BODY: draft.body, "removed": []}
        values |= {PREFIX + name: text for name, text in draft.answers.items()}
    return values


def _question_field(question: Question) -> Field:
    validators = [InputRequired()] if question.required else []
    if question.kind == "upload":
        return _files_field(question.label, required=question.required)
    if question.kind in ("yes_no", "date_choice"):
        return RadioField(question.label, validators=validators, validate_choice=False)
    if question.kind == "amount":
        return StringField(
            question.label,
            description=gettext("Betrag in Euro, zum Beispiel 1.234,56"),
            render_kw={"inputmode": "decimal", "maxlength": 30, "autocomplete": "off"},
            validators=validators,
        )
    return TextAreaField(question.label, render_kw={"maxlength": ANSWER_CHARACTERS, "rows": 3}, validators=validators)


def _files_field(label: str, *, required: bool) -> Field:
    return MultipleFileField(
        label,
        description=gettext(
            "PDF, Bild (PNG, JPG), Text, CSV oder XML; bis %(size)s MB je Datei, höchstens %(number)s Dateien und "
            "%(total)s MB zusammen.",
            size=MAXIMUM_FILE_BYTES // MIB,
            number=MAXIMUM_FILES,
            total=MAXIMUM_FILES_BYTES // MIB,
        ),
        render_kw={"accept": ACCEPTED},
        # Whether a file is there is known with the draft, not with the form.
        validators=[InputRequired()] if required else [],
    )


def _is_upload(field: Field) -> bool:
    return isinstance(field, MultipleFileField)


def _storable(typed: object) -> str:
    """Return what was typed, without the one character that no database takes."""
    return str(typed or "").replace("\0", "")


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
