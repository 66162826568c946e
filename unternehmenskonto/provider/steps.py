"""What stands between a checked request and its code: login, company, right, agreement - in this order."""

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from unternehmenskonto.companies import assurance
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.permissions import ROLES, Actor
from unternehmenskonto.provider import claims, consents
from unternehmenskonto.provider.authorize import AuthorizeRequest
from unternehmenskonto.provider.limits import CLOCK_TOLERANCE_SECONDS
from unternehmenskonto.provider.models import Grant, Interaction
from unternehmenskonto.provider.responses import AuthorizeError

PERMISSION = "services.use"
RIGHTFUL_ROLES = {role for role, permissions in ROLES.items() if PERMISSION in permissions}


class Step(enum.Enum):
    """What has to happen next."""

    LOGIN = "login"
    COMPANY = "company"
    NO_RIGHT = "no_right"
    CONSENT = "consent"
    CODE = "code"


@dataclass(frozen=True)
class Choice:
    """One membership for which the person may use services."""

    membership_id: uuid.UUID
    company_id: uuid.UUID
    company_name: str


@dataclass(frozen=True)
class Decision:
    """The next step, for whom, and between which companies there is a choice."""

    step: Step
    choice: Choice | None = None
    choices: tuple[Choice, ...] = ()


#: prompt=none: the error in place of the page (OpenID Connect Core 3.1.2.6).
_SILENT_ERRORS = {
    Step.LOGIN: ("login_required", "the person has to log in"),
    Step.COMPANY: ("account_selection_required", "the person has to choose a company"),
    Step.NO_RIGHT: ("access_denied", "the person may not use online services for the company"),
    Step.CONSENT: ("consent_required", "the person has to agree"),
}


def decide(request: AuthorizeRequest, actor: Actor | None, interaction: Interaction | None = None) -> Decision:
    """Return the next step; raises AuthorizeError where a step is needed but may not or cannot be taken."""
    decision = _decide(request, actor, interaction)
    if request.is_silent and decision.step in _SILENT_ERRORS:
        raise AuthorizeError(*_SILENT_ERRORS[decision.step])
    return decision


def _decide(request: AuthorizeRequest, actor: Actor | None, interaction: Interaction | None) -> Decision:
    if actor is None or _needs_login(request, actor, interaction):
        return Decision(Step.LOGIN)
    choices = usable_memberships(actor)
    hinted = _hinted(request, choices)
    if request.hinted_sub is not None and hinted is None:
        _stop_if_logged_in_anew(actor, interaction, "login_required", "the person of the id_token_hint is not here")
        return Decision(Step.LOGIN)
    if not choices:
        return Decision(Step.NO_RIGHT)
    chosen = hinted or _choose(request, actor, interaction, choices)
    if chosen is None:
        return Decision(Step.COMPANY, choices=choices)
    if "consent" in request.prompts or not consents.covers(
        membership_id=chosen.membership_id,
        service=request.client.client_id,
        claims=claims.to_agree(request.claims, request.scope),
    ):
        return Decision(Step.CONSENT, chosen, choices)
    return Decision(Step.CODE, chosen, choices)


def _needs_login(request: AuthorizeRequest, actor: Actor, interaction: Interaction | None) -> bool:
    """Tell whether the session there is too old or too weak; raises where a new login has not helped."""
    if not assurance.reaches(actor.assurance_level, request.minimum_assurance):
        _stop_if_logged_in_anew(
            actor, interaction, "unmet_authentication_requirements", "the login has a lower trust level than needed"
        )
        return True
    is_old = request.max_age is not None and now() - actor.auth_time > timedelta(seconds=request.max_age)
    if ("login" in request.prompts or is_old) and not _is_since(actor, interaction):
        _stop_if_logged_in_anew(actor, interaction, "login_required", "the identity provider did not ask again")
        return True
    return False


def _is_since(actor: Actor, interaction: Interaction | None) -> bool:
    """Tell whether the person proved themselves after the request came, in another session than then."""
    if interaction is None or actor.session_id == interaction.session_id:
        return False
    return actor.auth_time >= _earliest(interaction.created_at)


def _earliest(moment: datetime) -> datetime:
    """Return the earliest auth_time that counts as later: it comes in full seconds, from another clock."""
    return moment.replace(microsecond=0) - timedelta(seconds=CLOCK_TOLERANCE_SECONDS)


def _stop_if_logged_in_anew(actor: Actor, interaction: Interaction | None, error: str, description: str) -> None:
    """Refuse for good instead of sending somebody round in circles."""
    if interaction is not None and actor.session_id != interaction.session_id:
        raise AuthorizeError(error, description)


def usable_memberships(actor: Actor) -> tuple[Choice, ...]:
    """Return the memberships of the person that may use services; no query if there is only one company."""
    if not actor.has_other_companies:
        own = Choice(actor.membership_id, actor.company_id, actor.company_name)
        return (own,) if actor.may(PERMISSION) else ()
    memberships = db.session.scalars(
        select(Membership).where(Membership.person_id == actor.person_id, Membership.ended_at.is_(None))
    )
    found = [Choice(m.id, m.company_id, m.company.name) for m in memberships if RIGHTFUL_ROLES & set(m.roles)]
    return tuple(sorted(found, key=lambda choice: (choice.company_name.casefold(), choice.membership_id)))


def _hinted(request: AuthorizeRequest, choices: tuple[Choice, ...]) -> Choice | None:
    if request.hinted_sub is None:
        return None
    membership_id = claims.membership_of_subject(request.client, request.hinted_sub)
    return next((choice for choice in choices if choice.membership_id == membership_id), None)


def _choose(
    request: AuthorizeRequest, actor: Actor, interaction: Interaction | None, choices: tuple[Choice, ...]
) -> Choice | None:
    """Return the company chosen here, else the only one, else the one this service got in this session."""
    chosen = interaction.membership_id if interaction else None
    if chosen is None and "select_account" not in request.prompts:
        hinted = _company_of_hint(request, choices)
        if hinted is not None or len(choices) == 1:
            return hinted or choices[0]
        chosen = db.session.scalar(
            select(Grant.membership_id)
            .where(Grant.session_id == actor.session_id, Grant.service == request.client.client_id)
            .order_by(Grant.created_at.desc())
            .limit(1)
        )
    return next((choice for choice in choices if choice.membership_id == chosen), None)


def _company_of_hint(request: AuthorizeRequest, choices: tuple[Choice, ...]) -> Choice | None:
    """Return the company whose org_sub the client gave as login_hint (Core 3.1.2.1): it need not be asked for."""
    if request.login_hint is None or len(choices) == 1:
        return None
    company_id = claims.company_of_subject(request.client, request.login_hint)
    return next((choice for choice in choices if choice.company_id == company_id), None)
