"""What an authorization request must look like: an ordered list of checks, one clause each.

Client and redirect URI come first. Until both are proven the person sees a page of ours and nothing
is sent anywhere; behind that point every refusal goes to the client (RFC 6749 4.1.2.1).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from flask_babel import lazy_gettext as _l

from unternehmenskonto.companies import assurance
from unternehmenskonto.errors import InvalidInput
from unternehmenskonto.provider import claims, claims_parameter, hints, request_objects, tokens
from unternehmenskonto.provider.claims_parameter import ClaimsRequest
from unternehmenskonto.provider.clients import OPENID_SCOPE, Client, find_client
from unternehmenskonto.provider.limits import MAXIMUM_NONCE_CHARACTERS
from unternehmenskonto.provider.parameters import Parameters
from unternehmenskonto.provider.responses import QUERY, RESPONSE_MODES, AuthorizeError
from unternehmenskonto.web import LANGUAGES

log = structlog.get_logger()

PROMPTS = ("none", "login", "consent", "select_account")
#: What this module reads, request objects opened; nothing else of a request is kept.
READ = (
    *("client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge"),
    *("code_challenge_method", "prompt", "max_age", "acr_values", "id_token_hint", "claims", "login_hint"),
    *("ui_locales", "registration", "resource"),
)
#: What a form takes along to the address that follows it: the request object as it was signed.
CARRIED = (*READ, *request_objects.REFERENCES)
MAXIMUM_AGE_DIGITS = 9

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Recipient:
    """Where answers to this request may go: proven before anything else is read."""

    client: Client
    redirect_uri: str
    state: str | None
    response_mode: str
    #: The request, opened if it was signed.
    parameters: Parameters


@dataclass(frozen=True, kw_only=True)
class AuthorizeRequest:
    """A request that passed every check."""

    recipient: Recipient
    scope: str
    nonce: str | None
    code_challenge: str
    prompts: frozenset[str]
    max_age: int | None
    #: Our word for the lowest trust level that client or registration ask for.
    minimum_assurance: str
    #: Trust levels of which one must be told (essential acr, Core 5.5.1.1); empty: the one that was reached.
    reported_levels: tuple[str, ...]
    #: The claims that will be granted, in the order shown.
    claims: tuple[str, ...]
    #: The subject of the id_token_hint; None without a hint.
    hinted_sub: str | None
    #: Whom the client expects: the org_sub of a company of this person is understood.
    login_hint: str | None
    #: The first language of ui_locales that our pages have.
    language: str | None
    #: As they came, to be kept while a person decides.
    parameters: Mapping[str, str]

    @property
    def client(self) -> Client:
        """Return who asks."""
        return self.recipient.client

    @property
    def redirect_uri(self) -> str:
        """Return where the answer goes."""
        return self.recipient.redirect_uri

    @property
    def response_mode(self) -> str:
        """Return how the answer goes there: query or form_post."""
        return self.recipient.response_mode

    @property
    def state(self) -> str | None:
        """Return what comes back to the client unchanged."""
        return self.recipient.state

    def reported_level(self, level: str) -> str:
        """Return the level to tell for a login of this level: the highest that was asked for and is reached."""
        reached = [wanted for wanted in self.reported_levels if assurance.reaches(level, wanted)]
        return max(reached, key=assurance.LEVELS.index, default=level)

    @property
    def is_silent(self) -> bool:
        """Tell whether no page may be shown (prompt=none)."""
        return "none" in self.prompts


def recipient(found: Parameters, *, is_stored: bool = False) -> Recipient:
    """Return client and redirect URI; raises InvalidInput, shown as a page, if they do not belong together.

    A request object is opened here, because the address may stand in it; a stored request was opened before.
    """
    client = find_client(found.get("client_id"))
    if client is None or not client.check_grant_type("authorization_code"):
        raise InvalidInput(
            _l(
                "Der Dienst, von dem Sie kommen, ist hier nicht angemeldet oder abgeschaltet. "
                "Bitte wenden Sie sich an die Behörde, die den Dienst anbietet."
            ),
            code="unknown_client",
        )
    parameters = found if is_stored else request_objects.opened(found, client)
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
    mode = parameters.get("response_mode")
    return Recipient(
        client, redirect_uri, parameters.get("state"), mode if mode in RESPONSE_MODES else QUERY, parameters
    )


def check(to: Recipient) -> AuthorizeRequest:
    """Return the checked request; raises AuthorizeError with the first thing that is wrong."""
    parameters, client = to.parameters, to.client
    if parameters.problem:
        raise AuthorizeError(parameters.error, parameters.problem)
    is_without_pkce = client.is_pkce_exempt and not (
        parameters.get("code_challenge") or parameters.get("code_challenge_method")
    )
    if is_without_pkce:
        log.warning("login without PKCE", service=client.client_id, reason=client.registration["pkce_exempt_reason"])
    for error, description, is_wrong in CHECKS if is_without_pkce else (*CHECKS, *PKCE_CHECKS):
        if is_wrong(parameters):
            raise AuthorizeError(error, description)
    wish = _claims_wish(parameters)
    scope = client.login_scope(parameters.get("scope"))
    return AuthorizeRequest(
        recipient=to,
        scope=scope,
        nonce=parameters.get("nonce"),
        code_challenge=parameters.get("code_challenge") or "",
        prompts=frozenset((parameters.get("prompt") or "").split()),
        max_age=_max_age(parameters, client),
        minimum_assurance=_minimum_assurance(client, parameters.get("acr_values"), wish),
        reported_levels=wish.levels if wish.is_acr_essential else (),
        claims=tuple(claims.granted(client, wish.names, scope)),
        hinted_sub=_hinted_sub(parameters.get("id_token_hint"), wish.sub, client),
        login_hint=parameters.get("login_hint"),
        language=_language(parameters.get("ui_locales")),
        parameters={name: value for name in READ if (value := parameters.get(name))},
    )


def _has_other_scope(p: Parameters) -> bool:
    return OPENID_SCOPE not in (p.get("scope") or "").split()


def _has_other_resource(p: Parameters) -> bool:
    return p.get("resource") not in (None, tokens.userinfo_audience())


def _has_bad_challenge(p: Parameters) -> bool:
    return _CHALLENGE.fullmatch(p.get("code_challenge") or "") is None


def _has_bad_prompt(p: Parameters) -> bool:
    prompts = (p.get("prompt") or "").split()
    return not set(prompts) <= set(PROMPTS) or ("none" in prompts and len(prompts) > 1)


def _has_bad_max_age(p: Parameters) -> bool:
    value = p.get("max_age")
    return value is not None and not (value.isascii() and value.isdigit() and len(value) <= MAXIMUM_AGE_DIGITS)


#: error, description (plain ASCII), and what makes the request wrong; in the order of answering.
Check = tuple[str, str, Callable[[Parameters], bool]]
CHECKS: tuple[Check, ...] = (
    # OpenID Connect Core 3.1.2.6
    ("registration_not_supported", "registration is not supported", lambda p: bool(p.get("registration"))),
    # RFC 8707 2.1
    ("invalid_target", "resource must be the address of the userinfo endpoint", _has_other_resource),
    # RFC 6749 3.1.1; RFC 9700 2.1.2: no implicit grant
    ("invalid_request", "response_type is missing", lambda p: p.get("response_type") is None),
    ("unsupported_response_type", "response_type must be code", lambda p: p.get("response_type") != "code"),
    # OAuth 2.0 Multiple Response Types 2.1, Form Post Response Mode 2
    (
        "invalid_request",
        "response_mode must be query or form_post",
        lambda p: p.get("response_mode") not in (None, *RESPONSE_MODES),
    ),
    # OpenID Connect Core 3.1.2.1
    ("invalid_scope", "scope must contain openid", _has_other_scope),
    ("invalid_request", "nonce is too long", lambda p: len(p.get("nonce") or "") > MAXIMUM_NONCE_CHARACTERS),
    ("invalid_request", "prompt has an unknown value, or none beside others", _has_bad_prompt),
    ("invalid_request", "max_age must be a number of seconds", _has_bad_max_age),
)
#: RFC 7636 4.4.1; RFC 9700 2.1.1: PKCE with S256 for every client that the operator has not exempted.
PKCE_CHECKS: tuple[Check, ...] = (
    ("invalid_request", "code_challenge is missing", lambda p: p.get("code_challenge") is None),
    ("invalid_request", "code_challenge_method must be S256", lambda p: p.get("code_challenge_method") != "S256"),
    ("invalid_request", "code_challenge must be 43 characters of base64url", _has_bad_challenge),
)


def _claims_wish(parameters: Parameters) -> ClaimsRequest:
    try:
        wish = claims_parameter.parse(parameters.get("claims"))
    except claims_parameter.InvalidClaims as error:
        raise AuthorizeError("invalid_request", str(error)) from None
    if wish.is_impossible:
        raise AuthorizeError("unmet_authentication_requirements", "none of the essential acr values is known here")
    return wish


def _max_age(parameters: Parameters, client: Client) -> int | None:
    """Return the seconds that the request names, else the registration (default_max_age)."""
    value = parameters.get("max_age")
    return client.registration.get("default_max_age") if value is None else int(value)


def _minimum_assurance(client: Client, acr_values: str | None, wish: ClaimsRequest) -> str:
    """Return the highest of what registration and request ask for; of several values in one place the lowest does."""
    asked = [assurance.level_of(value) for value in (acr_values or "").split() if assurance.is_known(value)]
    wanted = [assurance.lowest(*levels) for levels in (asked, wish.levels) if levels]
    return max((client.minimum_assurance, *wanted), key=assurance.LEVELS.index)


def _language(ui_locales: str | None) -> str | None:
    """Return the first wish that can be met; de-AT is German too."""
    wanted = (tag.partition("-")[0].lower() for tag in (ui_locales or "").split())
    return next((language for language in wanted if language in LANGUAGES), None)


def _hinted_sub(hint: str | None, sub: str | None, client: Client) -> str | None:
    """Return whom the client expects, by an ID token of ours or by the claims parameter (Core 3.1.2.1, 5.5.1)."""
    if hint is None:
        return sub
    try:
        found: dict[str, Any] = hints.verify(hint, client_id=client.client_id)
    except hints.InvalidHint:
        raise AuthorizeError("invalid_request", "id_token_hint is not an ID token issued to this client") from None
    if sub not in (None, found["sub"]):
        raise AuthorizeError("invalid_request", "id_token_hint and claims name different people")
    return str(found["sub"])
