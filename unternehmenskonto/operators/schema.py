"""What a file in config/services may say; every refusal tells what to write instead."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from unternehmenskonto.catalogue.claims import CLAIMS
from unternehmenskonto.permissions import SCOPES
from unternehmenskonto.settings import is_loopback_url

MAXIMUM_URL = 2000
MAXIMUM_URIS = 20
MAXIMUM_KEYS = 10
MAXIMUM_REGIONS = 1000
LEIKA_KEY = re.compile(r"99\d{12}")
REGION = re.compile(r"\d{2}(\d(\d{2}(\d{4}(\d{3})?)?)?)?")
SECTOR = re.compile(r"[a-z0-9]([a-z0-9.-]{0,253}[a-z0-9])?")
SECRET_DIGEST = re.compile(r"[0-9a-f]{64}")
CONTACT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PRIVATE_KEY_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

Location = tuple[str | int, ...]


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


def _leika(value: str) -> str:
    if not LEIKA_KEY.fullmatch(value):
        raise ValueError('must be 99 and twelve digits, for example "99050012104000"')
    return value


def _region(value: str) -> str:
    digits = value.removeprefix("DE")
    if not REGION.fullmatch(digits):
        raise ValueError('must be a regional key of 2, 3, 5, 9 or 12 digits, for example "05" or "DE059990001001"')
    return digits


def _sector(value: str) -> str:
    if not SECTOR.fullmatch(value):
        raise ValueError('must be a host name in lower case, for example "gewerbe.musterstadt.example"')
    return value


def _digest(value: str) -> str:
    if not SECRET_DIGEST.fullmatch(value):
        raise ValueError("must be the SHA-256 of the secret in 64 lower-case hex digits: printf %s SECRET | sha256sum")
    return value


def _claim(value: str) -> str:
    if value not in CLAIMS:
        raise ValueError(f'is "{value}", which is not passed on; choose one of: {", ".join(CLAIMS)}')
    return value


def _scope(value: str) -> str:
    if value not in ("openid", *SCOPES):
        raise ValueError(f'is "{value}", which is no scope here; choose of: {", ".join(("openid", *SCOPES))}')
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


def _unique(values: list[str]) -> list[str]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"names {', '.join(twice)} more than once; remove the repetition")
    return values


Address = Annotated[str, AfterValidator(_address)]
Redirect = Annotated[str, AfterValidator(_redirect)]
Redirects = Annotated[list[Redirect], AfterValidator(_unique), Field(max_length=MAXIMUM_URIS)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Level = Literal["low", "substantial", "high"]
Encryption = Literal["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]
ContentEncryption = Literal["A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ClaimTable(_Table):
    """One value that may be passed on, and why; people read the purpose before they agree."""

    name: Annotated[str, AfterValidator(_claim)]
    purpose: Annotated[str, Field(min_length=10, max_length=300)]


class ClientTable(_Table):
    """The OpenID client of the service; names are those of OpenID Connect Dynamic Registration section 2."""

    redirect_uris: Redirects = []
    post_logout_redirect_uris: Redirects = []
    initiate_login_uri: Redirect | None = None
    backchannel_logout_uri: Redirect | None = None
    backchannel_logout_session_required: bool | None = None
    token_endpoint_auth_method: Literal["private_key_jwt", "client_secret_basic", "client_secret_post", "none"]
    jwks_uri: Address | None = None
    jwks: Annotated[dict[str, Any], AfterValidator(_public_keys)] | None = None
    client_secret_sha256: Annotated[str, AfterValidator(_digest)] | None = None
    scopes: Annotated[list[Annotated[str, AfterValidator(_scope)]], AfterValidator(_unique)] = []
    offline_access: bool = False
    id_token_signed_response_alg: Literal["RS256", "PS256", "ES256", "EdDSA"] = "RS256"  # noqa: S105
    id_token_encrypted_response_alg: Encryption | None = None
    id_token_encrypted_response_enc: ContentEncryption | None = None
    userinfo_signed_response_alg: Literal["RS256", "PS256", "ES256", "EdDSA"] | None = None
    userinfo_encrypted_response_alg: Encryption | None = None
    userinfo_encrypted_response_enc: ContentEncryption | None = None
    minimum_assurance: Level = "substantial"
    contacts: Annotated[list[Annotated[str, AfterValidator(_contact)]], Field(max_length=MAXIMUM_URIS)] = []


class ServiceTable(_Table):
    """One online service: directory entry, and, where there is a client, OpenID client and mailbox sender."""

    name: Text
    authority: Text
    description: Annotated[str, Field(max_length=4000)] = ""
    leika_keys: Annotated[
        list[Annotated[str, AfterValidator(_leika)]], AfterValidator(_unique), Field(max_length=MAXIMUM_KEYS)
    ] = []
    regions: Annotated[
        list[Annotated[str, AfterValidator(_region)]], AfterValidator(_unique), Field(max_length=MAXIMUM_REGIONS)
    ] = []
    start_url: Address | None = None
    listed: bool = True
    mailbox_sender: bool = False
    sector: Annotated[str, AfterValidator(_sector)] | None = None
    client: ClientTable | None = None
    claims: list[ClaimTable] = []

    def broken_rules(self) -> Iterator[tuple[Location, str]]:
        """Yield place and reason of each rule that the values break together."""
        if self.listed and not self.start_url and not (self.client and self.client.initiate_login_uri):
            yield ("listed",), "a listed service needs start_url; add it, or write listed = false"
        if self.claims and not (self.client and self.client.redirect_uris):
            yield ("claims",), "values are passed on at login only; add [client] with redirect_uris, or remove them"
        names = [claim.name for claim in self.claims]
        for number, name in enumerate(names):
            if name in names[:number]:
                yield ("claims", number, "name"), f'names "{name}" a second time; remove one of the two'
        if self.client is None:
            if self.mailbox_sender:
                yield ("mailbox_sender",), "a sender must be able to prove who it is; add a table [client]"
            return
        yield from self._broken_client_rules(self.client)
        yield from self._broken_encryption_rules(self.client)
        yield from self._broken_sector_rules(self.client)

    def _broken_client_rules(self, client: ClientTable) -> Iterator[tuple[Location, str]]:
        method = ("client", "token_endpoint_auth_method")
        chosen = client.token_endpoint_auth_method
        has_keys = (client.jwks is not None) + (client.jwks_uri is not None)
        if not client.redirect_uris and not self.mailbox_sender:
            yield ("client",), "a client without redirect_uris can do nothing; add them, or write mailbox_sender = true"
        if chosen == "private_key_jwt" and has_keys != 1:
            yield method, "private_key_jwt needs the public keys; write either jwks_uri or jwks"
        is_secret = chosen.startswith("client_secret")
        if is_secret and not client.client_secret_sha256:
            yield (
                method,
                f"{chosen} needs client_secret_sha256 (printf %s SECRET | sha256sum)",
            )
        if not is_secret and client.client_secret_sha256:
            yield ("client", "client_secret_sha256"), "is not used with this token_endpoint_auth_method; remove it"
        if client.backchannel_logout_session_required is not None and not client.backchannel_logout_uri:
            place = ("client", "backchannel_logout_session_required")
            yield place, "needs backchannel_logout_uri; add it, or remove this key"
        if chosen == "none" and self.mailbox_sender:
            yield method, "a mailbox sender must prove who it is; write private_key_jwt and jwks_uri"
        if "mailbox.deliver" in client.scopes and not self.mailbox_sender:
            yield ("client", "scopes"), "mailbox.deliver needs mailbox_sender = true; add it, or remove the scope"
        if client.offline_access and not client.redirect_uris:
            yield ("client", "offline_access"), "needs a login first; add redirect_uris, or remove it"
        if "openid" in client.scopes and not client.redirect_uris:
            yield ("client", "scopes"), "openid needs redirect_uris; add them, or remove the scope"

    def _broken_encryption_rules(self, client: ClientTable) -> Iterator[tuple[Location, str]]:
        for kind in ("id_token", "userinfo"):
            name = f"{kind}_encrypted_response_alg"
            alg, enc = getattr(client, name), getattr(client, f"{kind}_encrypted_response_enc")
            if alg and client.jwks is None and client.jwks_uri is None:
                yield ("client", name), "needs a public key with use = enc; write either jwks_uri or jwks"
            if enc and not alg:
                yield ("client", f"{kind}_encrypted_response_enc"), f"does nothing without {name}; add it"

    def _broken_sector_rules(self, client: ClientTable) -> Iterator[tuple[Location, str]]:
        """OpenID Connect Core 8.1: the host of the redirect addresses, if there is exactly one, is the sector."""
        hosts = sorted({str(urlsplit(uri).hostname) for uri in client.redirect_uris})
        if self.sector is None and len(hosts) != 1:
            found = f"the redirect_uris have the hosts {', '.join(hosts)}" if hosts else "there are no redirect_uris"
            yield ("sector",), f'{found}, so the sector must be said; write sector = "gewerbe.musterstadt.example"'

    def columns(self, slug: str) -> dict[str, Any]:
        """Return the values of the row in online_services that this file declares."""
        return {
            "name": self.name,
            "authority": self.authority,
            "description": self.description.strip(),
            "leika_keys": self.leika_keys,
            "regions": sorted(self.regions),
            "start_url": self.start_url,
            "is_listed": self.listed,
            "is_enabled": True,
            "is_mailbox_sender": self.mailbox_sender,
            "sector": self.sector or self._default_sector(slug),
            "client": self._client(),
            "claims": [claim.model_dump() for claim in self.claims],
        }

    def _default_sector(self, slug: str) -> str:
        uris = self.client.redirect_uris if self.client else []
        return str(urlsplit(uris[0]).hostname) if uris else slug

    def _client(self) -> dict[str, Any] | None:
        """Return the client with the grants and scopes that follow from what the service is."""
        if self.client is None:
            return None
        granted = {
            "authorization_code": ("openid", bool(self.client.redirect_uris)),
            "refresh_token": ("offline_access", self.client.offline_access),
            "client_credentials": ("mailbox.deliver", self.mailbox_sender),
        }
        return {
            **self.client.model_dump(exclude_none=True),
            "grant_types": [grant for grant, (_, given) in granted.items() if given],
            "scopes": self.client.scopes or [scope for scope, given in granted.values() if given],
        }

    @classmethod
    def parse(cls, values: dict[str, Any], *, is_local: bool) -> Self:
        """Return the service that the values describe; raise pydantic.ValidationError with every fault."""
        return cls.model_validate(values, context={"is_local": is_local})
