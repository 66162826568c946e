"""The authority's own records: applications, and deliveries that are due until somebody has acknowledged them."""

import json
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from . import letters

LOCAL_TIME = ZoneInfo("Europe/Berlin")
TABLES = """
    CREATE TABLE IF NOT EXISTS application (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
        received_on TEXT NOT NULL, content TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS delivery (
        idempotency_key TEXT PRIMARY KEY, application TEXT NOT NULL REFERENCES application (id),
        message TEXT NOT NULL, file_name TEXT, file BLOB,
        state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
        due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, problem TEXT,
        answer TEXT, receipts TEXT);
"""
DELIVERY = "idempotency_key, application, message, file_name, file, state, due_at, attempts, problem, answer, receipts"


@dataclass(frozen=True)
class Delivery:
    """One message on its way, or arrived."""

    idempotency_key: str
    application: str
    message: dict[str, Any]
    file_name: str | None
    file: bytes | None
    #: waiting, delivered (acknowledged by Unternehmenskonto) or failed (refused; only a person can go on)
    state: str
    due_at: float
    attempts: int
    problem: str | None
    #: what Unternehmenskonto answered
    answer: dict[str, Any] | None
    #: kind of receipt -> "valid", or what is wrong with it
    receipts: dict[str, str] | None
    #: states of the case, to be told before the message; that it is completed, after it
    reports: list[dict[str, Any]] = field(default_factory=list)


class Register:
    """The records in one SQLite file. Every method is a transaction of its own."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._lock = threading.Lock()
        with self._transaction() as connection:
            connection.executescript(TABLES)

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._file, self._lock)

    def receive(self, application: dict[str, str], due_at: float) -> None:
        """Record an application and the decision that is to follow; one that is known changes nothing."""
        name, now = application["id"], datetime.now(LOCAL_TIME)
        today = now.date()
        reports = letters.case_reports(application, now, datetime.fromtimestamp(due_at, LOCAL_TIME))
        with self._transaction() as connection:
            inserted = connection.execute(
                "INSERT INTO application (id, received_on, content) VALUES (?, ?, ?)"
                " ON CONFLICT (id) DO NOTHING RETURNING number",
                (name, today.isoformat(), json.dumps(application)),
            ).fetchone()
            if inserted is None:
                return
            reference = _reference(inserted[0], today.isoformat())
            pdf = letters.decision_pdf(application, reference, today)
            connection.execute(
                "INSERT INTO delivery (idempotency_key, application, message, file_name, file, due_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    f"application-{name}-decision",
                    name,
                    json.dumps({**letters.decision_message(application, reference), "case": name, "reports": reports}),
                    f"Bescheid-{reference}.pdf",
                    pdf,
                    due_at,
                ),
            )

    def add_note(self, name: str) -> bool:
        """Record an ordinary message about an application; return False where there is no such application."""
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT number, received_on, content FROM application WHERE id = ?", (name,)
            ).fetchone()
            if row is None:
                return False
            query = "SELECT count(*) FROM delivery WHERE application = ?"
            count = connection.execute(query, (name,)).fetchone()[0]
            message = letters.note_message(json.loads(row[2]), _reference(row[0], row[1]), count)
            decision = connection.execute(
                "SELECT message FROM delivery WHERE idempotency_key = ?", (f"application-{name}-decision",)
            ).fetchone()
            if decision and "reports" in (told := json.loads(decision[0])):
                begun = [report for report in told["reports"] if report["state"] != letters.COMPLETED]
                message |= {"case": name, "reports": begun}
            connection.execute(
                "INSERT INTO delivery (idempotency_key, application, message, due_at) VALUES (?, ?, ?, ?)",
                (f"application-{name}-message-{count}", name, json.dumps(message), time.time()),
            )
            return True

    def overview(self) -> list[tuple[str, dict[str, str], list[Delivery]]]:
        """Return reference, application and deliveries of each case, newest first."""
        with self._transaction() as connection:
            cases = connection.execute(
                "SELECT number, received_on, content FROM application ORDER BY number DESC LIMIT 100"
            ).fetchall()
        found = self._deliveries("1 = 1 ORDER BY rowid")
        result = []
        for number, received_on, content in cases:
            application = json.loads(content)
            own = [delivery for delivery in found if delivery.application == application["id"]]
            result.append((_reference(number, received_on), application, own))
        return result

    def due(self) -> list[Delivery]:
        """Return what is waiting and due now, oldest first."""
        return self._deliveries("state = 'waiting' AND due_at <= ? ORDER BY due_at LIMIT 20", time.time())

    def next_due_at(self) -> float | None:
        """Return when the next delivery is due, None where nothing waits."""
        with self._transaction() as connection:
            row = connection.execute("SELECT min(due_at) FROM delivery WHERE state = 'waiting'").fetchone()
        return row[0] if row else None

    def delivered(self, key: str, answer: dict[str, Any], receipts: dict[str, str]) -> None:
        """Record the acknowledgement."""
        self._update(
            "state = 'delivered', problem = NULL, attempts = attempts + 1, answer = ?, receipts = ?",
            key,
            json.dumps(answer),
            json.dumps(receipts),
        )

    def postponed(self, key: str, problem: str, due_at: float) -> None:
        """Record an attempt that may succeed later."""
        self._update("attempts = attempts + 1, problem = ?, due_at = ?", key, problem, due_at)

    def failed(self, key: str, problem: str) -> None:
        """Record a refusal that trying again will not change."""
        self._update("state = 'failed', attempts = attempts + 1, problem = ?", key, problem)

    def try_again(self, key: str) -> bool:
        """Make a delivery that is not acknowledged due now; return False where there is none."""
        return self._update("state = 'waiting', due_at = ?", key, time.time())

    def _update(self, assignments: str, key: str, *values: object) -> bool:
        # Only fixed texts of this class come here; an acknowledged delivery never changes again.
        statement = f"UPDATE delivery SET {assignments} WHERE idempotency_key = ? AND state <> 'delivered'"  # noqa: S608
        with self._transaction() as connection:
            return connection.execute(statement, (*values, key)).rowcount > 0

    def _deliveries(self, condition: str, *values: object) -> list[Delivery]:
        with self._transaction() as connection:
            rows = connection.execute(f"SELECT {DELIVERY} FROM delivery WHERE {condition}", values)  # noqa: S608
            return [_delivery(row) for row in rows]


class _Transaction:
    """A connection that commits at the end and is closed; one at a time, so that no writer waits for another."""

    def __init__(self, file: Path, lock: threading.Lock) -> None:
        self._file, self._lock = file, lock

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        self._connection = sqlite3.connect(self._file)
        return self._connection.__enter__()

    def __exit__(self, *failure: Any) -> None:
        try:
            with closing(self._connection):
                self._connection.__exit__(*failure)
        finally:
            self._lock.release()


def _reference(number: int, received_on: str) -> str:
    return f"GA-{received_on[:4]}-{number:04d}"


def _delivery(row: tuple[Any, ...]) -> Delivery:
    key, application, text, file_name, file, state, due_at, attempts, problem, answer, receipts = row
    message = json.loads(text)
    reports = message.pop("reports", [])
    return Delivery(
        idempotency_key=key,
        application=application,
        message=message,
        reports=reports,
        file_name=file_name,
        file=file,
        state=state,
        due_at=due_at,
        attempts=attempts,
        problem=problem,
        answer=json.loads(answer) if answer else None,
        receipts=json.loads(receipts) if receipts else None,
    )
