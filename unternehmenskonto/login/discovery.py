"""What an identity provider publishes: its endpoints and its keys, fetched, checked and kept for a while.

OpenID Connect Discovery 1.0 section 4, RFC 7517. Each process keeps its own copy.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import current_app

from unternehmenskonto import http
from unternehmenskonto.login import breaker
from unternehmenskonto.login.config import IdentityProvider
from unternehmenskonto.login.errors import LoginFailed, ProviderGarbage, ProviderSlow, ProviderUnreachable
from unternehmenskonto.settings import get_settings

log = structlog.get_logger()

EXTENSION = "identity_provider_cache"
METADATA_SECONDS = 600
KEYS_SECONDS = 600
#: Anybody can send a token with an invented key id: it may cost one fetch in this time, not more.
REFETCH_SECONDS = 30
#: While the provider does not answer, keys known before stay good for so long.
STALE_KEYS_SECONDS = 24 * 3600
WELL_KNOWN = "/.well-known/openid-configuration"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The part of the discovery document that we use; every address is checked."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    #: The provider names itself in the answer (RFC 9207), so an answer without name is a forgery.
    names_itself: bool


@dataclass
class _Keys:
    fetched_at: float
    tried_at: float
    jwks: list[dict[str, Any]]


def metadata(provider: IdentityProvider) -> Metadata:
    """Return the provider's endpoints; raise LoginFailed if they cannot be had or trusted."""
    known = _cache("metadata").get(provider.issuer)
    moment = time.time()
    if known is not None and moment - known[0] < METADATA_SECONDS:
        found: Metadata = known[1]
        return found
    document = get_json(provider, provider.issuer.rstrip("/") + WELL_KNOWN)
    fresh = _checked(provider, document)
    _cache("metadata")[provider.issuer] = (moment, fresh)
    return fresh


def keys(provider: IdentityProvider, *, is_missing: bool = False) -> list[dict[str, Any]]:
    """Return the provider's public JWKs; with is_missing asks again, because a token names another key.

    Raises LoginFailed if there are none and none can be fetched.
    """
    moment = time.time()
    known: _Keys | None = _cache("keys").get(provider.issuer)
    if known is not None:
        is_fresh = moment - known.fetched_at < KEYS_SECONDS
        if (is_fresh and not is_missing) or moment - known.tried_at < REFETCH_SECONDS:
            return known.jwks
        # Others see the attempt at once, so that many requests at the same time cost one fetch.
        known.tried_at = moment
    try:
        jwks = _key_list(get_json(provider, metadata(provider).jwks_uri))
    except LoginFailed as error:
        if known is None or moment - known.fetched_at > STALE_KEYS_SECONDS:
            raise
        log.warning("keys not renewed", identity_provider=provider.slug, code=error.code)
        return known.jwks
    _cache("keys")[provider.issuer] = _Keys(fetched_at=moment, tried_at=moment, jwks=jwks)
    return jwks


def get_json(provider: IdentityProvider, url: str, *, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON object at the address of this provider; raise LoginFailed for anything else."""
    return json_of(call(provider, "GET", url, headers={"Accept": "application/json", **(headers or {})}))


def call(
    provider: IdentityProvider,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> http.Answer:
    """Call the provider; raise LoginFailed where it cannot be reached, is too slow, or was so several times."""
    try:
        return breaker.fetch(provider, method, url, headers=headers, form=form)
    except http.OutboundError as error:
        raise _failure(error) from None


def json_of(answer: http.Answer) -> dict[str, Any]:
    """Return the object of a 200 answer; raise LoginFailed for any other status or content."""
    if answer.status >= 500:
        raise ProviderUnreachable(detail=f"status {answer.status}")
    if answer.status != 200:
        raise ProviderGarbage(detail=f"status {answer.status}")
    try:
        return answer.json_object()
    except http.OutboundError as error:
        raise _failure(error) from None


def empty_cache() -> dict[str, dict[str, Any]]:
    """Return what the application starts with."""
    return {"metadata": {}, "keys": {}}


def _cache(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = current_app.extensions[EXTENSION][kind]
    return found


def _failure(error: http.OutboundError) -> LoginFailed:
    kinds: dict[str, type[LoginFailed]] = {"slow": ProviderSlow, "garbage": ProviderGarbage, "large": ProviderGarbage}
    return kinds.get(error.kind, ProviderUnreachable)(detail=str(error))


def _checked(provider: IdentityProvider, document: Mapping[str, Any]) -> Metadata:
    """Trust a document only if it is this issuer's (Discovery 4.3) and leads to no unsafe place."""
    if document.get("issuer") != provider.issuer:
        raise ProviderGarbage(detail="the discovery document is another issuer's")
    required = {name: _address(document, name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    if None in required.values():
        raise ProviderGarbage(detail=f"the discovery document lacks {[k for k, v in required.items() if v is None]}")
    return Metadata(
        authorization_endpoint=str(required["authorization_endpoint"]),
        token_endpoint=str(required["token_endpoint"]),
        jwks_uri=str(required["jwks_uri"]),
        userinfo_endpoint=_address(document, "userinfo_endpoint"),
        end_session_endpoint=_address(document, "end_session_endpoint"),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(document: Mapping[str, Any], name: str) -> str | None:
    """Return the address; raise ProviderGarbage for one that is neither https nor a permitted host of ours."""
    value = document.get(name)
    if value is None:
        return None
    if isinstance(value, str) and _is_safe(value):
        return value
    raise ProviderGarbage(detail=f"{name} of the discovery document is no safe address")


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_plain = parts.username is None and not parts.fragment and url.isprintable() and " " not in url
    is_permitted = parts.scheme == "https" or parts.hostname in get_settings().outbound_hosts
    return bool(parts.hostname) and is_plain and parts.scheme in ("https", "http") and is_permitted


def _key_list(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = document.get("keys")
    if not isinstance(found, list):
        raise ProviderGarbage(detail="the key set has no keys")
    return [key for key in found if isinstance(key, dict)]
