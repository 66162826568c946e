"""Official messages: delivery, deadlines, reading, proofs."""

from flask import Flask

from unternehmenskonto.mailbox import api, commands, copies, search, views, watch
from unternehmenskonto.mailbox import models as models
from unternehmenskonto.mailbox.cases import api as cases_api
from unternehmenskonto.mailbox.cases import models as cases_models  # noqa: F401
from unternehmenskonto.mailbox.cases import views as cases_views
from unternehmenskonto.mailbox.conversations import api as conversations_api
from unternehmenskonto.mailbox.conversations import models as conversations_models  # noqa: F401
from unternehmenskonto.mailbox.conversations import views as conversations_views
from unternehmenskonto.mailbox.folders import views as folder_views
from unternehmenskonto.mailbox.labels import views as label_views
from unternehmenskonto.mailbox.team import admin as team_admin
from unternehmenskonto.mailbox.team import marks as team_marks
from unternehmenskonto.mailbox.team import views as team_views


def init_app(app: Flask) -> None:
    """Register the API, pages and commands of this part."""
    app.register_blueprint(api.bp)
    app.register_blueprint(views.bp)
    app.register_blueprint(folder_views.bp)
    app.register_blueprint(label_views.bp)
    app.context_processor(views.unread_badge)
    app.context_processor(views.other_companies)
    app.register_blueprint(team_views.bp)
    app.register_blueprint(team_admin.bp)
    app.jinja_env.globals.update(open_tasks=team_marks.open_count, marks_for=team_marks.marks_for)
    commands.register(app)
    watch.init_app(app)
    app.register_blueprint(conversations_api.bp)
    app.register_blueprint(cases_api.bp)
    app.register_blueprint(cases_views.bp)
    app.register_blueprint(conversations_views.bp)
    search.init_app(app)
    copies.init_app(app)
