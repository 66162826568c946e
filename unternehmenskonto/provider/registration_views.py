"""The registration endpoint and the client configuration endpoint (RFC 7591 3, RFC 7592 2)."""

import json

from flask import Blueprint, Response, request

from unternehmenskonto.permissions import public
from unternehmenskonto.provider import registration, responses, schemas
from unternehmenskonto.provider.limits import REFUSED_CLIENTS_LIMIT, REGISTRATION_BYTES
from unternehmenskonto.web import csrf, limiter

bp = Blueprint("registration", __name__)


def _is_refused(response: Response) -> bool:
    return response.status_code == 401


@bp.post(registration.REGISTER_PATH)
@csrf.exempt
@limiter.limit(str(REFUSED_CLIENTS_LIMIT), deduct_when=_is_refused)
@public
def register() -> Response:
    """Register a client (RFC 7591 3.1)."""
    try:
        return responses.as_json(registration.answer(registration.register(_body(), _token())), status=201)
    except (registration.Unauthorized, schemas.InvalidMetadata) as error:
        return _refusal(error)


@bp.route(f"{registration.REGISTER_PATH}/<client_id>", methods=["GET", "PUT", "DELETE"])
@csrf.exempt
@limiter.limit(str(REFUSED_CLIENTS_LIMIT), deduct_when=_is_refused)
@public
def configure(client_id: str) -> Response:
    """Read, replace or end a registration by its own token (RFC 7592 2)."""
    try:
        if request.method == "DELETE":
            registration.end(client_id, _token())
            return Response(status=204, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})
        if request.method == "PUT":
            return responses.as_json(registration.answer(registration.change(client_id, _token(), _body())))
        return responses.as_json(registration.answer(registration.read(client_id, _token())))
    except (registration.Unauthorized, schemas.InvalidMetadata) as error:
        return _refusal(error)


def _token() -> str | None:
    """Return the bearer token of the header; of nowhere else (RFC 6750 2.1)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" and token and len(token) <= registration.MAXIMUM_TOKEN else None


def _body() -> object:
    if request.mimetype != responses.JSON_TYPE or (request.content_length or 0) > REGISTRATION_BYTES:
        return None
    try:
        return json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError):
        return None


def _refusal(error: Exception) -> Response:
    if isinstance(error, schemas.InvalidMetadata):
        return responses.as_json({"error": error.error, "error_description": str(error)}, status=400)
    return responses.bearer_error("invalid_token", "The registration token is missing, used up or not of this client.")
