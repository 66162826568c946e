"""Attacks around the way back: other states, browsers, providers; and logins that are not good enough."""

from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest
import time_machine
from sqlalchemy import select

from tests.login.conftest import SLUG, Visitor, declare, nobody_is_signed_in, onward
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.db import db
from unternehmenskonto.demo.identity_provider import Provider
from unternehmenskonto.login.models import Identity, LoginSession
from unternehmenskonto.settings import Settings

NOW = 1_795_000_000


def changed(url: str, **changes: str | None) -> str:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    new = {name: value for name, value in {**query, **changes}.items() if value is not None}
    return urlunsplit(parts._replace(query=urlencode(new)))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"iss": "https://evil.example"}, 502),
        ({"iss": None}, 502),
        ({"state": "forged"}, 400),
        ({"state": None}, 400),
        ({"code": None}, 502),
        ({"code": "x" * 5000}, 502),
        ({"error": "access_denied"}, 403),
        ({"error": "access_denied", "iss": None}, 502),
        ({"error": "<script>alert(1)</script>", "error_description": "<script>alert(1)</script>"}, 502),
        ({"error": "temporarily_unavailable"}, 503),
    ],
)
@pytest.mark.attack("mix-up of providers", "reflected markup")
def test_forged_callbacks_never_reach_the_token_endpoint(
    visitor: Visitor, idp: Provider, changes: dict[str, str | None], status: int
) -> None:
    answer = visitor.come_back(changed(visitor.walk(), **changes))
    assert answer.status_code == status
    assert "<script>alert" not in answer.text
    assert idp.behaviour.calls["token"] == 0
    assert nobody_is_signed_in(visitor)


@pytest.mark.parametrize("name", ["state", "code", "iss"])
@pytest.mark.attack("parameter pollution")
def test_parameters_given_twice(visitor: Visitor, idp: Provider, name: str) -> None:
    url = visitor.walk()
    value = parse_qs(urlsplit(url).query)[name][0]
    assert visitor.come_back(f"{url}&{urlencode({name: value})}").status_code == 400
    assert idp.behaviour.calls["token"] == 0


@pytest.mark.attack("login CSRF", "state of another session")
def test_another_browser_gets_nothing_and_spoils_nothing(visitor: Visitor, idp: Provider) -> None:
    url = visitor.walk()
    attacker = Visitor(visitor.konto.application)
    attacker.walk("jonas-musterbau")
    assert attacker.come_back(url).status_code == 400
    assert Visitor(visitor.konto.application).come_back(url).status_code == 400
    assert idp.behaviour.calls["token"] == 0
    assert visitor.come_back(url).status_code == 303


@pytest.mark.attack("code injection")
def test_a_code_injected_from_another_login(visitor: Visitor) -> None:
    stolen = parse_qs(urlsplit(visitor.walk("erika-musterbau")).query)["code"][0]
    attacker = Visitor(visitor.konto.application)
    answer = attacker.come_back(changed(attacker.walk("jonas-musterbau"), code=stolen))
    assert answer.status_code == 502
    assert nobody_is_signed_in(attacker)


def test_a_login_is_used_once(visitor: Visitor) -> None:
    url = visitor.walk()
    assert visitor.come_back(url).status_code == 303
    again = visitor.come_back(url)
    assert again.status_code == 400
    assert "Diese Anmeldung gibt es nicht mehr" in again.text
    # The next try asks for nothing that nobody asked for.
    assert not {name for name in ("fresh", "max_age", "level") if f'name="{name}"' in again.text}


def test_a_failed_login_is_used_too(visitor: Visitor, idp: Provider) -> None:
    url = visitor.walk()
    idp.behaviour.id_token["nonce"] = "another"
    assert visitor.come_back(url).status_code == 502
    idp.behaviour.reset()
    assert visitor.come_back(url).status_code == 400


def test_a_login_lives_ten_minutes(visitor: Visitor) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        url = visitor.walk()
        clock.shift(601)
        assert visitor.come_back(url).status_code == 400


@pytest.mark.attack("mix-up of providers")
def test_another_providers_answer(visitor: Visitor, idp: Provider, settings: Settings, tmp_path: Path) -> None:
    second = (tmp_path / "identity_providers.toml").read_text().replace(f'"{SLUG}"', '"other"')
    second = second.replace(idp.issuer, "http://127.0.0.3:9")
    declare(visitor.konto.application, settings, tmp_path, issuer=idp.issuer, more=second)
    url = visitor.walk()
    assert visitor.come_back(url.replace(SLUG, "other")).status_code == 400
    assert visitor.come_back(url).status_code == 303


@pytest.mark.attack("account confusion")
def test_same_sub_and_email_elsewhere_is_somebody_else(
    visitor: Visitor,
    idp: Provider,
    settings: Settings,
    tmp_path: Path,
) -> None:
    visitor.log_in("erika-musterbau")
    known = db.session.scalars(select(Identity)).one()
    known.issuer = "https://another.example"
    db.session.commit()
    visitor.log_in("erika-musterbau")
    identities = db.session.scalars(select(Identity)).all()
    assert len({one.person_id for one in identities}) == 2
    assert len({one.subject for one in identities}) == 1


