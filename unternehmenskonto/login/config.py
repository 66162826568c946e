"""The file of identity providers: parsed, checked, never guessed. A mistake stops the start with the reason."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from flask import current_app
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from unternehmenskonto.settings import Settings, SettingsError, is_loopback_url

EXTENSION = "identity_providers"
MAXIMUM_PROVIDERS = 20

Algorithm = Literal["RS256", "PS256", "ES256", "EdDSA"]
Level = Literal["low", "substantial", "high"]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
#: A claim name, or a path into objects with dots between the names.
ClaimPath = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _issuer(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("must be an address such as https://login.example, without query")
    if parts.scheme == "http" and not is_loopback_url(value):
        raise ValueError("must begin with https:// (http is accepted for this machine only)")
    return value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Assurance(_Table):
    """How much a login at this provider is worth."""

    #: Every one of these must reach a level; a claim that is missing or unknown counts as low.
    claims: tuple[ClaimPath, ...] = ()
    #: The level by contract, of a provider that tells none.
    fixed: Level | None = None
    #: The provider is not believed beyond this.
    maximum: Level = "substantial"

    @model_validator(mode="after")
    def _one_source(self) -> "Assurance":
        if bool(self.claims) == bool(self.fixed):
            raise ValueError("name either claims or fixed")
        return self


class Claims(_Table):
    """Our name -> where the provider tells it."""

    organisation_id: ClaimPath
    company_name: ClaimPath
    given_name: ClaimPath
    family_name: ClaimPath
    name: ClaimPath | None = None
    title: ClaimPath | None = None
    date_of_birth: ClaimPath | None = None
    email: ClaimPath | None = None
    #: Whether the address is proved, true or false; what is not told counts as not known.
    email_verified: ClaimPath = "email_verified"
    phone_number: ClaimPath | None = None
    phone_number_verified: ClaimPath = "phone_number_verified"
    #: The person's own address, an object as in OpenID Connect Core 5.1.1; never the company's.
    address: ClaimPath | None = None
    legal_form_code: ClaimPath | None = None
    legal_form_text: ClaimPath | None = None
    register_court: ClaimPath | None = None
    register_type: ClaimPath | None = None
    register_number: ClaimPath | None = None
    street: ClaimPath | None = None
    building: ClaimPath | None = None
    zip_code: ClaimPath | None = None
    city: ClaimPath | None = None
    city_district: ClaimPath | None = None
    address_addition: ClaimPath | None = None
    country: ClaimPath | None = None
    datenkranz_type: ClaimPath | None = None
    w_idnr: ClaimPath | None = None
    vat_id: ClaimPath | None = None


class IdentityProvider(_Table):
    """One OpenID provider that vouches for companies."""

    slug: Slug
    name: Text
    description: str = Field(default="", max_length=500)
    issuer: Annotated[str, StringConstraints(max_length=500), AfterValidator(_issuer)]
    client_id: Text
    token_endpoint_auth_method: Literal["private_key_jwt", "client_secret_basic"] = "private_key_jwt"  # noqa: S105
    client_secret_variable: str | None = Field(default=None, pattern="^[A-Z][A-Z0-9_]*$")
    scopes: tuple[Text, ...] = ("openid",)
    id_token_algorithms: tuple[Algorithm, ...] = Field(default=("RS256",), min_length=1)
    #: Audiences beside ourselves that may stand in an ID token (OpenID Connect Core 3.1.3.7 number 3).
    trusted_audiences: tuple[Text, ...] = ()
    #: Whether we say with acr_values which level we need.
    sends_acr_values: bool = True
    #: Whether it hears whom a service expects (login_hint); off, because it may be an e-mail address.
    passes_login_hint: bool = False
    #: Whether the claims are read from the userinfo endpoint too, where the provider has one.
    reads_userinfo: bool = True
    assurance: Assurance
    claims: Claims

    #: Filled from the environment at the start.
    client_secret: SecretStr | None = Field(default=None, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _no_secret_in_file(cls, data: Any) -> Any:
        if isinstance(data, dict) and "client_secret" in data:
            raise ValueError("client_secret must not stand in a file; name an environment variable instead")
        return data

    @model_validator(mode="after")
    def _consistent(self) -> "IdentityProvider":
        if "openid" not in self.scopes:
            raise ValueError("scopes must contain openid")
        is_secret = self.token_endpoint_auth_method == "client_secret_basic"  # noqa: S105 (the name of a method)
        if is_secret != (self.client_secret_variable is not None):
            raise ValueError("client_secret_variable belongs to client_secret_basic, and to nothing else")
        return self


class _File(_Table):
    identity_providers: tuple[IdentityProvider, ...] = Field(min_length=1, max_length=MAXIMUM_PROVIDERS)


def load(settings: Settings, environ: Mapping[str, str] | None = None) -> dict[str, IdentityProvider]:
    """Return the providers of the settings' file by slug, in its order; raise SettingsError naming every fault."""
    path = settings.identity_providers_file
    environ = os.environ if environ is None else environ
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"Cannot read the identity providers in {path}: {error}.") from None
    try:
        providers = _File.model_validate(content).identity_providers
    except ValidationError as error:
        raise SettingsError(_sentences(path, content, error)) from None
    faults = _unsafe(providers, settings)
    if faults:
        raise SettingsError("\n".join(f"{path}: {fault}." for fault in faults))
    return {one.slug: _with_secret(one, environ, path) for one in providers}


def providers() -> dict[str, IdentityProvider]:
    """Return the identity providers of the running application by slug."""
    found: dict[str, IdentityProvider] = current_app.extensions[EXTENSION]
    return found


def _unsafe(providers: tuple[IdentityProvider, ...], settings: Settings) -> list[str]:
    faults = []
    for name in ("slug", "issuer"):
        values = [getattr(one, name) for one in providers]
        faults += [f"{name} {value} stands there twice" for value in sorted({v for v in values if values.count(v) > 1})]
    for one in providers:
        if is_loopback_url(one.issuer) and not settings.is_local:
            faults.append(
                f"{one.slug}: issuer names this machine; a public installation needs a real identity provider"
            )
    return faults


def _with_secret(provider: IdentityProvider, environ: Mapping[str, str], path: Path) -> IdentityProvider:
    variable = provider.client_secret_variable
    if variable is None:
        return provider
    if not environ.get(variable):
        raise SettingsError(f"{path}: {provider.slug}: the environment variable {variable} with the secret is not set.")
    return provider.model_copy(update={"client_secret": SecretStr(environ[variable])})


def _sentences(path: Path, content: Mapping[str, Any], error: ValidationError) -> str:
    """Name file, provider and key of each fault, never a value."""
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        reason = {
            "extra_forbidden": "is not known here",
            "missing": "is missing",
        }.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        lines.append(f"{path}: {_place(content, fault['loc'])}: {reason}.")
    return "\n".join(lines)


def _place(content: Mapping[str, Any], location: tuple[int | str, ...]) -> str:
    names = [str(part) for part in location]
    if len(location) > 1 and location[0] == "identity_providers" and isinstance(location[1], int):
        entry = content["identity_providers"][location[1]]
        slug = entry.get("slug") if isinstance(entry, dict) else None
        names[:2] = [f"identity provider {slug or location[1] + 1}"]
    return ".".join(names)
