"""Full-text search over a mailbox: index, filters, saved searches."""

from flask import Flask
from flask_babel import format_decimal

from unternehmenskonto.mailbox.search import files as files
from unternehmenskonto.mailbox.search import models as models
from unternehmenskonto.mailbox.search import views


def init_app(app: Flask) -> None:
    """Register the pages; the jobs register themselves."""
    app.register_blueprint(views.bp)
    app.jinja_env.filters["number"] = format_decimal
