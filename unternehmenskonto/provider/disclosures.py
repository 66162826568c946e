"""What goes where, why, since when: a person's agreements and what was passed on because of them.

Read from the agreements and from the audit log, through an index that leads to one membership and one service.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Row, Select, literal_column, select, true

from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.catalogue.claims import label
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db
from unternehmenskonto.errors import InvalidInput
from unternehmenskonto.provider.clients import OFFLINE_SCOPE
from unternehmenskonto.provider.models import Consent

#: More services than anybody uses; the page says so if there are more.
MAXIMUM_AGREEMENTS = 100
PAGE_SIZE = 25

# Written out: the planner must see that these are the expressions of the index ix_audit_events_disclosures.
_IS_DISCLOSURE = AuditEvent.event == literal_column("'claims.disclosed'")
_membership: Any = literal_column("(audit_events.fields ->> 'membership_id')")
_service: Any = literal_column("(audit_events.fields ->> 'service')")


class InvalidPlace(InvalidInput):
    """The address names no place in the list."""

    code = "invalid_cursor"
    sentence = _l("Diese Adresse einer Listenseite ist unvollständig. Öffnen Sie „Datenweitergaben“ neu.")


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One living agreement: which service gets what and why, since when, and when it last did."""

    service: str
    name: str
    authority: str
    is_enabled: bool
    #: (words, purpose); no purpose where the service does not ask for the value any more.
    values: list[tuple[str, str]]
    #: The service may read the values while nobody is signed in.
    is_offline: bool
    given_at: datetime
    last_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """Values were passed on: when, to whom, which and why."""

    id: uuid.UUID
    at: datetime
    name: str
    values: list[tuple[str, str]]


@dataclass(frozen=True)
class Page:
    """Up to PAGE_SIZE disclosures, newest first, and where the list goes on in both directions."""

    entries: list[Disclosure]
    older: str | None
    newer: str | None


def agreements_of(membership_id: uuid.UUID) -> list[Agreement]:
    """Return the living agreements of this membership by name of the service."""
    last = (
        select(AuditEvent.at)
        .where(_IS_DISCLOSURE, _membership == str(membership_id), Consent.service == _service)
        .order_by(AuditEvent.id.desc())
        .limit(1)
        .correlate(Consent)
        .scalar_subquery()
    )
    rows = db.session.execute(
        select(Consent, OnlineService, last.label("last_at"))
        .join(OnlineService, OnlineService.slug == Consent.service)
        .where(Consent.membership_id == membership_id, Consent.withdrawn_at.is_(None))
        .order_by(OnlineService.name, OnlineService.slug)
        .limit(MAXIMUM_AGREEMENTS)
    )
    return [_agreement(*row) for row in rows]


def disclosures_of(membership_id: uuid.UUID, *, before: str | None = None, after: str | None = None) -> Page:
    """Return one page of what was passed on for this membership; raise InvalidPlace for a bad cursor."""
    if after is not None:
        edge = _place(after)
        rows = db.session.execute(_lines(membership_id, newer_than=edge)).all()
        if len(rows) > PAGE_SIZE:
            return _page(rows[PAGE_SIZE - 1 :: -1], has_newer=True, has_older=True)
    older_than = _place(before) if before is not None else None
    rows = db.session.execute(_lines(membership_id, older_than=older_than)).all()
    return _page(rows[:PAGE_SIZE], has_newer=older_than is not None, has_older=len(rows) > PAGE_SIZE)


def _lines(
    membership_id: uuid.UUID, *, older_than: uuid.UUID | None = None, newer_than: uuid.UUID | None = None
) -> Select[Any]:
    """Select the nearest lines of every service ever agreed to, then the nearest of them all."""
    services = (
        select(Consent.service)
        .where(Consent.membership_id == membership_id)
        .distinct()
        .order_by(Consent.service)
        .limit(2 * MAXIMUM_AGREEMENTS)
        .subquery()
    )
    mine: Any = select(AuditEvent.id, AuditEvent.at, AuditEvent.fields).where(
        _IS_DISCLOSURE, _membership == str(membership_id), services.c.service == _service
    )
    if older_than is not None:
        mine = mine.where(AuditEvent.id < older_than)
    if newer_than is not None:
        mine = mine.where(AuditEvent.id > newer_than)
    order = AuditEvent.id if newer_than is not None else AuditEvent.id.desc()
    nearest = mine.order_by(order).limit(PAGE_SIZE + 1).lateral()
    selected: Select[Any] = (
        select(nearest.c.id, nearest.c.at, nearest.c.fields, OnlineService)
        .select_from(services)
        .join(nearest, true())
        .join(OnlineService, OnlineService.slug == services.c.service)
        .order_by(nearest.c.id if newer_than is not None else nearest.c.id.desc())
        .limit(PAGE_SIZE + 1)
    )
    return selected


def _page(rows: Sequence[Row[Any]], *, has_newer: bool, has_older: bool) -> Page:
    entries = [
        Disclosure(
            id=row.id, at=row.at, name=row.OnlineService.name, values=_values(row.fields["claims"], row.OnlineService)
        )
        for row in rows
    ]
    older = str(entries[-1].id) if entries and has_older else None
    newer = str(entries[0].id) if entries and has_newer else None
    return Page(entries, older, newer)


def _place(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidPlace from None


def _agreement(consent: Consent, service: OnlineService, last_at: datetime | None) -> Agreement:
    return Agreement(
        service=service.slug,
        name=service.name,
        authority=service.authority,
        is_enabled=service.is_enabled,
        values=_values([name for name in consent.claims if name != OFFLINE_SCOPE], service),
        is_offline=OFFLINE_SCOPE in consent.claims,
        given_at=consent.given_at,
        last_at=last_at,
    )


def _values(names: list[str], service: OnlineService) -> list[tuple[str, str]]:
    """Return words and purpose, in the order of the registration; what is no longer in it comes last."""
    purposes = {claim["name"]: claim.get("purpose", "") for claim in service.claims}
    known = [name for name in purposes if name in names]
    return [(label(name), purposes.get(name, "")) for name in (*known, *(n for n in names if n not in purposes))]
