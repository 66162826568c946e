"""The operators' commands besides `flask db`: services, jobs, keys, the audit log, settings."""

import getpass
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import orjson
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from procrastinate.exceptions import ConnectorException
from psycopg.errors import UndefinedTable
from sqlalchemy import select
from sqlalchemy.exc import OperationalError, ProgrammingError

from unternehmenskonto import audit, jobs, keys
from unternehmenskonto.db import db, one_commit
from unternehmenskonto.operators import declared, housekeeping, key_rotation
from unternehmenskonto.operators.reading import FaultyServices
from unternehmenskonto.operators.settings_example import settings_example
from unternehmenskonto.settings import get_settings

#: `plan --detailed-exitcode` ends with this if something would change.
CHANGES_EXIT_CODE = 2
MAXIMUM_SHOWN = 200


class _Plain(click.Command):
    """Tell in a sentence when the database is away or empty; a traceback helps nobody at night."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (OperationalError, ConnectorException) as error:
            cause = str(getattr(error, "orig", error)).strip().splitlines()[0]
            raise click.ClickException(f"The database cannot be reached: {cause}. Check DATABASE_URL.") from None
        except ProgrammingError as error:
            if not isinstance(error.orig, UndefinedTable):
                raise
            raise click.ClickException("The database has no tables yet. Make them with: flask db upgrade") from None


class Group(_Plain, AppGroup):
    """A group whose commands fail in the same way."""


services = Group("services", help="The online services declared in files.")
job_commands = Group("jobs", help="Background jobs that were given up.")
key_commands = Group("keys", help="The keys that sign tokens and receipts.")
settings_commands = Group("settings", help="The settings of this installation.")
directory_option = click.option(
    "--directory",
    type=click.Path(path_type=Path),
    help="Folder with one TOML file per service; by default the setting services_dir.",
)


def init_app(app: Flask) -> None:
    """Register the commands."""
    for command in (services, job_commands, key_commands, settings_commands, worker, verify_audit):
        app.cli.add_command(command)


@services.command("check")
@directory_option
def check_services(directory: Path | None) -> None:
    """Read all files and tell every fault; exit code 1 if there is one."""
    with _faults_shown():
        found = declared.check(directory or get_settings().services_dir)
    click.echo(f"{len(found)} services, no faults.")


@services.command("plan")
@directory_option
@click.option("--detailed-exitcode", is_flag=True, help="Exit code 2 if something would change.")
def plan_services(directory: Path | None, detailed_exitcode: bool) -> None:
    """Show what apply would change, and change nothing."""
    with _faults_shown():
        plan = declared.plan(directory or get_settings().services_dir)
    _show(plan)
    if detailed_exitcode and not plan.is_empty:
        sys.exit(CHANGES_EXIT_CODE)


@services.command("apply")
@directory_option
def apply_services(directory: Path | None) -> None:
    """Bring the database to what the files declare: all of it or nothing."""
    with _faults_shown(), one_commit():
        plan = declared.apply(directory or get_settings().services_dir, by=operator())
    _show(plan)
    click.echo("Nothing to do." if plan.is_empty else "Applied.")


@click.command("worker", cls=_Plain)
@with_appcontext
def worker() -> None:
    """Work off background jobs until SIGTERM or Ctrl-C."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    jobs.run_worker(app)


@job_commands.command("failed")
def failed_jobs() -> None:
    """List the jobs that were given up, newest first."""
    found = jobs.failed_jobs()
    for job in found:
        # Arguments are ids; names, addresses and texts never are arguments of a job.
        click.echo(f"{job['id']}  {job['task']}  attempts {job['attempts']}  {orjson.dumps(job['args']).decode()}")
    click.echo(f"{len(found)} failed jobs." + (" Retry with: flask jobs retry ID, or --all" if found else ""))


@job_commands.command("retry")
@click.argument("job_id", type=int, required=False)
@click.option("--all", "every", is_flag=True, help="Retry every failed job.")
def retry_jobs(job_id: int | None, every: bool) -> None:
    """Put one failed job, or all of them, back into the queue."""
    if (job_id is None) == (not every):
        raise click.UsageError("Name one job, or write --all. The numbers are shown by: flask jobs failed")
    with one_commit():
        retried = housekeeping.retry_failed(job_id=job_id, by=operator())
    if job_id is not None and not retried:
        raise click.ClickException(f"There is no failed job {job_id}. The numbers are shown by: flask jobs failed")
    click.echo(f"{retried} jobs put back into the queue.")


