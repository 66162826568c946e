"""Several logins of one person: added by proving the new one while signed in, and only after a plain yes.

Names and e-mail addresses link nothing: whoever controls one at some identity provider would be everybody of that
name. One login, (issuer, sub), belongs to one person.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, text

from unternehmenskonto import audit
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import NotFound
from unternehmenskonto.login import relying_party, sessions
from unternehmenskonto.login.claims import Told
from unternehmenskonto.login.config import IdentityProvider, providers
from unternehmenskonto.login.errors import BelongsToAnother, BelongsToYou, LastLogin
from unternehmenskonto.login.models import Identity, LinkOffer, LoginSession
from unternehmenskonto.permissions import Actor

OFFER_LIFETIME = timedelta(minutes=10)
#: Who leaves a screen unlocked must not find a stranger's login added to their own (ASVS 5.0 7.5.1).
PROOF_SECONDS = 15 * 60
REASON = "login_removed"


@dataclass(frozen=True, kw_only=True)
class OwnLogin:
    """One login of a person; slug is None where the provider is no longer in the configuration."""

    id: uuid.UUID
    slug: str | None
    provider_name: str
    since: datetime


def is_proved(actor: Actor) -> bool:
    """Tell whether the person proved who they are so recently that they may change their logins."""
    return actor.auth_time > now() - timedelta(seconds=PROOF_SECONDS)


def list_own(actor: Actor) -> list[OwnLogin]:
    """Return the logins of this person, the oldest first."""
    by_issuer = {one.issuer: one for one in providers().values()}
    found = db.session.scalars(
        select(Identity).filter_by(person_id=actor.person_id).order_by(Identity.created_at, Identity.id)
    )
    return [
        OwnLogin(
            id=one.id,
            slug=by_issuer[one.issuer].slug if one.issuer in by_issuer else None,
            provider_name=by_issuer[one.issuer].name if one.issuer in by_issuer else one.issuer,
            since=one.created_at,
        )
        for one in found
    ]


def make_offer(actor: Actor, provider: IdentityProvider, login: relying_party.Login, told: Told) -> LinkOffer:
    """Keep a login that was just proved until the person says yes; raise BelongsToYou or BelongsToAnother."""
    subject = str(login.claims["sub"])
    _check_free(actor, provider.issuer, subject)
    offer = LinkOffer(
        session_id=actor.session_id,
        identity_provider=provider.slug,
        issuer=provider.issuer,
        subject=subject,
        person_name=" ".join(p for p in (told.person.title, told.person.given_name, told.person.family_name) if p),
        company_name=told.company.name,
    )
    db.session.add(offer)
    db.session.flush()
    return offer


def find_offer(actor: Actor, offer_id: uuid.UUID) -> LinkOffer:
    """Return the offer; raise NotFound if it is another session's, answered, or too old."""
    offer = db.session.scalar(
        select(LinkOffer)
        .where(
            LinkOffer.id == offer_id,
            LinkOffer.session_id == actor.session_id,
            LinkOffer.created_at > now() - OFFER_LIFETIME,
        )
        .with_for_update()
    )
    if offer is None:
        raise NotFound
    return offer


def confirm(actor: Actor, offer_id: uuid.UUID) -> None:
    """Add the offered login to the person; raise NotFound, BelongsToYou or BelongsToAnother."""
    offer = find_offer(actor, offer_id)
    lock_identity(offer.issuer, offer.subject)
    _check_free(actor, offer.issuer, offer.subject)
    db.session.add(Identity(issuer=offer.issuer, subject=offer.subject, person_id=actor.person_id))
    audit.record(
        "identity.linked",
        by=f"person:{actor.person_id}",
        company_id=actor.company_id,
        identity_provider=offer.identity_provider,
    )
    db.session.delete(offer)
    db.session.flush()


def refuse(actor: Actor, offer_id: uuid.UUID) -> None:
    """Forget the offer; raise NotFound if there is none."""
    db.session.delete(find_offer(actor, offer_id))
    db.session.flush()


def unlink(actor: Actor, identity_id: uuid.UUID) -> None:
    """Take a login from the person and end the sessions begun with it; raise NotFound or LastLogin."""
    # In one order, so that two at the same moment wait for each other and do not remove both.
    mine = db.session.scalars(
        select(Identity).filter_by(person_id=actor.person_id).order_by(Identity.id).with_for_update(of=Identity)
    ).all()
    found = next((one for one in mine if one.id == identity_id), None)
    if found is None:
        raise NotFound
    if len(mine) == 1:
        raise LastLogin
    slug = next((one.slug for one in providers().values() if one.issuer == found.issuer), found.issuer)
    db.session.delete(found)
    audit.record(
        "identity.unlinked", by=f"person:{actor.person_id}", company_id=actor.company_id, identity_provider=slug
    )
    own = select(Membership.id).where(Membership.person_id == actor.person_id)
    sessions.end_sessions(
        LoginSession.membership_id.in_(own),
        LoginSession.identity_provider == slug,
        LoginSession.upstream_subject == found.subject,
        reason=REASON,
    )


def lock_identity(issuer: str, subject: str) -> None:
    """Make others who add or look for the same login wait for our commit."""
    db.session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"identity {issuer} {subject}"}
    )


def forget() -> None:
    """Delete offers nobody has answered."""
    db.session.execute(delete(LinkOffer).where(LinkOffer.created_at < now() - OFFER_LIFETIME))


def _check_free(actor: Actor, issuer: str, subject: str) -> None:
    known = db.session.get(Identity, (issuer, subject))
    if known is not None:
        raise BelongsToYou if known.person_id == actor.person_id else BelongsToAnother
