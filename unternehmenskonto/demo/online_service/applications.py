"""The service itself: a company registers a business activity, the authority gets the application."""

import json
import secrets
from datetime import date
from typing import Any

import requests
from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from .login import TIMEOUT_SECONDS, current_login
from .storage import execute

FIELDS = ("activity", "begins_on", "address")

applications = Blueprint("applications", __name__)


@applications.get("/")
def start() -> ResponseReturnValue:
    """Say what this is, or show the form and the company's applications."""
    return form_page({}, {})


@applications.post("/anmeldungen")
def apply() -> ResponseReturnValue:
    """Check and keep an application, then hand it to the authority."""
    claims = current_login()
    if not claims:
        return redirect(url_for(".start"), 303)
    fields = {name: plain(request.form.get(name, "")) for name in FIELDS}
    problems = check(fields)
    if problems:
        return form_page(fields, problems), 400
    content = {
        "id": secrets.token_hex(16),
        **fields,
        "org_sub": claims["org_sub"],
        "company": claims.get("org_company_name", ""),
        "person": " ".join(claims[name] for name in ("given_name", "family_name") if claims.get(name)),
    }
    insert = "INSERT INTO application (id, org_sub, sent, content) VALUES (?, ?, 0, ?)"
    execute(insert, content["id"], content["org_sub"], json.dumps(content))
    return send(content["id"])


@applications.post("/anmeldungen/<name>")
def send(name: str) -> ResponseReturnValue:
    """Hand an application to the authority. It takes each id once, so trying again does no harm."""
    content, _ = own_application(name)
    try:
        address = current_app.config["AUTHORITY_URL"] + "/applications"
        requests.post(address, json=content, timeout=TIMEOUT_SECONDS).raise_for_status()
        execute("UPDATE application SET sent = 1 WHERE id = ?", name)
    except requests.RequestException:
        # The application is kept; its page says that it waits and offers to send it again.
        current_app.logger.warning("authority not reached, application %s waits", name)
    return redirect(url_for(".show", name=name), 303)


@applications.get("/anmeldungen/<name>")
def show(name: str) -> ResponseReturnValue:
    """Show what became of one of the company's applications."""
    content, sent = own_application(name)
    return render_template("online_service/application.html", application=content, sent=sent, login=current_login())


def own_application(name: str) -> tuple[dict[str, str], bool]:
    """Return an application of the company that is logged in, and whether it was sent; 404 for all others."""
    company = (current_login() or {}).get("org_sub")
    rows = execute("SELECT content, sent FROM application WHERE id = ? AND org_sub = ?", name, company)
    if not rows:
        abort(404)
    return json.loads(rows[0][0]), bool(rows[0][1])


def form_page(fields: dict[str, str], problems: dict[str, str]) -> str:
    """Return the start page; the address is filled in from what Unternehmenskonto knows."""
    claims = current_login()
    if not claims:
        return render_template("online_service/welcome.html")
    query = "SELECT content, sent FROM application WHERE org_sub = ? ORDER BY rowid DESC"
    return render_template(
        "online_service/form.html",
        login=claims,
        fields={"address": address(claims), **fields},
        problems=problems,
        applications=[(json.loads(content), sent) for content, sent in execute(query, claims["org_sub"])],
    )


def address(claims: dict[str, Any]) -> str:
    """Return the company's address in one line, as far as it is known."""
    lines = (("org_street", "org_building"), ("org_zip_code", "org_city"))
    parts = (" ".join(claims[name] for name in names if claims.get(name)) for names in lines)
    return ", ".join(part for part in parts if part)


def plain(text: str) -> str:
    """Return what was typed as one line without control and invisible characters."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())


def check(fields: dict[str, str]) -> dict[str, str]:
    """Return a sentence for each field that cannot be accepted."""
    problems = {}
    if not 3 <= len(fields["activity"]) <= 200:
        problems["activity"] = "Bitte beschreiben Sie die Tätigkeit mit 3 bis 200 Zeichen."
    if not 5 <= len(fields["address"]) <= 200:
        problems["address"] = "Bitte geben Sie die Anschrift mit 5 bis 200 Zeichen an."
    try:
        date.fromisoformat(fields["begins_on"])
    except ValueError:
        problems["begins_on"] = "Bitte geben Sie den Beginn als Datum an, zum Beispiel 2027-01-31."
    return problems
