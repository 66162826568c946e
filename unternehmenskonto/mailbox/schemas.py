"""What the delivery API accepts and answers: exact fields, exact limits, texts that can be shown to anybody."""

import json
import re
import unicodedata
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from flask_babel import lazy_gettext as _l
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from unternehmenskonto.mailbox.actions import Decision as DeliveredDecision
from unternehmenskonto.mailbox.actions import Delivery, Recipient
from unternehmenskonto.mailbox.deadlines import LAENDER, LONGEST
from unternehmenskonto.mailbox.problems import refusal

SUBJECT_CHARACTERS = 255
BODY_CHARACTERS = 100_000
REFERENCE_CHARACTERS = 255
ADDRESSEE_CHARACTERS = 500
IDENTIFIER_CHARACTERS = 40
COURT_CHARACTERS = 200
REPORTED_ERRORS = 50
Parsed = TypeVar("Parsed", bound=BaseModel)
QUESTIONS = 20
QUESTION_CHARACTERS = 255
CHOICES = 20
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)")

#: Soft hyphen and the two joiners are part of written words; every other invisible character misleads.
_ALLOWED_FORMAT = "\u00ad\u200c\u200d"
_REFUSED_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _clean(value: str, *, controls: str) -> str:
    text = unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n"))
    for character in set(text):
        allowed = character in controls or character in _ALLOWED_FORMAT
        if (not allowed and unicodedata.category(character) in _REFUSED_CATEGORIES) or _is_no_character(character):
            raise PydanticCustomError("forbidden_character", "forbidden character")
    return text


def _is_no_character(character: str) -> bool:
    """Tell whether this is one of the 66 code points that Unicode sets aside as no characters."""
    code = ord(character)
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def single_line(value: Any) -> Any:
    """Return a single line, NFC, without spaces around it."""
    return _clean(value, controls="").strip() if isinstance(value, str) else value


def _text(value: Any) -> Any:
    """Return running text, NFC, with line feeds; at least one character must be visible."""
    if not isinstance(value, str):
        return value
    text = _clean(value, controls="\n\t")
    if not text.strip():
        raise PydanticCustomError("string_too_short", "empty")
    return text


def _day(value: Any) -> Any:
    """Return the date of YYYY-MM-DD."""
    if not isinstance(value, str):
        return value
    if not _DAY.fullmatch(value):
        raise PydanticCustomError("no_date", "no date")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("no_date", "no date") from None


def _moment(value: Any) -> Any:
    """Demand a day, or a time with its offset (RFC 3339); the text stays as the sender wrote it."""
    if not isinstance(value, str):
        return value
    if not _TIME.fullmatch(value):
        _day(value)
        return value
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("no_date", "no date") from None
    return value


Subject = Annotated[str, Field(min_length=1, max_length=SUBJECT_CHARACTERS), BeforeValidator(single_line)]
Reference = Annotated[str, Field(min_length=1, max_length=REFERENCE_CHARACTERS), BeforeValidator(single_line)]
Addressee = Annotated[str, Field(min_length=1, max_length=ADDRESSEE_CHARACTERS), BeforeValidator(single_line)]
Court = Annotated[str, Field(min_length=1, max_length=COURT_CHARACTERS), BeforeValidator(single_line)]
Identifier = Annotated[str, Field(min_length=1, max_length=IDENTIFIER_CHARACTERS), BeforeValidator(single_line)]
Body = Annotated[str, Field(min_length=1, max_length=BODY_CHARACTERS), BeforeValidator(_text)]


class Schema(BaseModel):
    """No unknown fields, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RegisterEntry(Schema):
    """An entry in a German register."""

    court: Court = Field(examples=["Kiel"])
    type: Identifier = Field(description="HRA, HRB, VR, GnR, PR or GsR.", examples=["HRB"])
    number: Identifier = Field(examples=["54321"])


class RecipientSchema(Schema):
    """The company, named in exactly one way."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    org_sub: str | None = Field(
        default=None,
        pattern=r"^du-[0-9a-f]{40}$",
        description="Claim org_sub that your online service received at the company's login.",
    )
    w_idnr: Identifier | None = Field(default=None, description="Wirtschafts-Identifikationsnummer.")
    vat_id: Identifier | None = Field(default=None, description="VAT identification number.")
    register_entry: RegisterEntry | None = Field(default=None, alias="register")

    @model_validator(mode="after")
    def _exactly_one(self) -> "RecipientSchema":
        if len(self.model_fields_set) != 1 or next(iter(self.model_dump(exclude_none=True)), None) is None:
            raise PydanticCustomError("one_recipient", "name the recipient in exactly one way")
        return self

    def as_recipient(self) -> Recipient:
        """Return scheme and value for the actions."""
        if self.register_entry:
            entry = self.register_entry
            return Recipient(scheme="register", value=f"{entry.court}|{entry.type}|{entry.number}")
        scheme = next(iter(self.model_fields_set))
        return Recipient(scheme=scheme, value=str(getattr(self, scheme)))


