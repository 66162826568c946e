"""Who is at the keyboard: upstream identity providers and our sessions."""

from flask import Flask, g, request

from unternehmenskonto.login import config, cookies, discovery, sessions, views
from unternehmenskonto.login import models as models
from unternehmenskonto.settings import Settings


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part; raise SettingsError for bad identity providers."""
    settings: Settings = app.extensions["settings"]
    app.extensions[config.EXTENSION] = config.load(settings)
    app.extensions[discovery.EXTENSION] = discovery.empty_cache()
    app.before_request(_load_actor)
    app.register_blueprint(views.bp)


def _load_actor() -> None:
    """Tell everybody behind who is signed in. Files and the API ask nobody, so they cost no query."""
    token = cookies.read(request, cookies.SESSION)
    is_for_people = request.endpoint != "static" and not request.path.startswith(("/api/", "/healthz/"))
    g.actor = sessions.load_actor(token) if token and is_for_people else None
