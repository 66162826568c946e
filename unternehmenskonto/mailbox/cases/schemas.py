"""What a service may report of a case, and what it is answered."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from unternehmenskonto.mailbox.cases.actions import Report
from unternehmenskonto.mailbox.cases.models import STATES
from unternehmenskonto.mailbox.schemas import RecipientSchema, Schema, parse, single_line

TITLE_CHARACTERS = 255
TEXT_CHARACTERS = 500
LINK_CHARACTERS = 2000
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)")


def _time(value: Any) -> Any:
    """Return the time of RFC 3339 with its offset."""
    if not isinstance(value, str):
        return value
    try:
        if not _TIME.fullmatch(value):
            raise ValueError
        return datetime.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("no_date", "no time") from None


def _link(value: Any) -> Any:
    """Demand an https address that names a host (http on this machine)."""
    text = single_line(value)
    if not isinstance(text, str):
        return text
    try:
        parts = urlsplit(text)
        is_local = parts.scheme == "http" and str(parts.hostname).startswith("127.")
        is_fine = (parts.scheme == "https" or is_local) and parts.hostname and not parts.username
    except ValueError:
        is_fine = False
    if not is_fine or not text.isascii() or " " in text:
        raise PydanticCustomError("no_link", "no https address")
    return text


class CaseSchema(Schema):
    """The state of a case at one time."""

    recipient: RecipientSchema
    title: Annotated[str, Field(min_length=1, max_length=TITLE_CHARACTERS), BeforeValidator(single_line)]
    state: Literal[STATES]  # type: ignore[valid-type]
    at: Annotated[AwareDatetime, BeforeValidator(_time)] = Field(description="When it happened, RFC 3339 with offset.")
    text: Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS), BeforeValidator(single_line)] | None = Field(
        default=None, description="One sentence for the company."
    )
    public_service: Annotated[str, Field(pattern=r"^99\d{12}$")] | None = Field(default=None, description="LeiKa key.")
    link: Annotated[str, Field(max_length=LINK_CHARACTERS), BeforeValidator(_link)] | None = Field(
        default=None, description="https address at which the person goes on."
    )

    def as_report(self) -> Report:
        """Return the report for the actions."""
        return Report(
            recipient=self.recipient.as_recipient(),
            title=self.title,
            state=self.state,
            at=self.at.astimezone(UTC),
            text=self.text,
            public_service=self.public_service,
            link=self.link,
        )


class CaseAnswer(BaseModel):
    """The case as it stands now."""

    id: str = Field(description="Your own id of it.")
    state: Literal[STATES] = Field(description="The newest by `at`.")  # type: ignore[valid-type]
    changed_at: AwareDatetime
    is_open: bool


def parse_case(raw: bytes) -> CaseSchema:
    """Return the report of a JSON text; raise the problem that names every faulty field."""
    return parse(CaseSchema, raw)
