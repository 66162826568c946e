"""The mailbox: deliveries a second, the inbox with ten thousand and a million messages, memory for large files."""

import hashlib
import itertools
import json
import os
import uuid

import requests
from sqlalchemy import text

from benchmarks.measure import PeakMemory, Timing, repeat
from tests import factories
from tests.installation import Installation
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.mailbox import models

SMALL, LARGE = 10_000, 1_000_000
SEED_BATCH = 50_000
SECONDS = 6.0
DELIVERERS = 4
FILE_BYTES = 25 * 1024 * 1024
WARM_UP = 20

#: Rows as the delivery writes them, but by the database itself: a million calls of the API would take an hour.
SEED = """
INSERT INTO messages (company_id, id, sequence_number, service, sender_name, sender_authority, kind, subject, body,
    body_format, regime, land, remedy_kind, remedy_length, remedy_unit, remedy_instructed, accepted_at,
    made_available_at, announced_on, remedy_ends_on, rule_version, is_unread)
SELECT :company, gen_random_uuid(), :taken + n, :service, 'Gewerbeamt', 'Stadt Musterstadt',
    CASE WHEN n % 3 = 0 THEN 'decision' ELSE 'message' END, 'Bescheid über Ihren Antrag Nummer ' || n,
    repeat('Sehr geehrte Damen und Herren, ', 20), 'text',
    CASE WHEN n % 3 = 0 THEN 'ozg9' END, CASE WHEN n % 3 = 0 THEN 'NW' END,
    CASE WHEN n % 3 = 0 THEN 'objection' END, CASE WHEN n % 3 = 0 THEN 1 END, CASE WHEN n % 3 = 0 THEN 'month' END,
    CASE WHEN n % 3 = 0 THEN true END, now() - n * interval '1 minute', now() - n * interval '1 minute',
    CASE WHEN n % 3 = 0 THEN current_date END, CASE WHEN n % 3 = 0 THEN current_date + 30 END,
    CASE WHEN n % 3 = 0 THEN 'ozg9/2025-01-01' END, n % 2 = 0
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n
"""


