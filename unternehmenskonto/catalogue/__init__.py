"""Which public and online services exist, and where they are offered."""

from flask import Flask

from unternehmenskonto.catalogue import models as models
from unternehmenskonto.catalogue import views


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
    app.register_blueprint(views.bp)
