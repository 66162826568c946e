"""Official messages: delivery, deadlines, reading, proofs."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
