"""Who is at the keyboard: upstream identity providers and our sessions."""

from flask import Flask, g, request

from unternehmenskonto.db import now
from unternehmenskonto.login import breaker, config, cookies, discovery, pages, sessions, views
from unternehmenskonto.login import models as models
from unternehmenskonto.settings import Settings, get_settings

#: A page warns so long before its session ends (WCAG 2.2, 2.2.1), or at half time of a very short session.
WARNING_SECONDS = 300


def init_app(app: Flask) -> None:
    """Register the pages and commands of this part; raise SettingsError for bad identity providers."""
    settings: Settings = app.extensions["settings"]
    app.extensions[config.EXTENSION] = config.load(settings)
    app.extensions[discovery.EXTENSION] = discovery.empty_cache()
    app.extensions[breaker.EXTENSION] = {}
    app.before_request(_load_actor)
    app.context_processor(_session_clock)
    app.register_blueprint(views.bp)
    app.register_blueprint(pages.bp)


def _load_actor() -> None:
    """Tell everybody behind who is signed in. Files and the API ask nobody, so they cost no query."""
    token = cookies.read(request, cookies.SESSION)
    is_for_people = request.endpoint != "static" and not request.path.startswith(("/api/", "/healthz/"))
    g.actor = sessions.load_actor(token) if token and is_for_people else None


def _session_clock() -> dict[str, object]:
    """Tell a page in seconds how long its session lives without a further request, and at most."""
    actor = g.get("actor")
    if actor is None or actor.session_ends_at is None:
        return {"session_clock": None}
    # "Was here" is noted once in SEEN_INTERVAL only, so the session may be over that much sooner.
    whole = get_settings().session_idle
    idle = int(max(whole - sessions.SEEN_INTERVAL, whole / 2).total_seconds())
    rest = int((actor.session_ends_at - now()).total_seconds())
    return {"session_clock": {"idle": idle, "rest": rest, "warning": min(WARNING_SECONDS, idle // 2)}}
