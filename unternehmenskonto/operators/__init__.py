"""Running it: declared configuration and commands."""

from flask import Flask

from unternehmenskonto.operators import commands
from unternehmenskonto.operators import housekeeping as housekeeping


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
    commands.init_app(app)
