"""A one-page PDF written by hand (ISO 32000-1): enough for a letter, and nothing to install."""

from collections.abc import Iterable

A4 = "0 0 595 842"
LEFT, TOP = 64, 770
LINE_HEIGHT = 16
MAX_LINES = 44


def letter(title: str, lines: Iterable[str]) -> bytes:
    """Return the PDF of a heading and lines of text; characters outside Windows-1252 become question marks.

    Raises ValueError for more lines than a page has.
    """
    lines = list(lines)
    if len(lines) > MAX_LINES:
        raise ValueError(f"a page has {MAX_LINES} lines, not {len(lines)}")
    shown = " ".join(f"({_escaped(line)}) '" for line in lines)
    content = f"BT /F2 15 Tf {LEFT} {TOP} Td ({_escaped(title)}) Tj /F1 10.5 Tf {LINE_HEIGHT} TL T* {shown} ET"
    stream = content.encode("cp1252", "replace")
    return _document(
        [
            b"<< /Type /Catalog /Pages 2 0 R /Lang (de-DE) /ViewerPreferences << /DisplayDocTitle true >> >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{A4}] /Contents 6 0 R "
            "/Resources << /Font << /F1 4 0 R /F2 5 0 R >> >> >>".encode(),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
            b"<< /Title <%s> >>" % title.encode("utf-16").hex().encode(),
        ]
    )


def _escaped(text: str) -> str:
    """Return text for a literal string (7.3.4.2); line ends would end the string's line."""
    for sign in "\\()":
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split("\n"))


def _document(objects: list[bytes]) -> bytes:
    """Return the file: header, numbered objects, cross-reference table, trailer (7.5)."""
    # The second line tells transfer programs that the file is binary.
    parts, offsets, position = [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"], [], 15
    for number, body in enumerate(objects, 1):
        offsets.append(position)
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
        position += len(parts[-1])
    count = len(objects) + 1
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n" % count)
    parts.extend(b"%010d 00000 n \n" % offset for offset in offsets)
    parts.append(
        b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, len(objects), position)
    )
    return b"".join(parts)
