"""A service needs a stronger login: the wish goes up to the identity provider, its answer down to the service."""

import json
from urllib.parse import parse_qs, urlsplit

from tests.demo.person import choose_certificate
from tests.login.conftest import Visitor, onward
from tests.provider.party import Party, claims_of, path_of, query_of

HIGH = "http://eidas.europa.eu/LoA/high"
WISH = json.dumps({"id_token": {"acr": {"essential": True, "value": HIGH}}})


def ask(visitor: Visitor, party: Party, certificate: str) -> str:
    """Ask for a login at level high, prove it with this certificate; return where the browser stands then."""
    visitor.log_in("jonas-musterbau")
    waiting = path_of(party.authorize(visitor.konto, claims=WISH))
    assert waiting.startswith("/anmelden?")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(waiting).query).items()}
    assert asked["level"] == "high"
    away = onward(visitor.start(**asked))
    assert parse_qs(urlsplit(away).query)["acr_values"] == [HIGH]
    back = visitor.come_back(choose_certificate(visitor.elsewhere, away, certificate))
    return back.headers.get("Location", f"({back.status_code})")


def test_a_stronger_certificate_is_enough(visitor: Visitor) -> None:
    party = Party()
    standing = ask(visitor, party, "petra-nordlicht")
    assert standing.startswith("/oauth/weiter/")
    code = query_of(party.agree(visitor.konto, standing))["code"]
    assert claims_of(party.exchange(visitor.konto, code).get_json()["id_token"])["acr"] == HIGH


def test_a_weaker_one_is_not(visitor: Visitor) -> None:
    party = Party()
    assert ask(visitor, party, "erika-musterbau") == "(403)"
    refused = query_of(party.authorize(visitor.konto, claims=WISH, prompt="none"))
    assert refused["error"] == "login_required"
