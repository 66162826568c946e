"""Our side of the authorization code flow: RFC 6749, RFC 7636, RFC 7523, RFC 9207, OpenID Connect Core 3.1."""

import base64
import hashlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from unternehmenskonto import http, keys
from unternehmenskonto.companies import assurance
from unternehmenskonto.login import breaker, discovery
from unternehmenskonto.login.config import IdentityProvider
from unternehmenskonto.login.errors import (
    Cancelled,
    LevelTooLow,
    LoginFailed,
    ProviderGarbage,
    ProviderUnreachable,
    TokenInvalid,
)
from unternehmenskonto.login.tokens import Expected, check_id_token
from unternehmenskonto.settings import get_settings

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: RFC 10070: an assertion says by its type what it is, and names the issuer alone as audience.
ASSERTION_TYP = "client-authentication+jwt"
ASSERTION_ALGORITHM = "ES256"
ASSERTION_SECONDS = 60
MAXIMUM_PARAMETER = 4096
#: The provider's own errors (RFC 6749 4.1.2.1, OpenID Connect Core 3.1.2.6); everything else is a bad answer.
ANSWERS: dict[str, type[LoginFailed]] = {
    "access_denied": Cancelled,
    "login_required": Cancelled,
    "interaction_required": Cancelled,
    "unmet_authentication_requirements": LevelTooLow,
    "temporarily_unavailable": ProviderUnreachable,
    "server_error": ProviderUnreachable,
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """The secrets and wishes of one login."""

    state: str
    nonce: str
    verifier: str
    is_fresh: bool = False
    max_age: int | None = None
    wanted_level: str = "low"
    #: Whom a service expects; empty: nobody in particular.
    login_hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Login:
    """What the identity provider has proved: checked claims, the ID token itself, and when it was proved."""

    claims: dict[str, Any]
    id_token: str
    auth_time: int


def redirect_uri(provider: IdentityProvider) -> str:
    """Return where the provider sends people back to; from the settings, never from the request."""
    return f"{get_settings().base_url}/anmelden/{provider.slug}/rueckkehr"


def logout_uri() -> str:
    """Return where the provider sends people after signing out there."""
    return f"{get_settings().base_url}/abgemeldet"


def authorize_url(provider: IdentityProvider, wish: Request, *, language: str) -> str:
    """Return the address that begins a login at the provider; raise LoginFailed if it cannot be reached."""
    # With the endpoints at hand nobody is asked here, but the way back would fail.
    breaker.of(provider).check()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(wish.verifier.encode()).digest()).rstrip(b"=").decode()
    parameters = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri(provider),
        "scope": " ".join(provider.scopes),
        "state": wish.state,
        "nonce": wish.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "ui_locales": language,
    }
    if provider.sends_acr_values:
        good = [level for level in assurance.LEVELS if assurance.reaches(level, wish.wanted_level)]
        parameters["acr_values"] = " ".join(assurance.eidas_uri(level) for level in good)
    if wish.login_hint and provider.passes_login_hint:
        parameters["login_hint"] = wish.login_hint
    if wish.is_fresh:
        # max_age makes auth_time mandatory (OpenID Connect Core 2), so that the wish can be checked.
        parameters |= {"prompt": "login", "max_age": "0"}
    elif wish.max_age is not None:
        parameters["max_age"] = str(wish.max_age)
    return with_parameters(discovery.metadata(provider).authorization_endpoint, parameters)


def check_response(provider: IdentityProvider, parameters: Mapping[str, str]) -> str:
    """Return the code of an answer; raise LoginFailed for an error, or an answer of somebody else (RFC 9207)."""
    issuer = parameters.get("iss")
    if issuer is None and discovery.metadata(provider).names_itself:
        raise TokenInvalid(detail="the answer does not name its issuer")
    if issuer is not None and issuer != provider.issuer:
        raise TokenInvalid(detail="the answer is another issuer's")
    if "error" in parameters:
        error = parameters["error"]
        raise ANSWERS.get(error, ProviderGarbage)(detail=f"error {error if error in ANSWERS else '(other)'}")
    code = parameters.get("code", "")
    if not 0 < len(code) <= MAXIMUM_PARAMETER:
        raise ProviderGarbage(detail="the answer has no code")
    return code


