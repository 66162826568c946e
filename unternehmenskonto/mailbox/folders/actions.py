"""Acts on one or many messages: archive, bin, marks and labels, and taking one act back exactly.

None of them opens a message or touches its legal state.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from flask_babel import lazy_gettext as _l
from sqlalchemy import Row, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from unternehmenskonto import audit
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import Gone, InvalidInput, NotFound
from unternehmenskonto.jobs import job
from unternehmenskonto.mailbox import places
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.folders.models import BulkAction
from unternehmenskonto.mailbox.folders.protection import protection
from unternehmenskonto.mailbox.labels.models import Label, MessageLabel
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.reading import announces
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.permissions import Actor

#: So many messages at once; the page says so.
BULK_MAXIMUM = 100
UNDO_PERIOD = timedelta(hours=24)

Action = Literal["archive", "restore", "bin", "read", "unread", "label", "unlabel"]
EVENTS: dict[str, str] = {
    "archive": "message.archived",
    "restore": "message.restored",
    "bin": "message.binned",
    "read": "message.marked_read",
    "unread": "message.marked_unread",
    "label": "message.labelled",
    "unlabel": "message.unlabelled",
}
FIELDS = ("archived_at", "binned_at", "is_unread")


class NothingSelected(InvalidInput):
    """No message was ticked."""

    code = "nothing_selected"
    sentence = _l("Wählen Sie zuerst mindestens eine Nachricht aus.")


class TooManySelected(InvalidInput):
    """More than BULK_MAXIMUM messages."""

    code = "too_many_selected"
    sentence = _l(
        "Höchstens %(maximum)d Nachrichten lassen sich auf einmal bearbeiten. Bitte wählen Sie weniger aus.",
        maximum=BULK_MAXIMUM,
    )


class UndoExpired(Gone):
    """The act is older than UNDO_PERIOD, or it was taken back already."""

    code = "undo_expired"
    sentence = _l(
        "Das lässt sich nicht mehr rückgängig machen: Es ist länger als 24 Stunden her oder schon geschehen. "
        "Jede Nachricht können Sie weiterhin einzeln verschieben."
    )


@dataclass(frozen=True)
class Change:
    """One field of one message before and after; the field "label" is whether the message carries the label."""

    message_id: uuid.UUID
    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Refusal:
    """Why a message stayed as it was: gone, in_bin, unopened, period_runs or period_unknown, and until which day."""

    reason: str
    until: date | None = None


def act(
    *, actor: Actor, action: Action, message_ids: Sequence[uuid.UUID], label_id: uuid.UUID | None = None
) -> BulkAction:
    """Do one act on up to BULK_MAXIMUM messages and keep what changed; what may not change is named with its reason.

    A message that is already as wanted counts neither as changed nor as refused. Raises NothingSelected,
    TooManySelected, and NotFound if the company has none of the messages or not this label.
    """
    wanted = list(dict.fromkeys(message_ids))
    if not wanted:
        raise NothingSelected
    if len(wanted) > BULK_MAXIMUM:
        raise TooManySelected
    if action in ("label", "unlabel") and not _has_label(actor, label_id):
        raise NotFound
    rows = {row.id: row for row in _locked(actor, wanted, label_id)}
    if not rows:
        raise NotFound
    moment = now()
    refused = [(message_id, Refusal("gone")) for message_id in wanted if message_id not in rows]
    changes = []
    for row in rows.values():
        outcome = _PLANS[action](row, moment)
        if isinstance(outcome, Refusal):
            refused.append((row.id, outcome))
        elif outcome is not None:
            changes.append(Change(row.id, *outcome))
    bulk = BulkAction(
        company_id=actor.company_id,
        membership_id=actor.membership_id,
        action=action,
        label_id=label_id,
        changes=[[str(one.message_id), one.field, _text(one.before), _text(one.after)] for one in changes],
        refused=[[str(message_id), why.reason, _text(why.until)] for message_id, why in refused],
        made_at=moment,
    )
    db.session.add(bulk)
    db.session.flush()
    _apply(actor, rows, changes, label_id)
    for change in changes:
        _record(EVENTS[action], actor, change, bulk)
    db.session.flush()
    return bulk


def undo(*, actor: Actor, bulk_id: uuid.UUID) -> BulkAction:
    """Bring every message of the act back to where it was; one that somebody changed since is left alone and counted.

    Raises NotFound for the act of anybody else, UndoExpired after UNDO_PERIOD or the second time.
    """
    bulk = find(actor=actor, bulk_id=bulk_id, lock=True)
    if bulk is None:
        raise NotFound
    if bulk.undone_at is not None or bulk.made_at < now() - UNDO_PERIOD:
        raise UndoExpired
    done = [_read(change) for change in bulk.changes]
    rows = {row.id: row for row in _locked(actor, [one.message_id for one in done], bulk.label_id)}
    back = []
    for one in done:
        current = getattr(rows[one.message_id], one.field) if one.message_id in rows else None
        if one.message_id in rows and current == one.after:
            back.append(Change(one.message_id, one.field, one.after, one.before))
        elif one.message_id not in rows or current != one.before:
            bulk.left_alone += 1
    if bulk.label_id is not None and not _has_label(actor, bulk.label_id):
        bulk.left_alone += len(back)
        back = []
    _apply(actor, rows, back, bulk.label_id)
    for change in back:
        _record("message.change_undone", actor, change, bulk, action=bulk.action)
    bulk.undone_at = now()
    db.session.flush()
    return bulk


def find(*, actor: Actor, bulk_id: uuid.UUID, lock: bool = False) -> BulkAction | None:
    """Return an act of this person, None for any other."""
    query = select(BulkAction).where(
        BulkAction.company_id == actor.company_id,
        BulkAction.id == bulk_id,
        BulkAction.membership_id == actor.membership_id,
    )
    return db.session.scalar(query.with_for_update() if lock else query)


def subjects(*, actor: Actor, message_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return the subjects of these messages, as far as the person may see them."""
    query = select(Message.id, Message.subject).where(
        Message.company_id == actor.company_id, Message.id.in_(list(message_ids)), visible_to(actor)
    )
    return {row.id: row.subject for row in db.session.execute(query)}


