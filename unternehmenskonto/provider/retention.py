"""What has done its service goes: codes, assertions, requests nobody answered, grants without codes."""

from sqlalchemy import delete, or_

from unternehmenskonto.db import db, now
from unternehmenskonto.jobs import job
from unternehmenskonto.provider import refresh
from unternehmenskonto.provider.limits import RETENTION
from unternehmenskonto.provider.models import EndedSession, Grant, Interaction, UsedAssertion


@job("provider.forget", cron="*/10 * * * *")
def forget() -> None:
    """Delete what is over; agreements and the audit log stay."""
    moment = now()
    for expired in (
        delete(Interaction).where(Interaction.expires_at < moment),
        # Nobody looks further back than RETENTION; twice that leaves no gap.
        delete(EndedSession).where(EndedSession.noticed_at < moment - 2 * RETENTION),
        delete(UsedAssertion).where(UsedAssertion.expires_at < moment),
        # Codes go with their grants; the tokens of both are dead long before.
        delete(Grant).where(
            Grant.created_at < moment - RETENTION,
            or_(
                Grant.offline_until.is_(None),
                Grant.offline_until < moment - RETENTION,
                Grant.revoked_at < moment - RETENTION,
            ),
        ),
    ):
        db.session.execute(expired.execution_options(synchronize_session=False))
    refresh.forget_successors()
