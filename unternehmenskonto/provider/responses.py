"""The one encoder of everything that goes out: redirects to clients, JSON, OAuth errors."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson
from flask import Response, render_template, request

from unternehmenskonto.errors import AppError
from unternehmenskonto.settings import get_settings
from unternehmenskonto.web import ASKED_LANGUAGE_COOKIE, allow_form_target

JSON_TYPE = "application/json"
QUERY, FORM_POST = "query", "form_post"
RESPONSE_MODES = (QUERY, FORM_POST)


class AuthorizeError(Exception):
    """Refuse an authorization request towards the client (RFC 6749 4.1.2.1); description in plain ASCII."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


def to_client(redirect_uri: str, *, state: str | None, mode: str = QUERY, **parameters: str) -> Response:
    """Send the browser to a proven redirect URI, by redirect or by a form (OAuth 2.0 Form Post Response Mode 2).

    Always with iss (RFC 9207), with state if there was one; 303, so that no form is ever sent again
    (RFC 9700 4.12).
    """
    answer = dict(parameters)
    if state:
        answer["state"] = state
    answer["iss"] = get_settings().base_url
    response = _form(redirect_uri, answer) if mode == FORM_POST else redirect(with_query(redirect_uri, answer))
    if ASKED_LANGUAGE_COOKIE in request.cookies:
        response.delete_cookie(ASKED_LANGUAGE_COOKIE)
    return response


def _form(action: str, fields: Mapping[str, str]) -> Response:
    """Return a page whose form the browser sends to the client, by itself or by the person's click."""
    if urlsplit(action).scheme not in ("https", "http"):
        raise AppError(detail="a form may only be sent to http and https addresses")
    allow_form_target(action)
    page = render_template("provider/form_post.html", action=action, fields=fields)
    return Response(page, mimetype="text/html", headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def redirect(location: str) -> Response:
    """Send the browser on with GET; nobody may keep the answer."""
    response = Response(status=303, headers={"Location": location, "Cache-Control": "no-store", "Pragma": "no-cache"})
    response.autocorrect_location_header = False
    return response


def with_query(uri: str, query: Mapping[str, str]) -> str:
    """Add parameters to a URI and keep the query it has (RFC 6749 3.1.2)."""
    parts = urlsplit(uri)
    joined = "&".join(part for part in (parts.query, urlencode(query)) if part)
    return urlunsplit(parts._replace(query=joined))


def as_json(payload: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return the object as JSON that nobody may keep (RFC 6749 5.1)."""
    response = Response(orjson.dumps(payload), status=status, mimetype=JSON_TYPE)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    response.headers.update(headers or {})
    return response


def as_token(token: str) -> Response:
    """Return a signed or encrypted object that nobody may keep (OpenID Connect Core 5.3.2)."""
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return Response(token, mimetype="application/jwt", headers=headers)


def nothing() -> Response:
    """Say that it is done, in no words (RFC 7009 2.2)."""
    return Response(status=200, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def token_error(error: str, description: str, *, status: int = 400) -> Response:
    """Refuse a token request (RFC 6749 5.2)."""
    headers = {"WWW-Authenticate": f'Basic realm="{get_settings().base_url}"'} if status == 401 else {}
    return as_json({"error": error, "error_description": description}, status=status, headers=headers)


def bearer_error(error: str | None, description: str, *, status: int = 401) -> Response:
    """Refuse a request for claims (RFC 6750 3); without an error code where no token was offered."""
    challenge = f'Bearer realm="{get_settings().base_url}"'
    if error is None:
        return as_json(
            {"error": "invalid_token", "error_description": description},
            status=status,
            headers={"WWW-Authenticate": challenge},
        )
    challenge += f', error="{error}", error_description="{description}"'
    return as_json(
        {"error": error, "error_description": description}, status=status, headers={"WWW-Authenticate": challenge}
    )


def metadata(payload: bytes, *, seconds: int) -> Response:
    """Return public metadata, JSON: any page may read it, caches may keep it for a while."""
    response = Response(payload, mimetype=JSON_TYPE)
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
