"""What people agreed to pass on; remembered for membership and service, asked again when it grows."""

import uuid
from collections.abc import Iterable

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from unternehmenskonto import audit
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db, new_id, now, run
from unternehmenskonto.errors import NotFound
from unternehmenskonto.provider import backchannel, revoking
from unternehmenskonto.provider.models import Consent, Grant

#: The newest sessions are told; a session lives half a day, older ones are long over at the service too.
MAXIMUM_TOLD_SESSIONS = 50

_LIVING = """
    SELECT claims FROM provider_consents
    WHERE membership_id = %(membership_id)s AND service = %(service)s AND withdrawn_at IS NULL
"""


def covers(*, membership_id: uuid.UUID, service: str, claims: Iterable[str]) -> bool:
    """Tell whether a living agreement contains every claim named. One query."""
    rows = run(_LIVING, {"membership_id": membership_id, "service": service})
    return bool(rows) and set(claims) <= set(rows[0].claims)


def give(
    *, person_id: uuid.UUID, company_id: uuid.UUID, membership_id: uuid.UUID, service: str, claims: Iterable[str]
) -> None:
    """Remember the agreement; a parallel one of the same person ends in the same row."""
    names = sorted(claims)
    row = insert(Consent).values(
        id=new_id(),
        company_id=company_id,
        membership_id=membership_id,
        service=service,
        claims=names,
        given_at=now(),
    )
    db.session.execute(
        row.on_conflict_do_update(
            index_elements=["membership_id", "service"],
            index_where=Consent.withdrawn_at.is_(None),
            set_={"claims": row.excluded.claims, "given_at": func.now()},
        )
    )
    audit.record("consent.given", by=f"person:{person_id}", company_id=company_id, service=service, claims=names)


def refuse(*, person_id: uuid.UUID, company_id: uuid.UUID, service: str) -> None:
    """Record that the person did not agree; an earlier agreement stays as it was."""
    audit.record("consent.refused", by=f"person:{person_id}", company_id=company_id, service=service)


def withdraw(*, person_id: uuid.UUID, company_id: uuid.UUID, membership_id: uuid.UUID, service: str) -> str:
    """Take the agreement back and return the name of the service; raise NotFound if there is none.

    Every grant of the membership at the service ends at once, with its refresh tokens; the service is told to end
    its sessions.
    """
    by = f"person:{person_id}"
    gone = db.session.scalar(
        update(Consent)
        .where(Consent.membership_id == membership_id, Consent.service == service, Consent.withdrawn_at.is_(None))
        .values(withdrawn_at=now())
        .returning(Consent.id)
        .execution_options(synchronize_session=False)
    )
    if gone is None:
        raise NotFound
    given = (
        select(Grant.session_id)
        .where(Grant.membership_id == membership_id, Grant.service == service)
        .group_by(Grant.session_id)
        .order_by(func.max(Grant.created_at).desc())
        .limit(MAXIMUM_TOLD_SESSIONS)
    )
    for session_id in db.session.scalars(given).all():
        backchannel.tell(service=service, session_id=session_id, membership_id=membership_id)
    revoking.revoke_grants(membership_id=membership_id, service=service, by=by, reason="consent_withdrawn")
    audit.record("consent.withdrawn", by=by, company_id=company_id, service=service)
    db.session.flush()
    return db.session.get_one(OnlineService, service).name
