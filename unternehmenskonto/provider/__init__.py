"""Our own OpenID provider, towards the online services."""

from flask import Flask

from unternehmenskonto.provider import backchannel as backchannel
from unternehmenskonto.provider import client_keys, clients, disclosure_pages, logout, registration_views, server, views
from unternehmenskonto.provider import models as models
from unternehmenskonto.provider import registration_models as registration_models
from unternehmenskonto.provider import retention as retention


def init_app(app: Flask) -> None:
    """Register the endpoints of the protocol and the pages between them."""
    clients.init_app(app)
    client_keys.init_app(app)
    server.init_app(app)
    app.before_request(logout.return_to_service)
    app.register_blueprint(views.bp)
    app.register_blueprint(disclosure_pages.bp)
    app.register_blueprint(registration_views.bp)
