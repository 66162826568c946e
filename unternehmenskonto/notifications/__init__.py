"""Telling people that something waits for them."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
