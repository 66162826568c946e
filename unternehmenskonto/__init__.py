"""Unternehmenskonto: the single point of contact between a company and the public administration."""

from flask import Flask

from unternehmenskonto import (
    audit as audit,
)
from unternehmenskonto import (
    catalogue,
    companies,
    db,
    errors,
    keys,
    login,
    logs,
    mailbox,
    notifications,
    operators,
    permissions,
    provider,
    settings,
    storage,
    web,
)


def create_app(configuration: settings.Settings | None = None) -> Flask:
    """Return the application; a table of contents of its parts. Raises SettingsError for unsafe settings."""
    configuration = configuration or settings.load_settings()
    app = web.Application(
        __name__,
        root_path=str(settings.ROOT / "unternehmenskonto"),
        template_folder=str(settings.ROOT / "templates"),
        static_folder=str(settings.ROOT / "static"),
    )
    app.extensions["settings"] = configuration
    app.extensions["migrations_dir"] = settings.ROOT / "unternehmenskonto" / "migrations"
    app.extensions["translations_dir"] = settings.ROOT / "translations"

    logs.configure(configuration.log_level)
    logs.init_app(app)
    db.init_app(app, configuration.database_url)
    errors.init_app(app)
    keys.init_app(app)
    storage.init_app(app, configuration.attachment_dir)
    web.init_app(app, configuration)

    companies.init_app(app)
    catalogue.init_app(app)
    login.init_app(app)  # first: it tells who is there ...
    permissions.init_app(app)  # ... and this decides whether they may
    notifications.init_app(app)
    provider.init_app(app)
    mailbox.init_app(app)
    operators.init_app(app)
    app.before_software = (logs.begin, permissions.check)
    app.after_software = (web.set_headers, db.commit, logs.end)
    return app
