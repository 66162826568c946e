"""Every setting once: name, type, default, meaning.

Values come from the TOML file named in UNTERNEHMENSKONTO_SETTINGS and from environment variables
(UNTERNEHMENSKONTO_<NAME>, and DATABASE_URL); the environment wins. A value that is unknown, missing or
unsafe stops the start with a sentence.
"""

import base64
import binascii
import os
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from flask import current_app
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

PREFIX = "UNTERNEHMENSKONTO_"
ROOT = Path(__file__).resolve().parent.parent
LOOPBACK_HOSTS = ("localhost", "::1")


class SettingsError(Exception):
    """Say in one sentence per line which settings keep the application from starting."""


def is_loopback_url(url: str) -> bool:
    """Tell whether the URL names this machine only."""
    host = urlsplit(url).hostname or ""
    return host in LOOPBACK_HOSTS or host.startswith("127.")


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.netloc or parts.path not in ("", "/") or parts.query:
        raise ValueError("must be an origin such as https://konto.example, without path")
    if parts.scheme == "http" and not is_loopback_url(value):
        raise ValueError("must begin with https:// (http is accepted for 127.0.0.0/8 and localhost only)")
    return f"{parts.scheme}://{parts.netloc}"


def _database(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme not in ("postgres", "postgresql", "postgresql+psycopg") or not rest:
        raise ValueError("must be a PostgreSQL address such as postgresql://user:password@host/database")
    return f"postgresql+psycopg://{rest}"


def _secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 32:
        raise ValueError("must have at least 32 characters; make one with: openssl rand -base64 32")
    return value


def _key(value: SecretStr) -> SecretStr:
    try:
        raw = base64.b64decode(value.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:
        raise ValueError("must be 32 random bytes in base64; make it with: openssl rand -base64 32")
    return value


Origin = Annotated[str, AfterValidator(_origin)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Key = Annotated[SecretStr, AfterValidator(_key)]


class Settings(BaseModel):
    """Hold every setting of one installation; immutable after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: Origin = Field(description="Public origin; also the OpenID issuer. Never taken from a request.")
    database_url: DatabaseUrl = Field(repr=False, description="PostgreSQL 15 or newer.")
    secret_key: Secret = Field(description="Signs form tokens and short-lived cookies.")
    encryption_key: Key = Field(description="Encrypts private keys in the database (AES-256-GCM).")
    pairwise_secret: Secret = Field(description="Keys the commitments that hide identifiers. Never changes.")

    identity_providers_file: Path = Field(
        default=ROOT / "config" / "identity_providers.toml", description="Where companies log in."
    )
    services_dir: Path = Field(default=ROOT / "config" / "services", description="One TOML file per online service.")
    attachment_dir: Path = Field(default=ROOT / ".data" / "attachments", description="Folder of attachments.")

    operator_name: str = Field(default="Beispielbehörde", description="Who runs this installation.")
    operator_contact: str = Field(default="kontakt@behoerde.example", description="Shown on every error page.")

    smtp_host: str = Field(default="127.0.0.1", description="Mail server.")
    smtp_port: int = Field(default=25, ge=1, le=65535, description="Port of the mail server.")
    smtp_security: str = Field(default="starttls", pattern="^(none|starttls|tls)$", description="Transport.")
    smtp_username: str = Field(default="", description="Empty: no login.")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="Password at the mail server.")
    mail_from: str = Field(default="unternehmenskonto@behoerde.example", description="Sender of notices.")

    session_idle_minutes: int = Field(default=30, ge=1, le=60, description="A quiet session ends after this.")
    session_hours: int = Field(default=12, ge=1, le=24, description="Every session ends after this.")
    minimum_assurance: str = Field(
        default="substantial", pattern="^(low|substantial|high)$", description="Lowest trust level let in."
    )
    outbound_hosts: tuple[str, ...] = Field(
        default=(), description="Private or loopback hosts that may be called, for example 10.1.2.3."
    )
    trusted_proxies: int = Field(default=0, ge=0, le=5, description="Reverse proxies in front of us.")
    rate_limit_storage: str = Field(
        default="memory://",
        pattern=r"^(memory|redis|rediss)://",
        description="Shared counters.",
    )
    account_logins_per_minute: int = Field(
        default=600, ge=60, le=1_000_000, description="Logins at online services of one person; more is a program."
    )
    default_land: str = Field(default="NW", pattern="^[A-Z]{2}$", description="Holidays where none is named.")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Detail of logs.")

    @property
    def is_local(self) -> bool:
        """Tell whether this installation serves this machine only (demo and tests)."""
        return is_loopback_url(self.base_url)

    @property
    def session_idle(self) -> timedelta:
        """Return how long a session lives without a request."""
        return timedelta(minutes=self.session_idle_minutes)

    @property
    def session_absolute(self) -> timedelta:
        """Return how long a session lives at most."""
        return timedelta(hours=self.session_hours)

    @model_validator(mode="after")
    def _safe(self) -> "Settings":
        if self.is_local:
            return self
        problems = []
        if self.smtp_security == "none" and not self.smtp_host.startswith("127."):
            problems.append("smtp_security must be starttls or tls")
        if self.rate_limit_storage == "memory://":
            problems.append(
                "rate_limit_storage must name a shared store such as redis://host, because every "
                "worker process would count for itself"
            )
        if self.operator_contact.endswith(".example") or self.mail_from.endswith(".example"):
            problems.append("operator_contact and mail_from must be real addresses")
        if any(host in LOOPBACK_HOSTS or host.startswith("127.") for host in self.outbound_hosts):
            problems.append("outbound_hosts must not name this machine")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of file and environment; raise SettingsError naming every fault."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    path = environ.get(f"{PREFIX}SETTINGS")
    if path:
        values |= _read_file(Path(path))
    for name, value in environ.items():
        if name.startswith(PREFIX) and name != f"{PREFIX}SETTINGS":
            key = name.removeprefix(PREFIX).lower()
            values[key] = _split(value) if key == "outbound_hosts" else value
    if "DATABASE_URL" in environ:
        values["database_url"] = environ["DATABASE_URL"]
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_sentences(error)) from None


def get_settings() -> Settings:
    """Return the settings of the running application."""
    settings: Settings = current_app.extensions["settings"]
    return settings


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"Cannot read the settings file {path}: {error}.") from None


def _split(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _sentences(error: ValidationError) -> str:
    """Name each fault without ever repeating a value: it may be a secret."""
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in fault["loc"]) or "settings"
        reason = {
            "extra_forbidden": "is not a setting; see config/example.toml",
            "missing": f"is missing; set {PREFIX}{name.upper()} or write it into the settings file",
        }.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        lines.append(f"{name}: {reason}.")
    return "\n".join(lines)
