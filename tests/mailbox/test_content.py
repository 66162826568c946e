"""Which files come in: a corpus of good and bad ones, made here byte by byte."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mailbox.samples import MINIMAL_PDF
from unternehmenskonto.errors import AppError
from unternehmenskonto.mailbox import content, file_names, pdf


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int = 1, height: int = 1) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg(width: int = 1, height: int = 1) -> bytes:
    app0 = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    frame = b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", height, width) + b"\x01\x01\x11\x00"
    return b"\xff\xd8" + app0 + frame + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x12\x34" + b"\xff\xd9"


def with_object(body: bytes) -> bytes:
    """Return the PDF with one more object before its trailer."""
    return MINIMAL_PDF.replace(b"trailer", b"4 0 obj\n" + body + b"\nendobj\ntrailer")


def object_stream(plain: bytes, dictionary: bytes = b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode") -> bytes:
    packed = zlib.compress(plain)
    return with_object(
        b"<< " + dictionary + b" /Length " + str(len(packed)).encode() + b" >>\nstream\n" + packed + b"\nendstream"
    )


SCRIPT = b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"

GOOD = [
    ("a.pdf", MINIMAL_PDF, "application/pdf"),
    ("A.PDF", MINIMAL_PDF, "application/pdf"),
    ("a.pdf", object_stream(b"5 0 << /Type /Annot >>"), "application/pdf"),
    ("a.pdf", with_object(b"<< /Length 3 /Filter /DCTDecode >>\nstream\n\xff\xd8\xff\nendstream"), "application/pdf"),
    ("a.pdf", with_object(b"(Der Text JavaScript und /JavaScripten ist erlaubt)"), "application/pdf"),
    ("a.png", png(), "image/png"),
    ("a.jpg", jpeg(), "image/jpeg"),
    ("a.JPEG", jpeg(4000, 3000), "image/jpeg"),
    ("a.txt", "Grüße\r\n\tEnde\f".encode(), "text/plain"),
    ("a.txt", b"\xef\xbb\xbfmit BOM", "text/plain"),
    ("a.csv", b"a;b\n1;=2+3\n", "text/csv"),
    ("a.xml", b'<?xml version="1.0" encoding="UTF-8"?><a b="1">text</a>', "application/xml"),
    ("a.xml", '<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"), "application/xml"),
]

BAD = [
    ("a.pdf", MINIMAL_PDF[:-20], "attachment_damaged"),
    ("a.pdf", b"\n" + MINIMAL_PDF, "attachment_type"),
    ("a.pdf", with_object(SCRIPT), "attachment_active"),
    ("a.pdf", with_object(SCRIPT.replace(b"JavaScript", b"J#61va#53cript")), "attachment_active"),
    ("a.pdf", with_object(SCRIPT.replace(b"JavaScript", b"#4AavaScript")), "attachment_active"),
    ("a.pdf", with_object(b"<< /S /Launch /F (cmd.exe) >>"), "attachment_active"),
    ("a.pdf", with_object(b"<< /Names << /EmbeddedFiles 9 0 R >> >>"), "attachment_active"),
    ("a.pdf", with_object(b"<< /Type /EmbeddedFile >>"), "attachment_active"),
    ("a.pdf", with_object(b"<< /S /Rendition /JS (x) >>"), "attachment_active"),
    ("a.pdf", with_object(b"<< /Subtype /RichMedia >>"), "attachment_active"),
    ("a.pdf", with_object(b"<< /AcroForm << /XFA 7 0 R >> >>"), "attachment_active"),
    ("a.pdf", object_stream(b"5 0 " + SCRIPT), "attachment_active"),
    ("a.pdf", object_stream(b"5 0 " + SCRIPT, b"/N 1 /First 4 /Filter /FlateDecode"), "attachment_active"),
    ("a.pdf", object_stream(b"5 0 " + b" " * 900_000 + SCRIPT), "attachment_active"),
    ("a.pdf", object_stream(b"\x025 0 predicted"), "attachment_damaged"),
    ("a.pdf", object_stream(b"5 0 " + b" " * (pdf.MAXIMUM_INFLATED + 1)), "attachment_damaged"),
    (
        "a.pdf",
        with_object(b"<< /Type /ObjStm /Filter /ASCIIHexDecode >>\nstream\n3520302020>\nendstream"),
        "attachment_damaged",
    ),
    ("a.pdf", MINIMAL_PDF.replace(b"/Size 4", b"/Size 4 /Encrypt 9 0 R"), "attachment_damaged"),
    ("a.pdf", b"%PDF-1.7 nur der Anfang", "attachment_damaged"),
    ("a.pdf", png(), "attachment_type"),
    ("a.pdf", b"MZ\x90\x00" + MINIMAL_PDF, "attachment_type"),
    ("a.png", png() + b"PK\x03\x04", "attachment_damaged"),
    ("a.png", png()[:-6], "attachment_damaged"),
    ("a.png", png(50_000, 50_000), "attachment_damaged"),
    ("a.png", png(0, 1), "attachment_damaged"),
    ("a.png", png().replace(b"IDAT", b"iDAT"), "attachment_damaged"),
    ("a.png", jpeg(), "attachment_type"),
    ("a.jpg", jpeg()[:-2], "attachment_damaged"),
    ("a.jpg", jpeg() + b"<script>alert(1)</script>", "attachment_damaged"),
    ("a.jpg", jpeg(65_535, 65_535), "attachment_damaged"),
    ("a.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "attachment_damaged"),
    ("a.txt", b"a\x00b", "attachment_damaged"),
    ("a.txt", "Grüße".encode("latin-1"), "attachment_damaged"),
    ("a.txt", b"\x1b[31mrot", "attachment_damaged"),
    ("a.txt", b"abgeschnitten \xc3", "attachment_damaged"),
    ("a.csv", b"PK\x03\x04\x14\x00", "attachment_type"),
    ("a.csv", png(), "attachment_type"),
    ("a.xml", b"<a>", "attachment_damaged"),
    ("a.xml", b"kein xml", "attachment_damaged"),
    ("a.xml", b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "attachment_active"),
    ("a.xml", b"<!DOCTYPE a><a/>", "attachment_active"),
    ("a.xml", b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a>&y;</a>', "attachment_active"),
    ("a.xml", b"<a>" * 100_000, "attachment_damaged"),
    ("a.svg", b"<svg onload='alert(1)'/>", "attachment_type"),
    ("a.html", b"<html>", "attachment_type"),
    ("a.zip", b"PK\x03\x04", "attachment_type"),
    ("a.docm", b"PK\x03\x04", "attachment_type"),
    ("a.pdf.exe", MINIMAL_PDF, "attachment_type"),
    ("pdf", MINIMAL_PDF, "attachment_type"),
    ("", MINIMAL_PDF, "attachment_type"),
    ("a.txt", b"", "attachment_empty"),
]


@pytest.mark.parametrize(("name", "data", "media_type"), GOOD)
def test_good_files_come_in(name: str, data: bytes, media_type: str) -> None:
    assert content.check(io.BytesIO(data), file_name=name, size=len(data)) == media_type


@pytest.mark.parametrize(("name", "data", "code"), BAD)
def test_bad_files_stay_out(name: str, data: bytes, code: str) -> None:
    with pytest.raises(AppError) as refused:
        content.check(io.BytesIO(data), file_name=name, size=len(data))
    assert refused.value.code == code


@pytest.mark.parametrize("at", [0, 1, pdf.WINDOW - 5, pdf.WINDOW - pdf.OVERLAP, pdf.WINDOW + 3])
def test_active_names_are_found_across_windows(at: int) -> None:
    start = MINIMAL_PDF.index(b"trailer")
    filler = b"%" + b"x" * max(0, at - start - 10) + b"\n"
    data = MINIMAL_PDF.replace(b"trailer", filler + SCRIPT + b"\ntrailer")
    with pytest.raises(pdf.Active):
        pdf.check(io.BytesIO(data), len(data))
    packed = MINIMAL_PDF.replace(b"trailer", filler + object_stream(b"5 0 " + SCRIPT)[start:])
    with pytest.raises(pdf.Active):
        pdf.check(io.BytesIO(packed), len(packed))


@given(name=st.sampled_from(["a.pdf", "a.png", "a.jpg", "a.txt", "a.csv", "a.xml"]), data=st.binary(max_size=400))
def test_any_bytes_are_taken_or_refused(name: str, data: bytes) -> None:
    for prefix in (b"", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", b"<a>"):
        whole = prefix + data + (b"startxref\n0\n%%EOF" if prefix.startswith(b"%") else b"")
        try:
            content.check(io.BytesIO(whole), file_name=name, size=len(whole))
        except AppError as error:
            assert error.status in (415, 422)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Bescheid.pdf", "Bescheid.pdf"),
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Windows\\system32\\a.pdf", "a.pdf"),
        ("/a/b/", ""),
        ("..", ""),
        (".pdf", "pdf"),
        ("a\u0000b.pdf", "ab.pdf"),
        ("a\r\nSet-Cookie: x.pdf", "aSet-Cookie_ x.pdf"),
        ("Rechnung\u202efdp.exe", "Rechnungfdp.exe"),
        ("A\u0308rger.pdf", "Ärger.pdf"),
        ('a"b<c>|?*:.pdf', "a_b_c_____.pdf"),
        ("  a   b .pdf ", "a b .pdf"),
        ("a.pdf...", "a.pdf"),
        ("CON.pdf", "_CON.pdf"),
        ("nul.txt", "_nul.txt"),
        ("com1.a.txt", "_com1.a.txt"),
        ("console.pdf", "console.pdf"),
        ("%2e%2e%2fa.pdf", "%2e%2e%2fa.pdf"),
        ("😀.pdf", "😀.pdf"),
    ],
)
def test_names_become_harmless(sent: str, kept: str) -> None:
    assert file_names.clean(sent) == kept


@given(st.text(max_size=600))
def test_any_name_becomes_harmless(name: str) -> None:
    kept = file_names.clean(name)
    assert file_names.clean(kept) == kept
    assert len(kept.encode()) <= file_names.MAXIMUM_FILE_NAME
    assert not set(kept) & set('/\\<>:"|?*\x00\n\r') and kept.isprintable()
    assert kept not in (".", "..")


def test_a_long_name_keeps_its_extension() -> None:
    kept = file_names.clean("ä" * 300 + ".pdf")
    assert kept.endswith("ä.pdf") and len(kept.encode()) <= 255
