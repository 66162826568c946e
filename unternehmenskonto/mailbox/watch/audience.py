"""Whom to tell of a decision: its readers, who stands in for them, who gives rights, everybody."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from unternehmenskonto.companies.actions import ADMINISTRATOR, people_of
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.team.models import TopicMember
from unternehmenskonto.mailbox.watch.models import Absence
from unternehmenskonto.permissions import ROLES

READING_ROLES = frozenset(role for role, permissions in ROLES.items() if "mailbox.read" in permissions)


@dataclass(frozen=True, kw_only=True)
class Audience:
    """Living memberships with an e-mail address; the groups overlap."""

    readers: Sequence[Membership]
    substitutes: Sequence[Membership]
    administrators: Sequence[Membership]
    everybody: Sequence[Membership]

    def may_read(self, membership: Membership) -> bool:
        """Tell whether the person sees the decision; to others not even its sender is told."""
        return membership in self.readers


def audience_of(*, company_id: uuid.UUID, topic_id: uuid.UUID | None, today: date) -> Audience:
    """Return whom a decision of this company concerns; `topic_id`: only these people read it."""
    people = people_of(company_id)
    members = None if topic_id is None else _members(company_id, topic_id)
    readers = [one for one in people if may_read(one) and (members is None or one.id in members)]
    reading = {one.id for one in readers}
    away = [one for one in absences_on(company_id, today) if one.membership_id in reading]
    standing_in = {one.substitute_id for one in away} & reading
    return Audience(
        readers=[one for one in readers if one.email],
        substitutes=[one for one in readers if one.email and one.id in standing_in],
        administrators=[one for one in people if one.email and ADMINISTRATOR in one.roles],
        everybody=[one for one in people if one.email],
    )


def may_read(membership: Membership) -> bool:
    """Tell whether the rights of the membership include reading the mailbox."""
    return not READING_ROLES.isdisjoint(membership.roles)


def absences_on(company_id: uuid.UUID, day: date) -> Sequence[Absence]:
    """Return the absences that cover the day; both ends count."""
    return db.session.scalars(
        select(Absence).where(Absence.company_id == company_id, Absence.starts_on <= day, Absence.ends_on >= day)
    ).all()


def _members(company_id: uuid.UUID, topic_id: uuid.UUID) -> Collection[uuid.UUID]:
    return set(
        db.session.scalars(
            select(TopicMember.membership_id).where(
                TopicMember.company_id == company_id, TopicMember.topic_id == topic_id
            )
        )
    )
