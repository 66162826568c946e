"""What the API tells an authority of what companies wrote to it."""

from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from unternehmenskonto.mailbox.conversations.models import SentMessage
from unternehmenskonto.mailbox.receipts import utc


class AnswerAnswer(BaseModel):
    """The answer to one question."""

    id: str
    kind: Literal["text", "yes_no", "date_choice", "amount", "upload"]
    label: str = Field(description="The question as it was asked.")
    value: bool | str | list[str] | None = Field(
        description="text: string; yes_no: boolean; date_choice: the choice as you wrote it; amount: euro, for "
        "example 1234.56; upload: names of the files; null: not answered."
    )


class SentFileAnswer(BaseModel):
    """A file that came along."""

    id: UUID
    question: str | None = Field(description="id of the question it answers.")
    file_name: str
    media_type: str
    size: int = Field(description="Bytes.")
    sha256: str = Field(description="64 hex digits.")


class ReplyAnswer(BaseModel):
    """What a company sent to your service."""

    id: UUID
    number: int = Field(description="1, 2, 3 … at your service, without gaps; the cursor of the list.")
    kind: Literal["reply", "message"] = Field(description="message: begun by the company itself.")
    in_reply_to: UUID | None = Field(description="id of your message.")
    reference: str | None = Field(description="Your file number, from your message.")
    topic: str | None = Field(description="Of a message: one of the topics you offer.")
    subject: str
    body: str = Field(description="Plain text, never HTML.")
    answers: list[AnswerAnswer]
    attachments: list[SentFileAnswer]
    org_sub: str = Field(description="The company as your sector knows it.")
    company_name: str
    sender_name: str = Field(description="The person who sent it for the company.")
    assurance_level: Literal["low", "substantial", "high"] = Field(description="How surely that person was known.")
    sent_at: AwareDatetime
    receipt: str = Field(description="Compact JWS, typ receipt+jwt, to be verified with /oauth/jwks.")
    acknowledged_at: AwareDatetime | None


class ReplyList(BaseModel):
    """Replies in the order in which they arrived for your service."""

    replies: list[ReplyAnswer]
    next: str = Field(description="Send it as `after` to get what comes after these.")
    has_more: bool = Field(description="Whether more lies there already.")


class AcknowledgementAnswer(BaseModel):
    """That you have the reply; the company sees it."""

    id: UUID
    acknowledged_at: AwareDatetime
    receipt: str = Field(description="Compact JWS, typ receipt+jwt, receipt = acknowledged.")


def as_answer(sent: SentMessage) -> dict[str, Any]:
    """Return ReplyAnswer for a message with its files."""
    return {
        "id": str(sent.id),
        "number": sent.service_number,
        "kind": "reply" if sent.message_id else "message",
        "in_reply_to": str(sent.message_id) if sent.message_id else None,
        "reference": sent.reference,
        "topic": sent.topic,
        "subject": sent.subject,
        "body": sent.body,
        "answers": sent.answers,
        "attachments": [
            {
                "id": str(file.id),
                "question": file.question,
                "file_name": file.file_name,
                "media_type": file.media_type,
                "size": file.size,
                "sha256": file.sha256,
            }
            for file in sent.files
        ],
        "org_sub": sent.org_sub,
        "company_name": sent.company_name,
        "sender_name": sent.sender_name,
        "assurance_level": sent.assurance_level,
        "sent_at": utc(sent.sent_at),
        "receipt": sent.receipt,
        "acknowledged_at": utc(sent.acknowledged_at) if sent.acknowledged_at else None,
    }
