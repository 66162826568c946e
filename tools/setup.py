"""Make .venv and install the locked dependencies: ``python3 tools/setup.py demo|dev``.

Runs under the system's Python with its standard library only, also under versions too old for the application, so
that these get a sentence instead of a syntax error. Whatever is in place already is left alone.
"""

from __future__ import annotations  # this file must still be readable for old versions of Python

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
OLDEST_PYTHON = (3, 11)
REQUIREMENTS = {"demo": "requirements.txt", "dev": "requirements-dev.txt"}
# Run after installing, in this order; each leaves alone what is up to date.
PREPARATIONS = (("tools/assets.py",), ("tools/translations.py", "compile"))
SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_SECONDS = 300
PROGRESS_STEP = 20
TAIL_LINES = 25
PIN = re.compile(r"^([A-Za-z0-9._\[\]-]+==\S+)", re.MULTILINE)


class SetupError(Exception):
    """The environment cannot be made; the text says why and what to do."""


def main(arguments: list[str]) -> int:
    """Set up for the purpose named in ``arguments``; return the exit status."""
    if len(arguments) != 1 or arguments[0] not in REQUIREMENTS:
        print("usage: python3 tools/setup.py demo|dev", file=sys.stderr)
        return 2
    try:
        check_python()
        install(arguments[0])
        prepare()
        if arguments[0] == "dev":
            find_browser()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The next run goes on from here.", file=sys.stderr)
        return 130
    return 0


def check_python() -> None:
    """Raise SetupError when this Python is too old or cannot make environments."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < OLDEST_PYTHON:
        raise SetupError(
            f"Unternehmenskonto needs Python 3.11 or newer, this is {found}. "
            "Name a newer one: make demo PYTHON=python3.11"
        )
    if not VENV_PYTHON.exists() and importlib.util.find_spec("ensurepip") is None:
        raise SetupError("Python cannot make virtual environments here. Run: apt install python3-venv")


def install(purpose: str) -> None:
    """Install the packages of ``purpose`` unless exactly these are installed."""
    name = REQUIREMENTS[purpose]
    if stamp_is_current(name):
        return
    if not runs([str(VENV_PYTHON), "-c", "import sys, pip; sys.exit(sys.version_info[:2] < (3, 11))"]):
        make_environment()
    run_pip(name)
    write_stamp(name)
    for other in REQUIREMENTS.values():
        if pins(other) <= pins(name):
            write_stamp(other)


def make_environment() -> None:
    """Make .venv afresh."""
    print("Making the virtual environment .venv ...", flush=True)
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def run_pip(name: str) -> None:
    """Install the locked packages of one requirements file and report progress."""
    total = len(pins(name))
    print(f"Installing the {total} packages of {name}; the first time takes a minute or two ...", flush=True)
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--progress-bar", "off", "-r", name]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        tail = follow(process)
    if process.returncode != 0:
        raise SetupError(
            "\n".join(tail)
            + f"\nThe packages of {name} could not be installed; the lines above say why. "
            + "Check the network (pip's proxy and index settings apply), then run the same command again."
        )


def follow(process: subprocess.Popen[str]) -> list[str]:
    """Print how far pip is; return its last lines."""
    tail: list[str] = []
    found = 0
    for line in process.stdout or ():
        tail = [*tail[-TAIL_LINES:], line.rstrip()]
        if line.startswith("Collecting "):
            found += 1
            if found % PROGRESS_STEP == 0:
                print(f"  {found} packages fetched", flush=True)
        elif line.startswith("Installing collected packages"):
            print(f"  {found} packages fetched; unpacking", flush=True)
    return tail


def prepare() -> None:
    """Bring in front-end files and compile translations."""
    for script, *arguments in PREPARATIONS:
        if not (ROOT / script).exists():
            continue
        if subprocess.run([str(VENV_PYTHON), script, *arguments], cwd=ROOT, check=False).returncode != 0:
            raise SetupError(f"{script} failed; the lines above say why.")


def find_browser() -> None:
    """Let Playwright download its Chromium where the system has none; tried once per environment.

    A failure is no error here: the tests that need a browser say themselves that they did not run.
    """
    tried = VENV / "browser-tried"
    if tried.exists() or any(shutil.which(name) for name in SYSTEM_BROWSERS):
        return
    print("No Chromium on this machine; Playwright downloads its own ...", flush=True)
    command = [str(VENV_PYTHON), "-m", "playwright", "install", "chromium"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=BROWSER_SECONDS, check=False)
        worked = done.returncode == 0
    except subprocess.TimeoutExpired:
        worked = False
    if not worked:
        print("  not possible. For the browser tests run: apt install chromium libatomic1", flush=True)
    tried.touch()


def pins(name: str) -> set[str]:
    """Return the ``package==version`` entries of a requirements file."""
    return set(PIN.findall((ROOT / name).read_text(encoding="utf-8")))


def stamp_is_current(name: str) -> bool:
    """Tell whether the environment was last filled from this very requirements file."""
    stamp = VENV / f"installed-{name}"
    return VENV_PYTHON.exists() and stamp.exists() and stamp.read_text(encoding="ascii") == checksum(name)


def write_stamp(name: str) -> None:
    """Note that everything in the requirements file is installed."""
    (VENV / f"installed-{name}").write_text(checksum(name), encoding="ascii")


def checksum(name: str) -> str:
    """Return the SHA-256 of a requirements file."""
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()


def runs(command: list[str]) -> bool:
    """Tell whether a command can be started and ends with 0."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
