"""No mail without a living reader: the standing check, and what it does about a mailbox that reaches nobody.

Somebody is a living reader who belongs to the company, may read, has a login at an identity provider that is in use,
and has an e-mail address. A topic with people of its own is checked like the mailbox as a whole.
"""

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import structlog
from sqlalchemy import Select, String, and_, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from unternehmenskonto import audit
from unternehmenskonto.companies.actions import ADMINISTRATOR, people_of
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.jobs import defer, job
from unternehmenskonto.login.config import providers
from unternehmenskonto.login.models import Identity
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Mailbox
from unternehmenskonto.mailbox.team.models import Topic, TopicMember
from unternehmenskonto.mailbox.watch.audience import READING_ROLES
from unternehmenskonto.mailbox.watch.models import MissingReader
from unternehmenskonto.notifications.actions import notify_no_reader
from unternehmenskonto.permissions import Actor

log = structlog.get_logger()

#: Companies looked at in one transaction.
BATCH = 500
#: As long as nobody is reached, the company is written to again after so many days.
REPEAT_AFTER = timedelta(days=7)

Reason = Literal["nobody_may_read", "nobody_can_log_in", "nobody_has_address"]


@dataclass(frozen=True, order=True)
class Fault:
    """A mailbox, or with `area` a topic of it, that reaches nobody; `name`: of the topic."""

    company_id: uuid.UUID
    area: str
    name: str
    reason: Reason


def find_faults(company_ids: Collection[uuid.UUID]) -> list[Fault]:
    """Return what reaches nobody in those of the companies that have messages: two statements, whatever they hold."""
    rows = [*db.session.execute(_mailboxes(company_ids)), *db.session.execute(_topics(company_ids))]
    found = [(row, _reason(row)) for row in rows]
    return sorted(Fault(row.company_id, str(row.area), row.name, reason) for row, reason in found if reason)


def faults_for(actor: Actor) -> list[Fault]:
    """Return what reaches nobody, for somebody who can mend it; empty for everybody else."""
    return find_faults([actor.company_id]) if actor.may("company.manage") else []


def all_faults() -> Iterator[Fault]:
    """Yield what reaches nobody in all companies, by company."""
    after: uuid.UUID | None = None
    while companies := _next_companies(after):
        yield from find_faults(companies)
        after = companies[-1]


@job("readers.check", cron="23 5 * * *")
def check(after: str | None = None) -> None:
    """Look at a batch of companies, tell new faults and forget mended ones, and go on with the next batch."""
    companies = _next_companies(None if after is None else uuid.UUID(after))
    if not companies:
        return
    known = {
        (one.company_id, one.area): one
        for one in db.session.scalars(select(MissingReader).where(MissingReader.company_id.in_(companies)))
    }
    for fault in find_faults(companies):
        _keep(fault, known.pop((fault.company_id, fault.area), None))
    for mended in known.values():
        audit.record("reader.found", by="system", company_id=mended.company_id, area=mended.area)
        db.session.delete(mended)
    if len(companies) == BATCH:
        defer("readers.check", after=str(companies[-1]))


def _keep(fault: Fault, known: MissingReader | None) -> None:
    """Note the fault, for the company and for the operators, and write to the company now and then."""
    if known is None:
        known = MissingReader(company_id=fault.company_id, area=fault.area, found_at=now())
        db.session.add(known)
    if known.reason != fault.reason:
        known.reason = fault.reason
        audit.record("reader.missing", by="system", company_id=fault.company_id, area=fault.area, reason=fault.reason)
    log.warning("mailbox without reader", company_id=str(fault.company_id), area=fault.area, reason=fault.reason)
    moment = now()
    if known.told_at is None or moment - known.told_at >= REPEAT_AFTER:
        people = _addresses(fault.company_id)
        occasion = f"{fault.area.replace('-', '')}/{legal_day(moment).toordinal()}"
        notify_no_reader(company_id=fault.company_id, area=fault.name, recipients=people, occasion=occasion)
        known.told_at = moment if people else None


def _addresses(company_id: uuid.UUID) -> Sequence[Membership]:
    """Return the administrators with an address or, without one, everybody with an address."""
    people = [one for one in people_of(company_id) if one.email]
    return [one for one in people if ADMINISTRATOR in one.roles] or people


def _next_companies(after: uuid.UUID | None) -> Sequence[uuid.UUID]:
    query = select(Mailbox.company_id).where(Mailbox.last_sequence > 0)
    if after is not None:
        query = query.where(Mailbox.company_id > after)
    return db.session.scalars(query.order_by(Mailbox.company_id).limit(BATCH)).all()


def _mailboxes(company_ids: Collection[uuid.UUID]) -> Select[Any]:
    living = and_(Membership.company_id == Mailbox.company_id, Membership.ended_at.is_(None))
    query: Any = select(Mailbox.company_id, literal("").label("area"), literal("").label("name"), *_abilities())
    selected: Select[Any] = (
        query.outerjoin(Membership, living)
        .where(Mailbox.company_id.in_(company_ids), Mailbox.last_sequence > 0)
        .group_by(Mailbox.company_id)
    )
    return selected


def _topics(company_ids: Collection[uuid.UUID]) -> Select[Any]:
    """Select the living topics of the companies, whose members alone read what is in them."""
    belongs = and_(TopicMember.company_id == Topic.company_id, TopicMember.topic_id == Topic.id)
    living = and_(Membership.id == TopicMember.membership_id, Membership.ended_at.is_(None))
    query: Any = select(Topic.company_id, Topic.id.label("area"), Topic.name, *_abilities())
    selected: Select[Any] = (
        query.outerjoin(TopicMember, belongs)
        .outerjoin(Membership, living)
        .where(Topic.company_id.in_(company_ids), Topic.ended_at.is_(None))
        .group_by(Topic.company_id, Topic.id, Topic.name)
    )
    return selected


def _abilities() -> tuple[Any, Any, Any]:
    """Tell of a group of memberships whether one reads, reads and can log in, and has an address besides."""
    issuers = [str(one.issuer) for one in providers().values()]
    has_login = (
        select(Identity.person_id)
        .where(Identity.person_id == Membership.person_id, Identity.issuer.in_(issuers))
        .correlate(Membership)
        .exists()
    )
    reads = Membership.roles.bool_op("&&")(cast(sorted(READING_ROLES), ARRAY(String(20))))
    logs_in = and_(reads, has_login)
    reached = and_(logs_in, Membership.email.is_not(None))
    return tuple(  # type: ignore[return-value]
        func.coalesce(func.bool_or(condition), False).label(name)
        for name, condition in (("reads", reads), ("logs_in", logs_in), ("is_reached", reached))
    )


def _reason(row: Any) -> Reason | None:
    if row.is_reached:
        return None
    if not row.reads:
        return "nobody_may_read"
    return "nobody_has_address" if row.logs_in else "nobody_can_log_in"
