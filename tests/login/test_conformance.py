"""The modules of the OpenID Foundation's plans for relying parties, one test each, against a real identity provider.

The suite is an identity provider that errs on purpose; here the demonstration's does, over HTTP on another host.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.login.conftest import Visitor, declare, nobody_is_signed_in, onward
from tests.login.test_backchannel import is_signed_in, logout_token, names, post, unsigned
from tests.login.test_config import METHOD, SECRET
from tests.login.test_logout import press
from tests.page_checks import faults
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.demo.identity_provider import Provider
from unternehmenskonto.login import discovery, logout_tokens
from unternehmenskonto.settings import Settings

CLIENT = "unternehmenskonto"
NOW = 1_795_000_000
REFUSED = "refused, which the module allows"


def refused(visitor: Visitor, answer: TestResponse) -> bool:
    return answer.status_code == 502 and nobody_is_signed_in(visitor)


@pytest.mark.conformance("oidcc-client-test")
def test_happy_flow(visitor: Visitor, idp: Provider) -> None:
    assert visitor.log_in().status_code == 303
    assert [idp.behaviour.calls[name] for name in ("discovery", "token", "jwks", "userinfo")] == [1, 1, 1, 1]


@pytest.mark.conformance("oidcc-client-test-invalid-iss")
def test_invalid_iss(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.id_token["iss"] = f"{idp.issuer}/other"
    assert refused(visitor, visitor.log_in())


@pytest.mark.conformance("oidcc-client-test-missing-sub")
def test_missing_sub(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.id_token["sub"] = None
    assert refused(visitor, visitor.log_in())


@pytest.mark.conformance("oidcc-client-test-invalid-aud")
def test_invalid_aud(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.id_token["aud"] = "somebody else"
    assert refused(visitor, visitor.log_in())


@pytest.mark.conformance("oidcc-client-test-missing-iat")
def test_missing_iat(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.id_token["iat"] = None
    assert refused(visitor, visitor.log_in())


@pytest.mark.conformance("oidcc-client-test-kid-absent-single-jwks")
def test_kid_absent_single_jwks(visitor: Visitor, idp: Provider) -> None:
    idp.keys.rotate(keep_old=False)
    assert len(idp.keys.published()["keys"]) == 1
    idp.behaviour.id_token_header["kid"] = None
    assert visitor.log_in().status_code == 303


@pytest.mark.conformance("oidcc-client-test-kid-absent-multiple-jwks", note=REFUSED)
def test_kid_absent_multiple_jwks(visitor: Visitor, idp: Provider) -> None:
    idp.keys.rotate(keep_old=True)
    idp.behaviour.id_token_header["kid"] = None
    assert refused(visitor, visitor.log_in())


@pytest.mark.conformance("oidcc-client-test-idtoken-sig-rs256")
def test_idtoken_sig_rs256(visitor: Visitor, idp: Provider) -> None:
    assert visitor.log_in().status_code == 303
    assert [key["kty"] for key in idp.keys.published()["keys"]][:1] == ["RSA"]


@pytest.mark.conformance("oidcc-client-test-idtoken-sig-none", note=REFUSED)
def test_idtoken_sig_none(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.algorithm = "none"
    assert refused(visitor, visitor.log_in())


@pytest.mark.conformance("oidcc-client-test-invalid-sig-rs256")
def test_invalid_sig_rs256(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.foreign_key = True
    assert refused(visitor, visitor.log_in())


@pytest.mark.conformance("oidcc-client-test-userinfo-invalid-sub")
def test_userinfo_invalid_sub(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.userinfo["sub"] = "somebody else"
    assert refused(visitor, visitor.log_in())


@pytest.mark.conformance("oidcc-client-test-nonce-invalid")
def test_nonce_invalid(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.id_token["nonce"] = "another"
    assert refused(visitor, visitor.log_in())


@pytest.mark.conformance("oidcc-client-test-scope-userinfo-claims")
def test_scope_userinfo_claims(visitor: Visitor, idp: Provider) -> None:
    scope = parse_qs(urlsplit(onward(visitor.start())).query)["scope"][0]
    assert scope == "openid profile email"
    idp.behaviour.id_token |= {"email": None, "family_name": None, "given_name": None}
    assert visitor.log_in().status_code == 303
    membership = db.session.scalars(select(Membership)).one()
    assert membership.email == "erika.beispiel@musterbau.example"
    assert membership.person.name == "Dr. Erika Beispiel"


@pytest.mark.conformance("oidcc-client-test-client-secret-basic")
def test_client_secret_basic(
    visitor: Visitor, idp: Provider, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "a secret+with:odd%characters"
    monkeypatch.setenv("DEMO_SECRET", secret)
    monkeypatch.setitem(idp.clients, CLIENT, replace(idp.clients[CLIENT], jwks=None, secret=secret))
    declare(visitor.konto.application, settings, tmp_path, issuer=idp.issuer, **{METHOD: SECRET})
    assert visitor.log_in().status_code == 303
    monkeypatch.setenv("DEMO_SECRET", "a wrong secret")
    declare(visitor.konto.application, settings, tmp_path, issuer=idp.issuer, **{METHOD: SECRET})
    assert visitor.log_in(fresh="1").status_code == 502


@pytest.mark.conformance("oidcc-client-test-discovery-openid-config")
def test_discovery_openid_config(visitor: Visitor, idp: Provider) -> None:
    url = onward(visitor.start())
    assert idp.behaviour.calls["discovery"] == 1
    assert url.startswith(f"{idp.issuer}/authorize?")


@pytest.mark.conformance("oidcc-client-test-discovery-jwks-uri-keys")
def test_discovery_jwks_uri_keys(visitor: Visitor, idp: Provider) -> None:
    visitor.log_in()
    assert idp.behaviour.calls["jwks"] == 1


@pytest.mark.conformance("oidcc-client-test-discovery-issuer-mismatch")
def test_discovery_issuer_mismatch(visitor: Visitor, idp: Provider) -> None:
    idp.behaviour.discovery["issuer"] = f"{idp.issuer}/other"
    assert refused(visitor, visitor.start())
    assert idp.behaviour.calls["authorize"] == 0


@pytest.mark.conformance("oidcc-client-test-signing-key-rotation-just-before-signing")
def test_signing_key_rotation_just_before_signing(visitor: Visitor, idp: Provider) -> None:
    url = visitor.walk()
    idp.keys.rotate(keep_old=False)
    assert visitor.come_back(url).status_code == 303


@pytest.mark.conformance("oidcc-client-test-signing-key-rotation")
def test_signing_key_rotation(visitor: Visitor, idp: Provider) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        assert visitor.log_in().status_code == 303
        idp.keys.rotate(keep_old=False)
        clock.shift(discovery.REFETCH_SECONDS)
        assert visitor.log_in(fresh="1").status_code == 303
        assert idp.behaviour.calls["jwks"] == 2


def sign_out_upstream(visitor: Visitor) -> str:
    """Sign out here, then at the identity provider; return the address it sends the browser back to."""
    visitor.log_in()
    url = onward(press(visitor))
    asked = parse_qs(urlsplit(url).query)
    assert asked.keys() >= {"id_token_hint", "post_logout_redirect_uri", "state"}
    answer = visitor.elsewhere.get(url, allow_redirects=False, timeout=10)
    assert answer.status_code == 303
    assert not is_signed_in(visitor)
    return str(answer.headers["Location"])


@pytest.mark.conformance("oidcc-client-test-rp-init-logout")
def test_rp_init_logout(visitor: Visitor) -> None:
    page = visitor.come_back(sign_out_upstream(visitor))
    assert page.status_code == 200
    assert "Sie sind abgemeldet" in page.text
    assert "vielleicht noch angemeldet" not in page.text


@pytest.mark.conformance("oidcc-client-test-rp-init-logout-other-state")
def test_rp_init_logout_other_state(visitor: Visitor) -> None:
    page = visitor.come_back(sign_out_upstream(visitor) + "x")
    assert "vielleicht noch angemeldet" in page.text
    assert faults(page.text) == []


@pytest.mark.conformance("oidcc-client-test-rp-init-logout-no-state")
def test_rp_init_logout_no_state(visitor: Visitor) -> None:
    page = visitor.come_back(sign_out_upstream(visitor).partition("?")[0])
    assert "vielleicht noch angemeldet" in page.text


@pytest.mark.conformance("oidcc-client-test-rp-backchannel-rpinitlogout")
def test_backchannel_logout(visitor: Visitor, idp: Provider) -> None:
    visitor.log_in()
    answer = post(visitor, logout_token(idp, **names(visitor)))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert not is_signed_in(visitor)


Forgery = Callable[[Provider, dict[str, Any]], str]


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(
            lambda idp, wish: unsigned(logout_token(idp, **wish)),
            marks=pytest.mark.conformance("oidcc-client-test-rp-backchannel-rpinitlogout-alg-none"),
        ),
        pytest.param(
            lambda idp, wish: logout_token(idp, events=None, **wish),
            marks=pytest.mark.conformance("oidcc-client-test-rp-backchannel-rpinitlogout-no-event"),
        ),
        pytest.param(
            lambda idp, wish: logout_token(idp, nonce="any", **wish),
            marks=pytest.mark.conformance("oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce"),
        ),
        pytest.param(
            lambda idp, wish: logout_token(idp, header={"alg": "PS256"}, **wish),
            marks=pytest.mark.conformance("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg"),
        ),
        pytest.param(
            lambda idp, wish: logout_token(idp, aud="somebody else", **wish),
            marks=pytest.mark.conformance("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud"),
        ),
        pytest.param(
            lambda idp, wish: logout_token(idp, events={f"{logout_tokens.EVENT}x": {}}, **wish),
            marks=pytest.mark.conformance("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event"),
        ),
        pytest.param(
            lambda idp, wish: logout_token(idp, iss=f"{idp.issuer}/other", **wish),
            marks=pytest.mark.conformance("oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss"),
        ),
    ],
    ids=["alg none", "no event", "with nonce", "wrong alg", "wrong aud", "wrong event", "wrong iss"],
)
def test_backchannel_logout_refused(visitor: Visitor, idp: Provider, forge: Forgery) -> None:
    visitor.log_in()
    assert post(visitor, forge(idp, names(visitor))).status_code == 400
    assert is_signed_in(visitor)
