"""From a checked request to the page it needs or to the code; and what the buttons of those pages do."""

from typing import Any

from flask import Response, g, render_template, request
from flask.typing import ResponseReturnValue

from unternehmenskonto.catalogue.claims import label
from unternehmenskonto.db import db
from unternehmenskonto.errors import AppError
from unternehmenskonto.login import actions as login
from unternehmenskonto.permissions import Actor
from unternehmenskonto.provider import claims, codes, consents, holders, interactions, responses, steps, throttle
from unternehmenskonto.provider.authorize import AuthorizeRequest, Recipient
from unternehmenskonto.provider.clients import OFFLINE_SCOPE
from unternehmenskonto.provider.limits import INTERACTION_LIFETIME, OFFLINE_LIFETIME, WAITING_REQUESTS_LIMIT
from unternehmenskonto.provider.models import Interaction
from unternehmenskonto.provider.responses import AuthorizeError
from unternehmenskonto.provider.steps import Choice, Decision, Step
from unternehmenskonto.settings import get_settings
from unternehmenskonto.web import ASKED_LANGUAGE_COOKIE, allow_form_target

PROCEED_PATH = "/oauth/weiter/"
REFUSED = "the person has refused"


def proceed(
    checked: AuthorizeRequest, name: str | None = None, interaction: Interaction | None = None
) -> ResponseReturnValue:
    """Issue the code if nothing is missing; else show the page, or go to the login."""
    actor: Actor | None = g.get("actor")
    decision = steps.decide(checked, actor, interaction)
    if decision.step is Step.CODE:
        return _send_code(checked, _present(actor), _present(decision.choice), interaction)
    if name is None or interaction is None:
        throttle.count(WAITING_REQUESTS_LIMIT, "waiting", str(request.remote_addr))
        name = interactions.begin(checked, session_id=actor.session_id if actor else None)
        if decision.step is not Step.LOGIN:
            return _in_language(checked, responses.redirect(PROCEED_PATH + name))
    if decision.step is Step.LOGIN:
        return _in_language(checked, responses.redirect(_login_address(checked, actor, PROCEED_PATH + name)))
    return _show(checked, _present(actor), decision)


def _in_language(checked: AuthorizeRequest, response: Response) -> Response:
    """Show the pages of this login in the language that the service asked for."""
    if checked.language is not None:
        response.set_cookie(
            ASKED_LANGUAGE_COOKIE,
            checked.language,
            max_age=int(INTERACTION_LIFETIME.total_seconds()),
            httponly=True,
            samesite="Lax",
            secure=not get_settings().is_local,
        )
    return response


def answer(checked: AuthorizeRequest, name: str, interaction: Interaction) -> ResponseReturnValue:
    """Take the answer to the company page or the consent page; each button is `action` of its form."""
    actor: Actor | None = g.get("actor")
    action = request.form.get("action")
    if action == "refuse":
        return _refused_by_person(checked, actor, interaction)
    if action == "company" and actor is not None:
        wanted = request.form.get("membership_id")
        known = {str(choice.membership_id): choice for choice in steps.usable_memberships(actor)}
        if wanted in known:
            interaction.membership_id = known[wanted].membership_id
            db.session.flush()
    decision = steps.decide(checked, actor, interaction)
    if decision.step is Step.CONSENT and action == "agree" and _agrees(checked, _present(decision.choice)):
        return _agree(checked, _present(actor), _present(decision.choice), interaction)
    if decision.step is Step.CODE:
        return _send_code(checked, _present(actor), _present(decision.choice), interaction)
    # Something has changed since the page was shown: show what is needed now.
    return responses.redirect(PROCEED_PATH + name)


def refuse(to: Recipient, error: AuthorizeError) -> Response:
    """Send the refusal to the client."""
    return responses.to_client(
        to.redirect_uri,
        state=to.state,
        mode=to.response_mode,
        error=error.error,
        error_description=error.description,
    )


