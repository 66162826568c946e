"""What every page shares: security headers, language, filters, health, and the pages without a part."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import structlog
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from babel.dates import format_date, format_datetime
from flask import (
    Blueprint,
    Flask,
    Request,
    Response,
    current_app,
    g,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.typing import ResponseReturnValue
from flask_babel import Babel, get_locale
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf import CSRFProtect
from sqlalchemy import text
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as AnyResponse

from unternehmenskonto import storage
from unternehmenskonto.db import db
from unternehmenskonto.errors import NotFound, Unavailable
from unternehmenskonto.permissions import View, public
from unternehmenskonto.settings import Settings, get_settings

log = structlog.get_logger()
bp = Blueprint("web", __name__)
csrf = CSRFProtect()
limiter = Limiter(key_func=get_remote_address, default_limits=[])

LANGUAGES = ("de", "en")
LANGUAGE_COOKIE = "sprache"
#: The language that an online service asked for (OpenID Connect Core 3.1.2.1, ui_locales), for one login.
ASKED_LANGUAGE_COOKIE = "anfragesprache"
LANGUAGE_COOKIE_SECONDS = 365 * 24 * 3600
LEGAL_TIME = ZoneInfo("Europe/Berlin")
FORM_BYTES = 1024 * 1024
FORM_PARTS = 200
STATIC_SECONDS = 365 * 24 * 3600
FIXED_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()"),
)
HSTS = "max-age=31536000; includeSubDomains; preload"


class FormSession(SecureCookieSessionInterface):
    """Flask's signed cookie, which carries the form token; software that calls us has none, so nothing is opened."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of the cookie, else an empty one."""
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


class Application(Flask):
    """Flask with a short way for addresses that only software calls, and without what it does for coroutines."""

    session_interface = FormSession()
    #: What happens before and after each view marked with @for_software; create_app fills them.
    before_software: tuple[Callable[[], None], ...] = ()
    after_software: tuple[Callable[[Response], Response], ...] = ()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is: none of ours is a coroutine."""
        return func

    def preprocess_request(self) -> ResponseReturnValue | None:
        """Prepare the request, for software without session, form token and limits of pages."""
        if not self._is_for_software():
            return super().preprocess_request()
        for prepare in self.before_software:
            prepare()
        return None

    def process_response(self, response: Response) -> Response:
        """Finish the answer; to software no cookie is sent."""
        if not self._is_for_software():
            return super().process_response(response)
        for finish in self.after_software:
            response = finish(response)
        return response

    def _is_for_software(self) -> bool:
        return hasattr(self.view_functions.get(request.endpoint or ""), "is_for_software")


def for_software(view: View) -> View:
    """Mark a view that no browser of a person calls: it has no session and proves its callers itself."""
    view.is_for_software = True  # type: ignore[attr-defined]
    return csrf.exempt(view)  # type: ignore[no-any-return]


def init_app(app: Flask, settings: Settings) -> None:
    """Put headers, languages, forms, limits and filters into place."""
    app.config.update(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        SESSION_COOKIE_NAME="konto_form" if settings.is_local else "__Host-konto_form",
        SESSION_COOKIE_SECURE=not settings.is_local,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=FORM_BYTES,
        MAX_FORM_MEMORY_SIZE=FORM_BYTES,
        MAX_FORM_PARTS=FORM_PARTS,
        WTF_CSRF_TIME_LIMIT=settings.session_hours * 3600,
        WTF_CSRF_SSL_STRICT=False,
        BABEL_DEFAULT_LOCALE="de",
        BABEL_DEFAULT_TIMEZONE="Europe/Berlin",
        BABEL_TRANSLATION_DIRECTORIES=str(app.extensions["translations_dir"]),
        RATELIMIT_STORAGE_URI=settings.rate_limit_storage,
        RATELIMIT_HEADERS_ENABLED=True,
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0)  # type: ignore[method-assign]
    app.before_request(_admit_files)  # before the form token is looked for: that reads the form
    csrf.init_app(app)
    limiter.init_app(app)
    Babel(app, locale_selector=_select_language)
    app.jinja_env.filters.update(date=show_date, datetime=show_datetime, filesize=show_size)
    app.jinja_env.globals.update(csp_nonce=csp_nonce, static_url=static_url, settings=settings)
    app.context_processor(_page_variables)
    app.after_request(set_headers)
    app.register_blueprint(bp)


def takes_files(maximum: int) -> Callable[[View], View]:
    """Let the forms of this view be so many bytes long; all others end at FORM_BYTES."""

    def mark(view: View) -> View:
        view.form_bytes = maximum  # type: ignore[attr-defined]
        return view

    return mark


def _admit_files() -> None:
    """Files lie on disk while they arrive; whoever brings no cookie is nobody who fills in a form here."""
    view = current_app.view_functions.get(request.endpoint or "")
    maximum = getattr(view, "form_bytes", None)
    if maximum is not None and request.cookies:
        request.max_content_length = maximum


def _select_language() -> str:
    """Prefer what the person chose, then what the online service, then what the browser asks for."""
    for name in (LANGUAGE_COOKIE, ASKED_LANGUAGE_COOKIE):
        chosen = request.cookies.get(name) if request else None
        if chosen in LANGUAGES:
            return chosen
    wanted = (tag.partition("-")[0].lower() for tag in request.accept_languages.values()) if request else ()
    return next((language for language in wanted if language in LANGUAGES), "de")  # de-AT is German too


def current_language() -> str:
    """Return the two-letter language of this page."""
    locale = get_locale()
    return locale.language if locale else "de"


def csp_nonce() -> str:
    """Return the nonce of this answer's Content-Security-Policy."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def allow_form_target(url: str) -> None:
    """Let the form of this page end at the origin of the URL: browsers hold redirects after POST to it."""
    parts = urlsplit(url)
    g.setdefault("form_targets", []).append(f"{parts.scheme}://{parts.netloc}")


