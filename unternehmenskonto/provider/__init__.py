"""Our own OpenID provider, towards the online services."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
