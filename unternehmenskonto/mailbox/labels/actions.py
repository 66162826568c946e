"""Make, change and remove the labels of a company; putting them on messages is an act on a selection (folders)."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from flask_babel import lazy_gettext as _l
from sqlalchemy import and_, delete, func, select

from unternehmenskonto import audit
from unternehmenskonto.db import db
from unternehmenskonto.errors import NotFound, Unprocessable
from unternehmenskonto.mailbox.actions import locked_mailbox
from unternehmenskonto.mailbox.labels.models import COLOURS, NAME_LENGTH, Label, MessageLabel
from unternehmenskonto.permissions import Actor

LABEL_MAXIMUM = 50


class TooManyLabels(Unprocessable):
    """The company has LABEL_MAXIMUM labels already."""

    code = "too_many_labels"
    sentence = _l(
        "Mehr als %(maximum)d Etiketten gehen nicht. Löschen Sie zuerst eines, das Sie nicht mehr brauchen.",
        maximum=LABEL_MAXIMUM,
    )


class NameTaken(Unprocessable):
    """The company has a label of this name, in whatever case."""

    code = "label_name_taken"
    sentence = _l("Ein Etikett mit diesem Namen gibt es schon. Wählen Sie einen anderen Namen.")


@dataclass(frozen=True)
class MarkedLabel:
    """A label and whether a certain message carries it."""

    label: Label
    is_set: bool


def list_labels(*, actor: Actor) -> dict[uuid.UUID, Label]:
    """Return the labels of the company by their names; LABEL_MAXIMUM at most."""
    query = select(Label).where(Label.company_id == actor.company_id).order_by(func.lower(Label.name))
    return {label.id: label for label in db.session.scalars(query)}


def labels_for(*, actor: Actor, message_id: uuid.UUID) -> list[MarkedLabel]:
    """Return all labels of the company and which of them this message carries."""
    query = (
        select(Label, MessageLabel.message_id)
        .outerjoin(
            MessageLabel,
            and_(
                MessageLabel.company_id == Label.company_id,
                MessageLabel.label_id == Label.id,
                MessageLabel.message_id == message_id,
            ),
        )
        .where(Label.company_id == actor.company_id)
        .order_by(func.lower(Label.name))
    )
    return [MarkedLabel(label, found is not None) for label, found in db.session.execute(query)]


def get_label(*, actor: Actor, label_id: uuid.UUID) -> Label:
    """Return a label of the company; raise NotFound."""
    label = db.session.scalar(select(Label).where(Label.company_id == actor.company_id, Label.id == label_id))
    if label is None:
        raise NotFound
    return label


def make(*, actor: Actor, name: str, colour: str) -> Label:
    """Make a label; raise TooManyLabels or NameTaken."""
    locked_mailbox(actor.company_id)  # two at once would both see the last free place
    _check(name, colour)
    labels = list_labels(actor=actor)
    if len(labels) >= LABEL_MAXIMUM:
        raise TooManyLabels
    _require_free(name, labels.values())
    label = Label(company_id=actor.company_id, name=name, colour=colour)
    db.session.add(label)
    db.session.flush()
    _record("label.made", actor, label.id)
    return label


def change(*, actor: Actor, label_id: uuid.UUID, name: str, colour: str) -> Label:
    """Give a label another name or colour; raise NameTaken or NotFound."""
    locked_mailbox(actor.company_id)
    _check(name, colour)
    label = get_label(actor=actor, label_id=label_id)
    _require_free(name, [one for one in list_labels(actor=actor).values() if one.id != label_id])
    if (label.name, label.colour) != (name, colour):
        label.name, label.colour = name, colour
        _record("label.changed", actor, label_id)
    db.session.flush()
    return label


def count_messages(*, actor: Actor, label_id: uuid.UUID) -> int:
    """Return how many messages carry the label, wherever they lie and whoever sees them."""
    query = select(func.count()).where(MessageLabel.company_id == actor.company_id, MessageLabel.label_id == label_id)
    return db.session.scalar(query) or 0


def remove(*, actor: Actor, label_id: uuid.UUID) -> int:
    """Remove a label from all messages and from the company; return how many carried it. Raises NotFound."""
    get_label(actor=actor, label_id=label_id)
    count = count_messages(actor=actor, label_id=label_id)
    db.session.execute(delete(Label).where(Label.company_id == actor.company_id, Label.id == label_id))
    audit.record(
        "label.removed", by=f"person:{actor.person_id}", company_id=actor.company_id, label_id=label_id, messages=count
    )
    db.session.flush()
    return count


def _check(name: str, colour: str) -> None:
    if not 1 <= len(name) <= NAME_LENGTH or colour not in COLOURS:
        raise ValueError("a label has a name of 1 to 40 characters and one of the colours")


def _require_free(name: str, labels: Iterable[Label]) -> None:
    if name.lower() in {label.name.lower() for label in labels}:
        raise NameTaken


def _record(event: str, actor: Actor, label_id: uuid.UUID) -> None:
    audit.record(event, by=f"person:{actor.person_id}", company_id=actor.company_id, label_id=label_id)
