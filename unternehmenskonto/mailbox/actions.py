"""Deliver a message: one transaction, one lock, one answer."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import load_only

from unternehmenskonto import audit
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.actions import company_by_identifier
from unternehmenskonto.companies.models import Company
from unternehmenskonto.companies.subjects import company_by_subject, subject
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.mailbox import chain, idempotency, receipts
from unternehmenskonto.mailbox.cases.models import Case
from unternehmenskonto.mailbox.deadlines import Deadline, Remedy, Unit, compute, legal_day
from unternehmenskonto.mailbox.folders.models import ErasedMessage
from unternehmenskonto.mailbox.idempotency import Answer, RequestKey
from unternehmenskonto.mailbox.models import GENESIS, Attachment, Mailbox, Message
from unternehmenskonto.mailbox.problems import refusal
from unternehmenskonto.mailbox.rules import Regime
from unternehmenskonto.mailbox.search import index
from unternehmenskonto.mailbox.team.routing import route
from unternehmenskonto.notifications.actions import notify_new_message

ROUTE = "POST /api/v1/messages"
#: Fields of Delivery that are younger than the first kept answers.
_LATER = ("reply", "case")
_SENDER_COLUMNS = load_only(
    OnlineService.slug,
    OnlineService.name,
    OnlineService.authority,
    OnlineService.sector,
    OnlineService.is_enabled,
    OnlineService.is_mailbox_sender,
)


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """How the sender names the company: scheme org_sub, w_idnr, vat_id or register (court|type|number)."""

    scheme: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The law of an administrative act; the fields are those of Message."""

    regime: Regime
    land: str
    remedy_kind: str
    remedy_length: int
    remedy_unit: Unit
    remedy_instructed: bool
    remedy_addressee: str | None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A message as its sender wrote it, checked."""

    recipient: Recipient
    kind: str
    subject: str
    body: str
    body_format: str
    reference: str | None
    decision: Decision | None
    #: until, attachments, questions (schemas.ReplySchema); None: the company cannot answer.
    reply: dict[str, Any] | None = None
    #: The sender's own name of a case that it, or its sector, has reported.
    case: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """An attachment whose bytes lie in the store already."""

    file_name: str
    media_type: str
    size: int
    sha256: str
    path: str


def sender(client_id: str) -> OnlineService:
    """Return the service behind an access token; raise `sender_not_allowed` unless it may deliver now."""
    wanted = select(OnlineService).where(OnlineService.slug == client_id).options(_SENDER_COLUMNS)
    service = db.session.scalar(wanted.execution_options(populate_existing=True))
    if service is None or not service.is_enabled or not service.is_mailbox_sender:
        raise refusal("sender_not_allowed", detail=client_id)
    return service


def request_key(*, client_id: str, key: str, delivery: Delivery, files: Sequence[Any]) -> RequestKey:
    """Return the identity of this request; each file has file_name, media_type, size and sha256."""
    # What came later counts only where it is there: a request made before it is still the same one.
    fields = {name: value for name, value in asdict(delivery).items() if name not in _LATER or value is not None}
    content = [fields, [[file.file_name, file.media_type, file.size, file.sha256] for file in files]]
    return RequestKey(client=client_id, route=ROUTE, key=key, fingerprint=idempotency.fingerprint(content))


def deliver(*, request: RequestKey, delivery: Delivery, files: Sequence[StoredFile]) -> Answer:
    """Put the message into the company's mailbox and return the sender's answer, or the one given before.

    Message, attachments, notices, audit event, chain link, receipts and the kept answer commit together. Raises
    the problems sender_not_allowed, recipient_unknown, reply_is_over, case_unknown, request_in_progress,
    idempotency_key_reused and InvalidIdentifier.
    """
    accepted_at = now()
    service = sender(request.client)
    answer = idempotency.claim(request)
    if answer is not None:
        return answer
    _check_reply(delivery)
    company, pseudonym = company_of(service, delivery.recipient)
    case_id = _case_id(service, company, delivery.case)
    message_id = new_id()
    # Before the lock of the mailbox: topics are always locked first.
    place = route(company_id=company.id, service=service, subject=delivery.subject)
    notify_new_message(
        company_id=company.id,
        message_id=message_id,
        sender=service.authority,
        regime=delivery.decision.regime if delivery.decision else None,
        readers=place.membership_ids,
    )
    # From here to the commit other deliveries to this mailbox wait.
    mailbox = locked_mailbox(company.id)
    message = _add_message(mailbox, delivery, message_id=message_id, service=service, accepted_at=accepted_at)
    message.topic_id = place.topic_id
    message.case_id = case_id
    attachments = _add_attachments(message, files)
    link = chain.append(mailbox, message, attachments)
    index.add(message, attachments)
    proofs = receipts.issue_for_delivery(message, attachments, pseudonym=pseudonym, chain_hash=link.hash)
    audit.record(
        "message.delivered",
        by=f"client:{service.slug}",
        company_id=company.id,
        message_id=message.id,
        sequence_number=message.sequence_number,
        kind=message.kind,
        service=service.slug,
    )
    db.session.flush()
    answer = Answer(201, orjson.dumps(shown(message, attachments, proofs)))
    idempotency.keep(request, answer)
    return answer


def state(*, client_id: str, message_id: uuid.UUID) -> dict[str, Any]:
    """Return what the sender may know of its message; raise `message_unknown` for anybody else's.

    Of a message that its reader deleted, times, dates and proofs stay; there are no attachments any more.
    """
    message = db.session.scalar(select(Message).where(Message.service == client_id, Message.id == message_id))
    if message is None:
        return _state_of_erased(client_id, message_id)
    return _state(message, message.attachments)


def _state_of_erased(client_id: str, message_id: uuid.UUID) -> dict[str, Any]:
    erased = select(ErasedMessage).where(ErasedMessage.service == client_id, ErasedMessage.message_id == message_id)
    found = db.session.scalar(erased)
    if found is None:
        raise refusal("message_unknown")
    return _state(found, [])


def _state(message: Message | ErasedMessage, attachments: Sequence[Attachment]) -> dict[str, Any]:
    retrieved_at = message.first_retrieved_at
    return {
        **shown(message, attachments, receipts.receipts_of(message)),
        "is_retrieved": retrieved_at is not None,
        "first_retrieved_at": receipts.utc(retrieved_at) if retrieved_at else None,
    }


def locked_mailbox(company_id: uuid.UUID) -> Mailbox:
    """Return the mailbox, made if it is missing, locked until the transaction ends."""
    fresh = insert(Mailbox).values(
        company_id=company_id, last_sequence=0, head=GENESIS, unread_count=0, created_at=now()
    )
    db.session.execute(fresh.on_conflict_do_nothing())
    locked = select(Mailbox).where(Mailbox.company_id == company_id).with_for_update()
    return db.session.scalars(locked.execution_options(populate_existing=True)).one()


def shown(
    message: Message | ErasedMessage, attachments: Sequence[Attachment], proofs: dict[str, str]
) -> dict[str, Any]:
    """Return a message as the API shows it to its sender."""
    return {
        "id": str(message.id if isinstance(message, Message) else message.message_id),
        "sequence_number": message.sequence_number,
        "accepted_at": receipts.utc(message.accepted_at),
        "made_available_at": receipts.utc(message.made_available_at),
        "announced_on": _day(message.announced_on),
        "remedy_ends_on": _day(message.remedy_ends_on),
        "receipts": proofs,
        "attachments": [
            {
                "id": str(file.id),
                "file_name": file.file_name,
                "media_type": file.media_type,
                "size": file.size,
                "sha256": file.sha256,
            }
            for file in attachments
        ],
    }


def company_of(service: OnlineService, recipient: Recipient) -> tuple[Company, str]:
    """Return the company and its pseudonym in the sender's sector; raise `recipient_unknown`."""
    if recipient.scheme == "org_sub":
        company, pseudonym = company_by_subject(sector=service.sector, value=recipient.value), recipient.value
    else:
        company = company_by_identifier(recipient.scheme, recipient.value)
        pseudonym = subject(sector=service.sector, company_id=company.id) if company else ""
    if company is None:
        raise refusal("recipient_unknown")
    return company, pseudonym


