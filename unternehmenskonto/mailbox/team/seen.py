"""Who of the company has seen a message and when: read from the audit log through an index that leads to it."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flask_babel import lazy_gettext as _l
from sqlalchemy import literal_column, select

from unternehmenskonto.audit import SEEN, AuditEvent
from unternehmenskonto.companies.models import Person
from unternehmenskonto.db import db
from unternehmenskonto.errors import InvalidInput
from unternehmenskonto.mailbox.models import Attachment
from unternehmenskonto.permissions import Actor

PAGE_SIZE = 50

# Written out: the planner must see that these are the expressions of the index ix_audit_events_seen.
_message: Any = literal_column("(audit_events.fields ->> 'message_id')")
_IS_SEEN = AuditEvent.event.in_([literal_column(f"'{name}'") for name in SEEN])


class InvalidPlace(InvalidInput):
    """The address names no place in the list."""

    code = "invalid_cursor"
    sentence = _l("Diese Adresse einer Listenseite ist unvollständig. Öffnen Sie „Wer hat was gesehen“ neu.")


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Somebody opened the message or took a file of it."""

    id: uuid.UUID
    at: datetime
    name: str
    kind: Literal["first", "opened", "downloaded"]
    file_name: str | None


@dataclass(frozen=True)
class Page:
    """Up to PAGE_SIZE sights, newest first, and where the list goes on."""

    sights: list[Sight]
    older: str | None


def sights_of(*, actor: Actor, message_id: uuid.UUID, before: str | None = None) -> Page:
    """Return one page; three statements at most. The caller checked that the person sees the message.

    Raises InvalidPlace for a bad cursor.
    """
    query: Any = select(AuditEvent).where(
        AuditEvent.company_id == actor.company_id, _message == str(message_id), _IS_SEEN
    )
    if before is not None:
        query = query.where(AuditEvent.id < _place(before))
    rows = db.session.scalars(query.order_by(AuditEvent.id.desc()).limit(PAGE_SIZE + 1)).all()
    kept = rows[:PAGE_SIZE]
    names, files = _names(kept), _files(actor.company_id, kept)
    return Page([_sight(row, names, files) for row in kept], str(kept[-1].id) if len(rows) > PAGE_SIZE else None)


def _sight(event: AuditEvent, names: dict[str, str], files: dict[str, str]) -> Sight:
    kinds: dict[str, Any] = {"message.first_retrieved": "first", "attachment.downloaded": "downloaded"}
    return Sight(
        id=event.id,
        at=event.at,
        name=names.get(event.by.partition(":")[2], ""),
        kind=kinds.get(event.event, "opened"),
        file_name=files.get(str(event.fields.get("attachment_id", ""))),
    )


def _names(events: Iterable[AuditEvent]) -> dict[str, str]:
    wanted = {uuid.UUID(event.by.partition(":")[2]) for event in events if event.by.startswith("person:")}
    if not wanted:
        return {}
    return {str(one.id): one.name for one in db.session.scalars(select(Person).where(Person.id.in_(wanted)))}


def _files(company_id: uuid.UUID, events: Iterable[AuditEvent]) -> dict[str, str]:
    wanted = {uuid.UUID(event.fields["attachment_id"]) for event in events if "attachment_id" in event.fields}
    if not wanted:
        return {}
    query = select(Attachment.id, Attachment.file_name)
    rows = db.session.execute(query.where(Attachment.company_id == company_id, Attachment.id.in_(wanted)))
    return {str(attachment_id): name for attachment_id, name in rows}


def _place(cursor: str) -> uuid.UUID:
    try:
        return uuid.UUID(cursor)
    except ValueError:
        raise InvalidPlace from None
