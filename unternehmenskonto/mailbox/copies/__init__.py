"""Copies of messages to take away: the export of the whole mailbox."""

from flask import Flask

from unternehmenskonto.mailbox.copies import models as models
from unternehmenskonto.mailbox.copies import views


def init_app(app: Flask) -> None:
    """Register the pages; the jobs register themselves."""
    app.register_blueprint(views.bp)
