"""Authlib's authorization server, fed by our parser and answered by our encoder."""

from collections.abc import Mapping
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, UnsupportedGrantTypeError
from flask import Flask, Response, current_app, request

from unternehmenskonto.provider import client_authentication, parameters, responses
from unternehmenskonto.provider.clients import Client
from unternehmenskonto.provider.grants import AuthorizationCodeGrant, ClientCredentialsGrant, RefreshTokenGrant

EXTENSION = "authorization_server"


class ProviderServer(AuthorizationServer):
    """Own the way in and the way out; leave grants and their dispatch to the engine."""

    def load_config(self, config: Mapping[str, Any]) -> None:
        """Take nothing from Flask's configuration: every figure of ours stands in limits.py."""

    def create_oauth2_request(self, request: Any) -> parameters.ProtocolRequest:
        """Parse the token request in hand; raises InvalidRequestError."""
        return _token_request()

    def authenticate_client(self, request: Any, methods: list[str], endpoint: str = "token") -> Client:
        """Take one proof of the registered kind (client_authentication.py) instead of trying all kinds."""
        client = client_authentication.authenticate(request.headers, request.form)
        request.auth_method = client.auth_method
        return client

    def send_signal(self, name: str, *arguments: Any, **more: Any) -> None:
        """Tell nobody: acts are recorded where they are done."""

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        """Encode what a grant answers."""
        return responses.as_json(body, status=status, headers=dict(headers))

    def handle_error_response(self, request: Any, error: OAuth2Error) -> Response:
        """Encode what a grant refuses (RFC 6749 5.2)."""
        description = (
            "This grant_type is not supported."
            if isinstance(error, UnsupportedGrantTypeError)
            else (error.get_error_description() or "")
        )
        return responses.token_error(error.error, description, status=error.status_code)


def init_app(app: Flask) -> None:
    """Make the server with the grants that exist."""
    server = ProviderServer()
    server.register_grant(AuthorizationCodeGrant)
    server.register_grant(RefreshTokenGrant)
    server.register_grant(ClientCredentialsGrant)
    app.extensions[EXTENSION] = server


def token_response() -> Response:
    """Answer the token request in hand."""
    server: ProviderServer = current_app.extensions[EXTENSION]
    try:
        return server.create_token_response(request)  # type: ignore[no-any-return]
    except OAuth2Error as error:
        return server.handle_error_response(None, error)


def _token_request() -> parameters.ProtocolRequest:
    values = parameters.token_parameters(request)
    if "grant_type" not in values:
        raise InvalidRequestError("grant_type is missing.")
    return parameters.ProtocolRequest(method="POST", path=request.path, values=values, headers=request.headers)
