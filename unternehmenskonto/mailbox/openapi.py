"""The delivery API as OpenAPI 3.1, generated from the schemas that check each request."""

from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from unternehmenskonto.mailbox.cases.schemas import CaseAnswer, CaseSchema
from unternehmenskonto.mailbox.conversations.limits import MAXIMUM_REPLIES_PER_PAGE, REPLIES_PER_PAGE
from unternehmenskonto.mailbox.conversations.schemas import AcknowledgementAnswer, ReplyAnswer, ReplyList
from unternehmenskonto.mailbox.problems import PROBLEMS
from unternehmenskonto.mailbox.schemas import MessageAnswer, MessageSchema, MessageState, ProblemDetails

VERSION = "1.0.0"
REF = "#/components/schemas/{model}"
PROBLEM_TYPE = "application/problem+json"
DELIVER_STATUSES = (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)
CASE_STATUSES = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503)
REPLY_STATUSES = (401, 403, 404, 429, 500, 503)
STATE_STATUSES = (401, 403, 404, 429, 500, 503)

_MODELS: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
    (MessageSchema, "validation"),
    (MessageAnswer, "serialization"),
    (MessageState, "serialization"),
    (CaseSchema, "validation"),
    (CaseAnswer, "serialization"),
    (ReplyList, "serialization"),
    (ReplyAnswer, "serialization"),
    (AcknowledgementAnswer, "serialization"),
    (ProblemDetails, "serialization"),
]


def document(base_url: str) -> dict[str, Any]:
    """Return the OpenAPI document of the delivery API."""
    _, definitions = models_json_schema(_MODELS, ref_template=REF)
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
            "/api/v1/cases/{id}": {"put": _put_case()},
            "/api/v1/replies": {"get": _replies()},
            "/api/v1/replies/{id}": {"get": _reply()},
            "/api/v1/replies/{id}/attachments/{attachment_id}": {"get": _file()},
            "/api/v1/replies/{id}/acknowledgement": {"put": _acknowledge()},
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
                            "scopes": {
                                "mailbox.deliver": "Deliver messages",
                                "mailbox.replies": "Fetch what companies wrote to you",
                                "cases.write": "Tell the state of cases",
                            },
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


def _put_case() -> dict[str, Any]:
    name = {"type": "string", "pattern": "^[A-Za-z0-9._~:-]{1,100}$"}
    return {
        "operationId": "putCase",
        "summary": "Tell the state of a case; repeat it safely, in any order",
        "security": [{"oauth": ["cases.write"]}],
        "parameters": [
            {"name": "id", "in": "path", "required": True, "description": "Your own id of it.", "schema": name}
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _reference("CaseSchema")}}},
        "responses": {"200": _json("The case as it stands now.", "CaseAnswer"), **_refusals(CASE_STATUSES)},
    }


def _replies() -> dict[str, Any]:
    number = {"type": "integer", "minimum": 1, "maximum": MAXIMUM_REPLIES_PER_PAGE, "default": REPLIES_PER_PAGE}
    return {
        "operationId": "replies",
        "summary": "Fetch what companies wrote to you, in the order of arrival",
        "security": [{"oauth": ["mailbox.replies"]}],
        "parameters": [
            {
                "name": "after",
                "in": "query",
                "description": "`next` of the last answer; left out: from the beginning.",
                "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
            },
            {"name": "limit", "in": "query", "schema": number},
        ],
        "responses": {"200": _json("One page.", "ReplyList"), **_refusals((400, *REPLY_STATUSES))},
    }


def _reply() -> dict[str, Any]:
    return {
        "operationId": "reply",
        "summary": "Fetch one reply",
        "security": [{"oauth": ["mailbox.replies"]}],
        "parameters": [_id("id")],
        "responses": {"200": _json("The reply.", "ReplyAnswer"), **_refusals(REPLY_STATUSES)},
    }


def _file() -> dict[str, Any]:
    content = {
        "application/octet-stream": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
    }
    return {
        "operationId": "replyAttachment",
        "summary": "Fetch a file of a reply in its original bytes",
        "security": [{"oauth": ["mailbox.replies"]}],
        "parameters": [_id("id"), _id("attachment_id")],
        "responses": {"200": {"description": "The file.", "content": content}, **_refusals(REPLY_STATUSES)},
    }


def _acknowledge() -> dict[str, Any]:
    return {
        "operationId": "acknowledgeReply",
        "summary": "Confirm that you have the reply; the company sees it",
        "security": [{"oauth": ["mailbox.replies"]}],
        "parameters": [_id("id")],
        "responses": {"200": _json("Confirmed.", "AcknowledgementAnswer"), **_refusals(REPLY_STATUSES)},
    }


def _id(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}


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
