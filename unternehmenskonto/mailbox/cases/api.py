"""The API by which services tell the state of a case."""

from flask import Blueprint, Response, jsonify, request

from unternehmenskonto.db import db
from unternehmenskonto.mailbox.cases import actions
from unternehmenskonto.mailbox.cases.schemas import parse_case
from unternehmenskonto.mailbox.intake import JSON_TYPE, MIB, Meter, read_json
from unternehmenskonto.mailbox.problems import refusal
from unternehmenskonto.mailbox.receipts import utc
from unternehmenskonto.permissions import api_scope, current_client
from unternehmenskonto.web import csrf, limiter

bp = Blueprint("cases_api", __name__, url_prefix="/api/v1/cases")
csrf.exempt(bp)

REPORTS_PER_MINUTE = 3000
MAXIMUM_REPORT_BYTES = MIB // 16


def _client_key() -> str:
    return f"client:{current_client().client_id}"


@bp.put("/<external_id>")
@limiter.limit(f"{REPORTS_PER_MINUTE} per minute", key_func=_client_key)
@api_scope("cases.write")
def put_case(external_id: str) -> Response:
    """Take down the state of a case; the same report twice answers the same."""
    if request.mimetype != JSON_TYPE:
        raise refusal("unsupported_type")
    request.max_content_length = MAXIMUM_REPORT_BYTES
    if (request.content_length or 0) > MAXIMUM_REPORT_BYTES:
        raise refusal("too_large")
    # The body may arrive slowly: no database connection waits for it.
    db.session.commit()
    meter = Meter(
        request.stream,
        digest=request.headers.get("Content-Digest"),
        length=request.content_length,
        maximum=MAXIMUM_REPORT_BYTES,
    )
    report = parse_case(read_json(meter)).as_report()
    case = actions.put_state(client_id=current_client().client_id, external_id=external_id, report=report)
    return jsonify(id=case.external_id, state=case.state, changed_at=utc(case.changed_at), is_open=case.is_open)
