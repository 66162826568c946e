"""Sessions: rows in the database; the browser holds a random number whose hash alone is stored."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update

from unternehmenskonto import audit, keys
from unternehmenskonto.companies.models import Membership, full_name
from unternehmenskonto.db import db, new_id, now, run
from unternehmenskonto.errors import NotFound
from unternehmenskonto.login.devices import UNKNOWN, Device
from unternehmenskonto.login.models import LoginSession
from unternehmenskonto.permissions import Actor
from unternehmenskonto.settings import get_settings

TOKEN_BYTES = 32
#: A request notes "was here" at most so often: reading pages must not write a row each time.
SEEN_INTERVAL = timedelta(minutes=1)

#: The conditions are those of living().
_ACTOR = """
    SELECT s.id AS session_id, s.assurance_level, s.auth_time, s.amr, s.created_at, s.last_seen_at,
        m.id AS membership_id, m.company_id, m.person_id, m.roles, c.name AS company_name,
        p.title, p.given_name, p.family_name,
        EXISTS (
            SELECT FROM memberships o WHERE o.person_id = m.person_id AND o.ended_at IS NULL AND o.id <> m.id
        ) AS has_other_companies
    FROM login_sessions s
    JOIN memberships m ON m.id = s.membership_id
    JOIN companies c ON c.id = m.company_id
    JOIN people p ON p.id = m.person_id
    WHERE s.token_hash = %(token_hash)s AND s.ended_at IS NULL AND m.ended_at IS NULL
        AND s.created_at > %(created_after)s AND s.last_seen_at > %(seen_after)s
"""
#: Skips a locked row: another request of the same browser is noting the same thing right now.
_NOTE_SEEN = """
    UPDATE login_sessions SET last_seen_at = %(moment)s
    WHERE id IN (SELECT id FROM login_sessions WHERE id = %(session_id)s FOR UPDATE SKIP LOCKED)
"""


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
    moment, settings = now(), get_settings()
    rows = run(
        _ACTOR,
        {
            "token_hash": digest(token),
            "created_after": moment - settings.session_absolute,
            "seen_after": moment - settings.session_idle,
        },
    )
    if not rows:
        return None
    found = rows[0]
    if found.last_seen_at < moment - SEEN_INTERVAL:
        run(_NOTE_SEEN, {"session_id": found.session_id, "moment": moment})
    return Actor(
        person_id=found.person_id,
        person_name=full_name(found.title, found.given_name, found.family_name),
        company_id=found.company_id,
        company_name=found.company_name,
        membership_id=found.membership_id,
        session_id=found.session_id,
        assurance_level=found.assurance_level,
        auth_time=found.auth_time,
        amr=tuple(found.amr),
        roles=frozenset(found.roles),
        has_other_companies=found.has_other_companies,
        session_ends_at=found.created_at + settings.session_absolute,
    )


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


def _context(session_id: uuid.UUID) -> str:
    return f"upstream id token {session_id}"
