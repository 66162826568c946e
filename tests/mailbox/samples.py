"""Messages and small files for the tests of the mailbox."""

from typing import Any

MINIMAL_PDF = (
    b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    b"1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
    b"2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n"
    b"3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] >>\nendobj\n"
    b"trailer\n<< /Root 1 0 R /Size 4 >>\nstartxref\n0\n%%EOF\n"
)


def message(recipient: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return an ordinary message as JSON."""
    return {
        "recipient": recipient,
        "kind": "message",
        "subject": "Ihre Gewerbeanmeldung",
        "body": "Guten Tag,\n\nwir haben Ihre Anmeldung erhalten.",
        **fields,
    }


def decision(recipient: dict[str, Any], *, regime: str = "ozg9", land: str = "NW", **fields: Any) -> dict[str, Any]:
    """Return a decision with an objection within one month as JSON."""
    remedy = {"kind": "objection", "length": 1, "unit": "month", "instructed": True, "addressee": "Gewerbeamt"}
    return message(recipient, kind="decision", decision={"regime": regime, "land": land, "remedy": remedy}, **fields)
