"""Who is at the keyboard: upstream identity providers and our sessions."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
