"""Model base, column types, one commit per request, job or command, and statements that stand alone."""

import select
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import uuid_utils.compat
from flask import Flask, Response, current_app
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from psycopg.pq import ExecStatus
from psycopg.rows import namedtuple_row
from sqlalchemy import DateTime, Engine, MetaData, TypeDecorator, Uuid, create_engine, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.orm import DeclarativeBase, registry
from sqlalchemy.pool import Pool

#: Numbers are those of the fault lab: with the system's defaults a silent partition hung for more than 45 s.
CONNECT_ARGUMENTS = {
    "connect_timeout": 5,
    "tcp_user_timeout": 5000,
    "options": "-c statement_timeout=10000 -c lock_timeout=2000"
    " -c idle_in_transaction_session_timeout=15000 -c timezone=UTC",
}
POOL_SIZE = 5
POOL_WAIT_SECONDS = 2
ENGINE_OPTIONS: dict[str, Any] = {
    "connect_args": CONNECT_ARGUMENTS,
    "pool_size": POOL_SIZE,
    "max_overflow": POOL_SIZE,
    "pool_timeout": POOL_WAIT_SECONDS,
}
#: Under this name the application keeps the engine of statements that are their own transaction.
ALONE = "engine_alone"


class UtcTime(TypeDecorator[datetime]):
    """Store a point in time; refuse one without time zone, hand out UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Refuse naive times: nobody could say which hour they mean."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a point in time needs a time zone")
        return value

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return UTC whatever the server's time zone is."""
        return None if value is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Carry the naming of constraints and the column type of each Python type."""

    registry = registry(
        metadata=MetaData(
            naming_convention={
                "ix": "ix_%(column_0_label)s",
                "uq": "uq_%(table_name)s_%(column_0_name)s",
                "ck": "ck_%(table_name)s_%(constraint_name)s",
                "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
                "pk": "pk_%(table_name)s",
            }
        ),
        type_annotation_map={
            datetime: UtcTime(),
            uuid.UUID: Uuid(),
            dict[str, Any]: JSONB(),
            list[Any]: JSONB(),
        },
    )


db = SQLAlchemy(model_class=Base, disable_autonaming=True)
migrate = Migrate()


def new_id() -> uuid.UUID:
    """Return a UUIDv7 (RFC 9562): ids sort by the time they were made."""
    return uuid_utils.compat.uuid7()


def now() -> datetime:
    """Return the present as an aware UTC time."""
    return datetime.now(UTC)


def init_app(app: Flask, database_url: str) -> None:
    """Connect the application to PostgreSQL and commit once after each view."""
    app.config["SQLALCHEMY_DATABASE_URI"] = database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = ENGINE_OPTIONS
    db.init_app(app)
    migrate.init_app(app, db, directory=str(app.extensions["migrations_dir"]), compare_type=True)
    app.after_request(commit)


def commit(response: Response) -> Response:
    """Commit what the view did; error handlers have rolled back before, so this keeps no half work.

    A returned answer commits, also a 4xx; a failing commit is raised and becomes a 500, never a 201.
    """
    if _has_begun():
        db.session.commit()
    return response


def run(statement: str, parameters: Mapping[str, Any]) -> list[Any]:
    """Run one SQL statement on a hot path and return its rows as named tuples; parameters are written %(name)s.

    Where the request has not begun a transaction the statement is one by itself, committed when this returns: no
    session, no BEGIN, no COMMIT, a third of the time. Everything that belongs together therefore stands in one
    statement. Where the request has begun one, the statement joins it. Raises DBAPIError like the session.
    """
    if _has_begun():
        return run_in_session(statement, parameters)
    return run_alone(statement, parameters)


def _has_begun() -> bool:
    return bool(db.session.registry.has()) and db.session().in_transaction()


def run_in_session(statement: str, parameters: Mapping[str, Any]) -> list[Any]:
    """Run the statement in the transaction of the session, behind what waits there to be written."""
    db.session.flush()
    found = db.session.connection().exec_driver_sql(statement, dict(parameters))
    return list(found.all()) if found.returns_rows else []


def run_alone(statement: str, parameters: Mapping[str, Any]) -> list[Any]:
    """Run the statement as a transaction of its own, on a connection of its own."""
    lent = _engine_alone().raw_connection()
    connection: Any = lent.dbapi_connection
    try:
        cursor = connection.cursor(row_factory=namedtuple_row)
        cursor.execute(statement, parameters)
        rows: list[Any] = cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        lent.invalidate(error)
        kind = OperationalError if isinstance(error, psycopg.OperationalError) else DBAPIError
        raise kind(statement, None, error) from error
    finally:
        lent.close()
    return rows


def _engine_alone() -> Engine:
    """Return the second engine of this process: turning a connection of the first round and back costs a third."""
    engine: Engine | None = current_app.extensions.get(ALONE)
    if engine is None:
        fresh = create_engine(db.engine.url, isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **ENGINE_OPTIONS)
        engine = current_app.extensions.setdefault(ALONE, fresh)
        event.listen(db.engine, "engine_disposed", lambda _: fresh.dispose())
    return engine


@event.listens_for(Pool, "checkout")
def _throw_away_dead(connection: Any, _record: Any, _proxy: Any) -> None:
    """Notice a connection that the server closed while it lay idle: only then there is something to read.

    A connection that is quiet is taken unasked, which spares a round trip for each request.
    """
    if not connection.closed and not select.select((connection.fileno(),), (), (), 0)[0]:
        return
    if connection.closed or connection.pgconn.exec_(b"").status != ExecStatus.EMPTY_QUERY:
        raise DisconnectionError


@contextmanager
def one_commit() -> Iterator[None]:
    """Commit at the end of a job or command; roll back on any exception."""
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
