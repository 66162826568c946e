"""Who we serve: companies, people, memberships and their rights."""

from flask import Flask

from unternehmenskonto.companies import models as models


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
