"""The delivery API as OpenAPI 3.1, generated from the schemas that check each request."""

from typing import Any

from pydantic.json_schema import models_json_schema

from unternehmenskonto.mailbox.problems import PROBLEMS
from unternehmenskonto.mailbox.schemas import MessageAnswer, MessageSchema, MessageState, ProblemDetails

VERSION = "1.0.0"
REF = "#/components/schemas/{model}"
PROBLEM_TYPE = "application/problem+json"
DELIVER_STATUSES = (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)
STATE_STATUSES = (401, 403, 404, 429, 500, 503)


def document(base_url: str) -> dict[str, Any]:
    """Return the OpenAPI document of the delivery API."""
    _, definitions = models_json_schema(
        [
            (MessageSchema, "validation"),
            (MessageAnswer, "serialization"),
            (MessageState, "serialization"),
            (ProblemDetails, "serialization"),
        ],
        ref_template=REF,
    )
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Unternehmenskonto: delivery API",
            "version": VERSION,
            "description": "Deliver official messages into the mailboxes of companies.",
        },
        "servers": [{"url": base_url}],
        "paths": {
            "/api/v1/messages": {"post": _deliver()},
            "/api/v1/messages/{id}": {"get": _state()},
            "/api/v1/problems": {"get": _problems()},
        },
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "oauth": {
                    "type": "oauth2",
                    "flows": {
                        "clientCredentials": {
                            "tokenUrl": f"{base_url}/oauth/token",
                            "scopes": {"mailbox.deliver": "Deliver messages"},
                        }
                    },
                }
            },
        },
    }


def _deliver() -> dict[str, Any]:
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "Your own value for each message; a repeated request gets the first answer. Kept for 14 days.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    }
    digest = {
        "name": "Content-Digest",
        "in": "header",
        "description": "RFC 9530, sha-256 or sha-512; also allowed in each part.",
        "schema": {"type": "string", "maxLength": 500},
    }
    message = _reference(MessageSchema.__name__)
    parts = {
        "type": "object",
        "required": ["message"],
        "additionalProperties": False,
        "properties": {
            "message": message,
            "attachments": {
                "type": "array",
                "maxItems": 20,
                "items": {"type": "string", "contentMediaType": "application/octet-stream"},
            },
        },
    }
    return {
        "operationId": "deliverMessage",
        "summary": "Deliver a message",
        "security": [{"oauth": ["mailbox.deliver"]}],
        "parameters": [key, digest],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": message},
                "multipart/form-data": {
                    "schema": parts,
                    "encoding": {"message": {"contentType": "application/json"}},
                },
            },
        },
        "responses": {"201": _json("Delivered and made available.", "MessageAnswer"), **_refusals(DELIVER_STATUSES)},
    }


def _state() -> dict[str, Any]:
    return {
        "operationId": "messageState",
        "summary": "Ask what became of your message",
        "security": [{"oauth": ["mailbox.deliver"]}],
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}},
        ],
        "responses": {"200": _json("State of the message.", "MessageState"), **_refusals(STATE_STATUSES)},
    }


def _problems() -> dict[str, Any]:
    return {
        "operationId": "problems",
        "summary": "Every problem type with its remedy",
        "responses": {
            "200": {
                "description": "Table of problem types.",
                "content": {
                    "application/json": {"schema": {"type": "object"}},
                    "text/html": {"schema": {"type": "string"}},
                },
            }
        },
    }


def _reference(model: str) -> dict[str, str]:
    return {"$ref": REF.format(model=model)}


def _json(description: str, model: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _reference(model)}}}


def _refusals(statuses: tuple[int, ...]) -> dict[str, Any]:
    """Return one answer per status, naming the codes that come with it."""
    return {
        str(status): {
            "description": ", ".join(p.code for p in PROBLEMS.values() if p.status == status),
            "content": {PROBLEM_TYPE: {"schema": _reference("ProblemDetails")}},
        }
        for status in statuses
    }
