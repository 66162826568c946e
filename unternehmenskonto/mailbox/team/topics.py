"""Topics ("Funktionspostfach"): who reads what, kept so that there is never mail without a living reader."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from flask_babel import lazy_gettext as _l
from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased

from unternehmenskonto import audit
from unternehmenskonto.companies.actions import Indispensable, guards_leaving, lock_people
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, new_id
from unternehmenskonto.errors import InvalidInput, NotFound, Unprocessable
from unternehmenskonto.mailbox.actions import locked_mailbox
from unternehmenskonto.mailbox.team.models import Topic, TopicMember, TopicRule
from unternehmenskonto.mailbox.team.readers import READING_ROLES, is_living_reader, readers_of
from unternehmenskonto.mailbox.team.routing import rules_of
from unternehmenskonto.permissions import Actor

MAXIMUM_TOPICS = 50
MAXIMUM_RULES = 50
MAXIMUM_NAME = 80
MAXIMUM_DESCRIPTION = 500


class LastReader(Indispensable):
    """Refuse to leave a topic without anybody who reads it."""

    code = "last_reader"
    sentence = _l(
        "Jedes Thema braucht mindestens eine Person, die es liest. Nehmen Sie zuerst jemand anderen in das Thema auf."
    )


class NameTaken(Unprocessable):
    """Another topic of the company has this name."""

    code = "topic_name_taken"
    sentence = _l("Es gibt schon ein Thema mit diesem Namen. Wählen Sie einen anderen.")


class TooManyTopics(Unprocessable):
    """The company has MAXIMUM_TOPICS already."""

    code = "too_many_topics"
    sentence = _l("Mehr als 50 Themen sind nicht möglich. Lösen Sie eines auf, das niemand mehr braucht.")


class TooManyRules(Unprocessable):
    """The company has MAXIMUM_RULES already."""

    code = "too_many_rules"
    sentence = _l("Mehr als 50 Regeln sind nicht möglich. Löschen Sie eine, die niemand mehr braucht.")


class NoCondition(InvalidInput):
    """A rule without a condition would take every message."""

    code = "rule_without_condition"
    sentence = _l("Geben Sie mindestens eine Bedingung an.")


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a rule asks of a message; at least one is not empty."""

    authority: str = ""
    service: str = ""
    leika: str = ""
    words: str = ""


@dataclass(frozen=True)
class Shown:
    """A topic with its living readers, by family name."""

    topic: Topic
    readers: list[Membership]


def topics_of(company_id: uuid.UUID) -> list[Topic]:
    """Return the living topics by name."""
    query = select(Topic).filter_by(company_id=company_id, ended_at=None)
    return list(db.session.scalars(query.order_by(func.lower(Topic.name), Topic.id).limit(MAXIMUM_TOPICS)))


def shown_topics(company_id: uuid.UUID) -> list[Shown]:
    """Return the living topics with their readers; two statements."""
    members = db.session.execute(
        select(TopicMember.topic_id, Membership)
        .join(Membership, Membership.id == TopicMember.membership_id)
        .join(Membership.person)
        .where(TopicMember.company_id == company_id, is_living_reader())
        .order_by(TopicMember.topic_id)
    ).all()
    by_topic: dict[uuid.UUID, list[Membership]] = {}
    for topic_id, membership in members:
        by_topic.setdefault(topic_id, []).append(membership)
    for found in by_topic.values():
        found.sort(key=lambda one: (one.person.family_name, one.person.given_name))
    return [Shown(topic, by_topic.get(topic.id, [])) for topic in topics_of(company_id)]


def topic_of(company_id: uuid.UUID, topic_id: uuid.UUID) -> Topic:
    """Return a living topic of this company; raise NotFound for any other."""
    found = db.session.scalar(select(Topic).filter_by(company_id=company_id, id=topic_id, ended_at=None))
    if found is None:
        raise NotFound
    return found


def members_of(company_id: uuid.UUID, topic_id: uuid.UUID) -> set[uuid.UUID]:
    """Return the memberships in the topic, also those that read nothing any more."""
    query = select(TopicMember.membership_id).filter_by(company_id=company_id, topic_id=topic_id)
    return set(db.session.scalars(query))


