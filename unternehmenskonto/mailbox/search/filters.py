"""What a search asks for: words and filters, as conditions on messages."""

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, exists

from unternehmenskonto.db import now
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.labels.models import MessageLabel
from unternehmenskonto.mailbox.models import Attachment, Message
from unternehmenskonto.mailbox.places import lies_in

LEGAL_ZONE = ZoneInfo("Europe/Berlin")
#: A deadline is near for so many days.
SOON_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Empty values do not restrict; all others must hold together."""

    words: str = ""
    #: Name of the authority as on the day of delivery.
    authority: str = ""
    #: Slug of the online service.
    service: str = ""
    #: message or decision
    kind: str = ""
    #: yes or no
    read: str = ""
    #: running, soon, over or none
    deadline: str = ""
    since: date | None = None
    until: date | None = None
    #: yes or no
    attachment: str = ""
    #: inbox, archive or bin
    folder: str = ""
    #: Id of a label.
    label: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what must hold for a message, without words and company; the bin is searched only if it is named."""
        found = [_CHOICES[name][value]() for name in _CHOICES if (value := getattr(self, name))]
        if self.folder != "bin":
            found.append(Message.binned_at.is_(None))
        if self.authority:
            found.append(Message.sender_authority == self.authority)
        if self.service:
            found.append(Message.service == self.service)
        since, until = self.period()
        if since is not None:
            found.append(Message.made_available_at >= since)
        if until is not None:
            found.append(Message.made_available_at < until)
        if self.label:
            found.append(_has_label(uuid.UUID(self.label)))
        return found

    def period(self) -> tuple[datetime | None, datetime | None]:
        """Return the first moment and the one after the last; both days count in full."""
        return (
            begin_of(self.since) if self.since else None,
            begin_of(self.until + timedelta(days=1)) if self.until else None,
        )


def begin_of(day: date) -> datetime:
    """Return the moment at which the day begins in Germany."""
    return datetime.combine(day, time(), tzinfo=LEGAL_ZONE).astimezone(UTC)


def _running() -> ColumnElement[bool]:
    return Message.due_on >= legal_day(now())


def _soon() -> ColumnElement[bool]:
    return and_(_running(), Message.due_on <= legal_day(now()) + timedelta(days=SOON_DAYS))


def _over() -> ColumnElement[bool]:
    return Message.due_on < legal_day(now())


def _has_attachment() -> ColumnElement[bool]:
    return exists().where(Attachment.company_id == Message.company_id, Attachment.message_id == Message.id)


def _has_label(label_id: uuid.UUID) -> ColumnElement[bool]:
    return exists().where(
        MessageLabel.company_id == Message.company_id,
        MessageLabel.message_id == Message.id,
        MessageLabel.label_id == label_id,
    )


_CHOICES: dict[str, dict[str, Any]] = {
    "kind": {"message": lambda: Message.kind == "message", "decision": lambda: Message.kind == "decision"},
    "read": {"yes": lambda: ~Message.is_unread, "no": lambda: Message.is_unread.self_group()},
    "deadline": {
        "running": _running,
        "soon": _soon,
        "over": _over,
        "none": lambda: Message.due_on.is_(None),
    },
    "attachment": {"yes": _has_attachment, "no": lambda: ~_has_attachment()},
    "folder": {
        "inbox": lambda: lies_in("inbox"),
        "archive": lambda: lies_in("archive"),
        "bin": lambda: lies_in("bin"),
    },
}
