"""One run per folder, secrets that stay, and a reset that deletes nothing but its own."""

import stat
import tomllib
from pathlib import Path

import pytest

from unternehmenskonto.demo.addresses import addresses
from unternehmenskonto.demo.folder import SETTINGS_VARIABLE, DemoFolder, FolderError
from unternehmenskonto.settings import load_settings

DATABASE_URL = "postgresql+psycopg://nobody:nothing@/none"


@pytest.fixture
def folder(tmp_path: Path) -> DemoFolder:
    made = DemoFolder(tmp_path / "demo")
    made.path.mkdir()
    made.make()
    return made


def test_a_second_run_in_the_same_folder_is_refused(folder: DemoFolder) -> None:
    with (
        folder.held(),
        pytest.raises(FolderError, match="already runs"),
        DemoFolder(folder.path).held(),
    ):
        raise AssertionError("two runs in one folder")
    with folder.held():
        pass


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="cannot be written"), DemoFolder(tmp_path / "file" / "demo").held():
        raise AssertionError("a file was taken for a folder")


def test_the_settings_satisfy_the_application(folder: DemoFolder) -> None:
    environment = folder.write_settings(database_url=DATABASE_URL, needed=addresses(0))
    settings = load_settings(environment)
    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.smtp_port == addresses(0).smtp.port
    assert settings.attachment_dir == folder.attachments


def test_secrets_are_made_once_and_closed_to_others(folder: DemoFolder) -> None:
    path = Path(folder.write_settings(database_url=DATABASE_URL, needed=addresses(0))[SETTINGS_VARIABLE])
    first = tomllib.loads(path.read_text(encoding="utf-8"))
    folder.write_settings(database_url=DATABASE_URL, needed=addresses(7))
    second = tomllib.loads(path.read_text(encoding="utf-8"))
    for name in ("secret_key", "encryption_key", "pairwise_secret"):
        assert first[name] == second[name]
    assert second["base_url"] == "http://127.0.0.1:8007"
    for file in (path, folder.settings / "secrets.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_moved_ports_reach_the_declared_configuration(folder: DemoFolder) -> None:
    environment = folder.write_settings(database_url=DATABASE_URL, needed=addresses(500))
    settings = load_settings(environment)
    texts = [file.read_text(encoding="utf-8") for file in settings.services_dir.glob("*.toml")]
    texts.append(settings.identity_providers_file.read_text(encoding="utf-8"))
    assert len(texts) > 1
    for text in texts:
        assert not any(address.url in text for address in addresses(0).all())
    assert any(addresses(500).identity_provider.url in text for text in texts)


def test_reset_deletes_only_what_the_demonstration_made(folder: DemoFolder) -> None:
    folder.write_settings(database_url=DATABASE_URL, needed=addresses(0))
    (folder.path / "diary.txt").write_text("mine")
    elsewhere = folder.path.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    folder.logs.rmdir()
    folder.logs.symlink_to(elsewhere)
    folder.remove()
    assert {entry.name for entry in folder.path.iterdir()} == {"diary.txt", "logs"}
    assert (elsewhere / "kept").exists()
    DemoFolder(folder.path.parent / "never-made").remove()


def test_reset_is_refused_while_the_demonstration_runs(folder: DemoFolder) -> None:
    with folder.held(), pytest.raises(FolderError, match="already runs"):
        DemoFolder(folder.path).remove()
    assert folder.settings.exists()
