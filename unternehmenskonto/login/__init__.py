"""Who is at the keyboard: upstream identity providers and our sessions."""

from flask import Flask, g, request

from unternehmenskonto.login import cookies, sessions
from unternehmenskonto.login import models as models


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part."""
    app.before_request(_load_actor)


def _load_actor() -> None:
    """Tell everybody behind who is signed in. Files and the API ask nobody, so they cost no query."""
    token = cookies.read(request, cookies.SESSION)
    is_for_people = request.endpoint != "static" and not request.path.startswith(("/api/", "/healthz/"))
    g.actor = sessions.load_actor(token) if token and is_for_people else None
