"""A signed-in person in front of the provider; a whole server with committed data for what needs real HTTP."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import create_engine, make_url, text
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.factories import make_membership, sign_in
from unternehmenskonto import create_app, keys
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.settings import Settings
from unternehmenskonto.web import limiter


@pytest.fixture(autouse=True)
def unlimited(session_app: Flask) -> None:
    """Forget what earlier tests did wrong."""
    limiter.reset()


@pytest.fixture
def member(client: FlaskClient) -> Membership:
    """Whoever is signed in."""
    membership = make_membership()
    sign_in(client, membership)
    return membership


@dataclass(frozen=True)
class Live:
    """A running provider: the application for making rows, its address for everybody else."""

    app: Flask
    url: str


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def live(settings: Settings, database_url: str) -> Iterator[Live]:
    """The provider behind a real socket, on a database of its own whose commits are real."""
    name = "provider_live"
    admin = create_engine(make_url(database_url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=_Quiet)
    url = f"http://127.0.0.1:{server.server_port}"
    address = make_url(database_url).set(database=name).render_as_string(hide_password=False)
    app = create_app(settings.model_copy(update={"database_url": address, "base_url": url}))
    server.app = app.wsgi_app
    with app.app_context():
        upgrade()
        keys.ensure_keys()
        db.session.commit()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Live(app, url)
    server.shutdown()
    server.server_close()
    thread.join(10)
    with app.app_context():
        db.engine.dispose()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
