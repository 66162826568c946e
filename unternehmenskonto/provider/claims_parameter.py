"""The `claims` parameter (OpenID Connect Core 5.5): which of the registered claims, how strong a login, who."""

import json
from dataclasses import dataclass
from typing import Any

from unternehmenskonto.companies import assurance
from unternehmenskonto.provider.limits import MAXIMUM_CLAIMS

#: In every ID token whatever is asked; naming them chooses nothing.
_PROTOCOL = frozenset({"sub", "acr", "auth_time", "amr", "sid", "org_sub"})
_MEMBERS = ("userinfo", "id_token")


class InvalidClaims(ValueError):
    """The parameter is not what Core 5.5 describes."""


@dataclass(frozen=True)
class ClaimsRequest:
    """What the parameter asks for; without it every registered claim is meant."""

    #: Claims named one by one, for userinfo or ID token; empty: no choice was made.
    names: frozenset[str] = frozenset()
    #: Our words for the trust levels named; unknown ones are left out.
    levels: tuple[str, ...] = ()
    #: Whether one of those levels must be reached (Core 5.5.1.1).
    is_acr_essential: bool = False
    #: An essential level was named, and none of the values is known here.
    is_impossible: bool = False
    sub: str | None = None


def parse(value: str | None) -> ClaimsRequest:
    """Return the wish; raises InvalidClaims. Claims nobody knows are passed over (Core 5.5)."""
    if value is None:
        return ClaimsRequest()
    members = _read(value)
    acr: dict[str, Any] = next((found["acr"] for found in reversed(members) if found.get("acr") is not None), {})
    values = _values(acr)
    levels = tuple(assurance.level_of(entry) for entry in values if assurance.is_known(entry))
    is_essential = acr.get("essential") is True
    subs = {entry["value"] for found in members if (entry := found.get("sub")) and "value" in entry}
    if len(subs) > 1 or not all(isinstance(sub, str) for sub in subs):
        raise InvalidClaims("sub must have one value")
    return ClaimsRequest(
        names=frozenset(name for found in members for name in found) - _PROTOCOL,
        levels=levels,
        is_acr_essential=is_essential and bool(values),
        is_impossible=is_essential and bool(values) and not levels,
        sub=next(iter(subs), None),
    )


def _read(value: str) -> list[dict[str, Any]]:
    """Return the objects under userinfo and id_token, each claim with null or a JSON object."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidClaims("claims must be a JSON object") from None
    if not isinstance(found, dict):
        raise InvalidClaims("claims must be a JSON object")
    members = [found.get(member, {}) for member in _MEMBERS]
    if not all(isinstance(member, dict) and len(member) <= MAXIMUM_CLAIMS for member in members):
        raise InvalidClaims(f"userinfo and id_token must be objects of at most {MAXIMUM_CLAIMS} claims")
    for entry in (entry for member in members for entry in member.values() if entry is not None):
        if not isinstance(entry, dict) or not isinstance(entry.get("essential", False), bool):
            raise InvalidClaims("each claim must be null or an object; essential must be true or false")
        if not isinstance(entry.get("values", []), list):
            raise InvalidClaims("values must be a list")
    return members


def _values(entry: dict[str, Any]) -> list[Any]:
    return [entry["value"]] if "value" in entry else list(entry.get("values", ()))
