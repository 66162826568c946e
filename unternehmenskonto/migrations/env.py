"""Run the migrations on the application's own engine, in one transaction each."""

from alembic import context
from sqlalchemy import text

from unternehmenskonto.db import Base, db

#: A migration that cannot have its lock soon gives up instead of making every request wait behind it.
LOCK_TIMEOUT = "2s"


def belongs_to_us(object_: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
    """Leave the tables of the job queue to its own library."""
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


def run() -> None:
    """Apply the migrations that are missing."""
    with db.engine.connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text("SET statement_timeout = 0"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            include_object=belongs_to_us,
            compare_type=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
