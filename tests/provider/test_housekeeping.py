"""What is over goes; what people agreed to and what was recorded stays."""

from datetime import timedelta
from urllib.parse import urlencode

from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from tests import page_checks
from tests.factories import make_membership, make_person, sign_in
from tests.provider.party import SIGNED_OUT_URI, Party, path_of
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.provider.limits import LOGOUT_DETOUR_SECONDS, RETENTION
from unternehmenskonto.provider.logout import DETOUR
from unternehmenskonto.provider.models import AuthorizationCode, Consent, Grant, Interaction, UsedAssertion
from unternehmenskonto.provider.retention import forget


def count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_forget(client: FlaskClient, member: Membership) -> None:
    party = Party(auth_method="private_key_jwt")
    party.tokens(client)
    party.authorize(client, prompt="consent")
    models = (Grant, AuthorizationCode, Interaction, UsedAssertion, Consent)
    before = [count(model) for model in models]
    forget()
    assert [count(model) for model in models] == before == [1, 1, 1, 1, 1]
    long_ago = now() - RETENTION - timedelta(seconds=1)
    db.session.execute(update(Grant).values(created_at=long_ago))
    db.session.execute(update(Interaction).values(expires_at=long_ago))
    db.session.execute(update(UsedAssertion).values(expires_at=long_ago))
    forget()
    assert [count(model) for model in models] == [0, 0, 0, 0, 1]


def test_a_request_nobody_answers_is_over_after_half_an_hour(client: FlaskClient, member: Membership) -> None:
    path = path_of(Party().authorize(client))
    db.session.execute(update(Interaction).values(expires_at=now() - timedelta(seconds=1)))
    db.session.commit()
    assert client.get(path).status_code == 410


def test_waiting_requests_are_limited_by_address(client: FlaskClient, member: Membership) -> None:
    party = Party()
    party.code(client)
    for _ in range(119):
        assert party.authorize(client, prompt="consent").status_code == 303
    assert party.authorize(client, prompt="consent").status_code == 429


def test_answers_at_once_are_not_limited(client: FlaskClient, member: Membership) -> None:
    party = Party()
    party.code(client)
    assert {party.authorize(client).status_code for _ in range(125)} == {303}


def test_after_the_identity_provider_the_service_gets_the_browser(client: FlaskClient) -> None:
    soon = int(now().timestamp()) + LOGOUT_DETOUR_SECONDS
    for until, expected in ((soon, (303, SIGNED_OUT_URI)), (1, (200, None))):
        with client.session_transaction() as cookie:
            cookie[DETOUR] = {"to": SIGNED_OUT_URI, "until": until}
        answer = client.get("/abgemeldet")
        assert (answer.status_code, answer.headers.get("Location")) == expected
        # Once only.
        assert client.get("/abgemeldet").status_code == 200


def test_pages_are_well_made(client: FlaskClient, member: Membership) -> None:
    party = Party()
    pages = [client.get(path_of(party.authorize(client))), client.get("/oauth/end-session")]
    hint = party.tokens(client)["id_token"]
    person = make_person()
    for roles in ((), ("services",)):
        sign_in(client, make_membership(person=person, roles=roles))
        make_membership(person=person, roles=roles)
        pages.append(client.get(path_of(party.authorize(client, prompt="select_account"))))
    pages.append(client.get("/oauth/end-session?" + urlencode({"id_token_hint": hint})))
    assert [page_checks.faults(page.text) for page in pages] == [[]] * 5
    assert {page.status_code for page in pages} == {200}
