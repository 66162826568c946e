"""An application with a few more routes that go wrong on purpose; the real handlers answer them."""

from collections.abc import Callable
from typing import Any

import psycopg.errors
from flask import Flask, request
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from unternehmenskonto import audit, create_app, errors
from unternehmenskonto.db import db
from unternehmenskonto.permissions import public
from unternehmenskonto.settings import Settings
from unternehmenskonto.web import csrf, limiter

SECRET_DETAIL = "Kundennummer-4711"


def app_error(name: str) -> Any:
    """Raise the error class of this name, with a detail that must stay in the log."""
    raise getattr(errors, name)(detail=SECRET_DETAIL)


def unexpected() -> Any:
    """Fail as a bug does."""
    raise RuntimeError(SECRET_DETAIL)


def half_done() -> Any:
    """Change something, then fail."""
    audit.record("key.made", by="system", kid="half done")
    db.session.flush()
    raise RuntimeError(SECRET_DETAIL)


def refused_half_done() -> Any:
    """Change something, then refuse with an exception."""
    audit.record("key.made", by="system", kid="half done")
    db.session.flush()
    raise errors.Conflict


def answered_4xx() -> Any:
    """Change something and return a refusal as an answer."""
    audit.record("key.made", by="system", kid="kept")
    return "refused", 400


def failing_commit() -> Any:
    """Return success although the commit must fail: the constraint is checked at its end only."""
    db.session.execute(text("CREATE TEMP TABLE probe (id int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP"))
    db.session.execute(text("INSERT INTO probe VALUES (1), (1)"))
    return "created", 201


def slow_statement() -> Any:
    """Run into the statement time-out."""
    db.session.execute(text("SET LOCAL statement_timeout = 20"))
    db.session.execute(text("SELECT pg_sleep(5)"))


def lost_database() -> Any:
    """Fail as a query on a lost connection does."""
    raise OperationalError("SELECT 1", {}, psycopg.OperationalError("server closed the connection"))


def locked_row() -> Any:
    """Fail as a wait for a lock does."""
    raise OperationalError("SELECT 1", {}, psycopg.errors.LockNotAvailable())


def empty_pool() -> Any:
    """Fail as a wait for a connection does."""
    raise PoolTimeout


def read_body() -> Any:
    """Read the whole form, whatever its size."""
    return str(len(request.form))


def fine() -> Any:
    """Answer."""
    return "fine"


PROBES: tuple[Callable[..., Any], ...] = (
    unexpected,
    half_done,
    refused_half_done,
    answered_4xx,
    failing_commit,
    slow_statement,
    lost_database,
    locked_row,
    empty_pool,
    fine,
)


def app_with_probes(settings: Settings) -> Flask:
    """Return an application with the probes under /probe/ (pages), /api/probe/ and, for one, an OAuth address."""
    app = create_app(settings)
    for prefix in ("/probe", "/api/probe"):
        for probe in PROBES:
            app.add_url_rule(f"{prefix}/{probe.__name__}", f"{prefix}.{probe.__name__}", public(_named(probe)))
        app.add_url_rule(f"{prefix}/error/<name>", f"{prefix}.error", public(_named(app_error)))
    app.add_url_rule("/probe/limited", "probe.limited", limiter.limit("1 per minute")(public(_named(fine))))
    app.add_url_rule("/probe/read_body", "probe.read_body", csrf.exempt(public(_named(read_body))), methods=["POST"])
    app.add_url_rule("/probe/undeclared", "probe.undeclared", _named(fine))
    return app


def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of its own, so that marks on it touch no other route."""

    def view(**values: Any) -> Any:
        return function(**values)

    view.__name__ = function.__name__
    return view
