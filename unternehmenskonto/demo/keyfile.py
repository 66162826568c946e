"""The signing key of a demo party, kept in a file so that a restart changes nothing for its peers."""

import json
from pathlib import Path

from joserfc.jwk import RSAKey


def load_or_create(path: Path) -> RSAKey:
    """Return the RSA key of this file; make it, readable by the owner only, where there is none."""
    if path.exists():
        return RSAKey.import_key(json.loads(path.read_text()))
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
    save(path, key)
    return key


def save(path: Path, key: RSAKey) -> None:
    """Write the private key; nobody ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(key.as_dict(private=True)))
    draft.replace(path)
