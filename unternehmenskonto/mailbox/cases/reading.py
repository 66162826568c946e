"""The list of cases and one case as a timeline: states, messages, replies, newest first."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from unternehmenskonto.db import db, now
from unternehmenskonto.errors import NotFound
from unternehmenskonto.mailbox.cases.models import Case, CaseEvent
from unternehmenskonto.mailbox.conversations.models import SentMessage
from unternehmenskonto.mailbox.conversations.reading import Page, keyset
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.permissions import Actor

#: Of each kind, the newest; more than any application has.
SHOWN = 200
STATE_NAMES = {
    "initiated": _l("begonnen"),
    "submitted": _l("eingereicht"),
    "received": _l("eingegangen"),
    "processing": _l("in Bearbeitung"),
    "action_required": _l("Sie sind gefragt"),
    "completed": _l("abgeschlossen"),
}
#: Kind of the badge (macros/page.html).
STATE_KINDS = {"action_required": "warning", "completed": "success"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing in the timeline; kind is state, message or sent."""

    kind: str
    at: datetime
    title: Any
    who: str
    text: str | None = None
    url: str | None = None
    state: str = ""
    is_decision: bool = False
    is_unread: bool = False
    ends_on: date | None = None
    days_left: int | None = None
    acknowledged_at: datetime | None = None


def list_cases(*, actor: Actor, is_open: bool, cursor: str | None) -> Page:
    """Return one page of the open or of the completed cases, the last changed first. Raises InvalidCursor."""
    query: Any = select(
        Case.id, Case.changed_at.label("at"), Case.title, Case.authority, Case.state, Case.service_name
    ).where(Case.company_id == actor.company_id, Case.is_open == is_open)
    return keyset(query, (Case.changed_at, Case.id), cursor)


def find_case(*, actor: Actor, case_id: uuid.UUID) -> Case:
    """Return a case of the company; raise NotFound for any other."""
    found = db.session.scalar(select(Case).where(Case.company_id == actor.company_id, Case.id == case_id))
    if found is None:
        raise NotFound
    return found


def case_of(message: Message) -> Case | None:
    """Return the case that a message belongs to."""
    return db.session.get(Case, (message.company_id, message.case_id)) if message.case_id else None


def timeline(case: Case, actor: Actor) -> list[Step]:
    """Return everything that belongs to the case and that the person may see, newest first."""
    steps = [*_states(case), *_messages(case, actor), *_sent(case, actor)]
    return sorted(steps, key=lambda step: step.at, reverse=True)


def _states(case: Case) -> list[Step]:
    events = db.session.scalars(
        select(CaseEvent)
        .where(CaseEvent.company_id == case.company_id, CaseEvent.case_id == case.id)
        .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        .limit(SHOWN)
    )
    return [
        Step(
            kind="state",
            at=event.at,
            title=STATE_NAMES[event.state],
            who=event.service_name,
            text=event.text,
            state=event.state,
        )
        for event in events
    ]


def _messages(case: Case, actor: Actor) -> list[Step]:
    today = legal_day(now())
    rows = db.session.execute(
        select(
            Message.id, Message.made_available_at, Message.subject, Message.sender_authority, Message.kind,
            Message.is_unread, Message.remedy_ends_on,
        )
        .where(Message.company_id == case.company_id, Message.case_id == case.id, visible_to(actor))
        .order_by(Message.made_available_at.desc(), Message.id.desc())
        .limit(SHOWN)
    )  # fmt: skip
    return [
        Step(
            kind="message",
            at=row.made_available_at,
            title=row.subject,
            who=row.sender_authority,
            url=f"/postfach/{row.id}",
            is_decision=row.kind == "decision",
            is_unread=row.is_unread,
            ends_on=row.remedy_ends_on,
            days_left=(row.remedy_ends_on - today).days if row.remedy_ends_on else None,
        )
        for row in rows
    ]


def _sent(case: Case, actor: Actor) -> list[Step]:
    rows = db.session.execute(
        select(
            SentMessage.id,
            SentMessage.sent_at,
            SentMessage.subject,
            SentMessage.sender_name,
            SentMessage.acknowledged_at,
        )
        .join(Message, (Message.company_id == SentMessage.company_id) & (Message.id == SentMessage.message_id))
        .where(SentMessage.company_id == case.company_id, Message.case_id == case.id, visible_to(actor))
        .order_by(SentMessage.sent_at.desc())
        .limit(SHOWN)
    )
    return [
        Step(
            kind="sent",
            at=row.sent_at,
            title=row.subject,
            who=row.sender_name,
            url=f"/postfach/gesendet/{row.id}",
            acknowledged_at=row.acknowledged_at,
        )
        for row in rows
    ]
