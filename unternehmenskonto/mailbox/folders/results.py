"""Say what an act on messages did, and to which messages it was not done and why."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import flask_babel

from unternehmenskonto.db import now
from unternehmenskonto.mailbox.folders.actions import UNDO_PERIOD, find, subjects
from unternehmenskonto.mailbox.folders.models import BulkAction
from unternehmenskonto.permissions import Actor
from unternehmenskonto.web import show_date

_: Callable[..., str] = flask_babel.gettext
ngettext: Callable[..., str] = flask_babel.ngettext


@dataclass(frozen=True)
class Result:
    """What the page shows above the list: sentences of the reasons, and the messages that stayed as they were."""

    id: uuid.UUID
    title: str
    is_complete: bool
    reasons: list[str]
    #: Those that are still there: id and subject.
    refused: list[tuple[uuid.UUID, str]]
    can_undo: bool


def show(*, actor: Actor, bulk_id: uuid.UUID) -> Result | None:
    """Return the result of an act of this person; None for any other or one that can no longer be taken back."""
    bulk = find(actor=actor, bulk_id=bulk_id)
    if bulk is None or bulk.undone_at is not None or bulk.made_at < now() - UNDO_PERIOD:
        return None
    refused = [uuid.UUID(one[0]) for one in bulk.refused]
    changed = [uuid.UUID(one[0]) for one in bulk.changes]
    names = subjects(actor=actor, message_ids=refused + changed[:1])
    return Result(
        id=bulk.id,
        title=title(bulk, names),
        is_complete=not bulk.refused,
        reasons=reasons(bulk),
        refused=[(one, names[one]) for one in refused if one in names],
        can_undo=bool(bulk.changes),
    )


def title(bulk: BulkAction, names: dict[uuid.UUID, str]) -> str:
    """Return what was done in one line; a single message by its subject."""
    count = len(bulk.changes)
    if not count:
        return _("Es wurde nichts geändert.") if bulk.refused else _("Es war schon so: Es wurde nichts geändert.")
    subject = names.get(uuid.UUID(bulk.changes[0][0]), "")
    if count == 1 and subject:
        return _ONE[_act(bulk)](subject)
    return _MANY[_act(bulk)](count)


def undone(bulk: BulkAction) -> str:
    """Return what taking back did in one or two sentences."""
    count = len(bulk.changes) - bulk.left_alone
    text = ngettext(
        "Rückgängig gemacht: Eine Nachricht ist wieder, wie sie war.",
        "Rückgängig gemacht: %(num)d Nachrichten sind wieder, wie sie waren.",
        count,
    )
    if bulk.left_alone:
        text += " " + ngettext(
            "Eine blieb, wie sie ist, weil inzwischen jemand anders sie geändert hat.",
            "%(num)d blieben, wie sie sind, weil inzwischen jemand anders sie geändert hat.",
            bulk.left_alone,
        )
    return text


def reasons(bulk: BulkAction) -> list[str]:
    """Return one sentence for each reason, with the number of messages and the last day of all."""
    kinds = dict.fromkeys(one[1] for one in bulk.refused)
    return [_reason(kind, [one for one in bulk.refused if one[1] == kind]) for kind in kinds]


def _reason(kind: str, refused: list[list[Any]]) -> str:
    days = [date.fromisoformat(one[2]) for one in refused if one[2]]
    return _REASONS[kind](len(refused), show_date(max(days)) if days else "")


def _act(bulk: BulkAction) -> str:
    """Return the kind of act; what comes back from the bin is told apart from what comes back from the archive."""
    from_bin = bulk.action == "restore" and bulk.changes[0][1] == "binned_at"
    return "unbin" if from_bin else bulk.action


_ONE: dict[str, Callable[[str], str]] = {
    "archive": lambda subject: _("„%(subject)s“ liegt jetzt im Archiv", subject=subject),
    "restore": lambda subject: _("„%(subject)s“ liegt wieder im Posteingang", subject=subject),
    "unbin": lambda subject: _("„%(subject)s“ ist aus dem Papierkorb zurückgeholt", subject=subject),
    "bin": lambda subject: _("„%(subject)s“ liegt jetzt im Papierkorb", subject=subject),
    "read": lambda subject: _("„%(subject)s“ ist als gelesen markiert", subject=subject),
    "unread": lambda subject: _("„%(subject)s“ ist wieder als ungelesen markiert", subject=subject),
    "label": lambda subject: _("„%(subject)s“ hat jetzt das Etikett", subject=subject),
    "unlabel": lambda subject: _("„%(subject)s“ hat das Etikett nicht mehr", subject=subject),
}
_MANY: dict[str, Callable[[int], str]] = {
    "archive": lambda n: ngettext(
        "Eine Nachricht liegt jetzt im Archiv", "%(num)d Nachrichten liegen jetzt im Archiv", n
    ),
    "restore": lambda n: ngettext(
        "Eine Nachricht liegt wieder im Posteingang", "%(num)d Nachrichten liegen wieder im Posteingang", n
    ),
    "unbin": lambda n: ngettext(
        "Eine Nachricht ist aus dem Papierkorb zurückgeholt",
        "%(num)d Nachrichten sind aus dem Papierkorb zurückgeholt",
        n,
    ),
    "bin": lambda n: ngettext(
        "Eine Nachricht liegt jetzt im Papierkorb", "%(num)d Nachrichten liegen jetzt im Papierkorb", n
    ),
    "read": lambda n: ngettext(
        "Eine Nachricht ist als gelesen markiert", "%(num)d Nachrichten sind als gelesen markiert", n
    ),
    "unread": lambda n: ngettext(
        "Eine Nachricht ist wieder als ungelesen markiert",
        "%(num)d Nachrichten sind wieder als ungelesen markiert",
        n,
    ),
    "label": lambda n: ngettext(
        "Eine Nachricht hat jetzt das Etikett", "%(num)d Nachrichten haben jetzt das Etikett", n
    ),
    "unlabel": lambda n: ngettext(
        "Eine Nachricht hat das Etikett nicht mehr", "%(num)d Nachrichten haben das Etikett nicht mehr", n
    ),
}
_REASONS: dict[str, Callable[[int, str], str]] = {
    "gone": lambda n, day: ngettext("Eine Nachricht gibt es nicht mehr.", "%(num)d Nachrichten gibt es nicht mehr.", n),
    "in_bin": lambda n, day: ngettext(
        "Eine Nachricht liegt im Papierkorb. Stellen Sie sie zuerst wieder her.",
        "%(num)d Nachrichten liegen im Papierkorb. Stellen Sie sie zuerst wieder her.",
        n,
    ),
    "unopened": lambda n, day: ngettext(
        "Ein Bescheid bleibt ungelesen, weil ihn noch niemand geöffnet hat. Öffnen Sie ihn, um ihn zu lesen.",
        "%(num)d Bescheide bleiben ungelesen, weil sie noch niemand geöffnet hat. Öffnen Sie sie, um sie zu lesen.",
        n,
    ),
    "period_runs": lambda n, day: ngettext(
        "Ein Bescheid blieb, wo er ist: Seine Frist läuft noch bis %(day)s. Danach kann er in den Papierkorb.",
        "%(num)d Bescheide blieben, wo sie sind: Ihre Fristen laufen noch, die letzte bis %(day)s.",
        n,
        day=day,
    ),
    "period_unknown": lambda n, day: ngettext(
        "Ein Bescheid blieb, wo er ist: Seine Frist ist noch nicht bekannt, weil ihn niemand abgerufen hat. "
        "Er ist bis %(day)s abrufbar.",
        "%(num)d Bescheide blieben, wo sie sind: Ihre Fristen sind noch nicht bekannt, weil sie niemand abgerufen "
        "hat. Der letzte ist bis %(day)s abrufbar.",
        n,
        day=day,
    ),
}
