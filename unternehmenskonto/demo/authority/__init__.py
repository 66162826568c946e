"""Gewerbeamt Musterstadt: an authority that decides on applications and delivers through Unternehmenskonto.

It knows Unternehmenskonto only by its public interfaces. An application arrives from the online service, a
decision follows within seconds, and the staff page shows what became of it.
"""

import re
import time
from datetime import date
from pathlib import Path

from flask import Flask, abort, current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from unternehmenskonto.demo import keyfile, site

from .courier import Courier
from .konto import Konto
from .letters import NAME
from .register import Register

__all__ = ["create_app"]

DECISION_AFTER_SECONDS = 2.0
MAX_FIELD_CHARACTERS = 300
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
FIELDS = ("id", "org_sub", "company", "activity", "begins_on", "address")


def create_app(*, konto_url: str, data: Path, decision_after: float = DECISION_AFTER_SECONDS) -> Flask:
    """Return the authority. Call app.extensions["courier"].start() to let it deliver, and stop() at the end."""
    app = Flask(
        __name__, template_folder=str(site.TEMPLATES), static_folder=str(site.STATIC), static_url_path="/static"
    )
    site.prepare(app, name=NAME)
    register = Register(data / "authority.sqlite")
    key = keyfile.load_or_create(data / "authority-key.json")
    app.extensions.update(
        register=register,
        key=key,
        courier=Courier(register, Konto(konto_url, key)),
        decision_after=decision_after,
    )
    app.add_url_rule("/", view_func=staff)
    app.add_url_rule("/jwks.json", view_func=jwks)
    app.add_url_rule("/applications", view_func=receive, methods=["POST"])
    app.add_url_rule("/applications/<name>/messages", view_func=send_note, methods=["POST"])
    app.add_url_rule("/deliveries/<key>/again", view_func=try_again, methods=["POST"])
    return app


def staff() -> str:
    """Show the cases to the staff."""
    return render_template("authority/staff.html", cases=current_app.extensions["register"].overview())


def jwks() -> ResponseReturnValue:
    """Publish the key of our client assertions."""
    return {"keys": [current_app.extensions["key"].as_dict(private=False)]}


def receive() -> ResponseReturnValue:
    """Take an application from the online service; the same one twice is taken once."""
    try:
        application = parse(request.get_json(silent=True))
    except ValueError as error:
        return jsonify(title="This application cannot be taken.", detail=str(error)), 400
    due_at = time.time() + current_app.extensions["decision_after"]
    current_app.extensions["register"].receive(application, due_at)
    current_app.extensions["courier"].wake()
    return {"id": application["id"]}, 202


def parse(content: object) -> dict[str, str]:
    """Return the fields of an application; raises ValueError with what is wrong."""
    if not isinstance(content, dict):
        raise ValueError("Send a JSON object.")
    for name in FIELDS:
        value = content.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= MAX_FIELD_CHARACTERS:
            raise ValueError(f"{name} must be a text of 1 to {MAX_FIELD_CHARACTERS} characters.")
        if not value.isprintable():
            raise ValueError(f"{name} must be one line without invisible characters.")
    if not re.fullmatch(r"[A-Za-z0-9-]{8,64}", content["id"]):
        raise ValueError("id must be 8 to 64 letters, digits and hyphens.")
    if not DAY.fullmatch(content["begins_on"]):
        raise ValueError("begins_on must be a date such as 2027-01-31.")
    date.fromisoformat(content["begins_on"])
    return {name: content[name] for name in FIELDS}


def send_note(name: str) -> ResponseReturnValue:
    """Send an ordinary message about a case."""
    _only_own_pages()
    if not current_app.extensions["register"].add_note(name):
        abort(404)
    current_app.extensions["courier"].wake()
    return redirect(url_for("staff"), 303)


def try_again(key: str) -> ResponseReturnValue:
    """Deliver again what was not acknowledged."""
    _only_own_pages()
    if not current_app.extensions["register"].try_again(key):
        abort(404)
    current_app.extensions["courier"].wake()
    return redirect(url_for("staff"), 303)


def _only_own_pages() -> None:
    """Refuse forms that another site sends: the staff page has no login that could tell them apart."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(403)
