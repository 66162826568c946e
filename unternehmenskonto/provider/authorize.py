"""What an authorization request must look like: an ordered list of checks, one clause each.

Client and redirect URI come first. Until both are proven the person sees a page of ours and nothing
is sent anywhere; behind that point every refusal goes to the client (RFC 6749 4.1.2.1).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l

from unternehmenskonto.companies import assurance
from unternehmenskonto.errors import InvalidInput
from unternehmenskonto.provider import hints
from unternehmenskonto.provider.clients import OPENID_SCOPE, Client, find_client
from unternehmenskonto.provider.limits import MAXIMUM_NONCE_CHARACTERS
from unternehmenskonto.provider.parameters import Parameters
from unternehmenskonto.provider.responses import AuthorizeError

PROMPTS = ("none", "login", "consent", "select_account")
#: What this module reads; nothing else of a request is kept.
READ = (
    *("client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge"),
    *("code_challenge_method", "prompt", "max_age", "acr_values", "id_token_hint", "claims", "request"),
    *("request_uri", "registration"),
)
MAXIMUM_AGE_DIGITS = 9

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, kw_only=True)
class AuthorizeRequest:
    """A request that passed every check."""

    client: Client
    redirect_uri: str
    scope: str
    state: str | None
    nonce: str | None
    code_challenge: str
    prompts: frozenset[str]
    max_age: int | None
    #: Our word for the lowest trust level that client or registration ask for.
    minimum_assurance: str
    #: The subject of the id_token_hint; None without a hint.
    hinted_sub: str | None
    #: As they came, to be kept while a person decides.
    parameters: Mapping[str, str]

    @property
    def is_silent(self) -> bool:
        """Tell whether no page may be shown (prompt=none)."""
        return "none" in self.prompts


@dataclass(frozen=True)
class Recipient:
    """Where answers to this request may go: proven before anything else is read."""

    client: Client
    redirect_uri: str
    state: str | None


def recipient(parameters: Parameters) -> Recipient:
    """Return client and redirect URI; raises InvalidInput, shown as a page, if they do not belong together."""
    client = find_client(parameters.get("client_id"))
    if client is None or not client.check_grant_type("authorization_code"):
        raise InvalidInput(
            _l(
                "Der Dienst, von dem Sie kommen, ist hier nicht angemeldet oder abgeschaltet. "
                "Bitte wenden Sie sich an die Behörde, die den Dienst anbietet."
            ),
            code="unknown_client",
        )
    redirect_uri = parameters.get("redirect_uri")
    if redirect_uri is None or not client.check_redirect_uri(redirect_uri):
        raise InvalidInput(
            _l(
                "Der Dienst, von dem Sie kommen, hat eine Rückkehradresse genannt, die nicht hinterlegt ist. "
                "Zu Ihrer Sicherheit geht es hier nicht weiter. Bitte melden Sie das der Behörde, die den Dienst "
                "anbietet."
            ),
            code="unknown_redirect_uri",
        )
    return Recipient(client, redirect_uri, parameters.get("state"))


def check(parameters: Parameters, to: Recipient) -> AuthorizeRequest:
    """Return the checked request; raises AuthorizeError with the first thing that is wrong."""
    if parameters.problem:
        raise AuthorizeError("invalid_request", parameters.problem)
    for error, description, is_wrong in CHECKS:
        if is_wrong(parameters):
            raise AuthorizeError(error, description)
    hint = parameters.get("id_token_hint")
    return AuthorizeRequest(
        client=to.client,
        redirect_uri=to.redirect_uri,
        state=to.state,
        scope=to.client.login_scope(parameters.get("scope")),
        nonce=parameters.get("nonce"),
        code_challenge=parameters.get("code_challenge") or "",
        prompts=frozenset((parameters.get("prompt") or "").split()),
        max_age=_max_age(parameters),
        minimum_assurance=_minimum_assurance(to.client, parameters.get("acr_values")),
        hinted_sub=_hinted_sub(hint, to.client) if hint else None,
        parameters={name: value for name in READ if (value := parameters.get(name))},
    )


def _has_other_scope(p: Parameters) -> bool:
    return OPENID_SCOPE not in (p.get("scope") or "").split()


def _has_bad_challenge(p: Parameters) -> bool:
    return _CHALLENGE.fullmatch(p.get("code_challenge") or "") is None


def _has_bad_prompt(p: Parameters) -> bool:
    prompts = (p.get("prompt") or "").split()
    return not set(prompts) <= set(PROMPTS) or ("none" in prompts and len(prompts) > 1)


def _has_bad_max_age(p: Parameters) -> bool:
    value = p.get("max_age")
    return value is not None and not (value.isascii() and value.isdigit() and len(value) <= MAXIMUM_AGE_DIGITS)


def _has_bad_claims(p: Parameters) -> bool:
    value = p.get("claims")
    if value is None:
        return False
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return True
    return not isinstance(found, dict) or not all(isinstance(found.get(k, {}), dict) for k in ("userinfo", "id_token"))


#: error, description (plain ASCII), and what makes the request wrong; in the order of answering.
CHECKS: tuple[tuple[str, str, Callable[[Parameters], bool]], ...] = (
    # OpenID Connect Core 6.1, 6.2, 3.1.2.6
    ("request_not_supported", "request objects are not supported", lambda p: bool(p.get("request"))),
    ("request_uri_not_supported", "request_uri is not supported", lambda p: bool(p.get("request_uri"))),
    ("registration_not_supported", "registration is not supported", lambda p: bool(p.get("registration"))),
    # RFC 6749 3.1.1; RFC 9700 2.1.2: no implicit grant
    ("invalid_request", "response_type is missing", lambda p: p.get("response_type") is None),
    ("unsupported_response_type", "response_type must be code", lambda p: p.get("response_type") != "code"),
    # OAuth 2.0 Multiple Response Types 2.1
    ("invalid_request", "response_mode must be query", lambda p: p.get("response_mode") not in (None, "query")),
    # OpenID Connect Core 3.1.2.1
    ("invalid_scope", "scope must contain openid", _has_other_scope),
    # RFC 7636 4.4.1; RFC 9700 2.1.1: PKCE with S256 for every client
    ("invalid_request", "code_challenge is missing", lambda p: p.get("code_challenge") is None),
    ("invalid_request", "code_challenge_method must be S256", lambda p: p.get("code_challenge_method") != "S256"),
    ("invalid_request", "code_challenge must be 43 characters of base64url", _has_bad_challenge),
    # OpenID Connect Core 3.1.2.1
    ("invalid_request", "nonce is too long", lambda p: len(p.get("nonce") or "") > MAXIMUM_NONCE_CHARACTERS),
    ("invalid_request", "prompt has an unknown value, or none beside others", _has_bad_prompt),
    ("invalid_request", "max_age must be a number of seconds", _has_bad_max_age),
    # OpenID Connect Core 5.5
    ("invalid_request", "claims must be a JSON object", _has_bad_claims),
)


def _max_age(parameters: Parameters) -> int | None:
    value = parameters.get("max_age")
    return None if value is None else int(value)


def _minimum_assurance(client: Client, acr_values: str | None) -> str:
    """Return the higher of what registration and request ask for; of several acr_values the lowest suffices."""
    asked = [assurance.level_of(value) for value in (acr_values or "").split() if assurance.is_known(value)]
    wanted = assurance.lowest(*asked) if asked else "low"
    return client.minimum_assurance if assurance.reaches(client.minimum_assurance, wanted) else wanted


def _hinted_sub(hint: str, client: Client) -> str:
    try:
        claims: dict[str, Any] = hints.verify(hint, client_id=client.client_id)
    except hints.InvalidHint:
        raise AuthorizeError("invalid_request", "id_token_hint is not an ID token issued to this client") from None
    return str(claims["sub"])
