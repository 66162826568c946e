"""Gewerbeanmeldung: an online service that leaves the login to Unternehmenskonto.

An example to copy: it needs Flask and Authlib and nothing of Unternehmenskonto. `login.py` is the whole OpenID
relying party, from top to bottom; `applications.py` is the service itself; `storage.py` keeps what both need.

Registered at Unternehmenskonto are the client_id, the addresses /callback, /login, /abgemeldet, /jwks.json and
/backchannel-logout, and which facts about the company this service needs and why.
"""

import secrets
from pathlib import Path

from flask import Flask, render_template
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from . import applications, login, storage

__all__ = ["create_app"]

ROOT = Path(__file__).parents[3]


def create_app(*, issuer: str, base_url: str, authority_url: str, data: Path) -> Flask:
    """Return the service; `issuer` is Unternehmenskonto, `data` the folder for key, logins and applications."""
    app = Flask(
        __name__,
        template_folder=str(ROOT / "templates" / "demo"),
        static_folder=str(ROOT / "static" / "demo"),
        static_url_path="/static",
    )
    data.mkdir(parents=True, exist_ok=True)
    app.config.update(
        ISSUER=issuer,
        BASE_URL=base_url,
        AUTHORITY_URL=authority_url,
        SECRET_KEY=storage.kept_secret(data / "session-secret", secrets.token_hex),
        # A name of our own, or services on one host would overwrite each other's session. Lax: the cookie comes
        # along when the login leads back to us, but not with a form that another site sends.
        SESSION_COOKIE_NAME="gewerbeanmeldung",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=base_url.startswith("https://"),
    )
    app.jinja_env.globals.update(party="Gewerbeanmeldung", konto_url=issuer)
    storage.init_app(app, data / "applications.sqlite")
    login.init_app(app, data / "key.json")
    app.register_blueprint(applications.applications)
    app.register_error_handler(HTTPException, explain)
    app.after_request(safe_headers)

    @app.get("/healthz")
    def healthz() -> ResponseReturnValue:
        return "ok\n"

    return app


def explain(error: HTTPException) -> ResponseReturnValue:
    """Return a page for an address or a request that leads nowhere."""
    if error.code == 404:
        heading, advice = "Diese Seite gibt es nicht", "Vielleicht sind Sie nicht mehr angemeldet."
    else:
        heading, advice = "Das geht so nicht", "Bitte beginnen Sie auf der Startseite noch einmal."
    return render_template("frame/error.html", heading=heading, advice=advice), error.code or 500


def safe_headers(response: Response) -> Response:
    """Forbid scripts, frames and caches. No form-action: browsers apply it to the redirects of a logout too."""
    policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    response.headers["Content-Security-Policy"] = policy
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-store")
    return response
