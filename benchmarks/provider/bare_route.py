"""The framework with nothing in it: one route that answers with an empty object."""

from flask import Flask, Response

application = Flask(__name__)


@application.get("/")
def nothing() -> Response:
    """Answer."""
    return Response("{}", mimetype="application/json")
