"""Sessions: rows in the database; the browser holds a random number whose hash alone is stored."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import aliased, contains_eager

from unternehmenskonto import audit, keys
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.errors import NotFound
from unternehmenskonto.login.devices import UNKNOWN, Device
from unternehmenskonto.login.models import LoginSession
from unternehmenskonto.permissions import Actor
from unternehmenskonto.settings import get_settings

TOKEN_BYTES = 32
#: A request notes "was here" at most so often: reading pages must not write a row each time.
SEEN_INTERVAL = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How somebody proved who they are; outlives the change to another company."""

    identity_provider: str
    assurance_level: str
    auth_time: datetime
    amr: list[str] = field(default_factory=list)
    upstream_sid: str | None = None
    upstream_subject: str | None = None
    id_token: str | None = None


def digest(value: str) -> bytes:
    """Return the SHA-256 under which a random number is kept."""
    return hashlib.sha256(value.encode()).digest()


def start_session(*, membership_id: uuid.UUID, proof: Proof, device: Device = UNKNOWN) -> str:
    """Make a session and return the value for its cookie, 256 random bits, known to nobody else."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session = LoginSession(
        id=new_id(),
        token_hash=digest(token),
        membership_id=membership_id,
        identity_provider=proof.identity_provider,
        assurance_level=proof.assurance_level,
        auth_time=proof.auth_time,
        amr=proof.amr,
        upstream_sid=proof.upstream_sid,
        upstream_subject=proof.upstream_subject,
        browser=device.browser,
        system=device.system,
    )
    if proof.id_token is not None:
        session.sealed_id_token = keys.seal(proof.id_token.encode(), context=_context(session.id))
    db.session.add(session)
    db.session.flush()
    return token


def load_actor(token: str) -> Actor | None:
    """Return who is signed in with this cookie; None if the session ended, by whatever cause. One query.

    Rights and membership are read at each request, so that taking them away acts at once.
    """
    moment = now()
    other = aliased(Membership)
    has_others = exists().where(
        other.person_id == Membership.person_id, other.ended_at.is_(None), other.id != Membership.id
    )
    row = db.session.execute(
        select(LoginSession, has_others)
        .join(LoginSession.membership)
        .options(contains_eager(LoginSession.membership))
        .where(LoginSession.token_hash == digest(token), *living(moment))
    ).first()
    if row is None:
        return None
    session: LoginSession = row[0]
    if session.last_seen_at < moment - SEEN_INTERVAL:
        _note_seen(session.id, moment)
    return _actor(session, has_other_companies=row[1])


def living(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions under which a session, joined with its membership, is alive."""
    settings = get_settings()
    return (
        LoginSession.ended_at.is_(None),
        LoginSession.created_at > moment - settings.session_absolute,
        LoginSession.last_seen_at > moment - settings.session_idle,
        Membership.ended_at.is_(None),
    )


def end_session(session_id: uuid.UUID, reason: str) -> None:
    """End a session for good; one that has ended already stays as it is. Forgets the upstream ID token."""
    end_sessions(LoginSession.id == session_id, reason=reason)


def end_sessions(*conditions: ColumnElement[bool], reason: str, by: str | None = None) -> int:
    """End the sessions that fulfil all conditions and return how many; every end but that by time goes through here.

    `by` is the name for the audit log; without it each is ended by its own person.
    """
    ended = db.session.scalars(
        update(LoginSession)
        .where(*conditions, LoginSession.ended_at.is_(None))
        .values(ended_at=now(), ended_reason=reason, sealed_id_token=None)
        .returning(LoginSession.membership_id)
        .execution_options(synchronize_session="fetch")
    ).all()
    for membership_id in ended:
        membership = db.session.get_one(Membership, membership_id)
        audit.record(
            "session.ended",
            by=by or f"person:{membership.person_id}",
            company_id=membership.company_id,
            reason=reason,
        )
    db.session.flush()
    return len(ended)


def change_company(*, session_id: uuid.UUID, membership_id: uuid.UUID) -> str:
    """Act for another company of the same person; return the value for the new cookie, the old session ends.

    Raises NotFound if the membership is another person's or has ended.
    """
    session = db.session.get_one(LoginSession, session_id)
    wanted = db.session.scalar(
        select(Membership).where(
            Membership.id == membership_id,
            Membership.person_id == session.membership.person_id,
            Membership.ended_at.is_(None),
        )
    )
    if wanted is None:
        raise NotFound
    proof = Proof(
        identity_provider=session.identity_provider,
        assurance_level=session.assurance_level,
        auth_time=session.auth_time,
        amr=session.amr,
        upstream_sid=session.upstream_sid,
        upstream_subject=session.upstream_subject,
        id_token=upstream_id_token(session),
    )
    device = Device(browser=session.browser, system=session.system)
    end_session(session.id, "company_changed")
    token = start_session(membership_id=wanted.id, proof=proof, device=device)
    audit.record("login.company_changed", by=f"person:{wanted.person_id}", company_id=wanted.company_id)
    return token


def upstream_id_token(session: LoginSession) -> str | None:
    """Return the identity provider's ID token of this session, to sign out there; None if there is none."""
    if session.sealed_id_token is None:
        return None
    return keys.unseal(session.sealed_id_token, context=_context(session.id)).decode()


def _note_seen(session_id: uuid.UUID, moment: datetime) -> None:
    """Skip a locked row: another request of the same browser is noting the same thing right now."""
    free = (
        select(LoginSession.id).where(LoginSession.id == session_id).with_for_update(skip_locked=True, of=LoginSession)
    )
    db.session.execute(
        update(LoginSession)
        .where(LoginSession.id.in_(free))
        .values(last_seen_at=moment)
        .execution_options(synchronize_session=False)
    )


def _context(session_id: uuid.UUID) -> str:
    return f"upstream id token {session_id}"


def _actor(session: LoginSession, *, has_other_companies: bool) -> Actor:
    membership = session.membership
    return Actor(
        person_id=membership.person_id,
        person_name=membership.person.name,
        company_id=membership.company_id,
        company_name=membership.company.name,
        membership_id=membership.id,
        session_id=session.id,
        assurance_level=session.assurance_level,
        auth_time=session.auth_time,
        amr=tuple(session.amr),
        roles=frozenset(membership.roles),
        has_other_companies=has_other_companies,
        session_ends_at=session.created_at + get_settings().session_absolute,
    )