class Mailbox:
    """One company with one mailbox, one reader and one sender, in a running installation."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.rows = 0
        with installation.app.app_context():
            self.service = factories.make_service(is_mailbox_sender=True)
            self.membership: Membership = factories.make_membership(roles=("mailbox", "services"))
            self.company_id = self.membership.company_id
            self.slug = self.service.slug
            self.org_sub = factories.org_sub(self.service, self.membership.company)
            self.token = factories.access_token(self.service, lifetime=3600)
            self.cookies = factories.session_cookie(self.membership)
            db.session.execute(
                text("INSERT INTO mailboxes (company_id, last_sequence, head, unread_count, created_at)"
                     " VALUES (:company, 0, :head, 0, now())"),
                {"company": self.company_id, "head": bytes(32)},
            )  # fmt: skip
            db.session.commit()

    def fill(self, rows: int) -> None:
        """Bring the mailbox to so many messages."""
        with self.installation.app.app_context():
            mailbox = db.session.get_one(models.Mailbox, self.company_id)
            for first in range(self.rows + 1, rows + 1, SEED_BATCH):
                last = min(first + SEED_BATCH - 1, rows)
                db.session.execute(text("SET LOCAL statement_timeout = 0"))
                names = {"company": self.company_id, "service": self.slug, "first": first, "last": last}
                taken = mailbox.last_sequence - first + 1
                db.session.execute(text(SEED), {**names, "taken": taken})
                mailbox.last_sequence += last - first + 1
                mailbox.unread_count += (last - first + 1) // 2
                db.session.commit()
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("SET statement_timeout = 0"))
                connection.execute(text("VACUUM ANALYZE messages"))
        self.rows = rows

    def deliver(self, *, attachment: bytes = b"") -> dict[str, object]:
        """Deliver one message over HTTP and return the answer."""
        message = {
            "recipient": {"org_sub": self.org_sub}, "kind": "decision", "subject": "Bescheid", "body": "Guten Tag",
            "body_format": "text", "reference": "GA-1",
            "decision": {"regime": "ozg9", "land": "NW", "remedy": {
                "kind": "objection", "length": 1, "unit": "month", "instructed": True, "addressee": "Musterstadt"}},
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": uuid.uuid4().hex}
        url = f"{self.installation.base_url}/api/v1/messages"
        if attachment:
            files = [
                ("message", (None, json.dumps(message), "application/json")),
                ("attachments", ("bescheid.txt", attachment, "text/plain")),
            ]
            answer = requests.post(url, files=files, headers=headers, timeout=60)
        else:
            answer = requests.post(url, json=message, headers=headers, timeout=30)
        assert answer.status_code == 201, answer.text
        found: dict[str, object] = answer.json()
        return found

    def deliveries(self) -> Timing:
        """Deliver from several threads over kept connections."""

        def make() -> object:
            session = requests.Session()
            session.headers["Authorization"] = f"Bearer {self.token}"
            body = {
                "recipient": {"org_sub": self.org_sub}, "kind": "message", "subject": "Nachricht", "body": "Guten Tag",
                "body_format": "text",
            }  # fmt: skip
            url = f"{self.installation.base_url}/api/v1/messages"

            def call() -> None:
                answer = session.post(url, json=body, headers={"Idempotency-Key": uuid.uuid4().hex}, timeout=30)
                assert answer.status_code == 201, answer.text

            return call

        return repeat(make, seconds=SECONDS, threads=DELIVERERS)  # type: ignore[arg-type]

    def page(self, path: str) -> Timing:
        """Get one page again and again as a signed-in person."""

        def make() -> object:
            session = requests.Session()
            session.cookies.update(self.cookies)

            def call() -> None:
                answer = session.get(self.installation.base_url + path, timeout=30, allow_redirects=False)
                assert answer.status_code == 200, answer.status_code

            return call

        return repeat(make, seconds=SECONDS)  # type: ignore[arg-type]

    def bare_select(self) -> Timing:
        """Read one page of rows by keyset, without our application: what the database alone allows."""
        query = (
            "SELECT * FROM messages WHERE company_id = %s AND archived_at IS NULL"
            " ORDER BY made_available_at DESC, id DESC LIMIT 26"
        )
        with self.installation.app.app_context(), db.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None

            def call() -> None:
                raw.execute(query, [self.company_id]).fetchall()

            return repeat(lambda: call, seconds=2.0)

    def large_file(self, server: object) -> tuple[int, int]:
        """Send and fetch 25 MB and return by how many bytes the workers grew in each direction."""
        content = itertools.islice(itertools.cycle(b"0123456789 abcdefghijklmnopqrstuvwxyz\n"), FILE_BYTES)
        data = bytes(content)
        workers = self.installation.workers_of(server)  # type: ignore[arg-type]
        for _ in range(WARM_UP):  # code and caches of every worker are loaded before the memory is compared
            self._fetch(self.deliver(attachment=b"warm"))
        with PeakMemory(workers) as upload:
            answer = self.deliver(attachment=data)
        with PeakMemory(workers) as download:
            digest = self._fetch(answer)
        assert digest == hashlib.sha256(data).hexdigest()
        return upload.grown, download.grown

    def _fetch(self, answer: dict[str, object]) -> str:
        """Download the first attachment as a signed-in person and return its SHA-256."""
        attachment = answer["attachments"][0]  # type: ignore[index]
        url = f"{self.installation.base_url}/postfach/{answer['id']}/anhang/{attachment['id']}"
        digest = hashlib.sha256()
        with requests.get(url, cookies=self.cookies, stream=True, timeout=60) as response:
            assert response.status_code == 200, response.status_code
            for chunk in response.iter_content(64 * 1024):
                digest.update(chunk)
        return digest.hexdigest()


def rows_argument() -> int:
    """Return the size of the large mailbox; BENCH_MESSAGES makes a quick run smaller."""
    return int(os.environ.get("BENCH_MESSAGES", LARGE))
