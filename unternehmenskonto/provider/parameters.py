"""The one parser of everything that comes in: names once, sizes bounded, from one place only."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from flask import Request
from werkzeug.datastructures import Headers, MultiDict

from unternehmenskonto.provider.limits import LONG_VALUES, MAXIMUM_PARAMETERS, MAXIMUM_VALUE_CHARACTERS
from unternehmenskonto.settings import get_settings

FORM_TYPE = "application/x-www-form-urlencoded"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: RFC 8707 2 allows several; a token of ours has one audience, so that a service cannot use it at another.
SEVERAL_RESOURCES = "Send resource once: a token is for one audience only."


@dataclass(frozen=True)
class Parameters:
    """Name -> value, and what is wrong with the request as a whole; None if nothing is."""

    values: Mapping[str, str]
    problem: str | None
    #: The error code that belongs to the problem.
    error: str = "invalid_request"
    #: jti and end (seconds since 1970) of the request object they came in; None: it may come again.
    once: tuple[str, int] | None = None

    def get(self, name: str) -> str | None:
        """Return the value; an empty one counts as left out (RFC 6749 3.1)."""
        return self.values.get(name) or None


class InvalidTarget(OAuth2Error):
    """RFC 8707 2: the resource asked for is not one that this grant opens, or not the only one."""

    error = "invalid_target"


class ProtocolRequest(OAuth2Request):
    """A request as Authlib's engine wants it, made of parameters that were parsed here."""

    def __init__(self, *, method: str, path: str, values: Mapping[str, str], headers: Headers) -> None:
        super().__init__(method=method, uri=get_settings().base_url + path, headers=headers)
        self.payload = BasicOAuth2Payload(values)

    @property
    def form(self) -> Mapping[str, str]:
        """Return the parsed parameters: at the token endpoint they can only be form fields."""
        values: Mapping[str, str] = self.payload.data
        return values


def authorize_parameters(request: Request) -> Parameters:
    """Return the parameters of an authorization or logout request: the query of a GET, the form of a POST."""
    if request.method == "POST":
        return parse(request.form)
    return parse(request.args)


def token_parameters(request: Request) -> Mapping[str, str]:
    """Return the form of a token request; raises InvalidRequestError for anything but one clean form.

    Raises InvalidTarget for several resources.
    """
    if request.query_string:
        raise InvalidRequestError("Send parameters in the body, never in the address.")
    if request.mimetype != FORM_TYPE:
        raise InvalidRequestError(f"The body must be {FORM_TYPE}.")
    parameters = parse(request.form)
    if parameters.problem:
        raise (InvalidTarget if parameters.error == InvalidTarget.error else InvalidRequestError)(parameters.problem)
    return {name: value for name, value in parameters.values.items() if value}


def parse(found: MultiDict[str, str]) -> Parameters:
    """Return what is usable, name -> value, and the first problem in words a developer can act on."""
    if len(found) > MAXIMUM_PARAMETERS:
        return Parameters({}, f"There are more than {MAXIMUM_PARAMETERS} parameters.")
    values: dict[str, str] = {}
    problem, error = None, "invalid_request"
    for name, given in found.lists():
        wrong = fault(name, given)
        if wrong is None:
            values[name] = given[0]
        elif problem is None and name == "resource" and len(given) > 1:
            problem, error = SEVERAL_RESOURCES, InvalidTarget.error
        elif problem is None:
            problem = f"{_shown(name)} {wrong}."
    return Parameters(values, problem, error)


def fault(name: str, given: list[str]) -> str | None:
    """Tell why a parameter cannot be used at all; of a repeated one nobody knows which was meant."""
    limit = LONG_VALUES.get(name, MAXIMUM_VALUE_CHARACTERS)
    if len(given) > 1:
        return "is given more than once"
    if len(given[0]) > limit:
        return f"is longer than {limit} characters"
    if not _is_clean(name) or not _is_clean(given[0]):
        return "contains control characters"
    return None


def _is_clean(text: str) -> bool:
    return _CONTROL.search(text) is None


def _shown(name: str) -> str:
    """Return a name fit for error_description (RFC 6749 4.1.2.1 allows few characters)."""
    return "".join(character if character.isalnum() and character.isascii() else "_" for character in name[:40])
