"""The base: settings that stop the start, errors, health, headers."""

from flask.testing import FlaskClient


def test_live_answers_without_database(client: FlaskClient) -> None:
    assert client.get("/healthz/live").json == {"status": "ok"}


def test_ready_names_each_check(client: FlaskClient) -> None:
    assert client.get("/healthz/ready").json == {
        "status": "ok",
        "database": True,
        "schema": True,
        "storage": True,
    }


def test_unknown_address_answers_as_its_caller_understands(client: FlaskClient) -> None:
    api = client.get("/api/v1/nothing")
    assert (api.status_code, api.mimetype) == (404, "application/problem+json")