def static_url(path: str) -> str:
    """Return the address of a static file with its digest, so that it may be cached for a year."""
    return url_for("static", filename=path, v=_digest(str(current_app.static_folder), path))


@lru_cache(maxsize=256)
def _digest(folder: str, path: str) -> str:
    try:
        return hashlib.sha256((Path(folder) / path).read_bytes()).hexdigest()[:12]
    except OSError:
        return "missing"


def show_date(value: date | None) -> str:
    """Show a day as people write it: 01.12.2026 or 1 December 2026."""
    if value is None:
        return ""
    return format_date(value, "dd.MM.yyyy" if current_language() == "de" else "d MMMM yyyy", current_language())


def show_datetime(value: datetime | None) -> str:
    """Show a point in time in German legal time."""
    if value is None:
        return ""
    pattern = "dd.MM.yyyy, HH:mm 'Uhr'" if current_language() == "de" else "d MMMM yyyy, HH:mm"
    return format_datetime(value, pattern, tzinfo=LEGAL_TIME, locale=current_language())


def show_size(value: int) -> str:
    """Show a number of bytes: 812 Byte, 24 kB, 3,1 MB."""
    if value < 1000:
        return f"{value} Byte" if current_language() == "de" else f"{value} bytes"
    if value < 1_000_000:
        return f"{round(value / 1000)} kB"
    megabytes = f"{value / 1_000_000:.1f}"
    return (megabytes.replace(".", ",") if current_language() == "de" else megabytes) + " MB"


def _page_variables() -> dict[str, Any]:
    return {"actor": g.get("actor"), "current_language": current_language(), "languages": LANGUAGES}


