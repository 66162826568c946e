"""To whom a company may write, and why not."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import load_only

from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import Gone, NotFound
from unternehmenskonto.mailbox.conversations.limits import SUBJECT_CHARACTERS
from unternehmenskonto.mailbox.conversations.models import Draft, SentMessage
from unternehmenskonto.mailbox.conversations.questions import Asked, Question, asked_by
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.folders.models import ErasedMessage
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.visibility import remains_visible_to, visible_to
from unternehmenskonto.permissions import Actor

MAXIMUM_OFFERED = 200
_COLUMNS = load_only(
    OnlineService.slug,
    OnlineService.name,
    OnlineService.authority,
    OnlineService.sector,
    OnlineService.is_enabled,
    OnlineService.is_mailbox_sender,
    OnlineService.accepts_messages,
)


class NoReply(Gone):
    """The message cannot be answered here, or not any more."""

    code = "no_reply"
    sentence = _l(
        "Auf diese Nachricht kann hier nicht oder nicht mehr geantwortet werden. Wenden Sie sich auf einem anderen Weg "
        "an die Behörde; wie, steht in ihrer Nachricht."
    )


class NotOpened(NotFound):
    """Answering shows what was asked, so somebody has to open the message first."""

    code = "not_opened"


@dataclass(frozen=True)
class Target:
    """Who gets the message, and what may be in it."""

    service: OnlineService
    asked: Asked
    #: The message that is answered; None where the company begins.
    message: Message | None = None
    topics: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the authority as it is shown."""
        return self.message.sender_authority if self.message else self.service.authority

    @property
    def service_name(self) -> str:
        """Return the name of the service as it is shown."""
        return self.message.sender_name if self.message else self.service.name

    @property
    def subject(self) -> str:
        """Return the subject of a reply; empty where the company begins."""
        return f"Antwort: {self.message.subject}"[:SUBJECT_CHARACTERS] if self.message else ""

    def question(self, question_id: str) -> Question | None:
        """Return the question of this id."""
        return next((one for one in self.asked.questions if one.id == question_id), None)


def reply_target(actor: Actor, message_id: uuid.UUID) -> Target:
    """Return where a reply to the message goes; raise NotFound, NotOpened or NoReply."""
    message = db.session.scalar(
        select(Message).where(Message.company_id == actor.company_id, Message.id == message_id, visible_to(actor))
    )
    if message is None:
        raise NotFound
    asked = asked_by(message)
    if asked is None or asked.is_over(legal_day(now())):
        raise NoReply
    if message.first_retrieved_at is None:
        raise NotOpened
    service = _service(message.service)
    if service is None or not service.is_mailbox_sender:
        raise NoReply
    return Target(service=service, asked=asked, message=message)


def new_target(slug: str) -> Target:
    """Return where a message goes that the company begins; raise NotFound unless the service accepts such."""
    service = _service(slug) if slug.isascii() and slug.isprintable() else None
    if service is None or service.accepts_messages is None:
        raise NotFound
    offered = service.accepts_messages
    asked = Asked(until=None, attachments=offered["attachments"], questions=())
    return Target(service=service, asked=asked, topics=tuple(offered["topics"]))


def target_of(actor: Actor, draft: Draft) -> Target:
    """Return where the draft goes; raise NotFound or NoReply if nobody takes it any more."""
    return reply_target(actor, draft.message_id) if draft.message_id else new_target(draft.service)


def offered_services() -> Sequence[OnlineService]:
    """Return the services that companies may write to, by name."""
    return db.session.scalars(
        select(OnlineService)
        .where(OnlineService.accepts_messages.is_not(None), OnlineService.is_enabled)
        .options(_COLUMNS)
        .order_by(OnlineService.authority, OnlineService.name, OnlineService.slug)
        .limit(MAXIMUM_OFFERED)
    ).all()


def may_see(actor: Actor, row: type[Draft] | type[SentMessage]) -> ColumnElement[bool]:
    """Return the condition that the person may see what is answered; what answers nothing is seen by all readers."""
    answered = select(Message.id).where(
        Message.company_id == row.company_id, Message.id == row.message_id, visible_to(actor)
    )
    erased = select(ErasedMessage.message_id).where(
        ErasedMessage.company_id == row.company_id,
        ErasedMessage.message_id == row.message_id,
        remains_visible_to(actor),
    )
    # A list may show the message too: the one asked about here is its own.
    return or_(row.message_id.is_(None), answered.correlate(row).exists(), erased.correlate(row).exists())


def _service(slug: str) -> OnlineService | None:
    wanted = select(OnlineService).where(OnlineService.slug == slug, OnlineService.is_enabled).options(_COLUMNS)
    return db.session.scalar(wanted)
