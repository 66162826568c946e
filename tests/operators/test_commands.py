"""Commands say in a sentence what is wrong and end with a code that scripts can use."""

import pytest
from flask import Flask
from sqlalchemy import text

from unternehmenskonto import create_app
from unternehmenskonto.db import db
from unternehmenskonto.settings import Settings

COMMANDS = (["services", "plan"], ["jobs", "failed"], ["keys", "list"], ["verify-audit"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_database_that_is_away_is_told_in_a_sentence(settings: Settings, command: list[str]) -> None:
    away = settings.model_copy(update={"database_url": "postgresql+psycopg://x:geheim@127.0.0.1:1/x"})
    result = create_app(away).test_cli_runner().invoke(args=command)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The database cannot be reached: ")
    assert "geheim" not in result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_database_without_tables_is_told_in_a_sentence(fresh_app: Flask, command: list[str]) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    result = fresh_app.test_cli_runner().invoke(args=command)
    assert (result.exit_code, "flask db upgrade" in result.stderr) == (1, True)


def test_settings_example_needs_no_database(fresh_app: Flask) -> None:
    assert "base_url = " in fresh_app.test_cli_runner().invoke(args=["settings", "example"]).output
