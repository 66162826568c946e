"""The watch over deadlines: list, explanation, calendar, reminders, cover for the absent, living readers."""

from flask import Flask

from unternehmenskonto.mailbox.watch import calendar_views, choice_views, commands, due, readers, steps, views
from unternehmenskonto.mailbox.watch import models as models
from unternehmenskonto.mailbox.watch import reminders as reminders


def init_app(app: Flask) -> None:
    """Register the pages, and what other pages of the mailbox show of them; the jobs register themselves."""
    app.register_blueprint(views.bp)
    app.register_blueprint(calendar_views.bp)
    app.register_blueprint(choice_views.bp)
    app.jinja_env.globals["due_soon"] = due.count_soon
    commands.register(app)
    app.jinja_env.globals["reader_faults"] = readers.faults_for
    app.jinja_env.globals["deadline_log"] = steps.log_of
