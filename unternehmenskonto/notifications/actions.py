"""Write notices into the outbox, send them, and tell which ones did not arrive."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import select, text, true

from unternehmenskonto import audit
from unternehmenskonto.companies.actions import recipients
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.jobs import RETRY_SECONDS, defer, job
from unternehmenskonto.notifications import email
from unternehmenskonto.notifications.models import Notice
from unternehmenskonto.web import LEGAL_TIME

log = structlog.get_logger()

PERMISSION = "mailbox.read"
SENDER_LENGTH = 200
#: Longer than email.CONVERSATION_SECONDS: the row stays locked while the mail server is spoken to.
TRANSACTION_MS = 60_000
#: A failed notice is shown to the company for so long, unless a later one arrives.
SHOWN_FOR = timedelta(days=90)
PROBLEMS_SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """A person whose last notice did not arrive, or with `membership` None a company without any address."""

    membership: Membership | None
    address: str | None
    kind: str
    since: datetime


def notify_new_message(
    *,
    company_id: uuid.UUID,
    message_id: uuid.UUID,
    sender: str,
    regime: str | None = None,
    readers: Collection[uuid.UUID] | None = None,
) -> list[uuid.UUID]:
    """Write one notice for each person who may read the message and return their ids.

    `readers` are the memberships who may, None for everybody who reads the mailbox; `regime` is the legal regime of a
    decision, None for an ordinary message. Runs in the transaction of the delivery: the notices exist if and only if
    the message does. Where nobody has an address, the notice is kept as failed, so that it can be seen.
    """
    kind = {None: "message", "vwvfg41_2a": "decision_by_retrieval"}.get(regime, "decision")
    common = {"kind": kind, "company_id": company_id, "message_id": message_id, "sender": sender[:SENDER_LENGTH]}
    memberships = [one for one in recipients(company_id, PERMISSION) if readers is None or one.id in readers]
    notices = [Notice(**common, membership_id=one.id, address=one.email) for one in memberships]
    if not notices:
        nobody = Notice(**common, failed_at=now(), last_error="no_address")
        db.session.add(nobody)
        db.session.flush()
        _record_failure(nobody)
        return []
    _write(notices)
    return [notice.id for notice in notices]


def notify_deadline(
    *,
    kind: str,
    company_id: uuid.UUID,
    message_id: uuid.UUID,
    due_on: date,
    occasion: str,
    recipients: Iterable[tuple[Membership, str]],
) -> None:
    """Write a notice that something ends on `due_on` to each of the memberships with an address.

    `kind` is deadline_reminder or deadline_cover; `occasion` tells several of one kind apart. Each recipient comes
    with the name of the sender, which is empty for somebody who may not know it. Runs in the caller's transaction.
    """
    common = {"kind": kind, "company_id": company_id, "message_id": message_id, "due_on": due_on, "occasion": occasion}
    _write(
        [
            Notice(**common, membership_id=one.id, address=one.email, sender=sender[:SENDER_LENGTH])
            for one, sender in recipients
            if one.email
        ]
    )


def notify_no_reader(*, company_id: uuid.UUID, area: str, recipients: Iterable[Membership], occasion: str) -> None:
    """Write a notice that nobody can read the mailbox to each of the memberships with an address.

    `area` is the name of the part of the mailbox that reaches nobody, empty for the whole of it.
    """
    common = {"kind": "no_reader", "company_id": company_id, "occasion": occasion, "sender": area[:SENDER_LENGTH]}
    _write([Notice(**common, membership_id=one.id, address=one.email) for one in recipients if one.email])


def _write(notices: list[Notice]) -> None:
    db.session.add_all(notices)
    db.session.flush()
    for notice in notices:
        defer("notifications.send", notice_id=str(notice.id))


def notify_task(
    *, company_id: uuid.UUID, message_id: uuid.UUID, membership_id: uuid.UUID, sender: str, occasion: str
) -> uuid.UUID | None:
    """Tell a person that a colleague gave them a message; return the notice's id, None without an address.

    `occasion` tells one act from another: giving the same message a second time is told a second time.
    """
    found = next((one for one in recipients(company_id, PERMISSION) if one.id == membership_id), None)
    if found is None:
        return None
    notice = Notice(
        kind="task",
        company_id=company_id,
        message_id=message_id,
        membership_id=membership_id,
        address=found.email,
        sender=sender[:SENDER_LENGTH],
        occasion=occasion,
    )
    db.session.add(notice)
    db.session.flush()
    defer("notifications.send", notice_id=str(notice.id))
    return notice.id


@job("notifications.send")
def send_notice(notice_id: str) -> None:
    """Send the e-mail of the notice, once; plan the next attempt after a temporary failure.

    The locked row keeps a second run of this job from sending a second copy.
    """
    # The job's transaction is quiet while the mail server answers; the limit for web requests would end it.
    db.session.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {TRANSACTION_MS:d}"))
    notice = db.session.scalar(select(Notice).where(Notice.id == uuid.UUID(notice_id)).with_for_update())
    if notice is None or notice.sent_at or notice.failed_at:
        return
    if notice.due_on is not None and notice.due_on < now().astimezone(LEGAL_TIME).date():
        # The mail server was away until it was too late; a reminder now would only confuse.
        _keep_failure(notice, email.SendingFailed("too_late", permanent=True))
        return
    try:
        email.send(email.compose(notice))
    except email.SendingFailed as failure:
        _keep_failure(notice, failure)
        return
    notice.attempts += 1
    notice.sent_at = now()
    notice.last_error = None
    audit.record("notice.sent", by="system", company_id=notice.company_id, notice_id=notice.id, kind=notice.kind)


def problems(company_id: uuid.UUID) -> list[Problem]:
    """Return the living memberships whose newest notice failed, and whether nobody has an address; newest first."""
    newest = (
        select(Notice.address, Notice.last_error, Notice.failed_at)
        .where(Notice.membership_id == Membership.id, Notice.created_at > now() - SHOWN_FOR)
        .where(Notice.sent_at.is_not(None) | Notice.failed_at.is_not(None))
        .order_by(Notice.created_at.desc(), Notice.id.desc())
        .limit(1)
        .lateral()
    )
    rows = db.session.execute(
        select(Membership, newest.c.address, newest.c.last_error, newest.c.failed_at)
        .join(newest, true())
        .where(Membership.company_id == company_id, Membership.ended_at.is_(None))
        # A person who has changed the address since is not told about the old one.
        .where(newest.c.failed_at.is_not(None), newest.c.address == Membership.email)
        .order_by(newest.c.failed_at.desc())
        .limit(PROBLEMS_SHOWN)
    )
    found = [Problem(member, address, kind, since) for member, address, kind, since in rows]
    return [*_without_address(company_id), *found]


def _without_address(company_id: uuid.UUID) -> list[Problem]:
    if recipients(company_id, PERMISSION):
        return []
    since = db.session.scalar(
        select(Notice.failed_at)
        .where(Notice.company_id == company_id, Notice.failed_at.is_not(None), Notice.membership_id.is_(None))
        .order_by(Notice.created_at.desc())
        .limit(1)
    )
    return [Problem(None, None, "no_address", since)] if since else []


def _keep_failure(notice: Notice, failure: email.SendingFailed) -> None:
    """Plan the next attempt, or give up: after a permanent refusal or when all waits are used up."""
    notice.attempts += 1
    notice.last_error = failure.kind
    log.warning("notice not sent", notice_id=str(notice.id), attempt=notice.attempts, kind=failure.kind)
    if failure.permanent or notice.attempts > len(RETRY_SECONDS):
        notice.failed_at = now()
        _record_failure(notice)
        return
    wait = timedelta(seconds=RETRY_SECONDS[notice.attempts - 1])
    defer("notifications.send", delay=wait, notice_id=str(notice.id))


def _record_failure(notice: Notice) -> None:
    log.error("notice failed", notice_id=str(notice.id), kind=notice.last_error)
    audit.record(
        "notice.failed",
        by="system",
        company_id=notice.company_id,
        notice_id=notice.id,
        kind=notice.kind,
        reason=notice.last_error,
    )