@job("mailbox.forget_bulk_actions", cron="23 4 * * *")
def forget_bulk_actions() -> None:
    """Remove the acts that cannot be taken back any more."""
    db.session.execute(delete(BulkAction).where(BulkAction.made_at < now() - UNDO_PERIOD))


def _locked(actor: Actor, message_ids: list[uuid.UUID], label_id: uuid.UUID | None) -> Sequence[Row[Any]]:
    """Lock the messages in the order of their ids, never the body read, and tell which carry the label."""
    carried = exists().where(
        MessageLabel.company_id == Message.company_id,
        MessageLabel.message_id == Message.id,
        MessageLabel.label_id == label_id,
    )
    query: Any = (
        select(
            Message.id,
            Message.kind,
            Message.regime,
            Message.remedy_ends_on,
            Message.first_retrieved_at,
            Message.made_available_at,
            Message.archived_at,
            Message.binned_at,
            Message.is_unread,
            carried.label("label"),
        )
        .where(Message.company_id == actor.company_id, Message.id.in_(message_ids), visible_to(actor))
        .order_by(Message.id)
        .with_for_update(of=Message)
    )
    rows: Sequence[Row[Any]] = db.session.execute(query).all()
    return rows


def _apply(actor: Actor, rows: dict[uuid.UUID, Row[Any]], changes: list[Change], label_id: uuid.UUID | None) -> None:
    """Write the changes, all of one field in one statement, and the numbers of unread messages."""
    for field in dict.fromkeys(change.field for change in changes):
        ours = [change for change in changes if change.field == field]
        if field == "label":
            _apply_labels(actor, rows, ours, label_id)
            continue
        values = [{"company_id": actor.company_id, "id": one.message_id, field: one.after} for one in ours]
        db.session.execute(update(Message), values)
    db.session.expire_all()
    weights = []
    for change in (one for one in changes if one.field != "label"):
        before = {name: getattr(rows[change.message_id], name) for name in FIELDS}
        weights.append((_weight(before), _weight({**before, field: change.after})))
    places.count(actor.company_id, weights)


