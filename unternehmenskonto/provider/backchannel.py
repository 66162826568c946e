"""Telling services that a session is over (OpenID Connect Back-Channel Logout 1.0).

Ended sessions are looked for, whatever ended them: nothing that ends a session has to think of services, and
nobody's sign-out waits for one. Each service is told by a job of its own.
"""

import time
import uuid
from datetime import datetime, timedelta

import structlog
from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert

from unternehmenskonto import audit, http, keys
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.jobs import CALLS, defer, job
from unternehmenskonto.login.models import LoginSession
from unternehmenskonto.provider import claims, tokens
from unternehmenskonto.provider.clients import Client, find_client
from unternehmenskonto.provider.limits import (
    LOGOUT_TOKEN_SECONDS,
    NOTICE_BATCH,
    NOTICE_WINDOW,
    RETENTION,
    SERVICE_BUSY,
    TELL_FOR,
)
from unternehmenskonto.provider.models import EndedSession, Grant
from unternehmenskonto.settings import get_settings

log = structlog.get_logger()

LOGOUT_TOKEN_TYP = "logout+jwt"  # noqa: S105 - a media type
EVENT = "http://schemas.openid.net/event/backchannel-logout"
TOLD_STATUS = (200, 204)
#: The service understood and says no (section 2.8); asking again would change nothing.
REFUSED_STATUS = 400


class NotTold(Exception):
    """The service did not answer as it should; the job is tried again."""


@job("provider.notice_ended", cron="* * * * * */2")
def notice_ended() -> None:
    """Look for sessions that ended just now."""
    notice(NOTICE_WINDOW)


@job("provider.notice_missed", cron="23 * * * *")
def notice_missed() -> None:
    """Look for sessions that ended while no worker ran."""
    notice(RETENTION)


def notice(window: timedelta) -> int:
    """Close what services got in sessions that ended within the window; return how many sessions are new."""
    was_noticed = exists().where(EndedSession.session_id == LoginSession.id)
    has_grants = exists().where(Grant.session_id == LoginSession.id)
    found = db.session.scalars(
        select(LoginSession.id)
        .where(LoginSession.ended_at > now() - window, has_grants, ~was_noticed)
        .order_by(LoginSession.ended_at)
        .limit(NOTICE_BATCH)
    ).all()
    return sum(close(session_id) for session_id in found)


def close(session_id: uuid.UUID) -> bool:
    """Tell every service that got a grant in this session, once; False if somebody else did so before."""
    row = insert(EndedSession).values(session_id=session_id, noticed_at=now()).on_conflict_do_nothing()
    if db.session.scalar(row.returning(EndedSession.session_id)) is None:
        return False
    given = select(Grant.service, Grant.membership_id).where(Grant.session_id == session_id).distinct()
    for service, membership_id in db.session.execute(given).all():
        tell(service=service, session_id=session_id, membership_id=membership_id)
    return True


def tell(*, service: str, session_id: uuid.UUID, membership_id: uuid.UUID) -> None:
    """Enqueue the call to the service, if it wants one."""
    client = find_client(service)
    if client is None or uri_of(client) is None:
        return
    defer(
        "provider.tell_logout",
        service=service,
        session_id=str(session_id),
        membership_id=str(membership_id),
        since=now().isoformat(),
    )


def uri_of(client: Client) -> str | None:
    """Return where this client wants to be told (section 2.2)."""
    return client.registration.get("backchannel_logout_uri") or None


@job("provider.tell_logout", places=CALLS)
def tell_logout(*, service: str, session_id: str, membership_id: str, since: str) -> None:
    """Call the service; raises NotTold, so that the queue tries again, until TELL_FOR is over."""
    client = find_client(service)
    uri = uri_of(client) if client else None
    if client is None or uri is None:
        return  # switched off meanwhile
    if not _is_our_turn(service):
        # One call to a service at a time: a slow one occupies one place in the worker and delays nobody else.
        defer(
            "provider.tell_logout",
            delay=SERVICE_BUSY,
            service=service,
            session_id=session_id,
            membership_id=membership_id,
            since=since,
        )
        return
    membership = db.session.get_one(Membership, uuid.UUID(membership_id))
    token = logout_token(client, membership, session_id=uuid.UUID(session_id))
    outcome = _post(uri, token)
    company_id = membership.company_id
    if outcome in TOLD_STATUS:
        audit.record("logout.told", by="system", company_id=company_id, service=service)
    elif outcome == REFUSED_STATUS:
        audit.record("logout.refused", by="system", company_id=company_id, service=service)
        log.warning("service refuses a logout token", service=service)
    elif now() > datetime.fromisoformat(since) + TELL_FOR:
        audit.record("logout.failed", by="system", company_id=company_id, service=service, reason=str(outcome))
        log.error("service was not told of a logout", service=service, reason=str(outcome))
    else:
        raise NotTold(f"{service}: {outcome}")


def logout_token(client: Client, membership: Membership, *, session_id: uuid.UUID) -> str:
    """Return a logout token (section 2.4): for this client, with the algorithm of its ID tokens, never a nonce."""
    subjects = claims.find_subjects(client, company_id=membership.company_id, membership_id=membership.id)
    moment = int(time.time())
    content = {
        "iss": get_settings().base_url,
        "sub": subjects.sub,
        "aud": client.client_id,
        "iat": moment,
        "exp": moment + LOGOUT_TOKEN_SECONDS,
        "jti": new_id().hex,
        "events": {EVENT: {}},
        "sid": tokens.session_name(session_id, client.client_id),
    }
    return keys.sign(content, use="token", alg=client.id_token_alg, typ=LOGOUT_TOKEN_TYP)


def _is_our_turn(service: str) -> bool:
    name = f"logout {service}"
    lock = select(func.pg_try_advisory_xact_lock(func.hashtextextended(name, 0)))
    return bool(db.session.scalar(lock))


def _post(uri: str, token: str) -> int | str:
    """Return the status of the answer, or the kind of failure."""
    try:
        return http.fetch("POST", uri, form={"logout_token": token}).status
    except http.OutboundError as error:
        return error.kind
