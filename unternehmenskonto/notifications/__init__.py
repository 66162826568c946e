"""Telling people that something waits for them."""

from flask import Flask

from unternehmenskonto.notifications import actions
from unternehmenskonto.notifications import models as models


def init_app(app: Flask) -> None:
    """Give pages the notices that did not arrive; the job registers itself."""
    # Companies lie below this part and cannot ask for them; their page includes templates/notifications/problems.html.
    app.jinja_env.globals["notice_problems"] = actions.problems
