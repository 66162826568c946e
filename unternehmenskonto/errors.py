"""The tree of errors and one handler per kind of answer.

    AppError                 status, code, public sentence; the private detail goes to the log only
    ├── InvalidInput   400   with the faulty fields
    │   ├── CookiesMissing   the browser sends none, so no form can work
    │   └── FormOutdated     the form's token is not this browser's, or too old
    ├── SignInRequired 401
    ├── Forbidden      403
    ├── NotFound       404   also for another company's object
    ├── Conflict       409
    ├── Gone           410
    ├── TooLarge       413
    ├── UnsupportedType 415
    ├── Unprocessable  422   understood, but against a rule
    ├── TooManyRequests 429  with the seconds to wait
    └── Unavailable    503   with the seconds to wait

Pages answer people, RFC 9457 problem details answer the API, RFC 6749 section 5.2 answers OAuth clients.
Each carries the reference number of the request and none carries internals.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import structlog
from flask import Flask, Response, jsonify, make_response, redirect, render_template, request
from flask_babel import lazy_gettext as _l
from flask_wtf.csrf import CSRFError
from psycopg.errors import LockNotAvailable, QueryCanceled
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from unternehmenskonto.db import db

log = structlog.get_logger()

DATABASE_RETRY_SECONDS = 5
OAUTH_PATHS = ("/oauth/token", "/oauth/userinfo", "/oauth/jwks", "/oauth/introspect", "/oauth/revoke")
REGISTER_PATH = "/oauth/register"
OAUTH_CODES = {429: "temporarily_unavailable", 503: "temporarily_unavailable", 500: "server_error"}


class AppError(Exception):
    """Refuse a request for a reason that may be told; `detail` stays in the log."""

    status = 500
    code = "internal_error"
    sentence: Any = _l("Etwas ist schiefgegangen. Bitte versuchen Sie es noch einmal.")
    #: The page that people see.
    template = "error.html"

    def __init__(self, sentence: Any = None, *, code: str | None = None, detail: str = "", **members: Any) -> None:
        super().__init__(detail or code or self.code)
        self.sentence = sentence if sentence is not None else self.sentence
        self.code = code or self.code
        self.detail = detail
        #: Further members of the problem details object, for example the faulty fields.
        self.members = members


class InvalidInput(AppError):
    status = 400
    code = "invalid_input"
    sentence = _l("Die Eingabe ist unvollständig oder fehlerhaft. Bitte prüfen Sie die genannten Angaben.")


class CookiesMissing(InvalidInput):
    code = "cookies_missing"
    sentence = _l(
        "Ihr Browser hat unser Cookie nicht mitgeschickt. Ohne Cookies können Sie sich hier nicht anmelden "
        "und nichts absenden."
    )
    template = "cookies_missing.html"


class FormOutdated(InvalidInput):
    code = "form_outdated"
    sentence = _l(
        "Dieses Formular gilt nicht mehr: Es war zu lange offen, oder Sie haben sich inzwischen neu angemeldet. "
        "Es wurde nichts geändert."
    )
    template = "form_outdated.html"


class SignInRequired(AppError):
    status = 401
    code = "sign_in_required"
    sentence = _l("Bitte melden Sie sich an, um diese Seite zu sehen.")


class Forbidden(AppError):
    status = 403
    code = "forbidden"
    sentence = _l("Dafür fehlt Ihnen das Recht. Die Verwaltung Ihres Unternehmens kann es Ihnen erteilen.")


class NotFound(AppError):
    status = 404
    code = "not_found"
    sentence = _l("Diese Seite gibt es nicht oder sie gehört nicht zu Ihrem Unternehmen.")


class Conflict(AppError):
    status = 409
    code = "conflict"
    sentence = _l("Der Stand hat sich inzwischen geändert. Bitte laden Sie die Seite neu.")


class Gone(AppError):
    status = 410
    code = "gone"
    sentence = _l("Das gibt es nicht mehr.")


class TooLarge(AppError):
    status = 413
    code = "too_large"
    sentence = _l("Das ist zu groß.")


class UnsupportedType(AppError):
    status = 415
    code = "unsupported_type"
    sentence = _l("Dieser Dateityp wird nicht angenommen.")


class Unprocessable(AppError):
    status = 422
    code = "unprocessable"
    sentence = _l("Die Anfrage ist verständlich, verstößt aber gegen eine Regel.")


class TooManyRequests(AppError):
    status = 429
    code = "too_many_requests"
    sentence = _l("Das waren zu viele Versuche. Bitte warten Sie einen Augenblick.")

    def __init__(self, sentence: Any = None, *, retry_after: int = 60, **members: Any) -> None:
        super().__init__(sentence, **members)
        self.retry_after = retry_after


class Unavailable(AppError):
    status = 503
    code = "unavailable"
    sentence = _l("Das ist gerade nicht erreichbar. Bitte versuchen Sie es in einigen Minuten noch einmal.")

    def __init__(self, sentence: Any = None, *, retry_after: int = 60, **members: Any) -> None:
        super().__init__(sentence, **members)
        self.retry_after = retry_after


def reference() -> str:
    """Return the reference number of this request, the same as in the log."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def init_app(app: Flask) -> None:
    """Answer every error in the form its caller understands."""
    app.register_error_handler(AppError, refuse)
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(PoolTimeout, _database_error)
    app.register_error_handler(DBAPIError, _database_error)
    app.register_error_handler(Exception, _unexpected)


