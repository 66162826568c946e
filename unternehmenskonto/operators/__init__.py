"""Running it: declared configuration and commands."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
