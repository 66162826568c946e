"""Who reads what: the living people with mailbox.read, all of them or those of one topic."""

import uuid

from sqlalchemy import ColumnElement, and_, select

from unternehmenskonto.companies.models import Membership, Person
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.team.models import TopicMember
from unternehmenskonto.permissions import ROLES

READING_ROLES = sorted(name for name, permissions in ROLES.items() if "mailbox.read" in permissions)


def is_living_reader() -> ColumnElement[bool]:
    """Return the condition on Membership that holds for somebody who may read the mailbox today."""
    return and_(Membership.ended_at.is_(None), Membership.roles.overlap(READING_ROLES))


def readers_of(company_id: uuid.UUID, topic_id: uuid.UUID | None = None) -> list[Membership]:
    """Return who sees messages of this topic (None: messages of no topic), by family name."""
    query = (
        select(Membership)
        .join(Membership.person)
        .where(Membership.company_id == company_id, is_living_reader())
        .order_by(Person.family_name, Person.given_name, Membership.id)
    )
    if topic_id is not None:
        query = query.join(TopicMember, TopicMember.membership_id == Membership.id)
        query = query.where(TopicMember.company_id == company_id, TopicMember.topic_id == topic_id)
    return list(db.session.scalars(query))


def names_of(membership_ids: set[uuid.UUID]) -> dict[uuid.UUID, Membership]:
    """Return these memberships, ended ones too, with their people; one statement."""
    if not membership_ids:
        return {}
    found = db.session.scalars(select(Membership).where(Membership.id.in_(membership_ids)))
    return {one.id: one for one in found}
