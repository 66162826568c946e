"""Values of an OpenID client that files and registrations share; every refusal tells what to write instead."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, ValidationInfo

from unternehmenskonto.settings import is_loopback_url

MAXIMUM_URL = 2000
MAXIMUM_URIS = 20
CONTACT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PRIVATE_KEY_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def _address(value: str, info: ValidationInfo) -> str:
    """Check an address that people or we call: https, and http only on this machine in a demonstration."""
    if not value.isascii() or not value.isprintable() or " " in value or len(value) > MAXIMUM_URL:
        raise ValueError(f"must be an address of at most {MAXIMUM_URL} ASCII characters without spaces")
    parts = _split(value)
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise ValueError('must be a complete address such as "https://dienst.example/start"')
    if parts.username is not None:
        raise ValueError("must not contain a user name or password; remove everything before the @")
    if is_loopback_url(value):
        if not (info.context or {}).get("is_local"):
            raise ValueError(
                "names this machine, which works in a demonstration only; "
                "write the public https address of the service, or run with a loopback base_url"
            )
    elif parts.scheme != "https":
        raise ValueError(f'must begin with https://; write "https{value.removeprefix("http")}"')
    return value


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError('is not an address; write one such as "https://dienst.example/start"') from None
    return parts


def _redirect(value: str, info: ValidationInfo) -> str:
    """Check an address that is later compared character by character (RFC 9700 section 2.1)."""
    _address(value, info)
    if "#" in value:
        raise ValueError("must not have a fragment; remove the # and what follows")
    if "*" in value:
        raise ValueError("must not have a wildcard; list each address in full, they are compared exactly")
    return value


def _contact(value: str) -> str:
    if not CONTACT.fullmatch(value):
        raise ValueError('must be an e-mail address, for example "technik@dienst.example"')
    return value


def _public_keys(value: dict[str, Any]) -> dict[str, Any]:
    keys = value.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) and "kty" in key for key in keys):
        raise ValueError("must be a JWK Set: a table with a list named keys (RFC 7517 section 5)")
    if any(PRIVATE_KEY_MEMBERS & key.keys() for key in keys):
        raise ValueError("holds a private or symmetric key; publish the public key only and replace this key pair")
    return value


def unique(values: list[str]) -> list[str]:
    """Return the list if it names nothing twice; raises ValueError."""
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"names {', '.join(twice)} more than once; remove the repetition")
    return values


Address = Annotated[str, AfterValidator(_address)]
Redirect = Annotated[str, AfterValidator(_redirect)]
Redirects = Annotated[list[Redirect], AfterValidator(unique), Field(max_length=MAXIMUM_URIS)]
Contacts = Annotated[list[Annotated[str, AfterValidator(_contact)]], Field(max_length=MAXIMUM_URIS)]
PublicKeys = Annotated[dict[str, Any], AfterValidator(_public_keys)]
#: Key management and content encryption of what we send (RFC 7518 4.1, 5.1); nothing with SHA-1 or PKCS #1 v1.5.
Encryption = Literal["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]
ContentEncryption = Literal["A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM"]
