"""Running it: declared configuration and commands."""

from flask import Flask

from unternehmenskonto.operators import commands, registration_commands
from unternehmenskonto.operators import housekeeping as housekeeping
from unternehmenskonto.operators import key_rotation as key_rotation


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
    registration_commands.init_app()
    commands.init_app(app)