class RemedySchema(Schema):
    """The period in which the company can act against the decision."""

    kind: Literal["objection", "lawsuit"] = Field(description="Widerspruch or Einspruch, or Klage.")
    length: int = Field(ge=1, le=max(LONGEST.values()))
    unit: Literal["day", "week", "month", "year"]
    instructed: bool = Field(description="Whether the decision holds a correct instruction on remedies.")
    addressee: Addressee | None = Field(default=None, description="Where the remedy is lodged.")

    @model_validator(mode="after")
    def _not_too_long(self) -> "RemedySchema":
        if self.length > LONGEST[self.unit]:
            raise PydanticCustomError("remedy_too_long", "too long")
        return self


class DecisionSchema(Schema):
    """The law by which the decision counts as announced."""

    regime: Literal["ozg9", "ao122a", "vwvfg41_2a"]
    land: Literal[LAENDER] | None = Field(default=None, description="Land whose holidays count.")  # type: ignore[valid-type]
    remedy: RemedySchema


class QuestionSchema(Schema):
    """Something the company is asked in its reply."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Your own name for it, unique here.")
    kind: Literal["text", "yes_no", "date_choice", "amount", "upload"]
    label: Annotated[str, Field(min_length=1, max_length=QUESTION_CHARACTERS), BeforeValidator(single_line)]
    choices: Annotated[list[Annotated[str, BeforeValidator(_moment)]], Field(max_length=CHOICES)] = Field(
        default=[], description="Of date_choice only: days (2026-12-01) or times (2026-12-01T09:00:00+01:00)."
    )
    required: bool = False

    @model_validator(mode="after")
    def _choices_with_dates_only(self) -> "QuestionSchema":
        if bool(self.choices) != (self.kind == "date_choice") or len(set(self.choices)) != len(self.choices):
            raise PydanticCustomError("choices_and_kind", "choices only and always with date_choice")
        return self


class ReplySchema(Schema):
    """Whether the company may answer this message, how long, and what it is asked."""

    allowed: bool
    until: Annotated[date, BeforeValidator(_day)] | None = Field(default=None, description="Last day, Berlin time.")
    attachments: bool = Field(default=False, description="Whether files may come along that no question asks for.")
    questions: Annotated[list[QuestionSchema], Field(max_length=QUESTIONS)] = []

    @model_validator(mode="after")
    def _nothing_where_not_allowed(self) -> "ReplySchema":
        if not self.allowed and (self.until or self.attachments or self.questions):
            raise PydanticCustomError("reply_not_allowed", "nothing more where no reply is allowed")
        if len({question.id for question in self.questions}) != len(self.questions):
            raise PydanticCustomError("question_twice", "an id stands twice")
        return self

    def as_stored(self) -> dict[str, Any] | None:
        """Return what Message.reply keeps: until, attachments, questions."""
        return self.model_dump(mode="json", exclude={"allowed"}) if self.allowed else None


class MessageSchema(Schema):
    """A message to one company."""

    recipient: RecipientSchema
    kind: Literal["message", "decision"]
    subject: Subject
    body: Body
    body_format: Literal["text", "markdown"] = "text"
    reference: Reference | None = Field(default=None, description="Your own file number.")
    decision: DecisionSchema | None = Field(default=None, description="Only and always with kind decision.")
    reply: ReplySchema | None = Field(default=None, description="Without it the company cannot answer.")
    case: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9._~:-]{1,100}$", description="Your id of a case that you reported before."
    )

    @model_validator(mode="after")
    def _decision_only_with_its_kind(self) -> "MessageSchema":
        if (self.kind == "decision") != (self.decision is not None):
            raise PydanticCustomError("decision_and_kind", "decision only and always with kind decision")
        return self

    def as_delivery(self, *, default_land: str) -> Delivery:
        """Return the message for the actions; `default_land` counts where none is named."""
        return Delivery(
            recipient=self.recipient.as_recipient(),
            kind=self.kind,
            subject=self.subject,
            body=self.body,
            body_format=self.body_format,
            reference=self.reference,
            decision=self._decision(default_land),
            reply=self.reply.as_stored() if self.reply else None,
            case=self.case,
        )

    def _decision(self, default_land: str) -> DeliveredDecision | None:
        if self.decision is None:
            return None
        remedy = self.decision.remedy
        return DeliveredDecision(
            regime=self.decision.regime,
            land=self.decision.land or default_land,
            remedy_kind=remedy.kind,
            remedy_length=remedy.length,
            remedy_unit=remedy.unit,
            remedy_instructed=remedy.instructed,
            remedy_addressee=remedy.addressee,
        )


class AttachmentAnswer(BaseModel):
    """An attachment as it was stored."""

    id: UUID
    file_name: str
    media_type: str
    size: int = Field(description="Bytes.")
    sha256: str = Field(description="64 hex digits.")


class MessageAnswer(BaseModel):
    """A delivered message; dates of the law are None while they are not known."""

    id: UUID
    sequence_number: int = Field(description="1, 2, 3 … in this mailbox, without gaps.")
    accepted_at: AwareDatetime
    made_available_at: AwareDatetime
    announced_on: date | None = Field(description="The decision counts as announced on this day.")
    remedy_ends_on: date | None = Field(description="Last day of the remedy period.")
    receipts: dict[Literal["accepted", "made_available", "first_retrieved"], str] = Field(
        description="Compact JWS, typ receipt+jwt, to be verified with /oauth/jwks."
    )
    attachments: list[AttachmentAnswer]


class MessageState(MessageAnswer):
    """What the sender may know of a message later."""

    is_retrieved: bool
    first_retrieved_at: AwareDatetime | None


class FieldError(BaseModel):
    """One faulty field."""

    pointer: str = Field(description="JSON Pointer (RFC 6901).")
    code: str
    detail: str


class ProblemDetails(BaseModel):
    """Why the request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str = Field(description="Reference number of the request.")
    errors: list[FieldError] | None = None


