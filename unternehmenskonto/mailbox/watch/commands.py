"""Commands that watch over mailboxes, for the operator."""

import click
from flask import Flask

from unternehmenskonto.mailbox.watch.readers import all_faults


def register(app: Flask) -> None:
    """Add the commands to `flask`."""
    app.cli.add_command(check_readers)


@click.command("check-readers")
def check_readers() -> None:
    """Name the mailboxes and topics with messages that reach nobody; ends with 1 if there are any."""
    count = 0
    for fault in all_faults():
        count += 1
        click.echo(f"company {fault.company_id}{f' topic {fault.area}' if fault.area else ''}: {fault.reason}")
    click.echo(f"{count} without a living reader.")
    if count:
        raise click.exceptions.Exit(1)
