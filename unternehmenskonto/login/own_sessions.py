"""The sessions of one person, as they see and end them: all their devices, for all their companies."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import NotFound
from unternehmenskonto.login import sessions
from unternehmenskonto.login.devices import Device
from unternehmenskonto.login.models import LoginSession
from unternehmenskonto.permissions import Actor

ENDED_BY_PERSON = "ended_elsewhere"


@dataclass(frozen=True, kw_only=True)
class OwnSession:
    """One living session."""

    id: uuid.UUID
    is_this_one: bool
    company_name: str
    #: Slug; the provider may be gone from the configuration since.
    identity_provider: str
    device: Device
    began_at: datetime
    last_seen_at: datetime


def list_own(actor: Actor) -> list[OwnSession]:
    """Return the living sessions of this person: the present one first, then the last seen."""
    found = db.session.scalars(
        select(LoginSession)
        .join(LoginSession.membership)
        .options(contains_eager(LoginSession.membership))
        .where(Membership.person_id == actor.person_id, *sessions.living(now()))
        .order_by((LoginSession.id == actor.session_id).desc(), LoginSession.last_seen_at.desc(), LoginSession.id)
    )
    return [
        OwnSession(
            id=one.id,
            is_this_one=one.id == actor.session_id,
            company_name=one.membership.company.name,
            identity_provider=one.identity_provider,
            device=Device(browser=one.browser, system=one.system),
            began_at=one.created_at,
            last_seen_at=one.last_seen_at,
        )
        for one in found
    ]


def end_own(actor: Actor, session_id: uuid.UUID) -> None:
    """End one session of this person at once; raise NotFound for anybody else's and for one that is over."""
    mine = LoginSession.membership_id.in_(select(Membership.id).where(Membership.person_id == actor.person_id))
    if not sessions.end_sessions(LoginSession.id == session_id, mine, reason=ENDED_BY_PERSON):
        raise NotFound


def end_others(actor: Actor) -> int:
    """End all sessions of this person but the present one, and return how many."""
    mine = LoginSession.membership_id.in_(select(Membership.id).where(Membership.person_id == actor.person_id))
    return sessions.end_sessions(LoginSession.id != actor.session_id, mine, reason=ENDED_BY_PERSON)