def _apply_labels(
    actor: Actor, rows: dict[uuid.UUID, Row[Any]], changes: list[Change], label_id: uuid.UUID | None
) -> None:
    ids = [change.message_id for change in changes]
    if changes[0].after:
        values = [
            {
                "company_id": actor.company_id,
                "message_id": message_id,
                "label_id": label_id,
                "made_available_at": rows[message_id].made_available_at,
            }
            for message_id in ids
        ]
        db.session.execute(insert(MessageLabel).values(values).on_conflict_do_nothing())
        return
    db.session.execute(
        delete(MessageLabel).where(
            MessageLabel.company_id == actor.company_id,
            MessageLabel.label_id == label_id,
            MessageLabel.message_id.in_(ids),
        )
    )


def _has_label(actor: Actor, label_id: uuid.UUID | None) -> bool:
    query = select(Label.id).where(Label.company_id == actor.company_id, Label.id == label_id)
    return label_id is not None and db.session.scalar(query.with_for_update(key_share=True)) is not None


def _weight(fields: dict[str, Any]) -> tuple[int, int]:
    return places.weight(
        is_unread=fields["is_unread"],
        archived=fields["archived_at"] is not None,
        binned=fields["binned_at"] is not None,
    )


def _record(event: str, actor: Actor, change: Change, bulk: BulkAction, **fields: Any) -> None:
    audit.record(
        event,
        by=f"person:{actor.person_id}",
        company_id=actor.company_id,
        message_id=change.message_id,
        bulk_id=bulk.id,
        **fields,
    )


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else value


def _read(stored: list[Any]) -> Change:
    change = Change(uuid.UUID(stored[0]), *stored[1:])
    if not change.field.endswith("_at"):
        return change
    times = {name: getattr(change, name) for name in ("before", "after")}
    return Change(**{**asdict(change), **{n: t and datetime.fromisoformat(t) for n, t in times.items()}})


Plan = tuple[str, Any, Any] | Refusal | None


def _archive(row: Row[Any], moment: datetime) -> Plan:
    if row.binned_at is not None:
        return Refusal("in_bin")
    return None if row.archived_at is not None else ("archived_at", None, moment)


def _restore(row: Row[Any], moment: datetime) -> Plan:
    """From the bin to where it was; from the archive into the inbox."""
    if row.binned_at is not None:
        return ("binned_at", row.binned_at, None)
    return None if row.archived_at is None else ("archived_at", row.archived_at, None)


def _bin(row: Row[Any], moment: datetime) -> Plan:
    if row.binned_at is not None:
        return None
    found = protection(row, legal_day(moment))
    return ("binned_at", None, moment) if found is None else Refusal(found.reason, found.until)


def _mark_read(row: Row[Any], moment: datetime) -> Plan:
    """A decision nobody has opened stays unread: the mark would say that somebody knows what is in it."""
    if not row.is_unread:
        return None
    can_be_opened = row.regime != "vwvfg41_2a" or announces(row, legal_day(moment))
    if row.kind == "decision" and row.first_retrieved_at is None and can_be_opened:
        return Refusal("unopened")
    return ("is_unread", True, False)


def _mark_unread(row: Row[Any], moment: datetime) -> Plan:
    return None if row.is_unread else ("is_unread", False, True)


def _label(row: Row[Any], moment: datetime) -> Plan:
    return None if row.label else ("label", False, True)


def _unlabel(row: Row[Any], moment: datetime) -> Plan:
    return ("label", True, False) if row.label else None


_PLANS: dict[str, Callable[[Row[Any], datetime], Plan]] = {
    "archive": _archive,
    "restore": _restore,
    "bin": _bin,
    "read": _mark_read,
    "unread": _mark_unread,
    "label": _label,
    "unlabel": _unlabel,
}
