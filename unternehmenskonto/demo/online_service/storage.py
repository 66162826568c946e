"""A small database and small secret files. A grown-up service has its own and needs nothing of this."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from flask import Flask, current_app

TABLES = """
    CREATE TABLE IF NOT EXISTS login (id TEXT PRIMARY KEY, until REAL, claims TEXT, id_token TEXT);
    CREATE TABLE IF NOT EXISTS logout (jti TEXT PRIMARY KEY, until REAL);
    CREATE TABLE IF NOT EXISTS application (id TEXT PRIMARY KEY, org_sub TEXT, sent INTEGER, content TEXT);
"""


def init_app(app: Flask, file: Path) -> None:
    """Make the tables."""
    app.config["DATABASE"] = file
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(TABLES)


def execute(statement: str, *values: Any) -> list[Any]:
    """Run one statement in a transaction of its own and return its rows."""
    with closing(sqlite3.connect(current_app.config["DATABASE"])) as connection, connection:
        return connection.execute(statement, values).fetchall()


def kept_secret(file: Path, make: Callable[[], str]) -> str:
    """Return the secret of a file; make it, readable by us only, where there is none."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(make())
    return file.read_text()
