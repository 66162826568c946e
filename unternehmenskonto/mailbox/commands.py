"""Commands of the mailbox for the operator."""

import uuid

import click
from flask import Flask
from sqlalchemy import select

from unternehmenskonto.db import db
from unternehmenskonto.mailbox import chain
from unternehmenskonto.mailbox.conversations import proofs
from unternehmenskonto.mailbox.models import Mailbox


def register(app: Flask) -> None:
    """Add the commands to `flask`."""
    app.cli.add_command(verify_mailbox)


@click.command("verify-mailbox")
@click.option("--company", type=click.UUID, help="Only the mailbox of this company (id).")
def verify_mailbox(company: uuid.UUID | None) -> None:
    """Recompute the chains of evidence of all mailboxes and say what is wrong; ends with 1 if anything is."""
    query = select(Mailbox.company_id).order_by(Mailbox.company_id)
    if company is not None:
        query = query.where(Mailbox.company_id == company)
    companies = db.session.scalars(query).all()
    if company is not None and not companies:
        raise click.ClickException(f"There is no mailbox of company {company}.")
    links = sent_links = broken = 0
    for company_id in companies:
        verdict, sent = chain.verify(company_id), proofs.verify(company_id)
        links += verdict.links
        sent_links += sent.links
        faults = [*verdict.faults, *sent.faults]
        broken += bool(faults)
        for fault in faults:
            click.echo(f"mailbox {company_id}: {fault}")
    click.echo(f"{len(companies)} mailboxes, {links} messages, {sent_links} sent, {broken} with faults.")
    if broken:
        raise click.exceptions.Exit(1)
