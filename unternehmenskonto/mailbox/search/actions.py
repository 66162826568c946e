"""Keep searches under a name, rename and delete them; each person has their own."""

import uuid
from collections.abc import Sequence

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, delete, func, select

from unternehmenskonto.db import db, now
from unternehmenskonto.errors import Conflict, NotFound
from unternehmenskonto.mailbox.search.models import SavedSearch
from unternehmenskonto.permissions import Actor

MAXIMUM_SAVED = 30


class TooManySaved(Conflict):
    """There is no room for another search."""

    code = "too_many_saved_searches"
    sentence = _l("Sie haben schon 30 Suchen gemerkt. Löschen Sie zuerst eine, die Sie nicht mehr brauchen.")


class NameTaken(Conflict):
    """Another search of this person has the name."""

    code = "search_name_taken"
    sentence = _l("Eine Ihrer Suchen heißt schon so. Bitte wählen Sie einen anderen Namen.")


def saved(actor: Actor) -> Sequence[SavedSearch]:
    """Return the searches this person keeps, by name."""
    return db.session.scalars(_own(actor).order_by(func.lower(SavedSearch.name), SavedSearch.id)).all()


def get(*, actor: Actor, search_id: uuid.UUID) -> SavedSearch:
    """Return one of the person's own searches; raise NotFound for any other."""
    found = db.session.scalar(_own(actor).where(SavedSearch.id == search_id))
    if found is None:
        raise NotFound
    return found


def save(*, actor: Actor, name: str, fields: dict[str, str]) -> SavedSearch:
    """Keep a search; raises NameTaken or TooManySaved."""
    _lock(actor)
    mine = saved(actor)
    if len(mine) >= MAXIMUM_SAVED:
        raise TooManySaved
    _require_free(mine, name)
    search = SavedSearch(company_id=actor.company_id, membership_id=actor.membership_id, name=name, fields=fields)
    db.session.add(search)
    db.session.flush()
    return search


def rename(*, actor: Actor, search_id: uuid.UUID, name: str) -> SavedSearch:
    """Give a search another name; raises NotFound or NameTaken."""
    _lock(actor)
    search = get(actor=actor, search_id=search_id)
    _require_free([one for one in saved(actor) if one.id != search_id], name)
    search.name = name
    db.session.flush()
    return search


def remove(*, actor: Actor, search_id: uuid.UUID) -> None:
    """Delete a search; it can be taken back until the next one is deleted."""
    _lock(actor)
    search = get(actor=actor, search_id=search_id)
    db.session.execute(
        delete(SavedSearch).where(SavedSearch.membership_id == actor.membership_id, SavedSearch.deleted_at.is_not(None))
    )
    search.deleted_at = now()
    db.session.flush()


def take_back(*, actor: Actor, search_id: uuid.UUID) -> SavedSearch:
    """Bring a deleted search back; raises NotFound, NameTaken or TooManySaved."""
    _lock(actor)
    search = removed(actor=actor, search_id=search_id)
    if search is None:
        raise NotFound
    mine = saved(actor)
    if len(mine) >= MAXIMUM_SAVED:
        raise TooManySaved
    _require_free(mine, search.name)
    search.deleted_at = None
    db.session.flush()
    return search


def removed(*, actor: Actor, search_id: uuid.UUID) -> SavedSearch | None:
    """Return a deleted search of the person that can still be taken back."""
    return db.session.scalar(
        select(SavedSearch).where(
            SavedSearch.membership_id == actor.membership_id,
            SavedSearch.company_id == actor.company_id,
            SavedSearch.id == search_id,
            SavedSearch.deleted_at.is_not(None),
        )
    )


def _own(actor: Actor) -> Select[SavedSearch]:
    return select(SavedSearch).where(
        SavedSearch.membership_id == actor.membership_id,
        SavedSearch.company_id == actor.company_id,
        SavedSearch.deleted_at.is_(None),
    )


def _require_free(searches: Sequence[SavedSearch], name: str) -> None:
    if any(one.name.casefold() == name.casefold() for one in searches):
        raise NameTaken


def _lock(actor: Actor) -> None:
    """Let two requests of one person come one after the other, so that neither limit nor name is passed."""
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(actor.membership_id), 13))))