@key_commands.command("ensure")
def ensure_keys() -> None:
    """Make the signing keys that are missing."""
    before = set(db.session.scalars(select(keys.SigningKey.kid)))
    with one_commit():
        keys.ensure_keys()
        made = sorted(set(db.session.scalars(select(keys.SigningKey.kid))) - before)
        for kid in made:
            audit.record("key.made", by=operator(), kid=kid)
    click.echo(f"{len(made)} keys made." if made else "All keys are there.")


@key_commands.command("rotate")
@click.option("--use", "use", type=click.Choice(key_rotation.USES), help="Only keys of this use; by default all.")
@click.option("--now", "at_once", is_flag=True, help="Use the new keys as soon as all our processes know them.")
@click.option("--compromised", is_flag=True, help="Like --now, and refuse at once what the old keys have signed.")
def rotate_keys(use: str | None, at_once: bool, compromised: bool) -> None:
    """Publish new signing keys; the worker uses them after 24 hours and retires the old ones 24 hours later."""
    uses = (use,) if use else key_rotation.USES
    with one_commit():
        changes = key_rotation.publish_next(uses, by=operator())
    _show_keys(changes)
    if not (at_once or compromised):
        click.echo("New keys are published." if changes else "The next keys are published already.")
        return
    click.echo(f"Waiting {key_rotation.SPREAD_SECONDS} seconds, until every process knows the new keys.")
    time.sleep(key_rotation.SPREAD_SECONDS)
    with one_commit():
        changes = key_rotation.advance(by=operator(), uses=uses, waited=timedelta(0))
        if compromised:
            changes += key_rotation.retire_compromised(uses, by=operator())
    _show_keys(changes)


def _show_keys(changes: list[key_rotation.Change]) -> None:
    for change in changes:
        click.echo(f"{change.kid}  {change.use:8}{change.alg:7}{change.status}")


@key_commands.command("list")
def list_keys() -> None:
    """List the signing keys: id, use, algorithm, status and since when."""
    rows = db.session.scalars(select(keys.SigningKey).order_by(keys.SigningKey.use, keys.SigningKey.created_at)).all()
    for key in rows:
        click.echo(f"{key.kid}  {key.use:8}{key.alg:7}{key.status:9}{key.status_since:%Y-%m-%d %H:%M}")
    if not rows:
        click.echo("There are no keys yet. Make them with: flask keys ensure")


@click.command("verify-audit", cls=_Plain)
@with_appcontext
def verify_audit() -> None:
    """Recompute the audit log's chain; exit code 1 if anything was changed, removed or never sealed."""
    verdict = audit.verify_events()
    click.echo(f"{verdict.sealed} events sealed, {verdict.unsealed} waiting. Head of the chain: {verdict.head}")
    for fault in verdict.faults:
        click.echo(f"FAULT: {fault}", err=True)
    if verdict.faults:
        raise click.ClickException("The audit log is not intact. Keep the database as it is and compare the backups.")


@settings_commands.command("example")
def show_settings_example() -> None:
    """Print every setting with type, default and meaning as a TOML file."""
    click.echo(settings_example(), nl=False)


@contextmanager
def _faults_shown() -> Iterator[None]:
    """Turn faulty files into their list on standard error and exit code 1."""
    try:
        yield
    except FaultyServices as error:
        click.echo(str(error), err=True)
        raise click.ClickException(f"{len(error.faults)} faults, nothing was changed.") from None


def operator() -> str:
    """Return who works at this terminal, for the audit log."""
    return f"operator:{getpass.getuser()}"


def _show(plan: declared.Plan) -> None:
    signs = {declared.NEW: "+", declared.CHANGED: "~", declared.REMOVED: "-"}
    words = {declared.NEW: "new", declared.CHANGED: "changed", declared.REMOVED: "no file any more: switched off"}
    for change in plan.services:
        if change.kind == declared.UNCHANGED:
            continue
        click.echo(f"{signs[change.kind]} {change.slug} ({words[change.kind]})")
        for item in change.fields:
            after = _value(item.after)
            click.echo(
                f"    {item.name}: " + (after if change.kind == declared.NEW else f"{_value(item.before)} → {after}")
            )
    counts = ", ".join(
        f"{plan.count(kind)} {word}"
        for kind, word in (
            (declared.NEW, "new"),
            (declared.CHANGED, "changed"),
            (declared.REMOVED, "switched off"),
            (declared.UNCHANGED, "unchanged"),
        )
    )
    click.echo(f"Services: {counts}.")


def _value(value: Any) -> str:
    """Return the value on one line; long ones are cut, the files hold them in full."""
    shown = "(none)" if value is None else orjson.dumps(value).decode()
    return shown if len(shown) <= MAXIMUM_SHOWN else shown[:MAXIMUM_SHOWN] + "…"
