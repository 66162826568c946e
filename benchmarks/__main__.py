"""Print, in one run: deliveries, inbox, code flow, memory; beside what the same machine does without us."""

import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import code_flow
from benchmarks.mailbox import SMALL, Mailbox, rows_argument
from benchmarks.measure import Timing, show
from tests.installation import Installation


def row(name: str, timing: Timing, *rest: str) -> tuple[str, ...]:
    """Return one line of a table."""
    return (name, f"{timing.rate:,.0f}/s", f"{timing.p50:.1f}", f"{timing.p95:.1f}", *rest)


def main() -> int:
    """Run everything in a folder of its own; nothing is left behind."""
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder, Installation(Path(folder)) as installation:
        server = installation.start_web(workers=2, threads=4)
        mailbox = Mailbox(installation)
        uploaded, downloaded = mailbox.large_file(server)
        bare_page = mailbox.page("/healthz/live")
        flow = code_flow.measure(installation)

        sizes = []
        for rows in (SMALL, rows_argument()):
            mailbox.fill(rows)
            sizes.append((rows, mailbox.deliveries(), mailbox.page("/postfach"), mailbox.bare_select()))

        show("Memory: growth of a worker while 25 MB go through", [
            ("direction", "growth"),
            ("upload (POST /api/v1/messages)", f"{uploaded / 1e6:.1f} MB"),
            ("download", f"{downloaded / 1e6:.1f} MB"),
        ])  # fmt: skip
        show("Mailbox: one company, 2 web workers, load from the same machine", [
            ("what", "rate", "p50 ms", "p95 ms"),
            row("bare framework page (1 client)", bare_page),
            *(line for rows, delivery, inbox, select in sizes for line in (
                row(f"{rows:,} messages: bare keyset SELECT (1 client)", select),
                row(f"{rows:,} messages: inbox page (1 client)", inbox),
                row(f"{rows:,} messages: deliveries (4 clients)", delivery),
            )),
        ])  # fmt: skip
        small, large = sizes
        show("Growth from the small to the large mailbox (aim: inbox p95 below 1.3)", [
            ("what", "p50 ratio", "p95 ratio"),
            ("inbox page", f"{large[2].p50 / small[2].p50:.2f}", f"{large[2].p95 / small[2].p95:.2f}"),
            ("delivery", f"{large[1].p50 / small[1].p50:.2f}", f"{large[1].p95 / small[1].p95:.2f}"),
        ])  # fmt: skip
        show("Code flow of a signed-in person: authorize, token, userinfo", [
            ("clients", "rate", "p50 ms", "p95 ms"), *(row(str(n), timing) for n, timing in flow),
        ])  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
