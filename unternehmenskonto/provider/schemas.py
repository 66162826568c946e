"""What a client may say about itself when it registers (RFC 7591 2, OpenID Connect Registration 2)."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

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
from unternehmenskonto.provider.clients import LOGIN_SCOPES, OFFLINE_SCOPE, OPENID_SCOPE

Alg = Literal["RS256", "PS256", "ES256", "EdDSA"]
Method = Literal["private_key_jwt", "client_secret_basic", "client_secret_post", "none"]
#: Said about the client as a directory entry, or kept in other words; the rest is its registration.
_ENTRY = frozenset({"client_name", "scope"})


def _line(value: str) -> str:
    if not value.isprintable() or not value.strip():
        raise ValueError("must be one line of text")
    return value.strip()


def _scopes(value: str) -> str:
    unknown = set(value.split()) - set(LOGIN_SCOPES)
    if unknown or OPENID_SCOPE not in value.split():
        raise ValueError(f"must contain openid, and beside it only: {' '.join(LOGIN_SCOPES[1:])}")
    return value


class InvalidMetadata(Exception):
    """The metadata are refused; error is the code of RFC 7591 3.2.2, the text says what to write instead."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


class ClientMetadata(BaseModel):
    """A registration as it is kept; members nobody knows are passed over (RFC 7591 2)."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    redirect_uris: Annotated[Redirects, Field(min_length=1)]
    client_name: Annotated[str, AfterValidator(_line), Field(max_length=200)] | None = None
    client_uri: Address | None = None
    logo_uri: Address | None = None
    policy_uri: Address | None = None
    tos_uri: Address | None = None
    contacts: Contacts = []
    application_type: Literal["web"] = "web"
    response_types: list[Literal["code"]] = ["code"]
    grant_types: Annotated[list[Literal["authorization_code", "refresh_token"]], AfterValidator(unique)] = [
        "authorization_code"
    ]
    scope: Annotated[str, AfterValidator(_scopes), Field(max_length=500)] | None = None
    token_endpoint_auth_method: Method = "client_secret_basic"  # noqa: S105 - a method
    token_endpoint_auth_signing_alg: Alg | None = None
    jwks_uri: Address | None = None
    jwks: PublicKeys | None = None
    subject_type: Literal["pairwise"] = "pairwise"
    sector_identifier_uri: Address | None = None
    id_token_signed_response_alg: Alg = "RS256"  # noqa: S105 - an algorithm
    id_token_encrypted_response_alg: Encryption | None = None
    id_token_encrypted_response_enc: ContentEncryption | None = None
    userinfo_signed_response_alg: Alg | None = None
    userinfo_encrypted_response_alg: Encryption | None = None
    userinfo_encrypted_response_enc: ContentEncryption | None = None
    default_max_age: Annotated[int, Field(ge=0, lt=10**9)] | None = None
    require_auth_time: bool = True
    initiate_login_uri: Redirect | None = None
    post_logout_redirect_uris: Redirects = []
    backchannel_logout_uri: Redirect | None = None
    backchannel_logout_session_required: bool | None = None
    request_uris: Redirects = []
    request_object_signing_alg: Alg | None = None
    require_signed_request_object: bool | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.jwks is not None and self.jwks_uri is not None:
            raise ValueError("jwks and jwks_uri must not be sent together")
        needs_keys = (
            self.token_endpoint_auth_method == "private_key_jwt"  # noqa: S105 - a method
            or self.require_signed_request_object
            or self.request_object_signing_alg
            or self.request_uris
            or self.id_token_encrypted_response_alg
            or self.userinfo_encrypted_response_alg
        )
        if needs_keys and self.jwks is None and self.jwks_uri is None:
            raise ValueError("public keys are needed; send jwks_uri or jwks")
        for kind in ("id_token", "userinfo"):
            alg, enc = (getattr(self, f"{kind}_encrypted_response_{part}") for part in ("alg", "enc"))
            if enc and not alg:
                raise ValueError(f"{kind}_encrypted_response_enc needs {kind}_encrypted_response_alg")
        if "authorization_code" not in self.grant_types:
            raise ValueError("grant_types must contain authorization_code")
        if OFFLINE_SCOPE in (self.scope or "").split() and "refresh_token" not in self.grant_types:
            raise ValueError("scope contains offline_access; add refresh_token to grant_types, or leave it out")
        return self

    @property
    def scopes(self) -> list[str]:
        """Return what the client may ask for, in our order; every group of claims if it does not say (RFC 7591 2).

        Whether offline_access is among them is said by grant_types alone.
        """
        wanted = set(LOGIN_SCOPES if self.scope is None else self.scope.split()) - {OFFLINE_SCOPE}
        if "refresh_token" in self.grant_types:
            wanted.add(OFFLINE_SCOPE)
        return [name for name in LOGIN_SCOPES if name in wanted]

    def registration(self) -> dict[str, Any]:
        """Return what is kept of it in the client's row."""
        found = self.model_dump(exclude_none=True, exclude=set(_ENTRY))
        return {**found, "scopes": self.scopes, "offline_access": OFFLINE_SCOPE in self.scopes}


def parse(values: object, *, is_local: bool) -> ClientMetadata:
    """Return the metadata; raises InvalidMetadata with the first thing that is wrong."""
    if not isinstance(values, dict):
        raise InvalidMetadata("invalid_client_metadata", "The body must be a JSON object.")
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return ClientMetadata.model_validate(given, context={"is_local": is_local})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(step) for step in fault["loc"])
    code = "invalid_redirect_uri" if place.startswith("redirect_uris") else "invalid_client_metadata"
    reason = fault["msg"].removeprefix("Value error, ")
    raise InvalidMetadata(code, f"{place}: {reason}" if place else reason)
