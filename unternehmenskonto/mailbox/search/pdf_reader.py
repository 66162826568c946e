"""Read the text of a PDF file in a process of its own: `python -I pdf_reader.py <maximum>` with the file as stdin.

Files come from outside and a PDF can be made to use up a machine, so the process has little memory and time; when
it dies, only the text is missing. It knows nothing of the application and no secret. Writes UTF-8 to stdout; the
first line is `read`, `partly` (beyond a limit) or `silent` (no text, as in pictures of pages).
"""

import io
import logging
import resource
import sys

import pypdf

MEMORY_BYTES = 768 * 1024 * 1024
CPU_SECONDS = 20
MAXIMUM_PAGES = 500


def main(maximum: int) -> None:
    """Read stdin and write state and text; the caller sees any failure as an exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = pypdf.PdfReader(io.BytesIO(sys.stdin.buffer.read()), strict=False)
    pieces: list[str] = []
    length, is_whole = 0, True
    for number, page in enumerate(reader.pages):
        if number == MAXIMUM_PAGES or length > maximum:
            is_whole = False
            break
        pieces.append(_text(page))
        length += len(pieces[-1])
    text = "\n".join(pieces)
    is_whole = is_whole and len(text) <= maximum
    state = "silent" if not text.strip() else "read" if is_whole else "partly"
    sys.stdout.buffer.write(f"{state}\n{text[:maximum]}".encode(errors="ignore"))


def _text(page: "pypdf.PageObject") -> str:
    """Return the text of a page; a broken page does not take the others along."""
    try:
        return page.extract_text()
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return ""


if __name__ == "__main__":
    main(int(sys.argv[1]))
