"""Neither logs nor tables hold anything that somebody could use."""

import base64
import logging

import pytest
from flask.testing import FlaskClient

from tests.provider.party import ASSERTION_TYPE, Party
from tests.provider.test_refresh import OFFLINE, refresh
from tests.provider.test_token_state import send
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
@pytest.mark.attack("secrets in logs", "secrets at rest")
def test_a_whole_life_of_tokens(
    client: FlaskClient, member: Membership, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("unternehmenskonto").setLevel(logging.DEBUG)
    party = Party(auth_method=method, registration={"offline_access": True})
    spent, waiting = party.code(client, scope=OFFLINE), party.code(client, scope=OFFLINE)
    bodies = [party.exchange(client, spent).get_json()]
    bodies.append(refresh(party, client, bodies[0]["refresh_token"]).get_json())
    party.userinfo(client, bodies[1]["access_token"])
    for token in (bodies[1]["access_token"], bodies[1]["refresh_token"], bodies[0]["refresh_token"], spent):
        send("/oauth/introspect", party, client, token)
    assertion = party.assertion()
    client.post("/oauth/token", data={"grant_type": "client_credentials", "client_assertion": assertion})
    # Rightly refused, and what was offered stays unsaid: the true secret in the wrong place, an assertion used before.
    wrong = {"client_id": party.client_id, "client_secret": party.secret, "grant_type": "refresh_token"}
    client.post("/oauth/token", data={**wrong, "client_id": "x" + party.client_id})
    client.post("/oauth/token", data=wrong)
    used = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, "grant_type": "client_credentials"}
    assert {client.post("/oauth/token", data=used).status_code for _ in range(2)} <= {400, 401}
    party.userinfo(client, bodies[1]["access_token"][:-3] + "AAA")
    send("/oauth/revoke", party, client, bodies[1]["refresh_token"])
    party.exchange(client, spent)  # a replay
    secrets = [spent, waiting, party.secret, party.verifier, assertion]
    secrets += [body[name] for body in bodies for name in ("access_token", "refresh_token", "id_token")]
    forms = {*secrets, *(base64.b64encode(secret.encode()).decode() for secret in secrets)}
    assert caplog.records  # something was logged at all
    logged = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    tables = db.session.scalars(
        db.text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    ).all()
    stored = "\n".join(str(db.session.execute(db.text(f'SELECT * FROM "{table}"')).all()) for table in tables)  # noqa: S608
    assert party.client_id in stored
    for secret in forms:
        assert secret not in logged
        assert secret not in stored
