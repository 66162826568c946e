"""Look at a message without opening it: what the envelope says, and what opening would mean in law."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import flask_babel
from sqlalchemy import select
from sqlalchemy.orm import defer, selectinload

from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox import reading
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.visibility import visible_to
from unternehmenskonto.mailbox.watch.what_if import WhatIf, what_if
from unternehmenskonto.permissions import Actor
from unternehmenskonto.web import show_date, show_datetime

_: Callable[..., str] = flask_babel.gettext


@dataclass(frozen=True)
class Peek:
    """A message nobody needs to open to see this much; the text is not even read."""

    message: Message
    #: What opening it now would do; None for an ordinary message.
    effect: WhatIf | None
    first_reader: str

    @property
    def announces(self) -> bool:
        """Tell whether opening it now would begin its deadline."""
        return self.effect is not None and self.effect.effect == "moves"


def look(*, actor: Actor, message_id: uuid.UUID) -> Peek:
    """Return the envelope of a message; records nothing. Raises NotFound, or Erased for one that was deleted."""
    message = db.session.scalar(
        select(Message)
        .where(Message.company_id == actor.company_id, Message.id == message_id, visible_to(actor))
        .options(defer(Message.body), selectinload(Message.attachments))
    )
    if message is None:
        raise reading.missing(actor, message_id)
    moment = now()
    reader = db.session.get(Membership, message.first_retrieved_by) if message.first_retrieved_by else None
    return Peek(
        message=message,
        effect=what_if(message, day=legal_day(max(moment, message.made_available_at)), at=moment)
        if message.is_decision
        else None,
        first_reader=reader.person.name if reader else "",
    )


def sentences(peek: Peek) -> list[str]:
    """Return what opening means, the most important first."""
    message, effect = peek.message, peek.effect
    if message.first_retrieved_at is not None:
        opened = _(
            "Geöffnet wurde sie schon am %(time)s von %(name)s. Erneutes Öffnen ändert nichts.",
            time=show_datetime(message.first_retrieved_at),
            name=peek.first_reader,
        )
        return [opened]
    record = _(
        "Das erste Öffnen wird mit Zeit und Namen festgehalten; die Behörde erfährt, dass und wann es war, aber nicht "
        "von wem."
    )
    if effect is None:
        return [_("Das ist eine gewöhnliche Nachricht. Wenn Sie sie öffnen, beginnt keine Frist."), record]
    return [*_EFFECTS[effect.effect](message, effect), record]


def _same(message: Message, effect: WhatIf) -> list[str]:
    paragraph = "§ 122a Abs. 4 AO" if message.regime == "ao122a" else "§ 9 Abs. 1 OZG"
    return [
        _(
            "Öffnen ändert an der Frist nichts. Der Bescheid gilt am %(day)s als bekannt gegeben, ob ihn jemand öffnet "
            "oder nicht (%(paragraph)s).",
            day=show_date(effect.announced_on),
            paragraph=paragraph,
        ),
        _("Die Frist endet in jedem Fall am %(day)s.", day=show_date(effect.remedy_ends_on)),
    ]


def _moves(message: Message, effect: WhatIf) -> list[str]:
    return [
        _(
            "Wenn Sie ihn heute öffnen, ist er abgerufen und gilt am %(day)s als bekannt gegeben "
            "(§ 41 Abs. 2a VwVfG). Damit beginnt die Frist; sie endet dann am %(end)s.",
            day=show_date(effect.announced_on),
            end=show_date(effect.remedy_ends_on),
        ),
        _(
            "Wenn ihn niemand bis zum %(day)s öffnet, endet die Bereitstellung. Er ist dann nicht bekannt gegeben, und "
            "die Behörde wird ihn auf einem anderen Weg zustellen.",
            day=show_date(effect.last),
        ),
    ]


def _too_late(message: Message, effect: WhatIf) -> list[str]:
    return [
        _(
            "Die Bereitstellung ist beendet, weil ihn niemand rechtzeitig abgerufen hat. Er ist nicht bekannt gegeben "
            "und kann nicht mehr geöffnet werden."
        )
    ]


_EFFECTS = {"same": _same, "moves": _moves, "too_late": _too_late}
