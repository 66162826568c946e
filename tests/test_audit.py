"""The audit log: a closed list, append-only, and a chain that tells what was changed behind its back."""

import re
import uuid
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from unternehmenskonto import audit
from unternehmenskonto.audit import AuditEvent, AuditSeal
from unternehmenskonto.db import db, now, one_commit
from unternehmenskonto.settings import ROOT


def write_events(number: int) -> None:
    with one_commit():
        for count in range(number):
            audit.record("key.made", by="system", kid=str(count))


def seal() -> None:
    with one_commit():
        audit.seal_events()


def tamper(statement: str) -> None:
    """Do what the owner of the tables can do: switch the guard off, change, switch it on."""
    with db.engine.begin() as connection:
        for table in ("audit_events", "audit_seals"):
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        connection.execute(text(statement))
        for table in ("audit_events", "audit_seals"):
            connection.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))


def faults() -> list[str]:
    found = audit.verify_events().faults
    db.session.rollback()
    return found


def third_event() -> str:
    query = select(AuditSeal.event_id).where(AuditSeal.position == 3)
    return str(db.session.scalar(query))


@pytest.mark.parametrize("event", ["login.succeded", "", "LOGIN.SUCCEEDED"])
def test_unknown_event_is_refused(app: Flask, event: str) -> None:
    with pytest.raises(ValueError, match="audit event"):
        audit.record(event, by="system")


def test_field_that_is_not_declared_is_refused(app: Flask) -> None:
    with pytest.raises(ValueError, match="does not know \\['name'\\]"):
        audit.record("key.made", by="system", kid="x", name="Erika Beispiel")


def test_event_carries_who_when_for_whom_and_what(app: Flask) -> None:
    company, message = uuid.uuid4(), uuid.uuid4()
    audit.record("message.opened", by="person:1", company_id=company, message_id=message)
    db.session.flush()
    event = db.session.scalars(select(AuditEvent)).one()
    assert (event.by, event.company_id, event.fields) == ("person:1", company, {"message_id": str(message)})
    assert now() - event.at < timedelta(seconds=30)


def test_every_event_of_the_list_is_recorded_somewhere_and_none_besides() -> None:
    """A name in the list that nobody writes would promise what the log does not hold."""
    written = set()
    for path in (ROOT / "unternehmenskonto").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        written |= {event for event in audit.EVENTS if path.name != "audit.py" and f'"{event}"' in source}
    assert written == audit.EVENTS.keys()


@pytest.mark.parametrize("table", ["audit_events", "audit_seals"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_log_is_append_only(fresh_app: Flask, table: str, statement: str) -> None:
    write_events(1)
    seal()
    change = {"audit_events": "by = 'nobody'", "audit_seals": "hash = ''"}[table]
    with pytest.raises(DBAPIError, match="append-only"), db.engine.begin() as connection:
        connection.execute(text(statement.format(table, change)))


def test_intact_chain_has_no_faults_and_one_head(fresh_app: Flask) -> None:
    write_events(5)
    seal()
    first = audit.verify_events()
    assert (first.sealed, first.unsealed, first.faults) == (5, 0, [])
    assert re.fullmatch("[0-9a-f]{64}", first.head)
    write_events(1)
    seal()
    assert audit.verify_events().head != first.head


def test_chain_is_the_same_however_often_it_is_sealed(fresh_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SEAL_BATCH", 2)
    write_events(5)
    for _ in range(3):
        seal()
    assert (audit.verify_events().sealed, faults()) == (5, [])


@pytest.mark.parametrize(
    "change",
    [
        "by = 'person:another'",
        "event = 'key.lost'",
        "at = at + interval '1 microsecond'",
        'fields = \'{"kid": "x"}\'',
        "company_id = '00000000-0000-0000-0000-000000000001'",
        "request_id = 'X'",
    ],
)
def test_changed_event_is_found(fresh_app: Flask, change: str) -> None:
    write_events(5)
    seal()
    event = third_event()
    tamper(f"UPDATE audit_events SET {change} WHERE id = '{event}'")  # noqa: S608
    assert faults() == [f"position 3: event {event} was changed"]


def test_removed_event_is_found(fresh_app: Flask) -> None:
    write_events(5)
    seal()
    event = third_event()
    tamper(f"DELETE FROM audit_seals WHERE event_id = '{event}'")  # noqa: S608
    tamper(f"DELETE FROM audit_events WHERE id = '{event}'")  # noqa: S608
    assert faults()[0] == "position 3: seal is missing"


def test_event_slipped_in_later_is_found(fresh_app: Flask) -> None:
    write_events(2)
    seal()
    tamper(
        "INSERT INTO audit_events (id, at, event, by, fields, request_id) VALUES "
        "('00000000-0000-7000-8000-000000000001', now() - interval '1 hour', 'key.made', 'system', '{}', '')"
    )
    assert faults() == ["event 00000000-0000-7000-8000-000000000001 was never sealed"]


def test_swapped_seals_are_found(fresh_app: Flask) -> None:
    write_events(4)
    seal()
    tamper(
        "UPDATE audit_seals SET hash = other.hash FROM audit_seals other"
        " WHERE audit_seals.position = 2 AND other.position = 3"
    )
    assert any(fault.startswith("position 2:") for fault in faults())


def test_rewritten_end_keeps_another_head(fresh_app: Flask) -> None:
    """Whoever can rewrite the whole chain can make it consistent; the head printed before tells it."""
    write_events(3)
    seal()
    before = audit.verify_events().head
    tamper("DELETE FROM audit_seals WHERE position = 3")
    with db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
        connection.execute(text("UPDATE audit_events SET by = 'x' WHERE id NOT IN (SELECT event_id FROM audit_seals)"))
    seal()
    after = audit.verify_events()
    assert (after.faults, after.head == before) == ([], False)


def test_verify_command_tells_count_head_and_faults(fresh_app: Flask) -> None:
    write_events(3)
    seal()
    runner = fresh_app.test_cli_runner()
    good = runner.invoke(args=["verify-audit"])
    assert good.exit_code == 0
    assert re.fullmatch(r"3 events sealed, 0 waiting. Head of the chain: [0-9a-f]{64}\n", good.stdout)
    tamper(f"UPDATE audit_events SET by = 'x' WHERE id = '{third_event()}'")  # noqa: S608
    bad = runner.invoke(args=["verify-audit"])
    assert bad.exit_code == 1
    assert "FAULT: position 3" in bad.stderr


def test_event_of_a_rolled_back_act_is_absent(fresh_app: Flask) -> None:
    audit.record("key.made", by="system", kid="x")
    db.session.flush()
    db.session.rollback()
    assert db.session.scalars(select(AuditEvent)).all() == []
