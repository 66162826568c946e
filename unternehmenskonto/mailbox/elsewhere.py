"""A link to a message of another company for which the same person acts too: said instead of "not found"."""

import uuid
from dataclasses import dataclass, replace

from sqlalchemy import select

from unternehmenskonto.companies.models import Company, Membership
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.permissions import Actor

PERMISSION = "mailbox.read"


@dataclass(frozen=True)
class Elsewhere:
    """For which company of the person the message is, and the membership to change to."""

    company_name: str
    membership_id: uuid.UUID


def find(*, actor: Actor, message_id: uuid.UUID) -> Elsewhere | None:
    """Return where the person may read this message; None if nowhere, whether it exists or not. Opens nothing."""
    if not actor.has_other_companies:
        return None
    row = db.session.execute(
        select(Membership.id, Membership.company_id, Membership.roles, Company.name)
        .join(Company, Company.id == Membership.company_id)
        .join(Message, (Message.company_id == Membership.company_id) & (Message.id == message_id))
        .where(
            Membership.person_id == actor.person_id,
            Membership.ended_at.is_(None),
            Membership.id != actor.membership_id,
        )
    ).first()
    if row is None:
        return None
    there = replace(actor, membership_id=row.id, company_id=row.company_id, roles=frozenset(row.roles))
    seen = select(Message.id).where(Message.company_id == row.company_id, Message.id == message_id, visible_to(there))
    if not there.may(PERMISSION) or db.session.scalar(seen) is None:
        return None
    return Elsewhere(company_name=row.name, membership_id=row.id)
