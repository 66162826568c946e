"""The base of all models: times with zone, ids that sort, one commit, a connection that gives up in time."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from flask import Flask
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from unternehmenskonto import audit
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import CONNECT_ARGUMENTS, POOL_SIZE, db, new_id, now, one_commit, run


def event(**columns: object) -> AuditEvent:
    return AuditEvent(**{"event": "key.made", "by": "system", "fields": {}, "request_id": "", **columns})


def test_time_without_zone_is_refused(app: Flask) -> None:
    db.session.add(event(at=datetime(2026, 11, 23, 12)))  # noqa: DTZ001
    with pytest.raises(StatementError, match="needs a time zone"):
        db.session.flush()


def test_time_comes_back_in_utc_to_the_microsecond(app: Flask) -> None:
    moment = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    db.session.add(event(at=moment))
    db.session.flush()
    db.session.expire_all()
    found = db.session.scalars(select(AuditEvent)).one().at
    assert found == moment
    assert found.tzinfo is UTC


def test_ids_are_uuid7_and_sort_by_time() -> None:
    ids = []
    for _ in range(3):
        ids.append(new_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert {found.version for found in ids} == {7}
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_now_is_aware() -> None:
    assert now().tzinfo is UTC


def test_one_commit_keeps_all_or_nothing(fresh_app: Flask) -> None:
    with one_commit():
        audit.record("key.made", by="system", kid="kept")
    with pytest.raises(KeyboardInterrupt), one_commit():
        audit.record("key.made", by="system", kid="lost")
        db.session.flush()
        raise KeyboardInterrupt
    assert [found.fields["kid"] for found in db.session.scalars(select(AuditEvent))] == ["kept"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("statement_timeout", "10s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "15s"),
        ("TimeZone", "UTC"),
    ],
)
def test_connection_has_its_limits(fresh_app: Flask, name: str, value: str) -> None:
    assert db.session.scalar(text(f"SHOW {name}")) == value


def test_unreachable_server_is_noticed_in_time() -> None:
    assert (CONNECT_ARGUMENTS["connect_timeout"], CONNECT_ARGUMENTS["tcp_user_timeout"]) == (5, 5000)


def test_locked_row_is_given_up_after_two_seconds(fresh_app: Flask) -> None:
    with one_commit():
        audit.record("key.made", by="system", kid="x")
    started = time.monotonic()
    with db.engine.connect() as first, db.engine.connect() as second:
        first.execute(text("SELECT * FROM audit_events FOR UPDATE"))
        with pytest.raises(OperationalError, match="lock timeout"):
            second.execute(text("SELECT * FROM audit_events FOR UPDATE"))
    assert 1.5 < time.monotonic() - started < 6


def test_exhausted_pool_is_told_soon(fresh_app: Flask) -> None:
    held = [db.engine.connect() for _ in range(2 * POOL_SIZE)]
    started = time.monotonic()
    with pytest.raises(PoolTimeout):
        db.engine.connect()
    assert time.monotonic() - started < 5
    for connection in held:
        connection.close()


def test_lost_connection_in_the_pool_is_replaced(fresh_app: Flask) -> None:
    """As after a restart of the server: the next request finds dead connections and must not fail."""
    with db.engine.connect() as connection:
        lost = connection.scalar(text("SELECT pg_backend_pid()"))
    server = create_engine(db.engine.url, poolclass=NullPool)
    with server.connect() as other:
        assert other.scalar(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": lost})
    assert fresh_app.test_client().get("/healthz/ready").status_code == 200
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != lost


def test_statement_on_a_missing_table_is_an_error_and_the_session_lives_on(fresh_app: Flask) -> None:
    with pytest.raises(DBAPIError):
        db.session.execute(text("SELECT * FROM gibt_es_nicht"))
    db.session.rollback()
    assert db.session.scalar(text("SELECT 1")) == 1


RECORD = audit.parameters("key.made", by="system", kid="x")


def kids(app: Flask) -> list[str]:
    """Return what another connection sees."""
    with create_engine(db.engine.url, poolclass=NullPool).connect() as other:
        return list(other.scalars(select(AuditEvent.by)))


def test_a_statement_alone_is_committed_at_once(fresh_app: Flask) -> None:
    assert run(audit.RECORD, RECORD) == []
    db.session.rollback()
    assert kids(fresh_app) == ["system"]
    (row,) = run("SELECT by AS name, id FROM audit_events WHERE by = %(by)s", {"by": "system"})
    assert (row.name, row.id) == ("system", RECORD["audit_id"])


def test_a_statement_joins_the_transaction_that_has_begun(fresh_app: Flask) -> None:
    audit.record("key.made", by="system", kid="before")
    assert len(run("SELECT id FROM audit_events", {})) == 1
    run(audit.RECORD, RECORD)
    assert kids(fresh_app) == []
    db.session.rollback()
    assert run("SELECT id FROM audit_events", {}) == []


@pytest.mark.parametrize("use", ["alone", "session"])
def test_a_connection_closed_by_the_server_is_replaced(fresh_app: Flask, use: str) -> None:
    def backend() -> int:
        if use == "alone":
            return int(run("SELECT pg_backend_pid() AS pid", {})[0].pid)
        found = db.session.scalar(text("SELECT pg_backend_pid()"))
        db.session.rollback()
        return int(found or 0)

    first = backend()
    assert backend() == first
    with create_engine(db.engine.url, poolclass=NullPool).connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})
    assert backend() != first


def test_what_goes_wrong_alone_is_told_like_in_a_session(fresh_app: Flask) -> None:
    with pytest.raises(DBAPIError) as found:
        run("SELECT 1 / %(zero)s", {"zero": 0})
    assert not isinstance(found.value, OperationalError)
    with pytest.raises(OperationalError):
        run("SELECT pg_terminate_backend(pg_backend_pid())", {})
    assert run("SELECT 1 AS one", {})[0].one == 1
