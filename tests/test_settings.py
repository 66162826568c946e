"""Settings: unsafe, unknown or missing ones stop the start with a sentence that never repeats a value."""

import base64
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from unternehmenskonto.operators.settings_example import settings_example
from unternehmenskonto.settings import PREFIX, ROOT, Settings, SettingsError, load_settings

KEY = base64.b64encode(bytes(range(32))).decode()
LOCAL = {
    "DATABASE_URL": "postgresql://konto:Passwort-4711@db.example/konto",
    "UNTERNEHMENSKONTO_BASE_URL": "http://127.0.0.1:8000",
    "UNTERNEHMENSKONTO_SECRET_KEY": "s" * 32,
    "UNTERNEHMENSKONTO_ENCRYPTION_KEY": KEY,
    "UNTERNEHMENSKONTO_PAIRWISE_SECRET": "p" * 32,
}
PUBLIC = {
    **LOCAL,
    "UNTERNEHMENSKONTO_BASE_URL": "https://konto.stadt.de",
    "UNTERNEHMENSKONTO_RATE_LIMIT_STORAGE": "redis://zaehler.stadt.de",
    "UNTERNEHMENSKONTO_OPERATOR_CONTACT": "konto@stadt.de",
    "UNTERNEHMENSKONTO_MAIL_FROM": "konto@stadt.de",
}


def refusal(environ: dict[str, str], **changes: str | None) -> str:
    """Return the sentences that stop the start; a change to None removes the variable."""
    changed = {**environ, **{f"{PREFIX}{name.upper()}": value for name, value in changes.items()}}
    with pytest.raises(SettingsError) as caught:
        load_settings({name: value for name, value in changed.items() if value is not None})
    return str(caught.value)


def test_safe_settings_start() -> None:
    assert load_settings(LOCAL).is_local
    assert not load_settings(PUBLIC).is_local


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("base_url", None, "base_url: is missing; set UNTERNEHMENSKONTO_BASE_URL"),
        ("secret_key", None, "secret_key: is missing; set UNTERNEHMENSKONTO_SECRET_KEY"),
        ("encryption_key", None, "encryption_key: is missing"),
        ("pairwise_secret", None, "pairwise_secret: is missing"),
        ("base_url", "konto.stadt.de", "base_url: must be an origin"),
        ("base_url", "https://konto.stadt.de/pfad", "base_url: must be an origin"),
        ("base_url", "http://konto.stadt.de", "base_url: must begin with https://"),
        ("secret_key", "Geheim-4711", "secret_key: must have at least 32 characters"),
        ("pairwise_secret", "Geheim-4711", "pairwise_secret: must have at least 32 characters"),
        ("encryption_key", "Geheim-4711", "encryption_key: must be 32 random bytes in base64"),
        ("encryption_key", base64.b64encode(b"Geheim-4711").decode(), "encryption_key: must be 32 random bytes"),
        ("smtp_port", "Geheim-4711", "smtp_port:"),
        ("smtp_port", "0", "smtp_port:"),
        ("smtp_security", "Geheim-4711", "smtp_security:"),
        ("session_idle_minutes", "61", "session_idle_minutes:"),
        ("session_hours", "25", "session_hours:"),
        ("minimum_assurance", "Geheim-4711", "minimum_assurance:"),
        ("trusted_proxies", "-1", "trusted_proxies:"),
        ("rate_limit_storage", "file://Geheim-4711", "rate_limit_storage:"),
        ("default_land", "Geheim-4711", "default_land:"),
        ("log_level", "Geheim-4711", "log_level:"),
        ("sekret_key", "Geheim-4711", "sekret_key: is not a setting; see config/example.toml"),
    ],
)
def test_missing_unknown_or_wrong_value_is_named_and_not_repeated(name: str, value: str | None, sentence: str) -> None:
    refused = refusal(LOCAL, **{name: value})
    assert sentence in refused
    assert "4711" not in refused