def parse_message(raw: bytes) -> MessageSchema:
    """Return the message of a JSON text; raise the problem that names every faulty field."""
    return parse(MessageSchema, raw)


def parse(schema: type[Parsed], raw: bytes) -> Parsed:
    """Return what a JSON object says by this schema; raise invalid_json, or invalid_input with every faulty field."""
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise refusal("invalid_json") from None
    if not isinstance(value, dict):
        raise refusal("invalid_json")
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        raise refusal("invalid_input", errors=_field_errors(error)) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _field_errors(error: ValidationError) -> list[dict[str, str]]:
    """Name each fault by pointer, without ever repeating the value that was sent."""
    faults = error.errors(include_input=False, include_url=False)[:REPORTED_ERRORS]
    return [
        {
            "pointer": "".join(f"/{_escape(str(step))}" for step in fault["loc"]),
            "code": fault["type"],
            "detail": _sentence(fault["type"], fault.get("ctx", {})),
        }
        for fault in faults
    ]


def _escape(step: str) -> str:
    """Write a name as JSON Pointer; shorten and clean what the sender made up."""
    printable = "".join(c if c.isprintable() else "?" for c in step[:100])
    return printable.replace("~", "~0").replace("/", "~1")


def _sentence(code: str, context: dict[str, Any]) -> str:
    text = _SENTENCES.get(code, _l("Dieser Wert ist nicht zulässig."))
    return str(text) % {name: value for name, value in context.items() if isinstance(value, (int, str))}


_SENTENCES = {
    "missing": _l("Dieses Feld fehlt."),
    "extra_forbidden": _l("Dieses Feld ist nicht vorgesehen. Lassen Sie es weg."),
    "string_type": _l("Erwartet wird eine Zeichenkette."),
    "int_type": _l("Erwartet wird eine ganze Zahl."),
    "list_type": _l("Erwartet wird eine Liste."),
    "too_long": _l("Das sind zu viele. Erlaubt sind höchstens %(max_length)s."),
    "no_date": _l("Das ist kein Datum. Schreiben Sie zum Beispiel 2026-12-01 oder 2026-12-01T09:00:00+01:00."),
    "no_link": _l("Das ist keine vollständige https-Adresse."),
    "choices_and_kind": _l("„choices“ gehört zu jeder Frage „date_choice“ und zu keiner anderen; jede Wahl einmal."),
    "reply_not_allowed": _l("Wo „allowed“ false ist, steht sonst nichts. Lassen Sie die anderen Felder weg."),
    "question_twice": _l("Jede Frage braucht eine eigene „id“."),
    "bool_type": _l("Erwartet wird true oder false."),
    "model_type": _l("Erwartet wird ein Objekt."),
    "string_too_short": _l("Dieses Feld darf nicht leer sein."),
    "string_too_long": _l("Das ist zu lang. Erlaubt sind höchstens %(max_length)s Zeichen."),
    "string_pattern_mismatch": _l("Das hat nicht die vorgesehene Form. Übernehmen Sie den Wert unverändert."),
    "literal_error": _l("Dieser Wert ist nicht vorgesehen. Erlaubt: %(expected)s."),
    "greater_than_equal": _l("Das ist zu klein. Erlaubt ist mindestens %(ge)s."),
    "less_than_equal": _l("Das ist zu groß. Erlaubt ist höchstens %(le)s."),
    "forbidden_character": _l("Der Text enthält ein Steuerzeichen oder unsichtbares Zeichen. Entfernen Sie es."),
    "one_recipient": _l("Nennen Sie genau eines: org_sub, w_idnr, vat_id oder register."),
    "remedy_too_long": _l("So lang ist keine Rechtsbehelfsfrist. Prüfen Sie Länge und Einheit."),
    "decision_and_kind": _l("„decision“ gehört zu jedem Bescheid (kind „decision“) und zu keiner anderen Nachricht."),
}
