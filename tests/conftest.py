"""A real PostgreSQL for the whole run, made by the migrations; each test in a transaction of its own."""

import base64
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g, has_app_context
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.orm import scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from unternehmenskonto import create_app, keys
from unternehmenskonto.db import db, run_in_session
from unternehmenskonto.demo.database import EmbeddedPostgres
from unternehmenskonto.provider.clients import EXTENSION as CLIENTS
from unternehmenskonto.settings import Settings

pytest_plugins = ("tests.browser",)
BASE_URL = "http://127.0.0.1:8000"
#: A database that is used again (DATABASE_URL) needs the key under which its secrets were sealed.
KEPT_KEY = "UNTERNEHMENSKONTO_ENCRYPTION_KEY"


class FreshClient(FlaskClient):
    """A client whose requests share nothing: inside the fixtures' application context `g` would outlive each one."""

    def open(self, *arguments: Any, **options: Any) -> Any:
        if has_app_context():
            g.__dict__.clear()
        return super().open(*arguments, **options)


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty database: the server of DATABASE_URL if one is named, else an embedded one."""
    named = os.environ.get("DATABASE_URL")
    if named:
        yield named
        return
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), fsync=False)
    yield server.start()
    server.remove()


@pytest.fixture(scope="session")
def settings(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        base_url=BASE_URL,
        database_url=database_url,
        secret_key=secrets.token_hex(32),
        encryption_key=os.environ.get(KEPT_KEY) or base64.b64encode(secrets.token_bytes(32)).decode(),
        pairwise_secret=secrets.token_hex(32),
        attachment_dir=tmp_path_factory.mktemp("attachments"),
        outbound_hosts=("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "localhost"),
        smtp_security="none",
        log_level="WARNING",
    )


@pytest.fixture(scope="session")
def session_app(settings: Settings) -> Iterator[Flask]:
    """The application on a migrated database."""
    app = create_app(settings)
    app.config.update(TESTING=False, WTF_CSRF_ENABLED=True)
    app.test_client_class = FreshClient
    with app.app_context():
        upgrade()
        keys.ensure_keys()
        db.session.commit()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def connection(session_app: Flask) -> Iterator[Connection]:
    """One connection whose transaction is thrown away after the test."""
    with session_app.app_context():
        engine = db.engine
    with engine.connect() as connection:
        transaction = connection.begin()
        yield connection
        transaction.rollback()


def run_in_savepoint(statement: str, parameters: Mapping[str, Any]) -> list[Any]:
    """Run the statement and commit, as far as anything is committed inside the test's transaction."""
    rows = run_in_session(statement, parameters)
    for row in rows[:1]:
        assert len(set(row._fields)) == len(row._fields), "the named tuples of psycopg refuse that"
    db.session.commit()
    return rows


@pytest.fixture
def app(session_app: Flask, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application inside the test's transaction; what it commits is a savepoint."""
    factory = sessionmaker(bind=connection, join_transaction_mode="create_savepoint")
    session = scoped_session(factory)
    monkeypatch.setattr(db, "session", session)
    # What would be a transaction of its own has to see what the test has written.
    monkeypatch.setattr("unternehmenskonto.db.run_alone", run_in_savepoint)
    session_app.extensions[CLIENTS].clear()
    ring = session_app.extensions["key_ring"]
    if ring is not None:
        # Read anew, without decrypting the keys again: that takes a third of a second.
        ring.read_at = float("-inf")
    with session_app.app_context():
        yield session_app
    session.remove()


@contextmanager
def new_database(address: str, *, template: str = "template1") -> Iterator[str]:
    """Make a database on the server of this address, yield the new one's address, remove it."""
    server = create_engine(make_url(address), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    name = f"test_{secrets.token_hex(6)}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield make_url(address).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def migrated_template(settings: Settings) -> Iterator[str]:
    """A database made by the migrations that nobody uses, to be copied."""
    with new_database(settings.database_url) as address:
        app = create_app(settings.model_copy(update={"database_url": address}))
        with app.app_context():
            upgrade()
            db.engine.dispose()
        yield str(make_url(address).database)


@pytest.fixture
def fresh_database(settings: Settings, migrated_template: str) -> Iterator[str]:
    """A migrated database of one's own on the same server, for real commits and several connections."""
    with new_database(settings.database_url, template=migrated_template) as address:
        yield address


@pytest.fixture
def fresh_app(settings: Settings, fresh_database: str) -> Iterator[Flask]:
    """The application on a database of its own; what a test commits is really committed."""
    app = create_app(settings.model_copy(update={"database_url": fresh_database}))
    app.test_client_class = FreshClient
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path
