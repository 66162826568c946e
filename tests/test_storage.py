"""The store of attachments: what comes out is what went in, or nothing complete."""

import hashlib
import io
import secrets
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from unternehmenskonto import storage
from unternehmenskonto.db import now
from unternehmenskonto.errors import Unavailable


def put(content: bytes) -> tuple[str, Path, str]:
    """Store the content; return its name, its file and its digest."""
    name = storage.put(io.BytesIO(content))
    return name, storage.folder() / name, hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [0, 1, storage.PUT_BYTES, storage.PUT_BYTES + 1, 3 * storage.PUT_BYTES + 7])
def test_object_comes_back_byte_for_byte_in_chunks(app: Flask, size: int) -> None:
    content = secrets.token_bytes(size)
    name, _, digest = put(content)
    chunks = list(storage.stream(name, sha256=digest))
    assert b"".join(chunks) == content
    assert all(len(chunk) <= 8 * storage.PUT_BYTES for chunk in chunks)


@pytest.mark.parametrize("position", [0, storage.PUT_BYTES, -1])
def test_flipped_byte_is_detected_and_the_object_never_arrives_complete(app: Flask, position: int) -> None:
    content = secrets.token_bytes(2 * storage.PUT_BYTES + 5)
    name, file, digest = put(content)
    changed = bytearray(content)
    changed[position] ^= 1
    file.write_bytes(changed)
    arrived = b""
    with pytest.raises(storage.DigestMismatch):
        for chunk in storage.stream(name, sha256=digest):
            arrived += chunk
    assert len(arrived) < len(content)


def test_cut_off_object_is_detected(app: Flask) -> None:
    content = secrets.token_bytes(storage.PUT_BYTES)
    name, file, digest = put(content)
    file.write_bytes(content[:-1])
    with pytest.raises(storage.DigestMismatch):
        list(storage.stream(name, sha256=digest))


def test_missing_object_is_unavailable_and_not_empty(app: Flask) -> None:
    name, file, digest = put(b"x")
    file.unlink()
    with pytest.raises(Unavailable):
        list(storage.stream(name, sha256=digest))


def test_same_content_gets_two_names_that_nobody_can_guess(app: Flask) -> None:
    names = {put(b"x")[0] for _ in range(3)}
    assert len(names) == 3
    assert all(len(name) == 51 for name in names)


def test_deleted_object_is_gone_and_may_be_deleted_again(app: Flask) -> None:
    name, file, _ = put(b"x")
    storage.delete(name)
    assert not file.exists()
    storage.delete(name)


def test_old_objects_are_told_apart(app: Flask) -> None:
    name, _, _ = put(b"x")
    assert name not in [found for batch in storage.older_objects(now() - timedelta(hours=1)) for found in batch]
    assert name in [found for batch in storage.older_objects(now() + timedelta(hours=1)) for found in batch]


def test_full_or_broken_disk_is_unavailable(app: Flask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file where the folder should be fails as a broken disk does, also for root."""
    storage.init_app(app, tmp_path / "store")
    try:
        (tmp_path / "store").rmdir()
        (tmp_path / "store").write_text("in the way")
        with pytest.raises(Unavailable):
            storage.put(io.BytesIO(b"x"))
    finally:
        storage.init_app(app, app.extensions["settings"].attachment_dir)


def test_folder_is_closed_to_other_accounts(app: Flask, tmp_path: Path) -> None:
    try:
        storage.init_app(app, tmp_path / "new")
        assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    finally:
        storage.init_app(app, app.extensions["settings"].attachment_dir)
