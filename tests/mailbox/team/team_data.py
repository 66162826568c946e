"""Topics and actors for the tests of team work."""

import itertools
from datetime import UTC, datetime

from unternehmenskonto.companies.models import Company, Membership
from unternehmenskonto.db import db, new_id
from unternehmenskonto.mailbox.team.models import Topic, TopicMember
from unternehmenskonto.permissions import Actor

_number = itertools.count(1)


def acting(membership: Membership) -> Actor:
    """Return the person of this membership as the actions see them."""
    return Actor(
        person_id=membership.person_id,
        person_name=membership.person.name,
        company_id=membership.company_id,
        company_name=membership.company.name,
        membership_id=membership.id,
        session_id=new_id(),
        assurance_level="substantial",
        auth_time=datetime(2026, 11, 1, tzinfo=UTC),
        roles=frozenset(membership.roles),
    )


def make_topic(company: Company, *members: Membership, name: str = "") -> Topic:
    """Return a topic with these members, put straight into the tables."""
    topic = Topic(company_id=company.id, name=name or f"Thema {next(_number)}")
    db.session.add(topic)
    db.session.flush()
    for one in members:
        member = TopicMember(company_id=company.id, topic_id=topic.id, membership_id=one.id, added_by=one.id)
        db.session.add(member)
    db.session.flush()
    return topic
