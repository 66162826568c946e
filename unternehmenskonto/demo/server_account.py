"""Under which account and in which folder the embedded PostgreSQL runs.

PostgreSQL refuses to run as root. Started by root, the server runs as the unprivileged account 65534
("nobody"); no account is created and no folder outside our own is changed. What that account cannot reach
- a checkout below a closed folder such as /root - is moved out of the way instead of opened up:

* the binaries are copied once to ``/var/tmp/unternehmenskonto-<uid>/`` and run from there;
* the data goes to a folder beside them whose name is derived from the path asked for.

A plain user runs everything in place and as himself. Data that already exists is served by the account
that owns it.
"""

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNPRIVILEGED_ID = 65534
TRIAL_TIMEOUT_SECONDS = 30
POINTER_NAME = "moved-to.txt"
BACK_POINTER_NAME = "stands-for.txt"


class DatabaseError(Exception):
    """The embedded database cannot run; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """Name the user and group the server processes run as."""

    uid: int
    gid: int

    @property
    def is_own(self) -> bool:
        """Tell whether this is the account we run as ourselves."""
        return self.uid == os.geteuid()

    def process_options(self) -> dict[str, Any]:
        """Return the arguments that make ``subprocess`` switch to this account."""
        return {} if self.is_own else {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make ``path`` belong to this account."""
        if not self.is_own:
            os.chown(path, self.uid, self.gid)

    def reaches(self, folder: Path) -> bool:
        """Tell whether this account may enter ``folder``; asked of the kernel, not guessed from mode bits."""
        command = ["/bin/sh", "-c", 'cd -- "$0"', str(folder)]
        return self.can_run(command)

    def can_run(self, command: list[str]) -> bool:
        """Run ``command`` silently as this account and tell whether it ended with 0."""
        try:
            done = subprocess.run(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=TRIAL_TIMEOUT_SECONDS,
                check=False,
                **self.process_options(),
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0


def account_for(cluster: Path) -> Account:
    """Return the account that serves ``cluster``: its owner, else ourselves, else 65534 when we are root.

    Raises DatabaseError when the data belongs to somebody whose files we may not read.
    """
    own = Account(os.geteuid(), os.getegid())
    owner = cluster.stat() if cluster.exists() else None
    if owner is not None and owner.st_uid != own.uid:
        if own.uid != 0:
            raise DatabaseError(
                f"The database in {cluster} belongs to another user (uid {owner.st_uid}). "
                "Start as that user, or remove the folder as that user."
            )
        return Account(owner.st_uid, owner.st_gid)
    return Account(UNPRIVILEGED_ID, UNPRIVILEGED_ID) if own.uid == 0 else own


def home_for(data_dir: Path, account: Account) -> Path:
    """Return the folder that holds the cluster: ``data_dir``, or a reachable one in its place.

    Makes the folder. Raises DatabaseError when a folder of that name belongs to somebody else.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    if account.is_own:
        return data_dir
    data_dir.chmod(0o711)
    used = existing_home(data_dir)
    if used is not None:
        return used
    if account.reaches(data_dir):
        return data_dir
    _forget_tests()
    home = _closed_folder(reachable_root() / mark_of(data_dir))
    (data_dir / POINTER_NAME).write_text(f"{home}\n", encoding="utf-8")
    (home / BACK_POINTER_NAME).write_text(f"{data_dir}\n", encoding="utf-8")
    return home


def existing_home(data_dir: Path) -> Path | None:
    """Return the folder that already holds the cluster of ``data_dir``, None before the first start."""
    stand_in = _root() / mark_of(data_dir)
    return next((home for home in (data_dir, stand_in) if (home / "cluster").is_dir()), None)


def _forget_tests() -> None:
    """Delete stand-ins of temporary folders that are gone: what an interrupted test could not delete itself."""
    for pointer in reachable_root().glob(f"*/{BACK_POINTER_NAME}"):
        asked_for = Path(pointer.read_text(encoding="utf-8").strip())
        is_temporary = asked_for.is_relative_to(tempfile.gettempdir())
        if is_temporary and not asked_for.exists() and not (pointer.parent / "cluster" / "postmaster.pid").exists():
            shutil.rmtree(pointer.parent, ignore_errors=True)


def mark_of(folder: Path) -> str:
    """Return twelve characters that stand for the path of ``folder``."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]


def reachable_root() -> Path:
    """Make and return our folder that every account can pass through."""
    return _closed_folder(_root())


def _root() -> Path:
    lasting = Path("/var/tmp")  # noqa: S108 - unlike /tmp it outlives a restart; ownership is checked below
    parent = lasting if lasting.is_dir() else Path(tempfile.gettempdir())
    return parent / f"unternehmenskonto-{os.geteuid()}"


def _closed_folder(folder: Path) -> Path:
    """Make a folder others may pass through but not list or change; refuse one that is not ours."""
    folder.mkdir(mode=0o711, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise DatabaseError(f"{folder} belongs to somebody else. Remove it and start again.")
    folder.chmod(0o711)
    return folder
