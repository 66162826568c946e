"""The delivery API: authorities put messages into mailboxes and ask what became of them."""

import uuid
from contextlib import ExitStack

from flask import Blueprint, Response, jsonify, render_template, request

from unternehmenskonto import storage
from unternehmenskonto.db import db
from unternehmenskonto.mailbox import actions, attachments, idempotency
from unternehmenskonto.mailbox.actions import Delivery
from unternehmenskonto.mailbox.idempotency import Answer, RequestKey
from unternehmenskonto.mailbox.intake import (
    JSON_TYPE,
    MAXIMUM_MESSAGE_BYTES,
    MAXIMUM_REQUEST_BYTES,
    Meter,
    MultipartReader,
    Upload,
    read_json,
)
from unternehmenskonto.mailbox.openapi import document
from unternehmenskonto.mailbox.problems import PROBLEMS, refusal
from unternehmenskonto.mailbox.schemas import parse_message
from unternehmenskonto.permissions import api_scope, current_client, public
from unternehmenskonto.settings import get_settings
from unternehmenskonto.web import csrf, limiter

bp = Blueprint("mailbox_api", __name__, url_prefix="/api/v1")
csrf.exempt(bp)

#: For each client: enough for a mass run, and an end for a loop gone wild.
DELIVERIES_PER_MINUTE = 6000
STATES_PER_MINUTE = 300
MULTIPART_TYPE = "multipart/form-data"


def _client_key() -> str:
    return f"client:{current_client().client_id}"


@bp.post("/messages")
@limiter.limit(f"{DELIVERIES_PER_MINUTE} per minute", key_func=_client_key)
@api_scope("mailbox.deliver")
def deliver_message() -> Response:
    """Deliver a message with attachments; answer 201 with sequence number and receipts."""
    client_id, key = current_client().client_id, idempotency.checked_key(request.headers.get("Idempotency-Key"))
    if request.mimetype == MULTIPART_TYPE:
        actions.sender(client_id)  # before files are taken in for nothing
    # The body may arrive slowly: no database connection waits for it.
    db.session.commit()
    with ExitStack() as closing:
        raw, uploads = _read_body(closing)
        delivery = parse_message(raw).as_delivery(default_land=get_settings().default_land)
        wanted = actions.request_key(client_id=client_id, key=key, delivery=delivery, files=uploads)
        return _respond(_deliver(wanted, delivery, uploads))


def _deliver(wanted: RequestKey, delivery: Delivery, uploads: list[Upload]) -> Answer:
    """Store the files unless the answer is known already, then deliver."""
    answer = idempotency.kept_answer(wanted) if uploads else None
    db.session.commit()
    if answer is not None:
        return answer
    with attachments.stored(uploads) as files:
        answer = actions.deliver(request=wanted, delivery=delivery, files=files)
    if answer.is_replay:
        attachments.discard(files)
    return answer


@bp.get("/messages/<uuid:message_id>")
@limiter.limit(f"{STATES_PER_MINUTE} per minute", key_func=_client_key)
@api_scope("mailbox.deliver")
def message_state(message_id: uuid.UUID) -> Response:
    """Tell the sender what became of its message."""
    return jsonify(actions.state(client_id=current_client().client_id, message_id=message_id))


@bp.get("/problems")
@public
def problems() -> Response | str:
    """Show every reason for a refusal with its remedy, as page or as JSON."""
    if request.accept_mimetypes.best_match(["text/html", JSON_TYPE]) == "text/html":
        return render_template("mailbox/problems.html", problems=PROBLEMS.values())
    rows = [
        {
            "type": f"/api/v1/problems#{problem.code}",
            "code": problem.code,
            "status": problem.status,
            "detail": str(problem.sentence),
            "remedy": str(problem.remedy),
        }
        for problem in PROBLEMS.values()
    ]
    return jsonify(problems=rows)


@bp.get("/openapi.json")
@public
def openapi() -> Response:
    """Show this API as OpenAPI 3.1."""
    return jsonify(document(get_settings().base_url))


def _read_body(closing: ExitStack) -> tuple[bytes, list[Upload]]:
    """Return the JSON of the message and the files, whichever of the two forms was sent."""
    media_type = request.mimetype
    if media_type == JSON_TYPE:
        return read_json(_meter(MAXIMUM_MESSAGE_BYTES)), []
    if media_type != MULTIPART_TYPE:
        raise refusal("unsupported_type")
    reader = MultipartReader(
        boundary=request.mimetype_params.get("boundary", ""), folder=storage.folder(), closing=closing
    )
    return reader.read(_meter(MAXIMUM_REQUEST_BYTES)), reader.uploads


def _meter(maximum: int) -> Meter:
    """Open the body; refuse one that is announced too large without reading it."""
    request.max_content_length = maximum
    length = request.content_length
    if length is not None and length > maximum:
        raise refusal("too_large", detail=f"Content-Length {length}")
    digest = request.headers.get("Content-Digest")
    return Meter(request.stream, digest=digest, length=length, maximum=maximum)


def _respond(answer: Answer) -> Response:
    response = Response(answer.body, status=answer.status, mimetype=JSON_TYPE)
    if answer.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return response