def make(*, actor: Actor, name: str, description: str, member_ids: Iterable[uuid.UUID]) -> Topic:
    """Make a topic with its readers; raise NameTaken, TooManyTopics or LastReader without a living reader."""
    lock_people(actor.company_id)
    others = topics_of(actor.company_id)
    if len(others) >= MAXIMUM_TOPICS:
        raise TooManyTopics
    _check_name(others, name)
    members = _living(actor, member_ids)
    topic = Topic(company_id=actor.company_id, name=name, description=description, unread_count=0)
    db.session.add(topic)
    db.session.flush()
    _audit(actor, "topic.made", topic_id=topic.id)
    _set_members(actor, topic, members)
    return topic


def change(*, actor: Actor, topic_id: uuid.UUID, name: str, description: str, member_ids: Iterable[uuid.UUID]) -> Topic:
    """Change name, description and readers; each reader who comes or goes is audited.

    Raises NotFound, NameTaken, or LastReader without a living reader.
    """
    lock_people(actor.company_id)
    topic = topic_of(actor.company_id, topic_id)
    _check_name([one for one in topics_of(actor.company_id) if one.id != topic_id], name)
    members = _living(actor, member_ids)
    wanted = {"name": name, "description": description}
    changed = sorted(field for field, value in wanted.items() if getattr(topic, field) != value)
    topic.name, topic.description = name, description
    if changed:
        _audit(actor, "topic.changed", topic_id=topic.id, fields=changed)
    _set_members(actor, topic, members)
    return topic


def rule_of(company_id: uuid.UUID, rule_id: uuid.UUID) -> TopicRule:
    """Return a rule for a living topic of this company; raise NotFound for any other."""
    found = next((one for one in rules_of(company_id) if one.id == rule_id), None)
    if found is None:
        raise NotFound
    return found


def make_rule(*, actor: Actor, topic_id: uuid.UUID, conditions: Conditions) -> TopicRule:
    """Add a rule behind all others; new messages follow it, old ones stay where they are.

    Raises NotFound, NoCondition, TooManyRules.
    """
    lock_people(actor.company_id)
    topic_of(actor.company_id, topic_id)
    rules = rules_of(actor.company_id)
    if len(rules) >= MAXIMUM_RULES:
        raise TooManyRules
    rule = TopicRule(company_id=actor.company_id, topic_id=topic_id, position=_last(rules) + 1)
    _set_conditions(rule, conditions)
    db.session.add(rule)
    db.session.flush()
    _audit(actor, "topic.rule_made", topic_id=topic_id, rule_id=rule.id)
    return rule


def sketch(*, topic_id: uuid.UUID, conditions: Conditions, kept: TopicRule | None = None) -> TopicRule:
    """Return a rule that is only tried, never kept; it has the id of the kept one it would replace.

    Raises NoCondition.
    """
    rule = TopicRule(id=kept.id if kept else new_id(), topic_id=topic_id, position=kept.position if kept else 0)
    _set_conditions(rule, conditions)
    return rule


def change_rule(*, actor: Actor, rule_id: uuid.UUID, topic_id: uuid.UUID, conditions: Conditions) -> TopicRule:
    """Change topic and conditions of a rule, for new messages only; raise NotFound or NoCondition."""
    lock_people(actor.company_id)
    topic_of(actor.company_id, topic_id)
    rule = rule_of(actor.company_id, rule_id)
    names = [field.name for field in fields(conditions)]
    before = [rule.topic_id, *(getattr(rule, name) for name in names)]
    _set_conditions(rule, conditions)
    rule.topic_id = topic_id
    after = [rule.topic_id, *(getattr(rule, name) for name in names)]
    changed = [name for name, old, new in zip(["topic", *names], before, after, strict=True) if old != new]
    if changed:
        _audit(actor, "topic.rule_changed", topic_id=topic_id, rule_id=rule.id, fields=changed)
    return rule


def remove_rule(*, actor: Actor, rule_id: uuid.UUID) -> None:
    """Remove a rule; the messages it moved stay where they are. Raises NotFound."""
    lock_people(actor.company_id)
    rule = rule_of(actor.company_id, rule_id)
    db.session.delete(rule)
    _audit(actor, "topic.rule_removed", topic_id=rule.topic_id, rule_id=rule_id)


