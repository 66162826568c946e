"""Official messages: delivery, deadlines, reading, proofs."""

from flask import Flask

from unternehmenskonto.mailbox import models as models


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
