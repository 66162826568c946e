"""Who we serve: companies, people, memberships and their rights."""

from flask import Flask

from unternehmenskonto.companies import models as models
from unternehmenskonto.companies import views


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
    app.register_blueprint(views.bp)
