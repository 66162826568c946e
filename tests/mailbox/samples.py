"""Messages and small files for the tests of the mailbox."""

import json
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


def multipart(
    body: dict[str, Any] | bytes,
    files: list[tuple[str, bytes]],
    *,
    part_headers: dict[str, str] | None = None,
    boundary: str = "grenze-7f3a",
) -> dict[str, Any]:
    """Return data and content type of a multipart request, as a client without any library would write it.

    `part_headers` go into every attachment.
    """
    extra = "".join(f"{name}: {value}\r\n" for name, value in (part_headers or {}).items()).encode()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    parts = [
        b'Content-Disposition: form-data; name="message"\r\nContent-Type: application/json\r\n\r\n' + raw,
        *(
            b'Content-Disposition: form-data; name="attachments"; filename="' + name.encode() + b'"\r\n'
            b"Content-Type: application/octet-stream\r\n" + extra + b"\r\n" + content
            for name, content in files
        ),
    ]
    mark = f"--{boundary}".encode()
    data = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
    return {"data": data, "content_type": f"multipart/form-data; boundary={boundary}"}