@pytest.mark.attack("old proof of identity")
def test_fresh_login_means_a_fresh_proof(visitor: Visitor, idp: Provider) -> None:
    with time_machine.travel(NOW, tick=False):
        url = visitor.walk(fresh="1")
        idp.behaviour.id_token["auth_time"] = NOW - 60
        refused = visitor.come_back(url)
        assert (refused.status_code, 'name="fresh" value="1"' in refused.text) == (502, True)
        idp.behaviour.id_token["auth_time"] = None
        assert visitor.come_back(visitor.walk(fresh="1")).status_code == 502
        idp.behaviour.reset()
        assert visitor.come_back(visitor.walk(fresh="1")).status_code == 303


@pytest.mark.attack("old proof of identity")
def test_max_age_is_checked(visitor: Visitor, idp: Provider) -> None:
    with time_machine.travel(NOW, tick=False):
        url = visitor.walk(max_age="300")
        idp.behaviour.id_token["auth_time"] = NOW - 311
        assert visitor.come_back(url).status_code == 502
        idp.behaviour.id_token["auth_time"] = NOW - 299
        assert visitor.come_back(visitor.walk(max_age="300")).status_code == 303


@pytest.mark.attack("downgraded trust level")
def test_a_low_certificate_is_not_let_in(visitor: Visitor) -> None:
    answer = visitor.log_in("karl-nordlicht")
    assert answer.status_code == 403
    assert "Das Vertrauensniveau reicht nicht" in answer.text
    assert "niedrig" in answer.text
    assert 'name="fresh" value="1"' in answer.text, "another try must offer another certificate"
    assert nobody_is_signed_in(visitor)
    refused = db.session.scalars(select(AuditEvent)).one()
    assert refused.fields == {"identity_provider": SLUG, "reason": "level_too_low"}


@pytest.mark.parametrize("name", ["acr", "trust_level_identification", "trust_level_authentication"])
@pytest.mark.parametrize("value", [None, "NIEDRIG", "unknown", ["http://eidas.europa.eu/LoA/high"]])
@pytest.mark.attack("downgraded trust level")
def test_the_weakest_statement_counts(visitor: Visitor, idp: Provider, name: str, value: object) -> None:
    idp.behaviour.id_token[name] = value
    idp.behaviour.userinfo[name] = value
    assert visitor.log_in().status_code == 403
    assert nobody_is_signed_in(visitor)


@pytest.mark.attack("downgraded trust level")
def test_wanted_level_is_demanded(visitor: Visitor) -> None:
    assert visitor.log_in("erika-musterbau", level="high").status_code == 403
    assert visitor.log_in("petra-nordlicht", level="high").status_code == 303


@pytest.mark.attack("downgraded trust level")
def test_a_provider_is_believed_up_to_its_maximum(
    visitor: Visitor,
    idp: Provider,
    settings: Settings,
    tmp_path: Path,
) -> None:
    lower = {'maximum = "high"': 'maximum = "substantial"'}
    declare(visitor.konto.application, settings, tmp_path, issuer=idp.issuer, **lower)
    visitor.log_in("petra-nordlicht")
    assert db.session.scalars(select(LoginSession.assurance_level)).one() == "substantial"


@pytest.mark.attack("guessing and enumeration")
def test_too_many_attempts_are_slowed_down(visitor: Visitor) -> None:
    answers = [visitor.konto.get(f"/anmelden/{SLUG}/rueckkehr?state=x").status_code for _ in range(31)]
    assert answers == [400] * 30 + [429]


@pytest.mark.attack("login CSRF", "forged form")
def test_login_cannot_be_started_from_another_site(visitor: Visitor, idp: Provider) -> None:
    assert visitor.konto.post(f"/anmelden/{SLUG}").status_code == 400
    assert visitor.konto.get(f"/anmelden/{SLUG}").status_code == 405


@pytest.mark.attack("secrets in logs")
def test_what_the_person_sees_and_what_the_log_knows(
    visitor: Visitor, idp: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    idp.behaviour.id_token["nonce"] = "another"
    url = visitor.walk()
    answer = visitor.come_back(url)
    assert "nonce" not in answer.text
    logged = caplog.text
    assert "'detail': 'nonce'" in logged
    secrets = [parse_qs(urlsplit(url).query)[name][0] for name in ("code", "state")]
    for secret in (*secrets, "Erika", "Beispiel", "erika.beispiel@musterbau.example"):
        assert secret not in logged


@pytest.mark.attack("Referer leak")
def test_onward_page_leads_by_link_too(visitor: Visitor) -> None:
    answer = visitor.start()
    assert f'href="{onward(answer)}"'.replace("&", "&amp;") in answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
