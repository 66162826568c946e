"""What people agreed to pass on; remembered for membership and service, asked again when it grows."""

import uuid
from collections.abc import Iterable

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from unternehmenskonto import audit
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.provider.models import Consent

_LIVING = select(Consent.claims).where(
    Consent.membership_id == bindparam("membership_id"),
    Consent.service == bindparam("service"),
    Consent.withdrawn_at.is_(None),
)


def covers(*, membership_id: uuid.UUID, service: str, claims: Iterable[str]) -> bool:
    """Tell whether a living agreement contains every claim named. One query."""
    given = db.session.scalar(_LIVING, {"membership_id": membership_id, "service": service})
    return given is not None and set(claims) <= set(given)


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