def client_authentication(provider: IdentityProvider) -> dict[str, str]:
    """Return what proves us at the token endpoint: form members, or an `Authorization` header.

    Reads our key from the database, so call it before the network is used.
    """
    if provider.client_secret is not None:
        # RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret.get_secret_value())}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    moment = int(time.time())
    claims = {
        "iss": provider.client_id,
        "sub": provider.client_id,
        "aud": provider.issuer,
        "jti": uuid.uuid4().hex,
        "iat": moment,
        "exp": moment + ASSERTION_SECONDS,
    }
    assertion = keys.sign(claims, use="client", alg=ASSERTION_ALGORITHM, typ=ASSERTION_TYP)
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}


def exchange(
    provider: IdentityProvider,
    wish: Request,
    *,
    code: str,
    authentication: dict[str, str],
    earliest_auth_time: int | None,
) -> Login:
    """Turn the code into checked claims; raise LoginFailed. Uses the network and never the database."""
    tokens = _tokens(provider, wish, code, authentication)
    id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
    if not isinstance(id_token, str) or not isinstance(access_token, str):
        raise TokenInvalid(detail="the token answer lacks a token")
    if str(tokens.get("token_type", "")).lower() != "bearer":
        raise TokenInvalid(detail="token_type")
    expected = Expected(nonce=wish.nonce, access_token=access_token, earliest_auth_time=earliest_auth_time)
    claims = check_id_token(provider, id_token, expected)
    auth_time = int(claims.get("auth_time", claims["iat"]))
    return Login(
        claims={**_userinfo(provider, access_token, claims["sub"]), **claims}, id_token=id_token, auth_time=auth_time
    )


def _tokens(provider: IdentityProvider, wish: Request, code: str, authentication: dict[str, str]) -> dict[str, Any]:
    headers = {"Accept": "application/json"}
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri(provider),
        "code_verifier": wish.verifier,
    }
    if "Authorization" in authentication:
        headers |= authentication
    else:
        form |= {"client_id": provider.client_id, **authentication}
    answer = discovery.call(provider, "POST", discovery.metadata(provider).token_endpoint, headers=headers, form=form)
    if answer.status in (400, 401):
        raise TokenInvalid(detail=f"token endpoint: status {answer.status}, error {_error_word(answer)}")
    return discovery.json_of(answer)


def _error_word(answer: http.Answer) -> str:
    """Return the OAuth error code for the log; never the description, which may tell about people."""
    try:
        word = answer.json_object().get("error")
    except http.OutboundError:
        return "(none)"
    return word if isinstance(word, str) and word.replace("_", "").isalpha() and len(word) < 60 else "(other)"


def _userinfo(provider: IdentityProvider, access_token: str, subject: str) -> dict[str, Any]:
    """Return the claims of the userinfo endpoint; only those about the same person (OpenID Connect Core 5.3.2)."""
    address = discovery.metadata(provider).userinfo_endpoint
    if address is None or not provider.reads_userinfo:
        return {}
    claims = discovery.get_json(provider, address, headers={"Authorization": f"Bearer {access_token}"})
    if claims.get("sub") != subject:
        raise TokenInvalid(detail="userinfo is about somebody else")
    return claims


def end_session_url(provider: IdentityProvider, *, id_token: str, state: str) -> str | None:
    """Return where to sign out at the provider (RP-Initiated Logout 1.0 section 2); None if it has no such place."""
    address = discovery.metadata(provider).end_session_endpoint
    if address is None:
        return None
    parameters = {
        "id_token_hint": id_token,
        "post_logout_redirect_uri": logout_uri(),
        "client_id": provider.client_id,
        "state": state,
    }
    return with_parameters(address, parameters)


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """Return the address with the parameters added to those it has."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(parameters)}"
