"""The files a browser loads: pinned, complete, and all from here."""

import json
import re
import sys
from pathlib import Path

import pytest

from tools import assets

ROOT = Path(__file__).resolve().parent.parent
# export.html is read from a disk, outside of our pages and their policy.
TEMPLATES = sorted(path for path in (ROOT / "templates").rglob("*.html") if path.name != "export.html")
STATIC_URL = re.compile(r"""static_url\(["']([^"']+)["']\)""")
CSS_URL = re.compile(r"""url\(["']?(?!data:)([^)"']+)""")
STYLE_SHEET_LINES = 240


def test_lock_pins_by_digest_and_names_no_registry() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name


def test_package_json_names_exact_versions() -> None:
    versions = json.loads((ROOT / "package.json").read_text())["dependencies"].values()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)


def test_files_are_brought_in_and_unchanged() -> None:
    assert assets.is_up_to_date(), "run: python tools/assets.py"


def test_licences_lie_beside_the_files() -> None:
    names = {path.name for path in assets.TARGET.iterdir()}
    assert {"LICENSE-KERN-EUPL-1.2.md", "LICENSE-Fira-Sans-OFL-1.1.txt"} <= names
    assert "SIL OPEN FONT LICENSE Version 1.1" in (assets.TARGET / "LICENSE-Fira-Sans-OFL-1.1.txt").read_text()


def test_style_sheets_load_only_files_that_are_here() -> None:
    for sheet in (ROOT / "static").rglob("*.css"):
        for name in CSS_URL.findall(sheet.read_text()):
            assert (sheet.parent / name).is_file(), (sheet.name, name)


def test_templates_name_only_static_files_that_are_here() -> None:
    for template in TEMPLATES:
        for name in STATIC_URL.findall(template.read_text()):
            assert (ROOT / "static" / name).is_file(), (template.name, name)


def test_templates_have_no_inline_style_and_no_inline_handler() -> None:
    forbidden = re.compile(r"<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)
    assert [str(path) for path in TEMPLATES if forbidden.search(path.read_text())] == []


#: What these scripts do for convenience, the page also does without them.
WITH_SCRIPT = {
    "login/session_warning.html",
    "mailbox/labels/messages.html",
    "mailbox/list.html",
    "provider/form_post.html",
}


def test_no_page_needs_a_script() -> None:
    found = {str(path.relative_to(ROOT / "templates")) for path in TEMPLATES if "<script" in path.read_text()}
    assert found <= WITH_SCRIPT


def test_own_style_sheet_stays_small_and_takes_colours_from_kern() -> None:
    text = (ROOT / "static" / "app.css").read_text()
    assert len(text.splitlines()) <= STYLE_SHEET_LINES
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgb\(|hsl\(", text) == []


def test_a_changed_or_missing_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "TARGET", tmp_path / "kern")
    files = {"kern.min.css": b"a", "fonts/x.woff2": b"b"}
    assets.write(files)
    assert assets.is_up_to_date()
    (assets.TARGET / "kern.min.css").write_bytes(b"changed")
    assert not assets.is_up_to_date()
    assets.write(files)
    (assets.TARGET / "fonts" / "x.woff2").unlink()
    assert not assets.is_up_to_date()


def test_a_failing_command_becomes_one_sentence_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('no such host', file=sys.stderr); sys.exit(3)"]
    with pytest.raises(assets.AssetError, match=r"status 3\. Check the network\.\n  no such host"):
        assets.run(command, tmp_path, seconds=20, advice="Check the network.")


def test_a_package_built_differently_is_named(tmp_path: Path) -> None:
    with pytest.raises(assets.AssetError, match=r"a package has no kern\.min\.css"):
        assets.collect(tmp_path)
