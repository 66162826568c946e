"""The answer as a form (OAuth 2.0 Form Post Response Mode): success and refusal, with and without JavaScript."""

import re
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import make_membership, sign_in
from tests.provider.party import REDIRECT_URI, Party, path_of
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.errors import AppError
from unternehmenskonto.provider import responses
from unternehmenskonto.settings import get_settings

HOSTILE = (
    '"><script>alert(1)</script>',
    "' onload='x",
    'a b&"c=d<é>',
    "%22%3E",
    "&quot;&amp;",
    "{{ 7*7 }}",
    "\u202e\u2028",
)


class _Forms(HTMLParser):
    """Reads the form called antwort as a browser does."""

    def __init__(self) -> None:
        super().__init__()
        self.action, self.fields, self.is_inside, self.buttons = "", {}, False, 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.is_inside = values.get("id") == "antwort"
            self.action = values["action"] if self.is_inside else self.action
        elif tag == "input" and self.is_inside:
            assert values["name"] not in self.fields
            self.fields[values["name"]] = values["value"]
        elif tag == "button" and self.is_inside:
            self.buttons += 1


def form_of(page: TestResponse) -> dict[str, str]:
    """Return the fields that the browser sends to the client; checks the page around them."""
    assert (page.status_code, page.mimetype) == (200, "text/html"), page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "Location" not in page.headers
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self' http://127.0.0.3:8002;" in policy
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce
    inline = [tag for tag in re.findall(r"<script[^>]*>", page.text) if "src=" not in tag]
    assert inline == [f'<script nonce="{nonce[1]}">']
    found = _Forms()
    found.feed(page.text)
    assert (found.action, found.buttons) == (REDIRECT_URI, 1)
    return found.fields


def test_code_comes_in_a_form_and_works(client: FlaskClient, member: Membership) -> None:
    party = Party()
    page = party.agree(client, party.authorize(client, response_mode="form_post"))
    fields = form_of(page)
    assert fields.keys() == {"code", "state", "iss"}
    assert (fields["state"], fields["iss"]) == ("st-1", get_settings().base_url)
    assert party.exchange(client, fields["code"]).status_code == 200
    assert form_of(party.authorize(client, response_mode="form_post")).keys() == {"code", "state", "iss"}


@pytest.mark.parametrize("state", HOSTILE)
@pytest.mark.attack("markup in a form answer")
def test_hostile_state_comes_back_unchanged(client: FlaskClient, member: Membership, state: str) -> None:
    party = Party()
    page = party.authorize(client, response_mode="form_post", prompt="none", state=state)
    assert form_of(page)["state"] == state


def test_every_refusal_comes_in_a_form(client: FlaskClient) -> None:
    party = Party()
    wrong = {
        "invalid_request": {"code_challenge": None},
        "unsupported_response_type": {"response_type": "token"},
        "invalid_scope": {"scope": "email"},
        "login_required": {"prompt": "none"},
        "invalid_request_object": {"request": "a.b.c"},
        "invalid_request_uri": {"request_uri": "https://evil.example/x"},
    }
    for error, changes in wrong.items():
        fields = form_of(party.authorize(client, response_mode="form_post", **changes))
        assert (fields["error"], fields["state"], fields["iss"]) == (error, "st-1", get_settings().base_url)
    sign_in(client, make_membership())
    waiting = path_of(party.authorize(client, response_mode="form_post"))
    page = client.get(waiting)
    token = page.text.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    refused = form_of(client.post(waiting, data={"csrf_token": token, "action": "refuse"}))
    assert refused["error"] == "access_denied"


@pytest.mark.attack("open redirector at authorize")
def test_unknown_client_or_address_never_makes_a_form(client: FlaskClient, member: Membership) -> None:
    for changes in ({"client_id": "nobody"}, {"redirect_uri": "https://evil.example/"}):
        page = Party().authorize(client, response_mode="form_post", **changes)
        assert page.status_code == 400
        assert "antwort" not in page.text


def test_post_request_keeps_its_mode(client: FlaskClient, member: Membership) -> None:
    party = Party()
    answer = client.post("/oauth/authorize", data=party.request(response_mode="form_post", prompt="none"))
    assert "response_mode=form_post" in answer.headers["Location"]
    assert form_of(client.get(answer.headers["Location"]))["error"] == "consent_required"


@pytest.mark.attack("script as redirect_uri")
def test_no_form_is_ever_sent_to_a_script(client: FlaskClient, member: Membership) -> None:
    party = Party(registration={"redirect_uris": ["javascript:alert(1)"]})
    party.redirect_uri = "javascript:alert(1)"
    page = client.get("/oauth/authorize?" + urlencode(party.request(response_mode="form_post", prompt="none")))
    assert page.status_code == 500
    assert "javascript:" not in page.text.split("<main", 1)[1]
    with pytest.raises(AppError):
        responses._form("data:text/html,x", {})