def move_rule(*, actor: Actor, rule_id: uuid.UUID, up: bool) -> None:
    """Try the rule one place earlier or later; at the end of the list nothing happens. Raises NotFound."""
    lock_people(actor.company_id)
    rule = rule_of(actor.company_id, rule_id)
    rules = list(rules_of(actor.company_id))
    place = rules.index(rule)
    other = place - 1 if up else place + 1
    if not 0 <= other < len(rules):
        return
    rules[place], rules[other] = rules[other], rules[place]
    for position, one in enumerate(rules, start=1):
        one.position = position
    _audit(actor, "topic.rule_changed", topic_id=rule.topic_id, rule_id=rule.id, fields=["position"])


def set_four_eyes(*, actor: Actor, wanted: bool) -> None:
    """Say whether "done" needs a second person from now on; what waits already goes on waiting."""
    mailbox = locked_mailbox(actor.company_id)
    if mailbox.has_four_eyes != wanted:
        mailbox.has_four_eyes = wanted
        _audit(actor, "mailbox.four_eyes_changed", after=wanted)


@guards_leaving
def keep_a_reader(leaving: Membership, roles: frozenset[str]) -> None:
    """Raise LastReader, with the names of the topics, where nobody else would be left to read one."""
    if not roles.isdisjoint(READING_ROLES):
        return
    other, colleague = aliased(TopicMember), aliased(Membership)
    somebody = (
        select(other.membership_id)
        .join(colleague, colleague.id == other.membership_id)
        .where(other.company_id == Topic.company_id, other.topic_id == Topic.id, colleague.id != leaving.id)
        .where(colleague.ended_at.is_(None), colleague.roles.overlap(READING_ROLES))
        .exists()
    )
    mine = and_(TopicMember.company_id == Topic.company_id, TopicMember.topic_id == Topic.id)
    names = db.session.scalars(
        select(Topic.name)
        .join(TopicMember, mine)
        .where(Topic.company_id == leaving.company_id, Topic.ended_at.is_(None))
        .where(TopicMember.membership_id == leaving.id, ~somebody)
        .order_by(Topic.name)
    ).all()
    if names:
        raise LastReader(
            _l(
                "Diese Person liest als einzige das Thema „%(names)s“. Nehmen Sie dort zuerst jemand anderen auf.",
                names="“, „".join(names),
            )
        )


def _living(actor: Actor, member_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of them who may read the mailbox; raise LastReader if nobody is left."""
    wanted = set(member_ids) & {one.id for one in readers_of(actor.company_id)}
    if not wanted:
        raise LastReader
    return wanted


def _set_members(actor: Actor, topic: Topic, wanted: set[uuid.UUID]) -> None:
    """Let exactly these people read the topic."""
    before = members_of(actor.company_id, topic.id)
    for membership_id in sorted(before - wanted):
        row = db.session.get_one(TopicMember, (actor.company_id, topic.id, membership_id))
        db.session.delete(row)
        _audit(actor, "topic.member_removed", topic_id=topic.id, membership_id=membership_id)
    for membership_id in sorted(wanted - before):
        added = {"topic_id": topic.id, "membership_id": membership_id}
        db.session.add(TopicMember(company_id=actor.company_id, added_by=actor.membership_id, **added))
        _audit(actor, "topic.member_added", **added)
    db.session.flush()


def _check_name(others: Iterable[Topic], name: str) -> None:
    if any(one.name.lower() == name.lower() for one in others):
        raise NameTaken


def _set_conditions(rule: TopicRule, conditions: Conditions) -> None:
    values = {field.name: getattr(conditions, field.name).strip() for field in fields(conditions)}
    if not any(values.values()):
        raise NoCondition
    for name, value in values.items():
        setattr(rule, name, value)


def _last(rules: Sequence[TopicRule]) -> int:
    return max((rule.position for rule in rules), default=0)


def _audit(actor: Actor, event: str, **values: object) -> None:
    audit.record(event, by=f"person:{actor.person_id}", company_id=actor.company_id, **values)
    db.session.flush()