def refuse(error: AppError) -> Response:
    """Undo what the request did, note the refusal and answer it."""
    db.session.rollback()
    log.info("refused", code=error.code, status=error.status, detail=error.detail)
    if isinstance(error, SignInRequired) and _answer() is _page:
        return _to_sign_in() if request.method in ("GET", "HEAD") else _session_over()
    return answer(error)


def _csrf_error(_error: CSRFError) -> Response:
    """Say why a form cannot be taken. What was typed is not offered anew: a foreign site may have typed it."""
    return refuse(FormOutdated() if request.cookies else CookiesMissing())


def _http_error(error: HTTPException) -> Response:
    db.session.rollback()
    status = error.code or 500
    found: AppError = _BY_STATUS.get(status, AppError)()
    found.status = status
    if status not in _BY_STATUS:
        found.code = HTTPStatus(status).phrase.lower().replace(" ", "_")
        found.sentence = _OTHER.get(status, found.sentence)
    response = answer(found)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _database_error(error: Exception) -> Response:
    """Tell "try again soon" for a database that is away, slow or locked; anything else is our fault."""
    db.session.rollback()
    cause = getattr(error, "orig", None)
    if isinstance(error, (OperationalError, PoolTimeout)) or isinstance(cause, (LockNotAvailable, QueryCanceled)):
        log.error("database unavailable", kind=type(cause or error).__name__)
        return answer(Unavailable(retry_after=DATABASE_RETRY_SECONDS))
    return _unexpected(error)


def _unexpected(error: Exception) -> Response:
    db.session.rollback()
    log.exception("unexpected error", kind=type(error).__name__)
    return answer(AppError())


def answer(error: AppError) -> Response:
    """Return the error as page, problem details or OAuth error, depending on the address asked for."""
    response = _answer()(error)
    response.status_code = error.status
    if isinstance(error, (TooManyRequests, Unavailable)):
        response.headers["Retry-After"] = str(error.retry_after)
    response.headers["Cache-Control"] = "no-store"
    return response


def _answer() -> Callable[[AppError], Response]:
    if request.path.startswith("/api/"):
        return _problem
    return _oauth if request.path in OAUTH_PATHS or request.path.startswith(REGISTER_PATH) else _page


def _problem(error: AppError) -> Response:
    body: Mapping[str, Any] = {
        "type": f"/api/v1/problems#{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "code": error.code,
        "detail": str(error.sentence),
        "instance": f"urn:unternehmenskonto:request:{reference()}",
        **error.members,
    }
    response = jsonify(body)
    response.mimetype = "application/problem+json"
    if error.status == 401:
        response.headers["WWW-Authenticate"] = f'Bearer error="{error.code}"'
    return response


def _oauth(error: AppError) -> Response:
    code = OAUTH_CODES.get(error.status, "invalid_request")
    return jsonify(error=code, error_description=f"Reference {reference()}")


def _page(error: AppError) -> Response:
    html = render_template(error.template, error=error, status=error.status, reference=reference())
    return make_response(html)


def _to_sign_in() -> Response:
    target = request.full_path.rstrip("?")
    response = make_response(redirect("/anmelden?" + urlencode({"next": target}), code=303))
    response.headers["Cache-Control"] = "no-store"
    return response


def _session_over() -> Response:
    """Keep what was typed: the form token was valid, only the session is gone, so it can be sent once more."""
    fields = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
    html = render_template("login/session_over.html", fields=fields, action=request.full_path.rstrip("?"))
    response = make_response(html, SignInRequired.status)
    response.headers["Cache-Control"] = "no-store"
    return response


_BY_STATUS: dict[int, type[AppError]] = {
    kind.status: kind
    for kind in (
        InvalidInput,
        SignInRequired,
        Forbidden,
        NotFound,
        Conflict,
        Gone,
        TooLarge,
        UnsupportedType,
        Unprocessable,
        TooManyRequests,
        Unavailable,
        AppError,
    )
}
_OTHER = {405: _l("Diese Adresse kennt die gewählte Methode nicht.")}
