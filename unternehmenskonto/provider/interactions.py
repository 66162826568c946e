"""Requests that wait for a person; each is answered once."""

import secrets
import uuid

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete

from unternehmenskonto.db import db, now
from unternehmenskonto.errors import Gone
from unternehmenskonto.provider.authorize import AuthorizeRequest
from unternehmenskonto.provider.limits import INTERACTION_LIFETIME
from unternehmenskonto.provider.models import Interaction, digest

ID_BYTES = 32
MAXIMUM_ID_CHARACTERS = 64


class InteractionOver(Gone):
    """The request was answered already, or nobody answered it in time."""

    code = "interaction_over"
    sentence = _l(
        "Dieser Vorgang ist schon abgeschlossen oder zu alt. Bitte gehen Sie zurück zum Online-Dienst und "
        "beginnen Sie dort noch einmal."
    )


def begin(request: AuthorizeRequest, *, session_id: uuid.UUID | None) -> str:
    """Keep the request while a person decides; return the random id for the address of its pages."""
    name, moment = secrets.token_urlsafe(ID_BYTES), now()
    db.session.add(
        Interaction(
            id_hash=digest(name),
            service=request.client.client_id,
            parameters=dict(request.parameters),
            session_id=session_id,
            created_at=moment,
            expires_at=moment + INTERACTION_LIFETIME,
        )
    )
    return name


def find(name: str) -> Interaction:
    """Return the waiting request; raises InteractionOver."""
    found = db.session.get(Interaction, digest(name)) if len(name) <= MAXIMUM_ID_CHARACTERS else None
    if found is None or found.expires_at <= now():
        raise InteractionOver
    return found


def end(interaction: Interaction) -> None:
    """Use the waiting request up; raises InteractionOver if another click was faster."""
    gone = delete(Interaction).where(Interaction.id_hash == interaction.id_hash).returning(Interaction.service)
    if db.session.execute(gone.execution_options(synchronize_session=False)).first() is None:
        raise InteractionOver
    db.session.expunge(interaction)
