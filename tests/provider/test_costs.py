"""What one request costs the database: a fixed number of statements, whatever there is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, current_app
from flask.testing import FlaskClient
from sqlalchemy import event

from tests.factories import make_membership, make_person, sign_in
from tests.provider.party import Party, query_of
from unternehmenskonto import keys
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.provider.clients import EXTENSION as CLIENTS
from unternehmenskonto.provider.clients import Client
from unternehmenskonto.provider.limits import CLIENT_SECONDS


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the SQL sent meanwhile, without the savepoints of the tests; no client is known from before."""
    found: list[str] = []
    current_app.extensions[CLIENTS].clear()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            found.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_statements_of_a_flow(app: Flask, client: FlaskClient, member: Membership) -> None:
    software = app.test_client()  # without the cookies of the browser
    party = Party(auth_method="client_secret_basic")
    party.tokens(client)
    keys.public_keys()
    with statements() as authorize:
        answer = party.authorize(client)
    code = query_of(answer)["code"]
    with statements() as token:
        tokens = party.exchange(software, code).get_json()
    with statements() as userinfo:
        party.userinfo(software, tokens["access_token"])
    # session, client, agreement; grant, code and audit event in one
    assert len(authorize) == 4, authorize
    # client; code, grant and audit event in one
    assert len(token) == 2, token
    # grant with all that it hangs on; client; audit event
    assert len(userinfo) == 3, userinfo


def test_client_credentials_with_an_assertion(client: FlaskClient) -> None:
    party = Party(auth_method="private_key_jwt", is_mailbox_sender=True)
    _, fields = party.proof()
    keys.public_keys()
    client.post("/oauth/token", data={"grant_type": "client_credentials", **fields})
    _, fields = party.proof()
    with statements() as found:
        client.post("/oauth/token", data={"grant_type": "client_credentials", **fields})
    # client, assertion used once, audit event
    assert len(found) == 3, found


def test_one_more_for_a_person_of_several_companies_however_many(client: FlaskClient) -> None:
    person, party = make_person(), Party()
    first = make_membership(person=person)
    sign_in(client, first)
    party.code(client)
    for _ in range(5):
        make_membership(person=person)
    db.session.commit()
    with statements() as found:
        assert "code" in query_of(party.authorize(client))
    # all memberships; which of them this service got in this session
    assert len(found) == 6, found


def test_metadata_costs_no_statement(client: FlaskClient) -> None:
    keys.public_keys()
    client.get("/.well-known/openid-configuration")
    for path in ("/.well-known/openid-configuration", "/oauth/jwks"):
        with statements() as found:
            assert client.get(path).status_code == 200
        assert found == []


def test_a_client_is_read_once_in_a_while(app: Flask, client: FlaskClient, member: Membership) -> None:
    party = Party()
    party.code(client)
    read: dict[str, tuple[float, Client]] = app.extensions[CLIENTS]
    with statements() as found:
        for age in (0.0, CLIENT_SECONDS - 0.5, CLIENT_SECONDS + 0.5):
            if age:
                read[party.client_id] = (time.monotonic() - age, read[party.client_id][1])
            party.code(client)
    assert sum("FROM online_services" in statement for statement in found) in (2, 3), found
