"""The demo identity provider's sessions: single sign-on, fresh logins, logout."""

import pytest
import requests
from joserfc import jwt

from .person import TIMEOUT, choose_certificate, parameters
from .relying_party import HIGH, LOGOUT_URI, SUBSTANTIAL, RelyingParty


def test_second_login_does_not_ask_again(party: RelyingParty) -> None:
    first = party.claims(party.log_in("jonas-musterbau"))
    back = parameters(requests_get(party, prompt="none"))
    second = party.claims(party.redeem(back["code"]))
    assert second["sid"] == first["sid"]
    assert second["auth_time"] == first["auth_time"]


@pytest.mark.parametrize("extra", [{"prompt": "login"}, {"max_age": "0"}, {"acr_values": HIGH}], ids=str)
def test_fresh_or_stronger_login_asks_again(party: RelyingParty, extra: dict[str, str]) -> None:
    party.log_in("erika-musterbau")
    claims = party.claims(party.log_in("petra-nordlicht", **extra))
    assert (claims["given_name"], claims["acr"]) == ("Petra", HIGH)


def test_max_age_and_weaker_acr_accept_the_living_session(party: RelyingParty) -> None:
    party.log_in("petra-nordlicht")
    assert "code=" in requests_get(party, max_age="600", acr_values=SUBSTANTIAL)


def requests_get(party: RelyingParty, **extra: str) -> str:
    answer = party.browser.get(party.authorize_url(**extra), allow_redirects=False, timeout=TIMEOUT)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def test_choice_counts_only_in_the_browser_that_saw_the_page(party: RelyingParty) -> None:
    with requests.Session() as stranger, pytest.raises(AssertionError, match="anderen Browser"):
        page = party.browser.get(party.authorize_url(), timeout=TIMEOUT)

        class Victim:
            get = staticmethod(lambda *args, **kwargs: page)
            post = staticmethod(stranger.post)

        choose_certificate(Victim, f"{party.idp.url}/authorize")  # type: ignore[arg-type]


def test_logout_returns_to_the_registered_address(party: RelyingParty) -> None:
    token = party.log_in()
    answer = party.browser.get(
        f"{party.idp.url}/end-session",
        params={
            "id_token_hint": token["id_token"],
            "post_logout_redirect_uri": LOGOUT_URI,
            "state": "a b",
        },
        allow_redirects=False,
        timeout=TIMEOUT,
    )
    assert answer.headers["Location"] == f"{LOGOUT_URI}?state=a+b"
    assert parameters(requests_get(party, prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize("case", ["unregistered address", "forged hint", "hint of nobody"])
def test_logout_never_becomes_an_open_redirector(party: RelyingParty, case: str) -> None:
    token = party.log_in()
    wanted = {"id_token_hint": token["id_token"], "post_logout_redirect_uri": LOGOUT_URI}
    if case == "unregistered address":
        wanted["post_logout_redirect_uri"] = "http://127.0.0.1:10/"
    elif case == "forged hint":
        wanted["id_token_hint"] = jwt.encode({"alg": "RS256"}, party.claims(token), party.idp.key)
    else:
        wanted["id_token_hint"] = "x"
    answer = party.browser.get(f"{party.idp.url}/end-session", params=wanted, allow_redirects=False, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert "code" in parameters(requests_get(party, prompt="none"))


def test_logout_without_hint_asks_first(party: RelyingParty) -> None:
    party.log_in()
    url = f"{party.idp.url}/end-session"
    assert "Möchten Sie sich abmelden?" in party.browser.get(url, timeout=TIMEOUT).text
    assert "code" in parameters(requests_get(party, prompt="none"))
    assert "Sie sind abgemeldet" in party.browser.post(url, {"confirm": "1"}, timeout=TIMEOUT).text
    assert parameters(requests_get(party, prompt="none"))["error"] == "login_required"