def _case_id(service: OnlineService, company: Company, external_id: str | None) -> uuid.UUID | None:
    """Return our id of a case of this company in the sender's sector; raise `case_unknown` for any other."""
    if external_id is None:
        return None
    found = db.session.scalar(
        select(Case.id).where(
            Case.sector == service.sector, Case.external_id == external_id, Case.company_id == company.id
        )
    )
    if found is None:
        raise refusal("case_unknown")
    return found


def _check_reply(delivery: Delivery) -> None:
    """Refuse a reply that nobody could give; after a repeated request had its first answer."""
    until = delivery.reply and delivery.reply["until"]
    if until and date.fromisoformat(until) < legal_day(now()):
        raise refusal("reply_is_over")


def _add_message(
    mailbox: Mailbox, delivery: Delivery, *, message_id: uuid.UUID, service: OnlineService, accepted_at: Any
) -> Message:
    mailbox.last_sequence += 1
    mailbox.unread_count += 1
    message = Message(
        company_id=mailbox.company_id,
        id=message_id,
        sequence_number=mailbox.last_sequence,
        service=service.slug,
        sender_name=service.name,
        sender_authority=service.authority,
        kind=delivery.kind,
        subject=delivery.subject,
        body=delivery.body,
        body_format=delivery.body_format,
        reference=delivery.reference,
        reply=delivery.reply,
        accepted_at=accepted_at,
        # Under the lock, so that times follow the sequence numbers.
        made_available_at=now(),
    )
    if delivery.decision is not None:
        _apply_law(message, delivery.decision)
    db.session.add(message)
    return message


def _apply_law(message: Message, decision: Decision) -> None:
    for name, value in asdict(decision).items():
        setattr(message, name, value)
    dates = deadline(message, retrieved_on=None)
    message.announced_on = dates.announced_on
    message.remedy_ends_on = dates.remedy_ends_on
    message.rule_version = dates.rule_version


def deadline(message: Message, *, retrieved_on: date | None) -> Deadline:
    """Return the dates of a decision by the rules of the day on which it was made available."""
    remedy = Remedy(
        length=message.remedy_length or 0,
        unit=message.remedy_unit,  # type: ignore[arg-type]
        instructed=bool(message.remedy_instructed),
    )
    return compute(
        regime=message.regime,  # type: ignore[arg-type]
        made_available_on=legal_day(message.made_available_at),
        retrieved_on=retrieved_on,
        remedy=remedy,
        land=message.land,
    )


def _add_attachments(message: Message, files: Sequence[StoredFile]) -> list[Attachment]:
    attachments = [
        Attachment(company_id=message.company_id, id=new_id(), message_id=message.id, position=position, **asdict(file))
        for position, file in enumerate(files, start=1)
    ]
    db.session.add_all(attachments)
    return attachments


def _day(value: date | None) -> str | None:
    return None if value is None else value.isoformat()
