"""Rare turns: two clicks at once, a service that changes meanwhile, keys that many ask for, a way out in two steps."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import pytest
import time_machine
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from flask.testing import FlaskClient
from werkzeug import Response

from tests.login.conftest import Visitor
from tests.login.conftest import idp as idp
from tests.login.conftest import running_idp as running_idp
from tests.login.conftest import visitor as visitor
from tests.provider.conftest import Live
from tests.provider.party import SIGNED_OUT_URI, Party, claims_of, hidden_fields, path_of, query_of
from tests.provider.test_attacks import PERMITTED, deliver, encoded, listener
from tests.provider.test_token import outcome
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.demo.identity_provider import Fault, Provider
from unternehmenskonto.errors import AppError
from unternehmenskonto.login import cookies
from unternehmenskonto.provider import client_keys, clients, interactions, pages
from unternehmenskonto.provider.clients import find_client
from unternehmenskonto.provider.limits import LOGOUT_DETOUR_SECONDS


def test_the_second_of_two_clicks_comes_too_late(client: FlaskClient, member: Membership) -> None:
    name = path_of(Party().authorize(client)).rpartition("/")[2]
    first, second = interactions.find(name), interactions.find(name)
    interactions.end(first)
    with pytest.raises(interactions.InteractionOver):
        interactions.end(second)
    with pytest.raises(AppError):
        pages._present(None)


def test_a_service_that_lost_its_logins_redeems_no_code(client: FlaskClient, member: Membership) -> None:
    party = Party()
    code = party.code(client)
    party.service.is_mailbox_sender = True
    party.service.client = {**party.service.client, "scopes": ["mailbox.deliver"]}
    db.session.commit()
    assert outcome(party.exchange(client, code)) == (400, "unauthorized_client")
    assert party.authorize(client).status_code == 400


def test_a_service_that_moves_to_another_sector_meets_strangers(client: FlaskClient, member: Membership) -> None:
    """The agreement stays, so no page makes the new pseudonym before the code does."""
    party = Party(sector="a.example")
    before = claims_of(party.tokens(client)["id_token"])["sub"]
    party.service.sector = "b.example"
    db.session.commit()
    code = query_of(party.authorize(client, prompt="none"))["code"]
    after = claims_of(party.exchange(client, code).get_json()["id_token"])["sub"]
    assert after.startswith("ek-") and after != before
    assert claims_of(party.tokens(client)["id_token"])["sub"] == after


def test_whoever_was_signed_out_meanwhile_may_still_say_no(client: FlaskClient, member: Membership) -> None:
    path = path_of(Party().authorize(client))
    form = {**hidden_fields(client.get(path)), "action": "refuse"}
    client.delete_cookie(cookies.name(cookies.SESSION))
    assert query_of(client.post(path, data=form))["error"] == "access_denied"


def test_the_first_of_two_faults_is_told(client: FlaskClient, member: Membership) -> None:
    again = urlencode({"nonce": "n", "foo": "1"})
    answer = client.get(f"/oauth/authorize?{urlencode(Party().request(foo='1'))}&{again}")
    assert query_of(answer)["error_description"] == "nonce is given more than once."


def test_a_service_changed_outside_an_application_is_no_fault() -> None:
    clients._forget(None, None, OnlineService(slug="x"))


@pytest.mark.filterwarnings("ignore:Key size")
def test_a_short_key_signs_nothing(client: FlaskClient) -> None:
    for bits, status in ((1024, 401), (2048, 200)):
        private = rsa.generate_private_key(65537, bits)
        modulus = private.public_key().public_numbers().n.to_bytes(bits // 8)
        jwk = {"kty": "RSA", "kid": "k", "e": "AQAB", "n": encoded(modulus)}
        registration = {"jwks": {"keys": [jwk]}}
        party = Party(auth_method="private_key_jwt", is_mailbox_sender=True, registration=registration)
        head, claims = {"alg": "RS256", "kid": "k"}, claims_of(party.assertion())
        text = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
        signature = private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        assert deliver(client, f"{text}.{encoded(signature)}").status_code == status


def test_many_who_need_the_same_keys_cost_one_call(live: Live) -> None:
    is_asked = threading.Event()

    def keys() -> Response:
        is_asked.wait(10)
        return Response(json.dumps({"keys": [party.key.as_dict(private=False)]}), mimetype="application/json")

    with live.app.app_context(), listener(PERMITTED, keys) as (uri, calls):
        registration = {"jwks": None, "jwks_uri": uri}
        party = Party(issuer=live.url, auth_method="private_key_jwt", registration=registration)
        known = find_client(party.client_id)
        assert known is not None
        barrier = threading.Barrier(9)

        def ask() -> int:
            with live.app.app_context():
                barrier.wait(30)
                return len(client_keys.keys_for(known, alg="ES256", kid="party-1"))

        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(ask) for _ in range(8)]
            barrier.wait(30)
            is_asked.set()
            assert [one.result(60) for one in waiting] == [1] * 8
        assert len(calls) == 1


def test_a_logout_goes_on_to_the_service_when_both_have_ended(visitor: Visitor) -> None:
    visitor.log_in()
    party = Party()
    hint = party.tokens(visitor.konto)["id_token"]
    wish = {"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT_URI, "state": "s"}
    answer = visitor.konto.get(f"/oauth/end-session?{urlencode(wish)}")
    assert (answer.status_code, "end" in urlsplit(answer.headers["Location"]).path) == (303, True)
    upstream = visitor.elsewhere.get(answer.headers["Location"], allow_redirects=False, timeout=10)
    back = upstream.headers["Location"]
    assert urlsplit(back).path == "/abgemeldet"
    onward = visitor.come_back(back)
    assert (onward.status_code, onward.headers["Location"]) == (303, SIGNED_OUT_URI + "?state=s")
    # Once: whoever opens the page again sees it.
    assert visitor.come_back(back).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(-2, 303), (2, 200)])
def test_a_detour_that_takes_too_long_ends_on_our_page(visitor: Visitor, seconds: int, status: int) -> None:
    visitor.log_in()
    hint = Party().tokens(visitor.konto)["id_token"]
    wish = {"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT_URI}
    visitor.konto.get(f"/oauth/end-session?{urlencode(wish)}")
    with time_machine.travel(time.time() + LOGOUT_DETOUR_SECONDS + seconds, tick=False):
        assert visitor.konto.get("/abgemeldet").status_code == status


def test_without_an_address_the_logout_ends_with_us(visitor: Visitor, idp: Provider) -> None:
    visitor.log_in()
    hint = Party().tokens(visitor.konto)["id_token"]
    answer = visitor.konto.get(f"/oauth/end-session?{urlencode({'id_token_hint': hint})}")
    assert answer.headers["Location"].startswith(idp.issuer)
    assert visitor.konto.get("/abgemeldet").status_code == 200
    visitor.log_in()
    hint = Party().tokens(visitor.konto)["id_token"]
    visitor.konto.application.extensions["identity_provider_cache"]["metadata"].clear()
    idp.behaviour.faults["discovery"] = Fault.UNAVAILABLE
    wish = {"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT_URI}
    answer = visitor.konto.get(f"/oauth/end-session?{urlencode(wish)}")
    assert answer.headers["Location"] == SIGNED_OUT_URI
    assert visitor.konto.get("/abgemeldet").status_code == 200
