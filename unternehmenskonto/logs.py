"""JSON logs, one line an event, each with the request's number; never bodies, tokens or names."""

import logging
import secrets
import sys
import time

import structlog
from flask import Flask, Response, g, request

log = structlog.get_logger()
REQUEST_ID_HEADER = "X-Request-Id"


def configure(level: str) -> None:
    """Send the events of our code and of the libraries as JSON lines to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # These tell each query, connection or job argument; that would put personal data into the log.
    for name in ("urllib3", "sqlalchemy.engine", "procrastinate", "psycopg.pool", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def init_app(app: Flask) -> None:
    """Give each request a number and write one line when it is answered."""
    app.before_request(begin)
    app.after_request(end)


def begin() -> None:
    """Give the request its number, which every line of the log repeats."""
    number = secrets.token_hex(6).upper()
    g.started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id="-".join((number[:4], number[4:8], number[8:])))


def end(response: Response) -> Response:
    """Tell the number in the answer and write the line of this request."""
    bound = structlog.contextvars.get_contextvars()
    response.headers[REQUEST_ID_HEADER] = bound.get("request_id", "")
    if not logging.getLogger().isEnabledFor(logging.INFO):
        return response
    # The rule, not the path: ids and search words stay out of the log.
    log.info(
        "request",
        method=request.method,
        route=request.url_rule.rule if request.url_rule else None,
        status=response.status_code,
        milliseconds=round((time.perf_counter() - g.started) * 1000, 1),
    )
    return response
