"""tools/setup.py: what a newcomer's machine lacks is one sentence, and what is done is not done again."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from unternehmenskonto.settings import ROOT

UNKNOWN_PACKAGE = f"no-such-package==1.0 --hash=sha256:{'0' * 64}\n"


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the program, working in an empty checkout and without network."""
    spec = importlib.util.spec_from_file_location("setup_tool", ROOT / "tools" / "setup.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "VENV_PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for name in module.REQUIREMENTS.values():
        (tmp_path / name).write_text("")
    return module


def errors(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_an_old_python_is_one_sentence(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup.sys, "version_info", (3, 9, 2))
    assert setup.main(["demo"]) == 1
    assert errors(capsys) == (
        "Unternehmenskonto needs Python 3.11 or newer, this is 3.9.2. Name a newer one: make demo PYTHON=python3.11\n"
    )


def test_a_missing_venv_is_one_sentence_with_the_apt_line(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup.importlib.util, "find_spec", lambda name: None)
    assert setup.main(["demo"]) == 1
    said = errors(capsys)
    assert said.count("\n") == 1
    assert "apt install python3-venv" in said


def test_packages_that_cannot_be_fetched_are_named_and_nothing_is_noted(
    setup: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    (setup.ROOT / "requirements.txt").write_text(UNKNOWN_PACKAGE)
    assert setup.main(["demo"]) == 1
    said = errors(capsys)
    assert "no-such-package" in said
    assert "Check the network" in said
    assert not setup.stamp_is_current("requirements.txt")


def test_a_second_run_installs_nothing(setup: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main(["demo"]) == 0
    assert "Installing" in capsys.readouterr().out
    assert setup.main(["demo"]) == 0
    assert capsys.readouterr().out == ""
    (setup.ROOT / "requirements.txt").write_text("# changed\n")
    assert setup.main(["demo"]) == 0
    assert "Installing" in capsys.readouterr().out


def test_the_packages_of_the_tests_include_those_of_the_demo(setup: ModuleType) -> None:
    for name in setup.REQUIREMENTS.values():
        (setup.ROOT / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    assert setup.pins("requirements.txt") < setup.pins("requirements-dev.txt")


def test_a_failing_preparation_fails_the_setup(setup: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    (setup.ROOT / "tools").mkdir()
    (setup.ROOT / "tools" / "assets.py").write_text("raise SystemExit('no npm')\n")
    assert setup.main(["demo"]) == 1
    assert "tools/assets.py failed" in errors(capsys)


def test_the_locked_files_name_no_registry(setup: ModuleType) -> None:
    for name in setup.REQUIREMENTS.values():
        assert "://" not in (ROOT / name).read_text(encoding="utf-8")


def test_make_without_a_target_lists_the_commands() -> None:
    shown = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory"], capture_output=True, text=True, check=True
    )
    for target in ("demo", "demo-reset", "test", "check", "format", "setup"):
        assert f"make {target} " in shown.stdout


def test_a_wrong_purpose_shows_the_usage(setup: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main(["dance"]) == 2
    assert "usage" in errors(capsys)
    assert sys.version_info >= setup.OLDEST_PYTHON
