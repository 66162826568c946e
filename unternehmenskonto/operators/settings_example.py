"""config/example.toml, written from the settings themselves so that it cannot go stale."""

import json
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from unternehmenskonto.settings import PREFIX, ROOT, Settings

HEAD = f"""\
# Every setting of Unternehmenskonto, made with: flask settings example
# Name the file in {PREFIX}SETTINGS. Environment variables ({PREFIX}<NAME>, and DATABASE_URL)
# win over the file. Commented lines show the default. A value that is unknown, missing or unsafe stops the start.
"""
#: What to write where there is no default; secrets are made, not chosen.
EXAMPLES = {
    "base_url": "https://konto.example",
    "database_url": "postgresql://unternehmenskonto:PASSWORD@db.example/unternehmenskonto",
    "secret_key": "",
    "encryption_key": "",
    "pairwise_secret": "",
}
ADVICE = {
    "secret_key": "At least 32 characters. Make it with: openssl rand -base64 32",
    "encryption_key": "32 random bytes in base64. Make it with: openssl rand -base64 32",
    "pairwise_secret": "At least 32 characters. Make it with: openssl rand -base64 32",
}


def settings_example() -> str:
    """Return a TOML file with every setting, its meaning and its default."""
    return HEAD + "".join(_entry(name, field) for name, field in Settings.model_fields.items())


def _entry(name: str, field: FieldInfo) -> str:
    lines = ["", f"# {field.description}"]
    if name in ADVICE:
        lines.append(f"# {ADVICE[name]}")
    if field.is_required():
        lines.append(f"{name} = {_toml(EXAMPLES[name])}")
    else:
        lines.append(f"# {name} = {_toml(field.default)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """Return the value as TOML; texts, numbers and lists of texts are written as in JSON."""
    if isinstance(value, Path):
        # Folders of the checkout: a default that depends on the machine would not be an example.
        return json.dumps(str(value.relative_to(ROOT)))
    if isinstance(value, SecretStr):
        return json.dumps(value.get_secret_value())
    return json.dumps(value, ensure_ascii=False)
