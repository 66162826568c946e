"""Commands about services that register themselves: let them, grant them claims, end them."""

from typing import Any

import click

from unternehmenskonto.catalogue.claims import CLAIMS, NEEDS_OWN_PURPOSE
from unternehmenskonto.db import one_commit
from unternehmenskonto.operators.commands import Group, operator, services
from unternehmenskonto.provider import registration

MAXIMUM_USES = 1000
MAXIMUM_DAYS = 366
MINIMUM_TEXT = 10
claim_option = click.option(
    "--claim",
    "claims",
    multiple=True,
    type=click.Choice([name for name in CLAIMS if name not in NEEDS_OWN_PURPOSE]),
    help="May be repeated.",
)

registration_token = Group("registration-token", help="Tokens with which a service may register itself.")


@registration_token.command("create")
@click.option("--uses", type=click.IntRange(1, MAXIMUM_USES), default=1, show_default=True, help="How many clients.")
@click.option("--days", type=click.IntRange(1, MAXIMUM_DAYS), default=7, show_default=True, help="How long it is good.")
@click.option("--authority", required=True, help="Who gets the token; people read it before they agree.")
@claim_option
@click.option("--pkce-exempt", metavar="REASON", help="Let its clients go without PKCE; only for legacy software.")
@click.option("--offline-access", is_flag=True, help="Let its clients have refresh tokens; people are told.")
def create_token(**options: Any) -> None:
    """Make a token and print it once; only its hash is stored."""
    exempt, uses, days = options["pkce_exempt"], options["uses"], options["days"]
    if exempt is not None and len(exempt) < MINIMUM_TEXT:
        raise click.UsageError("Say in a sentence why these clients cannot use PKCE, and until when.")
    with one_commit():
        token = registration.make_token(
            uses=uses,
            days=days,
            authority=options["authority"],
            claims=options["claims"],
            pkce_exempt_reason=exempt,
            allows_offline=options["offline_access"],
            by=operator(),
        )
    click.echo(token)
    click.echo(f"Good for {uses} registrations within {days} days. It is not shown again.", err=True)


@services.command("grant-claims")
@click.argument("client_id")
@click.option("--claim", "purposes", multiple=True, nargs=2, metavar="NAME PURPOSE", help="May be repeated.")
def grant_claims(client_id: str, purposes: tuple[tuple[str, str], ...]) -> None:
    """Let a registered service receive these values and no others; people are asked before anything goes out."""
    for name, purpose in purposes:
        if name not in CLAIMS or len(purpose) < MINIMUM_TEXT:
            raise click.UsageError(f"{name}: name a known value and write its purpose in a sentence.")
    with one_commit():
        found = registration.grant_claims(client_id, dict(purposes), by=operator())
    if not found:
        raise click.ClickException(f"No service registered itself as {client_id}, or it was ended.")
    click.echo(f"{len(purposes)} values may be passed on to {client_id}.")


@services.command("end-registration")
@click.argument("client_id")
def end_registration(client_id: str) -> None:
    """Switch a registered service off and end its grants."""
    with one_commit():
        found = registration.remove(client_id, by=operator())
    if not found:
        raise click.ClickException(f"No service registered itself as {client_id}, or it was ended.")
    click.echo(f"{client_id} is switched off.")


def init_app() -> None:
    """Hang the commands under `flask services`."""
    services.add_command(registration_token)
