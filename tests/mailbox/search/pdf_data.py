"""PDF files written by hand, good and hostile ones."""

import zlib


def pdf(*pages: str) -> bytes:
    """Return a PDF file with one line of text on each page; "" is a page without text."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b""]
    kids = []
    for text in pages:
        shown = text.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
        content = zlib.compress(b"BT /F1 12 Tf 72 720 Td (" + shown + b") Tj ET" if text else b"0 0 9 9 re f")
        kids.append(b"%d 0 R" % (len(objects) + 1))
        font = b"<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>>>>>"
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources" + font
            + b"/Contents %d 0 R>>" % (len(objects) + 2)
        )  # fmt: skip
        objects.append(b"<</Filter/FlateDecode/Length %d>>stream\n" % len(content) + content + b"\nendstream")
    objects[1] = b"<</Type/Pages/Kids[" + b" ".join(kids) + b"]/Count %d>>" % len(kids)
    return written(objects)


def written(objects: list[bytes]) -> bytes:
    """Return the file of these objects, the first one being the catalogue."""
    file, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(file))
        file += b"%d 0 obj" % number + content + b"endobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    return (
        file
        + head
        + table
        + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
        % (
            len(objects) + 1,
            len(file),
        )
    )


def bomb() -> bytes:
    """Return a page whose content unpacks to 256 MiB."""
    content = zlib.compress(b" " * (1 << 28), 6)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>"
    stream = b"<</Filter/FlateDecode/Length %d>>stream\n" % len(content) + content + b"\nendstream"
    return written([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page, stream])


def circle() -> bytes:
    """Return a tree of pages that leads back to itself."""
    return written([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2000000>>"])
