"""Which topic a new message goes to: the rules of the company, asked once in the transaction of the delivery."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, select

from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.team.models import Topic, TopicRule
from unternehmenskonto.mailbox.team.readers import readers_of


@dataclass(frozen=True)
class Sample:
    """What the conditions of a rule look at."""

    service: str
    authority: str
    subject: str


@dataclass(frozen=True)
class Route:
    """Where a new message goes, and who is to hear of it; no topic: everybody who reads the mailbox."""

    topic_id: uuid.UUID | None
    #: None: everybody.
    membership_ids: frozenset[uuid.UUID] | None


EVERYBODY = Route(topic_id=None, membership_ids=None)


def route(*, company_id: uuid.UUID, service: OnlineService, subject: str) -> Route:
    """Return where the message goes: to the topic of the first rule that fits.

    One statement for a company without rules. The topic's row is locked until the commit, so that it cannot end
    before the message is in it, and so that topics are always locked before the mailbox.
    """
    rules = rules_of(company_id)
    sample = Sample(service=service.slug, authority=service.authority, subject=subject)
    found = first_match(rules, sample, services_of(rules))
    if found is None:
        return EVERYBODY
    living = select(Topic.id).where(
        Topic.company_id == company_id, Topic.id == found.topic_id, Topic.ended_at.is_(None)
    )
    if db.session.scalar(living.with_for_update(key_share=True)) is None:
        return EVERYBODY
    members = frozenset(one.id for one in readers_of(company_id, found.topic_id))
    return Route(topic_id=found.topic_id, membership_ids=members)


def rules_of(company_id: uuid.UUID) -> Sequence[TopicRule]:
    """Return the rules for living topics of the company, in the order in which they are tried."""
    same = and_(Topic.company_id == TopicRule.company_id, Topic.id == TopicRule.topic_id)
    query = select(TopicRule).join(Topic, same).where(TopicRule.company_id == company_id, Topic.ended_at.is_(None))
    return db.session.scalars(query.order_by(TopicRule.position, TopicRule.id)).all()


def services_of(rules: Iterable[TopicRule]) -> dict[str, frozenset[str]]:
    """Return for each LeiKa key of the rules the slugs of the services that offer it; no statement without keys."""
    keys = sorted({rule.leika for rule in rules if rule.leika})
    if not keys:
        return {}
    query = select(OnlineService.slug, OnlineService.leika_keys).where(OnlineService.leika_keys.op("&&")(keys))
    rows = db.session.execute(query).all()
    return {key: frozenset(slug for slug, offered in rows if key in offered) for key in keys}


def first_match(rules: Iterable[TopicRule], sample: Sample, services: dict[str, frozenset[str]]) -> TopicRule | None:
    """Return the first rule that fits, None if there is none."""
    return next((rule for rule in rules if fits(rule, sample, services)), None)


def fits(rule: TopicRule, sample: Sample, services: dict[str, frozenset[str]]) -> bool:
    """Tell whether every condition of the rule that is not empty holds; a rule without any fits nothing."""
    if not (rule.authority or rule.service or rule.leika or rule.words):
        return False
    subject = sample.subject.casefold()
    return (
        rule.authority.casefold() in sample.authority.casefold()
        and rule.service in ("", sample.service)
        and (not rule.leika or sample.service in services.get(rule.leika, ()))
        and all(word in subject for word in rule.words.casefold().split())
    )
