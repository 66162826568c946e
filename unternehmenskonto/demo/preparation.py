"""Bring the database of the demonstration to what the code expects: schema, keys, declared services."""

from collections.abc import Mapping

from alembic.util import CommandError
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from unternehmenskonto import create_app, keys
from unternehmenskonto.db import db, one_commit
from unternehmenskonto.operators import declared
from unternehmenskonto.operators.reading import FaultyServices
from unternehmenskonto.settings import PREFIX, get_settings, load_settings

APPLIED_BY = "operator:demo"


class PreparationError(Exception):
    """The database cannot be prepared; the text says why and what to do."""


def prepare_database(environment: Mapping[str, str]) -> Flask:
    """Migrate, make missing keys and apply the declared services; all of it may be repeated.

    Returns the application it used. Raises PreparationError for an unreachable server, foreign data or
    faulty service files.
    """
    app = create_app(load_settings({**environment, f"{PREFIX}LOG_LEVEL": "WARNING"}))
    try:
        with app.app_context():
            upgrade()
            with one_commit():
                keys.ensure_keys()
                declared.apply(get_settings().services_dir, by=APPLIED_BY)
    except OperationalError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise PreparationError(
            f"The database server cannot be reached: {reason}. "
            "Check DATABASE_URL, or unset it to use the embedded server."
        ) from None
    except FaultyServices as error:
        raise PreparationError(f"The declared services have faults:\n{error}") from None
    except CommandError as error:
        raise PreparationError(
            f"The data was made by another version of Unternehmenskonto ({error}). "
            "Check out that version, or start over with: make demo-reset"
        ) from None
    finally:
        # The pieces are forked from this process: no open connection may be shared with them.
        with app.app_context():
            db.engine.dispose()
    return app


def worker_is_alive(app: Flask, *, since: float) -> bool:
    """Tell whether a job worker has shown a sign of life after ``since`` (seconds since the epoch)."""
    with app.app_context():
        try:
            return bool(db.session.scalar(_HEARTBEATS, {"since": since}))
        finally:
            db.session.remove()
            db.engine.dispose()


_HEARTBEATS = text("SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat >= to_timestamp(:since)")
