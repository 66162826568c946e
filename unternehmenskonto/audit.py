"""The audit log: a closed list of events, append-only, sealed into a hash chain.

An event is written in the transaction of the act it tells of. A job seals the events that are not yet in
the chain (a lock on the chain's end for each act would make all deliveries wait for each other).
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog
from sqlalchemy import BigInteger, ForeignKey, Identity, Index, LargeBinary, exists, select, text
from sqlalchemy.orm import Mapped, mapped_column

from unternehmenskonto.db import Base, db, new_id, now

#: Event -> the fields it may carry. Names of things only; never contents, names of people or secrets.
EVENTS: dict[str, frozenset[str]] = {
    "login.succeeded": frozenset({"identity_provider", "assurance_level"}),
    "login.refused": frozenset({"identity_provider", "reason"}),
    "login.company_changed": frozenset(),
    "session.ended": frozenset({"reason"}),
    "identity.linked": frozenset({"identity_provider"}),
    "identity.unlinked": frozenset({"identity_provider"}),
    "company.founded": frozenset({"identity_provider"}),
    "company.updated": frozenset({"fields"}),
    "membership.joined": frozenset({"membership_id"}),
    "membership.roles_changed": frozenset({"membership_id", "before", "after"}),
    "membership.ended": frozenset({"membership_id"}),
    "person.email_changed": frozenset(),
    "service.applied": frozenset({"service", "change", "fields"}),
    "consent.given": frozenset({"service", "claims"}),
    "consent.refused": frozenset({"service"}),
    "consent.withdrawn": frozenset({"service"}),
    "claims.disclosed": frozenset({"service", "claims", "membership_id"}),
    "registration.token_made": frozenset({"token_id", "uses", "days", "claims"}),
    "client.registered": frozenset({"service", "token_id"}),
    "client.changed": frozenset({"service"}),
    "client.removed": frozenset({"service"}),
    "client.claims_granted": frozenset({"service", "claims"}),
    "code.issued": frozenset({"service"}),
    "code.replayed": frozenset({"service"}),
    "refresh.replayed": frozenset({"service"}),
    "grant.revoked": frozenset({"service", "reason"}),
    "token.issued": frozenset({"service", "scope", "grant_type"}),
    "client.refused": frozenset({"service", "reason"}),
    "provider.logged_out": frozenset({"service"}),
    "logout.told": frozenset({"service"}),
    "logout.refused": frozenset({"service"}),
    "logout.failed": frozenset({"service", "reason"}),
    "message.delivered": frozenset({"message_id", "sequence_number", "kind", "service"}),
    "message.opened": frozenset({"message_id"}),
    "message.first_retrieved": frozenset({"message_id"}),
    "message.marked_unread": frozenset({"message_id", "bulk_id"}),
    "message.archived": frozenset({"message_id", "bulk_id"}),
    "message.restored": frozenset({"message_id", "bulk_id"}),
    "message.binned": frozenset({"message_id", "bulk_id"}),
    "message.marked_read": frozenset({"message_id", "bulk_id"}),
    "message.labelled": frozenset({"message_id", "bulk_id"}),
    "message.unlabelled": frozenset({"message_id", "bulk_id"}),
    "message.change_undone": frozenset({"message_id", "bulk_id", "action"}),
    "message.erased": frozenset({"message_id", "sequence_number", "kind"}),
    "label.made": frozenset({"label_id"}),
    "label.changed": frozenset({"label_id"}),
    "label.removed": frozenset({"label_id", "messages"}),
    "export.requested": frozenset({"export_id"}),
    "export.made": frozenset({"export_id", "messages", "closed"}),
    "export.fetched": frozenset({"export_id"}),
    "export.cancelled": frozenset({"export_id"}),
    "attachment.downloaded": frozenset({"message_id", "attachment_id"}),
    "attachment.damaged": frozenset({"message_id", "attachment_id"}),
    "task.changed": frozenset({"message_id", "change"}),
    "comment.written": frozenset({"message_id", "comment_id"}),
    "comment.changed": frozenset({"message_id", "comment_id"}),
    "comment.deleted": frozenset({"message_id", "comment_id"}),
    "message.moved_to_topic": frozenset({"message_id", "topic_id", "before"}),
    "topic.made": frozenset({"topic_id"}),
    "topic.changed": frozenset({"topic_id", "fields"}),
    "topic.ended": frozenset({"topic_id"}),
    "topic.member_added": frozenset({"topic_id", "membership_id"}),
    "topic.member_removed": frozenset({"topic_id", "membership_id"}),
    "topic.rule_made": frozenset({"topic_id", "rule_id"}),
    "topic.rule_changed": frozenset({"topic_id", "rule_id", "fields"}),
    "topic.rule_removed": frozenset({"topic_id", "rule_id"}),
    "topic.run_started": frozenset({"topic_id", "run_id", "kind"}),
    "topic.run_undone": frozenset({"topic_id", "run_id"}),
    "mailbox.four_eyes_changed": frozenset({"after"}),
    "calendar.address_made": frozenset({"detail"}),
    "calendar.changed": frozenset({"detail"}),
    "calendar.revoked": frozenset(),
    "deadlines.settings_changed": frozenset({"reminder_days", "cover_days"}),
    "deadline.step_taken": frozenset({"message_id", "kind", "days", "told"}),
    "absence.entered": frozenset({"absence_id", "substitute_id"}),
    "absence.removed": frozenset({"absence_id"}),
    "reader.missing": frozenset({"area", "reason"}),
    "reader.found": frozenset({"area"}),
    "case.state_set": frozenset({"case_id", "state", "service"}),
    "draft.saved": frozenset({"draft_id"}),
    "draft.deleted": frozenset({"draft_id"}),
    "draft.restored": frozenset({"draft_id"}),
    "correspondence.sent": frozenset({"sent_id", "message_id", "sequence_number", "service"}),
    "correspondence.acknowledged": frozenset({"sent_id", "service"}),
    "notice.sent": frozenset({"notice_id", "kind"}),
    "notice.failed": frozenset({"notice_id", "kind", "reason"}),
    "job.retried": frozenset({"job_id", "task"}),
    "key.made": frozenset({"kid"}),
    "key.rotated": frozenset({"kid", "use", "alg", "status"}),
}
#: Events that tell that a person has seen a message or taken a file of it.
SEEN = ("message.opened", "message.first_retrieved", "attachment.downloaded")
#: One event in a statement of its own kind (db.run), with what `parameters` returns.
COLUMNS = "audit_events (id, at, event, by, company_id, fields, request_id)"
ROW = (
    "%(audit_id)s::uuid, %(audit_at)s::timestamptz, %(audit_event)s, %(audit_by)s, %(audit_company_id)s::uuid,"
    " %(audit_fields)s::jsonb, %(audit_request_id)s"
)
RECORD = f"INSERT INTO {COLUMNS} VALUES ({ROW})"  # noqa: S608 - made of constants
GENESIS = bytes(32)
SEAL_BATCH = 1000
#: An event that is older and not sealed means that sealing stands still or somebody removed a seal.
UNSEALED_TOLERANCE = timedelta(minutes=10)


class AuditEvent(Base):
    """One act: when, who, for which company, on what. A trigger refuses UPDATE and DELETE."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_company", "company_id", "id"),
        #: What was passed on for one membership, service by service (Datenweitergaben).
        Index(
            "ix_audit_events_disclosures",
            text("(fields ->> 'membership_id')"),
            text("(fields ->> 'service')"),
            "id",
            postgresql_where=text("event = 'claims.disclosed'"),
        ),
        #: Who has seen a message, newest first; the events are those of SEEN.
        Index(
            "ix_audit_events_seen",
            "company_id",
            text("(fields ->> 'message_id')"),
            "id",
            postgresql_where=text(f"event IN ({', '.join(repr(name) for name in SEEN)})"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime] = mapped_column(default=now)
    event: Mapped[str]
    #: person:<id>, client:<id>, operator:<name> or system
    by: Mapped[str]
    company_id: Mapped[uuid.UUID | None]
    fields: Mapped[dict[str, Any]]
    request_id: Mapped[str]


class AuditSeal(Base):
    """One link of the chain: hash = SHA-256(previous hash, digest of the event)."""

    __tablename__ = "audit_seals"

    position: Mapped[int] = mapped_column(BigInteger, Identity(always=False), primary_key=True)
    event_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("audit_events.id"), unique=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


@dataclass(frozen=True)
class Verdict:
    """What the verifier found; `faults` names the first bad places, empty means intact."""

    sealed: int
    unsealed: int
    head: str
    faults: list[str]


def record(event: str, *, by: str, company_id: uuid.UUID | None = None, **fields: Any) -> None:
    """Write the event into the caller's transaction; raise ValueError for an unknown event or field."""
    db.session.add(AuditEvent(**_row(event, by, company_id, fields)))


def parameters(event: str, *, by: str, company_id: uuid.UUID | None = None, **fields: Any) -> dict[str, Any]:
    """Return the event as the parameters of ROW, for a statement that does more at once; checks like `record`."""
    row = _row(event, by, company_id, fields)
    row["fields"] = orjson.dumps(row["fields"]).decode()
    return {f"audit_{name}": value for name, value in row.items()}


def _row(event: str, by: str, company_id: uuid.UUID | None, fields: dict[str, Any]) -> dict[str, Any]:
    allowed = EVENTS.get(event)
    if allowed is None or not fields.keys() <= allowed:
        raise ValueError(f"audit event {event} does not know {sorted(fields.keys() - (allowed or set()))}")
    return {
        "id": new_id(),
        "at": now(),
        "event": event,
        "by": by,
        "company_id": company_id,
        "fields": {name: str(value) if isinstance(value, uuid.UUID) else value for name, value in fields.items()},
        "request_id": str(structlog.contextvars.get_contextvars().get("request_id", "")),
    }


def seal_events() -> int:
    """Append every unsealed event to the chain and return how many; one sealer at a time."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(hashtext('audit chain'))"))
    previous = db.session.scalar(select(AuditSeal.hash).order_by(AuditSeal.position.desc()).limit(1)) or GENESIS
    position = db.session.scalar(select(AuditSeal.position).order_by(AuditSeal.position.desc()).limit(1)) or 0
    waiting = db.session.scalars(
        select(AuditEvent).where(_not_sealed()).order_by(AuditEvent.id).limit(SEAL_BATCH)
    ).all()
    for number, event in enumerate(waiting, start=position + 1):
        previous = _link(previous, event)
        db.session.add(AuditSeal(position=number, event_id=event.id, hash=previous))
    db.session.flush()
    return len(waiting)


def verify_events() -> Verdict:
    """Recompute the whole chain; streams, so the length of the log costs time and not memory."""
    previous, expected, faults = GENESIS, 1, []
    rows = db.session.execute(
        select(AuditSeal.position, AuditSeal.hash, AuditEvent)
        .outerjoin(AuditEvent, AuditEvent.id == AuditSeal.event_id)
        .order_by(AuditSeal.position)
        .execution_options(yield_per=SEAL_BATCH)
    )
    sealed = 0
    for position, stored, event in rows:
        sealed += 1
        if position != expected:
            faults.append(f"position {expected}: seal is missing")
        computed = _link(previous, event) if event is not None else b""
        if computed != stored:
            faults.append(f"position {position}: event {event.id if event else '(missing)'} was changed")
        previous, expected = stored, position + 1
        db.session.expunge(event)
    late = select(AuditEvent.id).where(_not_sealed(), AuditEvent.at < now() - UNSEALED_TOLERANCE)
    faults += [f"event {event_id} was never sealed" for event_id in db.session.scalars(late.limit(10))]
    unsealed = db.session.query(AuditEvent.id).where(_not_sealed()).count()
    return Verdict(sealed=sealed, unsealed=unsealed, head=previous.hex(), faults=faults[:20])


def _not_sealed() -> Any:
    return ~exists().where(AuditSeal.event_id == AuditEvent.id)


def _link(previous: bytes, event: AuditEvent) -> bytes:
    content = orjson.dumps(
        [
            event.id.hex,
            event.at.isoformat(),
            event.event,
            event.by,
            event.company_id.hex if event.company_id else None,
            event.fields,
            event.request_id,
        ],
        option=orjson.OPT_SORT_KEYS,
    )
    return hashlib.sha256(previous + hashlib.sha256(content).digest()).digest()
