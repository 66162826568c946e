"""The API by which authorities fetch what companies wrote to them and say that they have it."""

import uuid

from flask import Blueprint, Response, jsonify, request, stream_with_context

from unternehmenskonto import storage
from unternehmenskonto.mailbox import digests
from unternehmenskonto.mailbox.conversations import fetching, sending
from unternehmenskonto.mailbox.conversations.limits import REPLIES_PER_MINUTE
from unternehmenskonto.mailbox.conversations.schemas import as_answer
from unternehmenskonto.mailbox.receipts import utc
from unternehmenskonto.mailbox.views import FILE_POLICY, content_disposition
from unternehmenskonto.permissions import api_scope, current_client
from unternehmenskonto.web import csrf, limiter

bp = Blueprint("conversations_api", __name__, url_prefix="/api/v1/replies")
csrf.exempt(bp)


def _client_key() -> str:
    return f"client:{current_client().client_id}"


@bp.get("")
@limiter.limit(f"{REPLIES_PER_MINUTE} per minute", key_func=_client_key)
@api_scope("mailbox.replies")
def replies() -> Response:
    """List what arrived for this service after a cursor, oldest first."""
    after = request.args.get("after", "")
    found, has_more = fetching.replies_after(
        client_id=current_client().client_id, after=after, limit=request.args.get("limit", "")
    )
    last = str(found[-1].service_number) if found else after or "0"
    return jsonify(replies=[as_answer(sent) for sent in found], next=last, has_more=has_more)


@bp.get("/<uuid:sent_id>")
@limiter.limit(f"{REPLIES_PER_MINUTE} per minute", key_func=_client_key)
@api_scope("mailbox.replies")
def one_reply(sent_id: uuid.UUID) -> Response:
    """Show one reply."""
    return jsonify(as_answer(fetching.reply(client_id=current_client().client_id, sent_id=sent_id)))


@bp.get("/<uuid:sent_id>/attachments/<uuid:file_id>")
@limiter.limit(f"{REPLIES_PER_MINUTE} per minute", key_func=_client_key)
@api_scope("mailbox.replies")
def attachment(sent_id: uuid.UUID, file_id: uuid.UUID) -> Response:
    """Hand out one file in its original bytes."""
    file = fetching.file_of_reply(client_id=current_client().client_id, sent_id=sent_id, file_id=file_id)
    chunks = storage.stream(file.path, sha256=file.sha256)
    response = Response(stream_with_context(chunks), mimetype=file.media_type)
    response.headers["Content-Length"] = str(file.size)
    response.headers["Content-Disposition"] = content_disposition(file.file_name)
    response.headers["Content-Security-Policy"] = FILE_POLICY
    response.headers["Repr-Digest"] = digests.field(file.sha256)
    return response


@bp.put("/<uuid:sent_id>/acknowledgement")
@limiter.limit(f"{REPLIES_PER_MINUTE} per minute", key_func=_client_key)
@api_scope("mailbox.replies")
def acknowledge(sent_id: uuid.UUID) -> Response:
    """Take down that the authority has the reply; the second time answers as the first."""
    sent = sending.acknowledge(client_id=current_client().client_id, sent_id=sent_id)
    moment = utc(sent.acknowledged_at) if sent.acknowledged_at else None
    return jsonify(id=str(sent.id), acknowledged_at=moment, receipt=sent.acknowledgement)