def set_headers(response: Response) -> Response:
    """Set the headers of security.md rows H01 to H06 on every answer, errors and files too."""
    headers = response.headers
    nonce = f" 'nonce-{g.csp_nonce}'" if "csp_nonce" in g else ""
    targets = " ".join(["'self'", *g.get("form_targets", [])])
    headers.setdefault(
        "Content-Security-Policy",
        f"default-src 'none'; script-src 'self'{nonce}; style-src 'self'; font-src 'self'; img-src 'self' data:; "
        f"connect-src 'self'; form-action {targets}; base-uri 'none'; object-src 'none'; frame-ancestors 'none'",
    )
    if not get_settings().is_local:
        headers["Strict-Transport-Security"] = HSTS
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.extend(FIXED_HEADERS)
    if request.endpoint == "static" and response.status_code == 200:
        headers["Cache-Control"] = f"public, max-age={STATIC_SECONDS}, immutable"
    else:
        headers.setdefault("Cache-Control", "no-store")
    return response


@bp.get("/")
@public
def home() -> str | AnyResponse:
    """Show what this is; lead a signed-in person to the mailbox or, without that right, to the company."""
    actor = g.get("actor")
    if actor is None:
        return render_template("home.html")
    return redirect("/postfach" if actor.may("mailbox.read") else "/unternehmen", code=303)


@bp.get("/seiten/<name>")
@public
def page(name: str) -> str:
    """Show one of the fixed pages every public site must have."""
    if name not in ("barrierefreiheit", "datenschutz", "impressum", "sicherheit"):
        raise NotFound
    return render_template(f"pages/{name}.html")


@bp.get("/sprache/<language>")
@public
def choose_language(language: str) -> AnyResponse:
    """Remember the language and go back to the page the person came from."""
    if language not in LANGUAGES:
        raise NotFound
    response = redirect(safe_path(request.args.get("next", "/")), code=303)
    response.set_cookie(
        LANGUAGE_COOKIE,
        language,
        max_age=LANGUAGE_COOKIE_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=not get_settings().is_local,
    )
    return response


def safe_path(target: str) -> str:
    """Return the target if it is a path on this site, else the home page (no open redirect)."""
    parts = urlsplit(target)
    harmless = target.startswith("/") and not target.startswith(("//", "/\\")) and "\\" not in target
    return target if harmless and not parts.netloc and not parts.scheme and target.isprintable() else "/"


@bp.get("/healthz/live")
@public
def live() -> Response:
    """Tell that the process answers; never asks the database, so an outage causes no restart storm."""
    return jsonify(status="ok")


@bp.get("/healthz/ready")
@public
def ready() -> Response:
    """Tell whether requests can be served: database, schema and attachment store."""
    try:
        db.session.execute(text("SELECT 1"))
        checks = {"database": True, "schema": _schema_is_current(), "storage": storage.is_writable()}
    except Exception as error:
        log.warning("not ready", kind=type(error).__name__)
        raise Unavailable(retry_after=5) from None
    if not all(checks.values()):
        raise Unavailable(retry_after=5, detail=str(checks))
    return jsonify(status="ok", **checks)


def _schema_is_current() -> bool:
    current = MigrationContext.configure(db.session.connection()).get_current_revision()
    return current == _head(str(current_app.extensions["migrations_dir"]))


@lru_cache(maxsize=1)
def _head(folder: str) -> str | None:
    return ScriptDirectory(folder).get_current_head()


@bp.get("/.well-known/security.txt")
@public
def security_txt() -> Response:
    """Tell finders of faults whom to write to (RFC 9116, BSI TR-03172 A3.1.05)."""
    settings = get_settings()
    expires = datetime.now(LEGAL_TIME).replace(month=12, day=31, hour=23, minute=59, second=0, microsecond=0)
    lines = (
        f"Contact: mailto:{settings.operator_contact}",
        f"Expires: {expires.isoformat()}",
        "Preferred-Languages: de, en",
        f"Canonical: {settings.base_url}/.well-known/security.txt",
    )
    return Response("\n".join(lines) + "\n", mimetype="text/plain")
