"""The end of a grant: its refresh tokens die at once, and with it whatever asks for the grant."""

import uuid

from sqlalchemy import update

from unternehmenskonto import audit
from unternehmenskonto.db import db, now
from unternehmenskonto.provider.models import Grant

_END = update(Grant).where(Grant.revoked_at.is_(None)).execution_options(synchronize_session=False)


def revoke_grant(grant_id: uuid.UUID, *, by: str, reason: str) -> bool:
    """End one grant; return whether it was still alive."""
    return _revoke(Grant.id == grant_id, by=by, reason=reason) > 0


def revoke_grants(*, membership_id: uuid.UUID, service: str, by: str, reason: str) -> int:
    """End every grant of this membership at this service, as when an agreement is withdrawn; return how many."""
    return _revoke(Grant.membership_id == membership_id, Grant.service == service, by=by, reason=reason)


def revoke_all_of(service: str, *, by: str, reason: str) -> int:
    """End every grant of a service that is no longer there; return how many."""
    return _revoke(Grant.service == service, by=by, reason=reason)


def _revoke(*which: object, by: str, reason: str) -> int:
    ended = db.session.execute(
        _END.where(*which).values(revoked_at=now()).returning(Grant.company_id, Grant.service)  # type: ignore[arg-type]
    ).all()
    for row in ended:
        audit.record("grant.revoked", by=by, company_id=row.company_id, service=row.service, reason=reason)
    return len(ended)
