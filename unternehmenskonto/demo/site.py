"""What the pages of all demo parties share: folders, headers, error page, health."""

from pathlib import Path

from flask import Flask, render_template
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates" / "demo"
STATIC = ROOT / "static" / "demo"

POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"

EXPLANATIONS = {
    404: ("Diese Seite gibt es nicht", "Die Adresse ist falsch geschrieben oder veraltet."),
    405: ("Das geht so nicht", "Diese Adresse ist nicht zum Aufrufen gedacht."),
    500: ("Das hat nicht geklappt", "Bitte versuchen Sie es in einem Augenblick noch einmal."),
}


def prepare(app: Flask, *, name: str, forms_lead_elsewhere: bool = False) -> None:
    """Give an application the common error page, safe headers and /healthz.

    Browsers apply `form-action` to every redirect after a form too, so a party whose forms lead on to other
    parties cannot restrict it.
    """
    app.jinja_env.globals["party"] = name
    policy = POLICY if forms_lead_elsewhere else f"{POLICY}; form-action 'self'"

    @app.get("/healthz")
    def healthz() -> str:
        return "ok\n"

    @app.errorhandler(HTTPException)
    def explain(error: HTTPException) -> tuple[str, int]:
        heading, advice = EXPLANATIONS.get(error.code or 500, EXPLANATIONS[500])
        return render_template("frame/error.html", heading=heading, advice=advice), error.code or 500

    @app.after_request
    def safe_headers(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers.setdefault("Cache-Control", "no-store")
        return response
