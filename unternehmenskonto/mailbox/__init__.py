"""Official messages: delivery, deadlines, reading, proofs."""

from flask import Flask

from unternehmenskonto.mailbox import api, commands
from unternehmenskonto.mailbox import models as models


def init_app(app: Flask) -> None:
    """Register the API, pages and commands of this part."""
    app.register_blueprint(api.bp)
    commands.register(app)
