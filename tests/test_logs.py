"""The log: JSON lines with the number of the request, and nothing personal, secret or broken in them."""

import io
import json
import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.stdlib import ProcessorFormatter

from tests.factories import make_membership, sign_in
from tests.probes import app_with_probes
from unternehmenskonto import logs
from unternehmenskonto.settings import Settings


@pytest.fixture
def lines(app: Flask, settings: Settings) -> Any:
    """Return the client of an application that logs everything, and a reader of the lines it wrote."""
    client = app_with_probes(settings.model_copy(update={"log_level": "DEBUG"})).test_client()
    root, stream = logging.getLogger(), io.StringIO()
    [handler] = [found for found in root.handlers if isinstance(found.formatter, ProcessorFormatter)]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield client, lambda: [json.loads(line) for line in stream.getvalue().split("\n") if line]
    logs.configure(settings.log_level)
    assert root.level == logging.WARNING


def test_each_request_is_one_line_with_its_number(lines: Any) -> None:
    client, read = lines
    answer = client.get("/dienste/gewerbeanmeldung?suche=x")
    [line] = [line for line in read() if line["event"] == "request"]
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/dienste/<slug>", 404)
    assert line["timestamp"].endswith("Z")


@pytest.mark.attack("secrets in logs")
def test_nothing_of_the_request_stands_in_the_log(lines: Any, app: Flask) -> None:
    client, read = lines
    membership = make_membership()
    personal = [membership.person.family_name, membership.company.name]
    sign_in(client, membership)
    secrets = [f"KANARIE{number}" for number in range(5)]
    client.get(f"/dienste?suche={secrets[0]}", headers={"User-Agent": secrets[1], "Authorization": secrets[2]})
    client.post("/abmelden", data={"csrf_token": secrets[3]})
    client.get(f"/{secrets[4]}")
    told = json.dumps(read())
    assert "request" in told
    assert [word for word in (*secrets, *personal) if word in told] == []


def test_error_is_logged_with_its_cause_under_the_number_that_people_see(lines: Any) -> None:
    client, read = lines
    answer = client.get("/probe/unexpected")
    [line] = [line for line in read() if line["event"] == "unexpected error"]
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert "RuntimeError" in line["exception"]


@pytest.mark.parametrize("hostile", ["a\nb", '","level":"error', "\x1b[2J", "\r\n{}", "\u2028"])
def test_hostile_text_stays_inside_its_line(lines: Any, hostile: str) -> None:
    client, read = lines
    client.get("/x", query_string={"a": hostile}, headers={"X-Request-Id": "FORGED"})
    logging.getLogger("foreign").warning("told: %s", hostile)
    found = read()
    assert all(line["level"] != "error" for line in found)
    assert "FORGED" not in json.dumps(found)
    assert found[-1]["event"] == f"told: {hostile}"


def test_number_of_the_request_is_never_taken_from_outside(client: FlaskClient) -> None:
    assert client.get("/", headers={"X-Request-Id": "FORGED"}).headers["X-Request-Id"] != "FORGED"
