"""What a file in config/services may say; every refusal tells what to write instead."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from unternehmenskonto.catalogue.claims import CLAIMS, STANDARD_SCOPES
from unternehmenskonto.catalogue.client_metadata import (
    Address,
    Contacts,
    ContentEncryption,
    Encryption,
    PublicKeys,
    Redirect,
    Redirects,
    unique,
)
from unternehmenskonto.permissions import SCOPES

MAXIMUM_KEYS = 10
MAXIMUM_REGIONS = 1000
MAXIMUM_TOPICS = 20
LEIKA_KEY = re.compile(r"99\d{12}")
REGION = re.compile(r"\d{2}(\d(\d{2}(\d{4}(\d{3})?)?)?)?")
SECTOR = re.compile(r"[a-z0-9]([a-z0-9.-]{0,253}[a-z0-9])?")
SECRET_DIGEST = re.compile(r"[0-9a-f]{64}")

Location = tuple[str | int, ...]


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
    known = ("openid", *STANDARD_SCOPES, *SCOPES)
    if value not in known:
        raise ValueError(f'is "{value}", which is no scope here; choose of: {", ".join(known)}')
    return value


Text = Annotated[str, Field(min_length=1, max_length=200)]
Level = Literal["low", "substantial", "high"]


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
    jwks: PublicKeys | None = None
    client_secret_sha256: Annotated[str, AfterValidator(_digest)] | None = None
    scopes: Annotated[list[Annotated[str, AfterValidator(_scope)]], AfterValidator(unique)] = []
    offline_access: bool = False
    id_token_signed_response_alg: Literal["RS256", "PS256", "ES256", "EdDSA"] = "RS256"  # noqa: S105
    id_token_encrypted_response_alg: Encryption | None = None
    id_token_encrypted_response_enc: ContentEncryption | None = None
    userinfo_signed_response_alg: Literal["RS256", "PS256", "ES256", "EdDSA"] | None = None
    userinfo_encrypted_response_alg: Encryption | None = None
    userinfo_encrypted_response_enc: ContentEncryption | None = None
    minimum_assurance: Level = "substantial"
    sector_identifier_uri: Address | None = None
    request_uris: Redirects = []
    request_object_signing_alg: Literal["RS256", "PS256", "ES256", "EdDSA"] | None = None
    require_signed_request_object: bool | None = None
    pkce_exempt: bool | None = None
    pkce_exempt_reason: Annotated[str, Field(min_length=10, max_length=300)] | None = None
    contacts: Contacts = []


class AcceptsTable(_Table):
    """Companies may write to this service by themselves, about one of these topics."""

    topics: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=100)]],
        AfterValidator(unique),
        Field(min_length=1, max_length=MAXIMUM_TOPICS),
    ]
    attachments: bool = False


class ServiceTable(_Table):
    """One online service: directory entry, and, where there is a client, OpenID client and mailbox sender."""

    name: Text
    authority: Text
    description: Annotated[str, Field(max_length=4000)] = ""
    leika_keys: Annotated[
        list[Annotated[str, AfterValidator(_leika)]], AfterValidator(unique), Field(max_length=MAXIMUM_KEYS)
    ] = []
    regions: Annotated[
        list[Annotated[str, AfterValidator(_region)]], AfterValidator(unique), Field(max_length=MAXIMUM_REGIONS)
    ] = []
    start_url: Address | None = None
    listed: bool = True
    mailbox_sender: bool = False
    sector: Annotated[str, AfterValidator(_sector)] | None = None
    client: ClientTable | None = None
    claims: list[ClaimTable] = []
    accepts_messages: AcceptsTable | None = None

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
            if self.accepts_messages:
                yield ("accepts_messages",), "somebody must fetch the messages; add a table [client]"
            return
        yield from self._broken_client_rules(self.client)
        yield from self._broken_api_rules(self.client)
        yield from self._broken_scope_rules(self.client)
        yield from self._broken_request_rules(self.client)
        yield from self._broken_encryption_rules(self.client)
        yield from self._broken_sector_rules(self.client)

    def _broken_client_rules(self, client: ClientTable) -> Iterator[tuple[Location, str]]:
        method = ("client", "token_endpoint_auth_method")
        chosen = client.token_endpoint_auth_method
        has_keys = (client.jwks is not None) + (client.jwks_uri is not None)
        if not client.redirect_uris and not self._is_api_client(client):
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
            yield (
                ("client", "backchannel_logout_session_required"),
                "needs backchannel_logout_uri; add it or remove this",
            )
        if chosen == "none" and self.mailbox_sender:
            yield method, "a mailbox sender must prove who it is; write private_key_jwt and jwks_uri"
        if client.offline_access and not client.redirect_uris:
            yield ("client", "offline_access"), "needs a login first; add redirect_uris, or remove it"

    def _is_api_client(self, client: ClientTable) -> bool:
        """Tell whether the client has something to do without anybody's login."""
        return self.mailbox_sender or self.accepts_messages is not None or "cases.write" in client.scopes

    def _broken_api_rules(self, client: ClientTable) -> Iterator[tuple[Location, str]]:
        """Rules about what the client may do in its own name."""
        place = ("client", "scopes")
        if self.accepts_messages and client.token_endpoint_auth_method == "none":  # noqa: S105 - a method
            yield ("accepts_messages",), "who fetches messages must prove who it is; write private_key_jwt and jwks_uri"
        if self.accepts_messages and client.scopes and "mailbox.replies" not in client.scopes:
            yield place, 'accepts_messages needs "mailbox.replies" here, or nobody could fetch the messages'
        if "mailbox.replies" in client.scopes and not (self.mailbox_sender or self.accepts_messages):
            yield place, "mailbox.replies needs mailbox_sender = true or accepts_messages; add it, or remove the scope"
        if "cases.write" in client.scopes and client.token_endpoint_auth_method == "none":  # noqa: S105 - a method
            yield place, "who reports cases must prove who it is; write private_key_jwt and jwks_uri"

    def _broken_scope_rules(self, client: ClientTable) -> Iterator[tuple[Location, str]]:
        """Rules about what the client may ask for (OpenID Connect Core 5.4)."""
        place, named = ("client", "scopes"), {claim.name for claim in self.claims}
        if "mailbox.deliver" in client.scopes and not self.mailbox_sender:
            yield place, "mailbox.deliver needs mailbox_sender = true; add it, or remove the scope"
        if "openid" in client.scopes and not client.redirect_uris:
            yield place, "openid needs redirect_uris; add them, or remove the scope"
        for scope, members in STANDARD_SCOPES.items():
            if scope not in client.scopes:
                continue
            if "openid" not in client.scopes:
                yield place, f"{scope} does nothing without openid; add openid, or remove the scope"
            if not named.intersection(members):
                yield place, f"{scope} asks for {', '.join(members)}; add one of them under [[claims]], or remove it"

    def _broken_request_rules(self, client: ClientTable) -> Iterator[tuple[Location, str]]:
        """Rules about how the client asks: signed requests (RFC 9101) and PKCE (RFC 7636)."""
        wants_signatures = client.require_signed_request_object or client.request_uris
        if wants_signatures and client.jwks is None and client.jwks_uri is None:
            yield ("client",), "signed requests need the public keys; write either jwks_uri or jwks"
        exempt = ("client", "pkce_exempt")
        if client.pkce_exempt and client.pkce_exempt_reason is None:
            yield exempt, "needs pkce_exempt_reason: why the client cannot do without, and until when"
        if client.pkce_exempt_reason is not None and not client.pkce_exempt:
            yield ("client", "pkce_exempt_reason"), "gives a reason for nothing; add pkce_exempt = true, or remove it"
        if client.pkce_exempt and client.token_endpoint_auth_method == "none":  # noqa: S105 - a method
            yield exempt, "is never given to a client without secret; write private_key_jwt and jwks_uri"

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
        if client.sector_identifier_uri:
            if self.sector is not None:
                yield ("sector",), "follows from sector_identifier_uri; remove one of the two"
            return
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
            "accepts_messages": self.accepts_messages.model_dump() if self.accepts_messages else None,
        }

    def _default_sector(self, slug: str) -> str:
        uris = self.client.redirect_uris if self.client else []
        if self.client and self.client.sector_identifier_uri:
            uris = [self.client.sector_identifier_uri]
        return str(urlsplit(uris[0]).hostname) if uris else slug

    def _client(self) -> dict[str, Any] | None:
        """Return the client with the grants and scopes that follow from what the service is."""
        if self.client is None:
            return None
        granted = {
            "authorization_code": ("openid", bool(self.client.redirect_uris)),
            "refresh_token": ("offline_access", self.client.offline_access),
            "client_credentials": ("mailbox.deliver mailbox.replies", self.mailbox_sender),
        }
        if self._is_api_client(self.client) and not self.mailbox_sender:
            granted["client_credentials"] = ("mailbox.replies", True)
        following = [name for scopes, given in granted.values() if given for name in scopes.split()]
        return {
            **self.client.model_dump(exclude_none=True),
            "grant_types": [grant for grant, (_, given) in granted.items() if given],
            "scopes": self.client.scopes or following,
        }

    @classmethod
    def parse(cls, values: dict[str, Any], *, is_local: bool) -> Self:
        """Return the service that the values describe; raise pydantic.ValidationError with every fault."""
        return cls.model_validate(values, context={"is_local": is_local})
