"""The two cookies of this part: who is signed in, and which browser began a login."""

from flask import Request
from werkzeug.wrappers import Response

from unternehmenskonto.settings import get_settings

SESSION = "konto_session"
BROWSER = "konto_login"
BROWSER_SECONDS = 600
MAXIMUM_LENGTH = 128


def name(plain: str) -> str:
    """Return the name as the browser knows it; __Host- needs https (RFC 6265bis section 4.1.3.2)."""
    return plain if get_settings().is_local else f"__Host-{plain}"


def read(request: Request, plain: str) -> str | None:
    """Return the value of the cookie; None if there is none or it cannot be one of ours."""
    value = request.cookies.get(name(plain))
    return value if value and len(value) <= MAXIMUM_LENGTH else None


def write(response: Response, plain: str, value: str, *, seconds: int | None = None) -> None:
    """Set the cookie for this host only; without seconds it goes when the browser is closed."""
    response.set_cookie(
        name(plain),
        value,
        max_age=seconds,
        path="/",
        secure=not get_settings().is_local,
        httponly=True,
        samesite="Lax",
    )


def remove(response: Response, plain: str) -> None:
    """Take the cookie away."""
    response.delete_cookie(name(plain), path="/", secure=not get_settings().is_local, httponly=True, samesite="Lax")
