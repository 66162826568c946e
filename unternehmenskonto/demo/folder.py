"""The folder of the demonstration: one run at a time, its own secrets, its settings, safe removal."""

import base64
import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from unternehmenskonto.demo.addresses import Addresses, addresses
from unternehmenskonto.demo.database import EmbeddedPostgres
from unternehmenskonto.settings import PREFIX, ROOT

LOCK_NAME = "demo.lock"
SECRETS_NAME = "secrets.json"
PARTS = ("postgres", "attachments", "settings", "parties", "logs")
SECRET_BYTES = 32
SETTINGS_VARIABLE = f"{PREFIX}SETTINGS"
CONFIG = ROOT / "config"


class FolderError(Exception):
    """The folder cannot be used; the text says why and what to do."""


class DemoFolder:
    """Lay out everything the demonstration keeps below one folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.postgres = self.path / "postgres"
        self.attachments = self.path / "attachments"
        self.settings = self.path / "settings"
        self.parties = self.path / "parties"
        self.logs = self.path / "logs"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the folder to ourselves; raise FolderError while another demonstration uses it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # The account of the database must be able to pass through, whatever the umask is.
            self.path.chmod(0o755)
            lock = (self.path / LOCK_NAME).open("a+", encoding="ascii")
        except OSError as error:
            raise FolderError(f"The folder {self.path} cannot be written: {error.strerror}.") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise FolderError(
                    f"A demonstration already runs in {self.path} (process {lock.read().strip()}). "
                    "End it with Ctrl-C there, or use another folder: make demo DATA=<folder>"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def make(self) -> None:
        """Make the folders for attachments, settings, parties and logs, closed to other users."""
        for folder in (self.attachments, self.settings, self.parties, self.logs):
            folder.mkdir(mode=0o700, exist_ok=True)

    def write_settings(self, *, database_url: str, needed: Addresses) -> dict[str, str]:
        """Write the settings file and return the environment that names it.

        Secrets are made once and kept; everything else follows the addresses of this run.
        """
        configuration = self._configuration_for(needed)
        values: dict[str, object] = {
            "base_url": needed.konto.url,
            "database_url": database_url,
            **self._secrets(),
            "attachment_dir": str(self.attachments),
            "identity_providers_file": str(configuration / "identity_providers.toml"),
            "services_dir": str(configuration / "services"),
            "operator_name": "Musterstadt (Vorführung)",
            "operator_contact": "konto@musterstadt.example",
            "mail_from": "unternehmenskonto@musterstadt.example",
            "smtp_host": needed.smtp.host,
            "smtp_port": needed.smtp.port,
            "smtp_security": "none",
            "outbound_hosts": sorted({address.host for address in needed.all()}),
        }
        path = self.settings / "settings.toml"
        _write_private(path, "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
        return {SETTINGS_VARIABLE: str(path), "DATABASE_URL": database_url}

    def remove(self) -> None:
        """Delete the database and everything else the demonstration made here, and nothing it did not make.

        Raises FolderError while a demonstration runs here.
        """
        if not self.path.exists():
            return
        with self.held():
            EmbeddedPostgres(self.postgres).remove()
            for name in PARTS:
                part = self.path / name
                if part.is_dir() and not part.is_symlink():
                    shutil.rmtree(part)
            (self.path / LOCK_NAME).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _secrets(self) -> Mapping[str, str]:
        path = self.settings / SECRETS_NAME
        if not path.exists():
            made = {
                "secret_key": secrets.token_urlsafe(SECRET_BYTES),
                "pairwise_secret": secrets.token_urlsafe(SECRET_BYTES),
                "encryption_key": base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii"),
            }
            _write_private(path, json.dumps(made))
        kept: Mapping[str, str] = json.loads(path.read_text(encoding="ascii"))
        return kept

    def _configuration_for(self, needed: Addresses) -> Path:
        """Return the folder of declared configuration: ours, or a copy that names the moved ports."""
        written = addresses(0)
        if needed == written:
            return CONFIG
        moved = self.settings / "config"
        shutil.rmtree(moved, ignore_errors=True)
        for source in sorted(CONFIG.rglob("*.toml")):
            text = source.read_text(encoding="utf-8")
            for before, after in zip(written.all(), needed.all(), strict=True):
                text = text.replace(before.url, after.url)
            target = moved / source.relative_to(CONFIG)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return moved


def _write_private(path: Path, text: str) -> None:
    """Write a file only we can read, whole or not at all."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
