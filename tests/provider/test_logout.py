"""Logout at the wish of a service: never forced, never forged, never a way to somewhere else."""

from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from tests.factories import make_membership, sign_in
from tests.provider.party import SIGNED_OUT_URI, Party, claims_of, hidden_fields, unsigned
from unternehmenskonto import keys
from unternehmenskonto.companies.models import Membership

PATH = "/oauth/end-session"


def ask(client: FlaskClient, **parameters: str) -> tuple[int, str | None]:
    answer = client.get(f"{PATH}?{urlencode(parameters)}")
    return answer.status_code, answer.headers.get("Location")


def is_signed_in(client: FlaskClient) -> bool:
    return client.get("/unternehmen").status_code == 200


def test_own_hint_ends_the_session_at_once(client: FlaskClient, member: Membership) -> None:
    party = Party()
    hint = party.tokens(client)["id_token"]
    assert is_signed_in(client)
    answer = client.get(
        f"{PATH}?{urlencode({'id_token_hint': hint, 'post_logout_redirect_uri': SIGNED_OUT_URI, 'state': 'ä&b'})}"
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, SIGNED_OUT_URI + "?state=%C3%A4%26b")
    assert "storage" in answer.headers["Clear-Site-Data"]
    assert not is_signed_in(client)


def test_without_an_address_it_ends_on_our_page(client: FlaskClient, member: Membership) -> None:
    hint = Party().tokens(client)["id_token"]
    assert ask(client, id_token_hint=hint, state="x") == (303, "/abgemeldet")
    assert not is_signed_in(client)


def test_expired_hint_is_good_enough(client: FlaskClient, member: Membership) -> None:
    claims = claims_of(Party().tokens(client)["id_token"]) | {"exp": 1, "iat": 1}
    hint = keys.sign(claims, use="token", alg="RS256", typ="JWT")
    assert ask(client, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT_URI) == (303, SIGNED_OUT_URI)
    assert not is_signed_in(client)


def test_nobody_signed_in_goes_straight_back(client: FlaskClient, member: Membership) -> None:
    hint = Party().tokens(client)["id_token"]
    ask(client, id_token_hint=hint)
    assert ask(client, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT_URI, state="s") == (
        303,
        SIGNED_OUT_URI + "?state=s",
    )
    assert ask(client, post_logout_redirect_uri=SIGNED_OUT_URI) == (303, "/abgemeldet")


@pytest.mark.parametrize("more", [{}, {"post_logout_redirect_uri": SIGNED_OUT_URI}, {"state": "s"}])
@pytest.mark.attack("open redirector after logout", "logout CSRF")
def test_without_hint_the_person_decides_and_stays_with_us(
    client: FlaskClient, member: Membership, more: dict[str, str]
) -> None:
    party = Party()
    page = client.get(f"{PATH}?{urlencode({'client_id': party.client_id, **more})}")
    assert (page.status_code, "Möchten Sie sich abmelden?" in page.text) == (200, True)
    assert is_signed_in(client)
    answer = client.post("/oauth/abmelden", data=hidden_fields(page))
    assert answer.headers["Location"] == "/abgemeldet"
    assert not is_signed_in(client)


@pytest.mark.attack("logout CSRF")
def test_hint_of_another_session_asks_first(client: FlaskClient, member: Membership) -> None:
    party = Party()
    hint = party.tokens(client)["id_token"]
    sign_in(client, make_membership())
    wish = {"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT_URI, "state": "s"}
    page = client.get(f"{PATH}?{urlencode(wish)}")
    assert "Möchten Sie sich abmelden?" in page.text
    assert is_signed_in(client)
    form = hidden_fields(page)
    for token in ("", "x"):
        assert client.post("/oauth/abmelden", data={**form, "csrf_token": token}).status_code == 400
    assert is_signed_in(client)
    answer = client.post("/oauth/abmelden", data=form)
    # A page leads on: browsers hold redirects after a form to form-action.
    assert answer.status_code == 200
    assert SIGNED_OUT_URI + "?state=s" in answer.text
    assert not is_signed_in(client)


BAD_ADDRESSES = ["?x=1", "/", "#f", "//evil", "%00", ""]


@pytest.mark.parametrize("tail", BAD_ADDRESSES)
@pytest.mark.attack("open redirector after logout")
def test_other_addresses_are_refused(client: FlaskClient, member: Membership, tail: str) -> None:
    hint = Party().tokens(client)["id_token"]
    uri = SIGNED_OUT_URI + tail if tail else "http://evil.example/"
    assert ask(client, id_token_hint=hint, post_logout_redirect_uri=uri) == (400, None)
    assert is_signed_in(client)


@pytest.mark.attack("forged logout hint", "alg none", "public key as shared secret", "token of another kind")
def test_forged_and_foreign_hints(client: FlaskClient, member: Membership) -> None:
    party = Party()
    tokens = party.tokens(client)
    hint, claims = tokens["id_token"], claims_of(tokens["id_token"])
    foreign = ECKey.generate_key("P-256", {"kid": "x"})
    public = next(key for key in keys.jwks()["keys"] if key["alg"] == "RS256")
    receipt = keys.sign(claims, use="receipt", alg="ES256", typ="JWT")
    forged = [
        hint[:-6] + "AAAAAA",
        hint.rpartition(".")[0] + ".",
        jwt.encode({"alg": "ES256", "typ": "JWT", "kid": "x"}, claims, foreign),
        keys.sign(claims | {"iss": "https://evil.example"}, use="token", alg="RS256", typ="JWT"),
        keys.sign(claims | {"aud": [party.client_id]}, use="token", alg="RS256", typ="JWT"),
        keys.sign(claims | {"aud": "nobody"}, use="token", alg="RS256", typ="JWT"),
        keys.sign(claims | {"sid": None}, use="token", alg="RS256", typ="JWT"),
        keys.sign(claims, use="token", alg="RS256", typ="logout+jwt"),
        jwt.encode({"alg": "HS256", "typ": "JWT", "kid": public["kid"]}, claims, OctKey.import_key(str(public))),
        *(unsigned(claims, alg) for alg in ("none", "None", "nOnE")),
        receipt,
        tokens["access_token"],
        "x",
        "e30.e30.",
        "x" * 9000,
    ]
    for token in forged:
        assert ask(client, id_token_hint=token, post_logout_redirect_uri=SIGNED_OUT_URI) == (400, None)
    assert ask(client, id_token_hint=hint, client_id=Party().client_id) == (400, None)
    assert is_signed_in(client)


@pytest.mark.attack("parameter pollution")
def test_parameters_once_and_bounded(client: FlaskClient, member: Membership) -> None:
    hint = Party().tokens(client)["id_token"]
    once = urlencode({"id_token_hint": hint})
    assert client.get(f"{PATH}?{once}&{once}").status_code == 400
    assert ask(client, id_token_hint=hint, state="s" * 513) == (400, None)
    assert is_signed_in(client)


def test_post_leads_to_get(client: FlaskClient, member: Membership) -> None:
    hint = Party().tokens(client)["id_token"]
    answer = client.post(PATH, data={"id_token_hint": hint, "post_logout_redirect_uri": SIGNED_OUT_URI})
    assert answer.status_code == 303
    assert client.get(answer.headers["Location"]).headers["Location"] == SIGNED_OUT_URI
    assert not is_signed_in(client)
