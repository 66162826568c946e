"""The migrations: one chain, and what they make is what the models say."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from unternehmenskonto.db import Base, db


def belongs_to_us(object_: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
    """Leave out the tables of the job queue; its own library made them."""
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


def test_there_is_one_head_and_one_line(app: Flask) -> None:
    scripts = ScriptDirectory(str(app.extensions["migrations_dir"]))
    assert len(scripts.get_heads()) == 1
    assert [script.revision for script in scripts.walk_revisions()][-1] == "0001"
    assert all(not script.is_merge_point and not script.is_branch_point for script in scripts.walk_revisions())


def test_empty_database_becomes_what_the_models_say(fresh_app: Flask) -> None:
    options = {"compare_type": True, "compare_server_default": True, "include_object": belongs_to_us}
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_check_constraints_are_those_of_the_models(fresh_app: Flask) -> None:
    """Alembic does not compare them."""
    with db.engine.connect() as connection:
        inspector = inspect(connection)
        found = {
            constraint["name"]
            for table in Base.metadata.tables
            for constraint in inspector.get_check_constraints(table)
        }
    declared = {
        constraint.name
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if constraint.__visit_name__ in ("check_constraint", "table_or_column_check_constraint")
    }
    assert found == declared


def test_generated_columns_are_those_of_the_models(fresh_app: Flask) -> None:
    """Alembic does not compare these well either: both expressions are made by the same server and compared."""
    declared = {
        (table.name, column.name): str(column.computed.sqltext)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.computed is not None
    }
    assert declared
    with db.engine.connect() as connection:
        for (table, column), expression in declared.items():
            kind = connection.scalar(
                text(
                    "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = cast(:t AS regclass)"
                    " AND attname = :c"
                ),
                {"t": table, "c": column},
            )
            connection.execute(text(f"CREATE TEMP TABLE twin (LIKE {table})"))
            connection.execute(text(f"ALTER TABLE twin DROP COLUMN {column}"))
            connection.execute(text(f"ALTER TABLE twin ADD {column} {kind} GENERATED ALWAYS AS ({expression}) STORED"))
            shown = [connection.scalar(EXPRESSION, {"t": name, "c": column}) for name in (table, "twin")]
            connection.execute(text("DROP TABLE twin"))
            assert shown[0] == shown[1] is not None


def test_what_hangs_on_a_message_goes_with_it() -> None:
    """A message may be erased by a person; whatever tells of it either goes too or has no key on it."""
    hanging = [
        f"{table.name}.{key.name}"
        for table in Base.metadata.tables.values()
        for key in table.foreign_key_constraints
        if key.referred_table.name in ("messages", "attachments")
        and not str(key.ondelete).startswith(("CASCADE", "SET NULL"))
    ]
    assert hanging == []


def test_migrations_can_run_again(fresh_app: Flask) -> None:
    result = fresh_app.test_cli_runner().invoke(args=["db", "upgrade"])
    assert result.exit_code == 0


def test_readiness_needs_the_newest_schema(fresh_app: Flask) -> None:
    assert fresh_app.test_client().get("/healthz/ready").status_code == 200
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    answer = fresh_app.test_client().get("/healthz/ready")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_waiting_for_a_lock_ends_soon(fresh_app: Flask) -> None:
    """A migration behind a long transaction would stop every request that comes after it."""
    with db.engine.connect() as holder, db.engine.connect() as migration:
        holder.execute(text("LOCK TABLE companies IN ACCESS SHARE MODE"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            migration.execute(text("ALTER TABLE companies ADD COLUMN probe int"))


EXPRESSION = text(
    "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum"
    " WHERE adrelid = cast(:t AS regclass) AND attname = :c"
)
