"""What Unternehmenskonto signed when it took a delivery, and whether it says what we sent."""

import hashlib
import json
import unicodedata
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from .register import Delivery

ALGORITHMS = ["ES256"]
TYP = "receipt+jwt"
EXPECTED = ("accepted", "made_available")
VALID = "valid"


def verdicts(delivery: Delivery, acknowledgement: dict[str, Any], *, issuer: str, keys: KeySet) -> dict[str, str]:
    """Return kind of receipt -> VALID, or what is wrong with it. Missing receipts are named too."""
    receipts = acknowledgement.get("receipts")
    receipts = receipts if isinstance(receipts, dict) else {}
    wanted = _facts(delivery, acknowledgement, issuer)
    return {kind: _verdict(receipts.get(kind), {**wanted, "receipt": kind}, keys) for kind in EXPECTED}


def _verdict(receipt: object, wanted: dict[str, Any], keys: KeySet) -> str:
    if not isinstance(receipt, str):
        return "missing"
    try:
        signed = jws.deserialize_compact(receipt, keys, ALGORITHMS)
        claims = json.loads(signed.payload or b"null")
    except (JoseError, ValueError) as error:
        return f"signature does not verify: {error}"
    if signed.headers().get("typ") != TYP or not isinstance(claims, dict):
        return "not a receipt"
    wrong = [name for name, value in wanted.items() if claims.get(name) != value]
    return f"speaks of something else: {', '.join(wrong)}" if wrong else VALID


def _facts(delivery: Delivery, acknowledgement: dict[str, Any], issuer: str) -> dict[str, Any]:
    """Return the claims that follow from what we sent and were told."""
    files = [] if delivery.file is None else [delivery.file]
    return {
        "iss": issuer,
        "message_id": acknowledgement["id"],
        "sequence_number": acknowledgement.get("sequence_number"),
        "mailbox": delivery.message["recipient"]["org_sub"],
        "kind": delivery.message["kind"],
        "subject_sha256": _digest(_text(delivery.message["subject"])),
        "body_sha256": _digest(_text(delivery.message["body"])),
        "attachments": [{"sha256": _digest(file), "size": len(file)} for file in files],
    }


def _text(text: str) -> bytes:
    # Texts are kept in the composed form of Unicode.
    return unicodedata.normalize("NFC", text).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
