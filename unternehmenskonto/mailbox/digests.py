"""Digest fields of HTTP (RFC 9530): read Content-Digest and hold it against what arrived."""

import base64
import binascii
import hashlib
import hmac
import re

from unternehmenskonto.mailbox.problems import refusal

#: Names of RFC 9530 section 5 that are safe; others are ignored, as the RFC asks.
ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}
MAXIMUM_HEADER = 500
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]{0,30})=:([A-Za-z0-9+/=]{0,200}):\s*")


def parse(header: str | None) -> dict[str, bytes]:
    """Return algorithm -> digest of a Content-Digest field; empty if there is none or no known algorithm.

    Raises the problem `invalid_digest` for what is no dictionary of byte sequences (RFC 8941).
    """
    if header is None:
        return {}
    if len(header) > MAXIMUM_HEADER:
        raise refusal("invalid_digest")
    found: dict[str, bytes] = {}
    for part in header.split(","):
        member = _MEMBER.fullmatch(part)
        if member is None:
            raise refusal("invalid_digest")
        if member[1] in ALGORITHMS:
            found[member[1]] = _decode(member[1], member[2])
    return found


class Running:
    """SHA-256 of everything fed, and whatever else the sender named."""

    def __init__(self, expected: dict[str, bytes]) -> None:
        self.expected = expected
        self.sha256 = hashlib.sha256()
        self._others = {name: hashlib.new(ALGORITHMS[name]) for name in expected if name != "sha-256"}

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        self.sha256.update(data)
        for other in self._others.values():
            other.update(data)

    def check(self, *, what: str) -> None:
        """Raise the problem `digest_mismatch` naming the part if a digest is not the one announced."""
        computed = {"sha-256": self.sha256.digest(), **{name: h.digest() for name, h in self._others.items()}}
        for name, value in self.expected.items():
            if not hmac.compare_digest(computed[name], value):
                raise refusal("digest_mismatch", algorithm=name, part=what)


def field(sha256: str) -> str:
    """Return the Content-Digest field of a SHA-256 given as hex digits."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def _decode(name: str, text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != hashlib.new(ALGORITHMS[name]).digest_size:
        raise refusal("invalid_digest", algorithm=name)
    return value
