"""Send a draft, exactly once, and let its authority confirm that it has it."""

import uuid
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import selectinload

from unternehmenskonto import audit
from unternehmenskonto.companies.subjects import subject
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import NotFound, TooManyRequests, Unprocessable
from unternehmenskonto.mailbox.conversations import proofs
from unternehmenskonto.mailbox.conversations.actions import ChangedMeanwhile, check, find_draft
from unternehmenskonto.mailbox.conversations.limits import BEGUN_PER_DAY, DAY, SENT_PER_DAY
from unternehmenskonto.mailbox.conversations.models import (
    Draft,
    DraftFile,
    Outbox,
    SentFile,
    SentMessage,
    ServiceIntake,
)
from unternehmenskonto.mailbox.conversations.questions import clean
from unternehmenskonto.mailbox.conversations.targets import Target, may_see, target_of
from unternehmenskonto.mailbox.problems import refusal
from unternehmenskonto.permissions import Actor

LIMIT_RETRY_SECONDS = 3600


class Incomplete(Unprocessable):
    """Something is missing; the draft's own page says what."""

    code = "draft_incomplete"
    sentence = _l("Der Entwurf ist noch nicht vollständig. Öffnen Sie ihn und ergänzen Sie, was fehlt.")


class TooMuchInADay(TooManyRequests):
    """The company has sent as much as it may in a day."""

    code = "too_much_in_a_day"
    sentence = _l(
        "Ihr Unternehmen hat in den letzten 24 Stunden sehr viele Nachrichten gesendet. Der Entwurf bleibt erhalten; "
        "senden Sie ihn später."
    )


def send(*, actor: Actor, draft_id: uuid.UUID, version: int) -> SentMessage:
    """Send the draft as it was shown in this version and return what was sent; the second time returns the first.

    Message, files, link of the chain, receipt and audit event commit together. Raises NotFound, NoReply,
    ChangedMeanwhile, Incomplete, TooMuchInADay.
    """
    draft = find_draft(actor=actor, draft_id=draft_id, lock=True)
    if draft is None:
        return sent_message(actor=actor, sent_id=draft_id)
    if draft.version != version:
        raise ChangedMeanwhile
    target = target_of(actor, draft)
    checked = check(draft, target)
    if checked.faults:
        raise Incomplete
    # From here to the commit other acts of sending of this company, then of all to this service, wait.
    outbox = proofs.locked_outbox(actor.company_id)
    _hold_back(draft, target)
    sent = _make(actor, draft, target, outbox=outbox, answers=checked.answers)
    files = _take_files(draft, sent)
    sent.receipt = proofs.receipt_of_sending(sent, files, chain_hash=proofs.append(outbox, sent, files))
    db.session.add_all([sent, *files])
    db.session.execute(delete(DraftFile).filter_by(company_id=draft.company_id, draft_id=draft.id))
    db.session.execute(delete(Draft).filter_by(company_id=draft.company_id, id=draft.id))
    audit.record(
        "correspondence.sent",
        by=f"person:{actor.person_id}",
        company_id=sent.company_id,
        sent_id=sent.id,
        message_id=sent.message_id,
        sequence_number=sent.sequence_number,
        service=sent.service,
    )
    db.session.flush()
    return sent


def sent_message(*, actor: Actor, sent_id: uuid.UUID) -> SentMessage:
    """Return what the company has sent, with its files; raise NotFound, also for another company's."""
    found = db.session.scalar(
        select(SentMessage)
        .where(SentMessage.company_id == actor.company_id, SentMessage.id == sent_id, may_see(actor, SentMessage))
        .options(selectinload(SentMessage.files))
    )
    if found is None:
        raise NotFound
    return found


def acknowledge(*, client_id: str, sent_id: uuid.UUID) -> SentMessage:
    """Write down that the authority has fetched it, once; the second time changes nothing. Raises reply_unknown."""
    query = select(SentMessage).where(SentMessage.id == sent_id, SentMessage.service == client_id).with_for_update()
    sent = db.session.scalar(query.execution_options(populate_existing=True))
    if sent is None:
        raise refusal("reply_unknown")
    if sent.acknowledged_at is not None:
        return sent
    sent.acknowledged_at = max(now(), sent.sent_at)
    sent.acknowledgement = proofs.receipt_of_arrival(sent)
    audit.record(
        "correspondence.acknowledged",
        by=f"client:{client_id}",
        company_id=sent.company_id,
        sent_id=sent.id,
        service=client_id,
    )
    db.session.flush()
    return sent


def _make(actor: Actor, draft: Draft, target: Target, *, outbox: Outbox, answers: list[Any]) -> SentMessage:
    outbox.last_sequence += 1
    message = target.message
    return SentMessage(
        company_id=actor.company_id,
        id=draft.id,
        sequence_number=outbox.last_sequence,
        service=target.service.slug,
        service_number=_next_number(target.service.slug),
        recipient_name=target.service_name,
        recipient_authority=target.name,
        message_id=draft.message_id,
        reference=message.reference if message else None,
        topic=None if message else draft.topic,
        subject=target.subject or clean(draft.subject, lines=False),
        body=clean(draft.body),
        answers=answers,
        org_sub=subject(sector=target.service.sector, company_id=actor.company_id),
        company_name=actor.company_name,
        sender_name=actor.person_name,
        sent_by=actor.membership_id,
        assurance_level=actor.assurance_level,
        # Under both locks, so that times follow the numbers.
        sent_at=now(),
    )


def _take_files(draft: Draft, sent: SentMessage) -> list[SentFile]:
    return [
        SentFile(
            company_id=sent.company_id,
            id=file.id,
            sent_id=sent.id,
            position=position,
            question=file.question,
            file_name=file.file_name,
            media_type=file.media_type,
            size=file.size,
            sha256=file.sha256,
            path=file.path,
        )
        for position, file in enumerate(draft.files, start=1)
    ]


def _next_number(service: str) -> int:
    """Return the next number of the service; held until the commit, so numbers are seen in their order."""
    db.session.execute(insert(ServiceIntake).values(service=service, last_number=0).on_conflict_do_nothing())
    raised = (
        update(ServiceIntake)
        .where(ServiceIntake.service == service)
        .values(last_number=ServiceIntake.last_number + 1)
        .returning(ServiceIntake.last_number)
        .execution_options(synchronize_session=False)
    )
    return db.session.scalars(raised).one()


def _hold_back(draft: Draft, target: Target) -> None:
    """Raise TooMuchInADay when the company has sent enough; counts no further than the limit."""
    today = select(SentMessage.id).where(SentMessage.company_id == draft.company_id, SentMessage.sent_at > now() - DAY)
    begun = today.where(SentMessage.service == target.service.slug, SentMessage.message_id.is_(None))
    limits = [(today, SENT_PER_DAY)] + ([] if target.message else [(begun, BEGUN_PER_DAY)])
    for query, limit in limits:
        count = select(func.count()).select_from(query.limit(limit).subquery())
        if db.session.scalar(count) == limit:
            raise TooMuchInADay(retry_after=LIMIT_RETRY_SECONDS)