def _login_address(checked: AuthorizeRequest, actor: Actor | None, back: str) -> str:
    """Return the login page that asks for what is missing; whoever is here already has to prove it again."""
    return login.start_url(
        back,
        is_fresh=actor is not None or "login" in checked.prompts,
        max_age=checked.max_age,
        level=checked.minimum_assurance if checked.minimum_assurance != "low" else None,
        login_hint=checked.login_hint,
    )


def _show(checked: AuthorizeRequest, actor: Actor, decision: Decision) -> str:
    allow_form_target(checked.redirect_uri)
    client = checked.client
    if decision.step is Step.COMPANY:
        return render_template("provider/company.html", client=client, choices=decision.choices)
    if decision.step is Step.NO_RIGHT:
        return render_template("provider/no_right.html", client=client)
    chosen = _present(decision.choice)
    return render_template(
        "provider/consent.html",
        client=client,
        chosen=chosen,
        several=len(decision.choices) > 1,
        values=_values(checked, actor, chosen),
        names=" ".join(sorted(claims.to_agree(checked.claims, checked.scope))),
        offline_days=OFFLINE_LIFETIME.days if OFFLINE_SCOPE in checked.scope.split() else 0,
    )


def _values(checked: AuthorizeRequest, actor: Actor, chosen: Choice) -> list[dict[str, str]]:
    """Return what would be passed on, in the registration's order: label, value as people read it, purpose."""
    client, proof = checked.client, _login(actor)
    pseudonyms = claims.find_subjects(client, company_id=chosen.company_id, membership_id=chosen.membership_id)
    holder = holders.find(chosen.membership_id)
    found = claims.values(checked.claims, holder=holder, org_sub=pseudonyms.org_sub, login=proof)
    return [
        {"label": label(name), "value": claims.shown(name, value, proof), "purpose": client.purposes[name]}
        for name, value in found.items()
    ]


def _agrees(checked: AuthorizeRequest, chosen: Choice) -> bool:
    """Tell whether the page showed what would be passed on now, for the company it would be passed on of."""
    shown = (request.form.get("membership_id"), request.form.get("claims"))
    return shown == (str(chosen.membership_id), " ".join(sorted(claims.to_agree(checked.claims, checked.scope))))


def _agree(checked: AuthorizeRequest, actor: Actor, chosen: Choice, interaction: Interaction) -> Response:
    consents.give(
        person_id=actor.person_id,
        company_id=chosen.company_id,
        membership_id=chosen.membership_id,
        service=checked.client.client_id,
        claims=claims.to_agree(checked.claims, checked.scope),
    )
    return _send_code(checked, actor, chosen, interaction)


def _refused_by_person(checked: AuthorizeRequest, actor: Actor | None, interaction: Interaction) -> Response:
    interactions.end(interaction)
    if actor is not None:
        consents.refuse(person_id=actor.person_id, company_id=actor.company_id, service=checked.client.client_id)
    return refuse(checked.recipient, AuthorizeError("access_denied", REFUSED))


def _send_code(checked: AuthorizeRequest, actor: Actor, chosen: Choice, interaction: Interaction | None) -> Response:
    if interaction is not None:
        interactions.end(interaction)
    acting = codes.ActingPerson(
        person_id=actor.person_id,
        company_id=chosen.company_id,
        membership_id=chosen.membership_id,
        session_id=actor.session_id,
        login=_login(actor),
    )
    code = codes.issue(checked, acting)
    return responses.to_client(checked.redirect_uri, state=checked.state, mode=checked.response_mode, code=code)


def _login(actor: Actor) -> claims.Login:
    return claims.Login(assurance_level=actor.assurance_level, auth_time=actor.auth_time, amr=actor.amr)


def _present(value: Any) -> Any:
    """Return the value; the steps before have made sure of it."""
    if value is None:
        raise AppError(detail="a step came before its condition")
    return value
