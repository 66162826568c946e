"""The demo identity provider's keys, and the faults a test can switch on."""

import base64
import json
from pathlib import Path

import pytest
import requests
from joserfc.errors import BadSignatureError, InvalidKeyIdError

from unternehmenskonto.demo.identity_provider import Fault
from unternehmenskonto.demo.identity_provider.tokens import Keys

from .person import TIMEOUT
from .relying_party import RelyingParty, RunningProvider


def test_rotation_keeps_or_drops_the_old_key(party: RelyingParty) -> None:
    token = party.log_in()
    party.idp.provider.keys.rotate(keep_old=True)
    assert party.claims(token)["given_name"] == "Erika"
    party.idp.provider.keys.rotate(keep_old=False)
    with pytest.raises(InvalidKeyIdError):
        party.claims(token)
    assert party.claims(party.log_in())["given_name"] == "Erika"


def test_signing_key_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key.json"
    assert Keys(path).published() == Keys(path).published()
    assert path.stat().st_mode & 0o777 == 0o600
    assert "d" not in Keys(path).published()["keys"][0]


@pytest.mark.parametrize("fault", list(Fault))
def test_endpoints_answer_with_their_fault(idp: RunningProvider, fault: Fault) -> None:
    idp.behaviour.faults["discovery"] = fault
    url = f"{idp.url}/.well-known/openid-configuration"
    faulty = requests.get(url, timeout=TIMEOUT, allow_redirects=False)
    idp.behaviour.reset()
    honest = requests.get(url, timeout=TIMEOUT)
    assert honest.json()["issuer"] == idp.url
    assert faulty.content != honest.content
    assert idp.behaviour.calls["discovery"] == 1


def test_members_can_be_changed_and_removed(party: RelyingParty) -> None:
    party.idp.behaviour.id_token.update(nonce="forged", aud=["portal", "evil"], azp="evil", acr=None)
    party.idp.behaviour.token.update(token_type="mac")
    party.idp.behaviour.callback.update(iss=None)
    back = party.walk()
    assert "iss" not in back
    token = party.redeem(back["code"])
    claims = party.claims(token)
    assert token["token_type"] == "mac"
    assert (claims["nonce"], claims["azp"], "acr" in claims) == ("forged", "evil", False)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_algorithm_can_be_forged(party: RelyingParty, algorithm: str) -> None:
    party.idp.behaviour.algorithm = algorithm
    header, _, signature = party.log_in()["id_token"].split(".")
    padded = header + "=" * (-len(header) % 4)
    assert json.loads(base64.urlsafe_b64decode(padded))["alg"] == algorithm
    assert bool(signature) == (algorithm == "HS256")


def test_foreign_key_hides_under_the_published_name(party: RelyingParty) -> None:
    party.idp.behaviour.foreign_key = True
    with pytest.raises(BadSignatureError):
        party.claims(party.log_in())
