"""Checks of an authorization request, in the order in which they are made."""

import re
from collections.abc import Callable

from werkzeug.datastructures import MultiDict

from .certificates import LEVELS
from .clients import Client
from .memory import AuthorizationRequest, Session

PROMPTS = frozenset({"none", "login", "consent", "select_account"})
ASKING_PROMPTS = PROMPTS - {"none"}

Parameters = MultiDict[str, str]


class UnsafeRequestError(Exception):
    """Client or redirect URI are not to be trusted: show a page, never redirect (RFC 6749, 4.1.2.1)."""


class AuthorizationError(Exception):
    """An error that is told to the client by redirect."""

    def __init__(self, error: str, description: str, redirect_uri: str, state: str | None) -> None:
        super().__init__(description)
        self.error, self.redirect_uri, self.state = error, redirect_uri, state


def _prompt(parameters: Parameters) -> frozenset[str]:
    return frozenset(parameters.get("prompt", "").split())


def _has_challenge(parameters: Parameters) -> bool:
    method, challenge = parameters.get("code_challenge_method"), parameters.get("code_challenge", "")
    return method == "S256" and re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge) is not None


#: (what must hold, error, description), RFC 6749 4.1.1 and OpenID Connect Core 3.1.2.1
CHECKS: list[tuple[Callable[[Parameters], bool], str, str]] = [
    (lambda p: all(len(p.getlist(n)) == 1 for n in p), "invalid_request", "a parameter is given twice"),
    (lambda p: "request" not in p, "request_not_supported", "request objects are not supported"),
    (lambda p: "request_uri" not in p, "request_uri_not_supported", "request_uri is not supported"),
    (lambda p: "registration" not in p, "registration_not_supported", "registration is not supported"),
    (lambda p: p.get("response_type") == "code", "unsupported_response_type", "response_type must be code"),
    (lambda p: p.get("response_mode", "query") == "query", "invalid_request", "response_mode must be query"),
    (lambda p: "openid" in p.get("scope", "").split(), "invalid_scope", "scope must contain openid"),
    # RFC 7636 4.3 and RFC 9700 2.1.1: no request without a challenge, and never the method `plain`.
    (_has_challenge, "invalid_request", "PKCE with code_challenge_method=S256 is required"),
    (lambda p: _prompt(p) <= PROMPTS, "invalid_request", "prompt has an unknown value"),
    (lambda p: "none" not in _prompt(p) or len(_prompt(p)) == 1, "invalid_request", "none must stand alone"),
    (
        lambda p: re.fullmatch(r"[0-9]{1,9}", p.get("max_age", "0")) is not None,
        "invalid_request",
        "max_age must be a number of seconds",
    ),
]


def check(parameters: Parameters, clients: dict[str, Client]) -> AuthorizationRequest:
    """Return the checked request.

    Raises UnsafeRequestError before the redirect URI is proven, AuthorizationError after.
    """
    client = clients.get(parameters.get("client_id", ""))
    if client is None or len(parameters.getlist("client_id")) != 1:
        raise UnsafeRequestError("Der Dienst, der Sie hierher geschickt hat, ist hier nicht angemeldet.")
    redirect_uri = parameters.get("redirect_uri", "")
    if redirect_uri not in client.redirect_uris or len(parameters.getlist("redirect_uri")) != 1:
        raise UnsafeRequestError("Die Rückkehradresse gehört nicht zu diesem Dienst.")
    for holds, error, description in CHECKS:
        if not holds(parameters):
            raise AuthorizationError(error, description, redirect_uri, parameters.get("state"))
    max_age = parameters.get("max_age")
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        scope=parameters["scope"],
        code_challenge=parameters["code_challenge"],
        state=parameters.get("state"),
        nonce=parameters.get("nonce"),
        prompt=_prompt(parameters),
        max_age=int(max_age) if max_age is not None else None,
        acr_values=tuple(parameters.get("acr_values", "").split()),
    )


def needs_person(request: AuthorizationRequest, session: Session | None, now: float) -> bool:
    """Return whether somebody has to choose a certificate before the request can be answered."""
    if session is None or request.prompt & ASKING_PROMPTS:
        return True
    if request.max_age is not None and now - session.auth_time >= request.max_age:
        return True
    return not _reaches(session.certificate.acr, request.acr_values)


def _reaches(acr: str, wanted: tuple[str, ...]) -> bool:
    """Return whether an acr is at least one of the wanted ones. A wish that cannot be met is no error."""
    known = [LEVELS.index(value) for value in wanted if value in LEVELS]
    return not known or LEVELS.index(acr) >= min(known)
