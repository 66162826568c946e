"""Model base, column types, and one commit per request, job or command."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import uuid_utils.compat
from flask import Flask, Response
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, MetaData, TypeDecorator, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, registry

#: Numbers are those of the fault lab: with the system's defaults a silent partition hung for more than 45 s.
CONNECT_ARGUMENTS = {
    "connect_timeout": 5,
    "tcp_user_timeout": 5000,
    "options": "-c statement_timeout=10000 -c lock_timeout=2000"
    " -c idle_in_transaction_session_timeout=15000 -c timezone=UTC",
}
POOL_SIZE = 5
POOL_WAIT_SECONDS = 2


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
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "connect_args": CONNECT_ARGUMENTS,
        "pool_pre_ping": True,
        "pool_size": POOL_SIZE,
        "max_overflow": POOL_SIZE,
        "pool_timeout": POOL_WAIT_SECONDS,
    }
    db.init_app(app)
    migrate.init_app(app, db, directory=str(app.extensions["migrations_dir"]), compare_type=True)
    app.after_request(_commit)


def _commit(response: Response) -> Response:
    """Commit what the view did; error handlers have rolled back before, so this keeps no half work.

    A returned answer commits, also a 4xx; a failing commit is raised and becomes a 500, never a 201.
    """
    db.session.commit()
    return response


@contextmanager
def one_commit() -> Iterator[None]:
    """Commit at the end of a job or command; roll back on any exception."""
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