@pytest.mark.parametrize("address", ["", "sqlite:///Geheim-4711.db", "mysql://Geheim-4711@db/x", "postgresql://"])
def test_other_databases_are_refused(address: str) -> None:
    refused = refusal({**LOCAL, "DATABASE_URL": address})
    assert "database_url: must be a PostgreSQL address" in refused
    assert "4711" not in refused


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("smtp_security", "none", ""),
        ("rate_limit_storage", "memory://", "rate_limit_storage must name a shared store"),
        ("operator_contact", "a@b.example", "operator_contact and mail_from must be real addresses"),
        ("mail_from", "a@b.example", "operator_contact and mail_from must be real addresses"),
        ("outbound_hosts", "10.1.2.3,127.0.0.1", "outbound_hosts must not name this machine"),
        ("outbound_hosts", "localhost", "outbound_hosts must not name this machine"),
    ],
)
def test_what_is_fine_on_this_machine_is_refused_in_public(name: str, value: str, sentence: str) -> None:
    load_settings({**LOCAL, f"{PREFIX}{name.upper()}": value})
    if name == "smtp_security":
        assert "smtp_security must be starttls or tls" in refusal(PUBLIC, smtp_host="post.stadt.de", **{name: value})
    else:
        assert sentence in refusal(PUBLIC, **{name: value})


def test_every_fault_is_told_at_once() -> None:
    lines = refusal(LOCAL, secret_key=None, log_level="LOUD", sekret="x").splitlines()
    assert len(lines) == 3


def test_environment_wins_over_file(tmp_path: Path) -> None:
    file = tmp_path / "konto.toml"
    file.write_text('operator_name = "Stadt"\ndefault_land = "BY"\noutbound_hosts = ["10.1.2.3"]\n', encoding="utf-8")
    settings = load_settings({**LOCAL, f"{PREFIX}SETTINGS": str(file), f"{PREFIX}DEFAULT_LAND": "HE"})
    assert (settings.operator_name, settings.default_land) == ("Stadt", "HE")
    assert settings.outbound_hosts == ("10.1.2.3",)


def test_list_in_the_environment_is_separated_by_commas() -> None:
    settings = load_settings({**LOCAL, f"{PREFIX}OUTBOUND_HOSTS": "10.1.2.3, idp.intern,"})
    assert settings.outbound_hosts == ("10.1.2.3", "idp.intern")


@pytest.mark.parametrize("content", [None, "operator_name = Geheim-4711", b"\xff"])
def test_file_that_cannot_be_read_stops_the_start(tmp_path: Path, content: str | bytes | None) -> None:
    file = tmp_path / "konto.toml"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused = refusal({**LOCAL, f"{PREFIX}SETTINGS": str(file)})
    assert f"Cannot read the settings file {file}" in refused
    assert "4711" not in refused


def test_secrets_are_not_shown_by_accident() -> None:
    settings = load_settings({**LOCAL, f"{PREFIX}SMTP_PASSWORD": "Geheim-4711"})
    shown = f"{settings!r} {settings} {settings.model_dump()}"
    assert [secret for secret in (KEY, "s" * 32, "p" * 32, "Geheim-4711") if secret in shown] == []
    assert "Passwort-4711" not in f"{settings!r} {settings}"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(LOCAL).base_url = "https://anderswo.de"  # type: ignore[misc]


def test_server_ends_with_the_sentence_and_no_traceback() -> None:
    environ = {name: value for name, value in LOCAL.items() if "SECRET_KEY" not in name}
    ended = subprocess.run(
        [sys.executable, "-c", "import wsgi"], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "secret_key: is missing" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "4711" not in ended.stderr


def test_example_file_is_what_the_settings_say() -> None:
    assert (ROOT / "config" / "example.toml").read_text(encoding="utf-8") == settings_example(), (
        "write it anew: flask settings example > config/example.toml"
    )


def test_example_file_shows_every_setting_and_true_defaults() -> None:
    text = (ROOT / "config" / "example.toml").read_text(encoding="utf-8")
    lines = (line.removeprefix("# ") for line in text.splitlines())
    names = tuple(f"{name} = " for name in Settings.model_fields)
    values: dict[str, Any] = tomllib.loads("\n".join(line for line in lines if line.startswith(names)))
    assert values.keys() == Settings.model_fields.keys()
    required = {"base_url": LOCAL[f"{PREFIX}BASE_URL"], "database_url": "postgresql://x/y"}
    secret = {"secret_key": "s" * 32, "encryption_key": KEY, "pairwise_secret": "p" * 32}
    settings = Settings.model_validate({**values, **required, **secret})
    plain = load_settings(LOCAL)
    for name in Settings.model_fields.keys() - required.keys() - secret.keys():
        value = getattr(settings, name)
        assert (ROOT / value if isinstance(value, Path) else value) == getattr(plain, name), name
