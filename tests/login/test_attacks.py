"""Everything an attacker may put into the answers: no session, a page that says what to do, details in the log only."""

import base64
import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest
import time_machine
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc.jwk import ECKey, RSAKey
from pytest_httpserver import HTTPServer
from sqlalchemy import func, select

from tests.demo.person import choose_certificate
from tests.login.conftest import SLUG, Visitor, declare, onward
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import Person
from unternehmenskonto.db import db
from unternehmenskonto.demo.identity_provider import Behaviour, Provider
from unternehmenskonto.login import cookies
from unternehmenskonto.login.models import Identity, LoginSession
from unternehmenskonto.settings import Settings

HIGH = "http://eidas.europa.eu/LoA/high"
NOW = 1_795_000_000
OTHER_KEY = RSAKey.generate_key(2048)


def nobody_is_signed_in(visitor: Visitor) -> bool:
    sessions = db.session.scalar(select(func.count()).select_from(LoginSession))
    people = db.session.scalar(select(func.count()).select_from(Person))
    return sessions == 0 and people == 0 and visitor.konto.get_cookie(cookies.SESSION) is None


def claims(**changes: object) -> Callable[[Behaviour], None]:
    return lambda behaviour: behaviour.id_token.update(changes)


def header(**changes: object) -> Callable[[Behaviour], None]:
    return lambda behaviour: behaviour.id_token_header.update(changes)


def token(**changes: object) -> Callable[[Behaviour], None]:
    return lambda behaviour: behaviour.token.update(changes)


def userinfo(**changes: object) -> Callable[[Behaviour], None]:
    return lambda behaviour: behaviour.userinfo.update(changes)


def member(name: str, value: object) -> Callable[[Behaviour], None]:
    return lambda behaviour: setattr(behaviour, name, value)


FORGERIES: dict[str, Callable[[Behaviour], None]] = {
    "alg none": member("algorithm", "none"),
    "HS256 with the public key": member("algorithm", "HS256"),
    "key of somebody else": member("foreign_key", True),
    "other issuer": claims(iss="https://evil.example"),
    "issuer with slash": lambda b: b.id_token.update(iss=f"{'http://127.0.0.2'}/"),
    "no issuer": claims(iss=None),
    "other audience": claims(aud="somebody"),
    "other audience, azp is us": claims(aud=["somebody"], azp="unternehmenskonto"),
    "further audience": claims(aud=["unternehmenskonto", "somebody"], azp="unternehmenskonto"),
    "no audience": claims(aud=None),
    "audience of wrong type": claims(aud={"unternehmenskonto": 1}),
    "azp is another": claims(azp="somebody"),
    "expired": claims(exp=NOW - 11),
    "no exp": claims(exp=None),
    "exp as text": claims(exp="2099-01-01"),
    "exp true": claims(exp=True),
    "exp without end": claims(exp=float("inf")),
    "exp not a number": claims(exp=float("nan")),
    "no iat": claims(iat=None),
    "iat in the future": claims(iat=NOW + 60),
    "iat an hour ago": claims(iat=NOW - 3600),
    "not yet valid": claims(nbf=NOW + 60),
    "auth_time in the future": claims(auth_time=NOW + 60),
    "auth_time as text": claims(auth_time="now"),
    "no nonce": claims(nonce=None),
    "other nonce": claims(nonce="another"),
    "nonce as list": claims(nonce=["another"]),
    "wrong at_hash": claims(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "no sub": claims(sub=None),
    "empty sub": claims(sub=""),
    "sub as number": claims(sub=7),
    "sub too long": claims(sub="x" * 256),
    "access token": header(typ="at+jwt"),
    "logout token": header(typ="logout+jwt"),
    "key in the header": header(jwk=OTHER_KEY.as_dict(private=False)),
    "certificate in the header": header(x5c=["MIIB"]),
    "kid is a path": header(kid="../../../etc/passwd"),
    "kid is SQL": header(kid="' OR 1=1 --"),
    "kid of 10 kB": header(kid="k" * 10_000),
    "no ID token": token(id_token=None),
    "ID token is no text": token(id_token={"sub": "x"}),
    "ID token is no JWS": token(id_token="a.b"),
    "ID token of 1 MB": token(id_token="a" * 200_000),
    "no access token": token(access_token=None),
    "other token type": token(token_type="mac"),
    "userinfo about another": userinfo(sub="somebody"),
    "userinfo about nobody": userinfo(sub=None),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_answers(visitor: Visitor, idp: Provider, forgery: Callable[[Behaviour], None]) -> None:
    with time_machine.travel(NOW, tick=False):
        url = visitor.walk()
        forgery(idp.behaviour)
        answer = visitor.come_back(url)
    assert answer.status_code == 502
    assert "ließ sich nicht prüfen" in answer.text or "nicht so, wie es vereinbart ist" in answer.text
    assert "Noch einmal versuchen" in answer.text
    assert nobody_is_signed_in(visitor)


def test_the_same_walk_without_forgery(visitor: Visitor) -> None:
    with time_machine.travel(NOW, tick=False):
        assert visitor.log_in().status_code == 303


@pytest.mark.parametrize(
    "honest",
    [
        header(kid=None),
        header(typ=None),
        claims(aud=["unternehmenskonto"]),
        claims(azp="unternehmenskonto"),
        claims(at_hash=None),
        claims(auth_time=None),
        claims(exp=NOW - 9, iat=NOW + 9),
        token(token_type="bearer"),
    ],
)
def test_unusual_but_good_answers(visitor: Visitor, idp: Provider, honest: Callable[[Behaviour], None]) -> None:
    with time_machine.travel(NOW, tick=False):
        url = visitor.walk()
        honest(idp.behaviour)
        assert visitor.come_back(url).status_code == 303


def signed_by_hand(idp: Provider, nonce: str, **odd: object) -> str:
    """Return a good ID token whose header carries what a decent library refuses to sign."""
    person = {**idp.certificates["erika-musterbau"].claims(), "sub": idp.certificates["erika-musterbau"].subject}
    good = {"iss": idp.issuer, "aud": "unternehmenskonto", "exp": NOW + 60, "iat": NOW, "nonce": nonce, "acr": HIGH}
    header = {"alg": "RS256", "typ": "JWT", "kid": idp.keys.current.kid, **odd}
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (header, {**person, **good})]
    private = serialization.load_pem_private_key(idp.keys.current.as_pem(private=True), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    signature = private.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        ({}, 303),
        ({"typ": ["JWT"]}, 502),
        ({"typ": None}, 502),
        ({"crit": ["exp"], "exp": 1}, 502),
        ({"crit": []}, 502),
        ({"b64": False}, 502),
        ({"kid": ["a"]}, 502),
        ({"kid": 7}, 502),
        ({"alg": "PS256"}, 502),
        ({"alg": "nOnE"}, 502),
        ({"alg": ["RS256"]}, 502),
        ({"alg": None}, 502),
    ],
)
def test_odd_headers(visitor: Visitor, idp: Provider, odd: dict[str, object], status: int) -> None:
    with time_machine.travel(NOW, tick=False):
        start = onward(visitor.start())
        nonce = parse_qs(urlsplit(start).query)["nonce"][0]
        url = choose_certificate(visitor.elsewhere, start)
        idp.behaviour.token["id_token"] = signed_by_hand(idp, nonce, **odd)
        assert visitor.come_back(url).status_code == status


@pytest.mark.parametrize("name", ["jku", "x5u"])
def test_addresses_in_the_header_are_not_opened(
    visitor: Visitor, idp: Provider, httpserver: HTTPServer, name: str
) -> None:
    idp.behaviour.id_token_header[name] = httpserver.url_for("/keys")
    assert visitor.log_in().status_code == 502
    assert httpserver.log == []


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
def test_forged_callbacks_never_reach_the_token_endpoint(
    visitor: Visitor, idp: Provider, changes: dict[str, str | None], status: int
) -> None:
    answer = visitor.come_back(changed(visitor.walk(), **changes))
    assert answer.status_code == status
    assert "<script>alert" not in answer.text
    assert idp.behaviour.calls["token"] == 0
    assert nobody_is_signed_in(visitor)


@pytest.mark.parametrize("name", ["state", "code", "iss"])
def test_parameters_given_twice(visitor: Visitor, idp: Provider, name: str) -> None:
    url = visitor.walk()
    value = parse_qs(urlsplit(url).query)[name][0]
    assert visitor.come_back(f"{url}&{urlencode({name: value})}").status_code == 400
    assert idp.behaviour.calls["token"] == 0


def test_another_browser_gets_nothing_and_spoils_nothing(visitor: Visitor, idp: Provider) -> None:
    url = visitor.walk()
    attacker = Visitor(visitor.konto.application)
    attacker.walk("jonas-musterbau")
    assert attacker.come_back(url).status_code == 400
    assert Visitor(visitor.konto.application).come_back(url).status_code == 400
    assert idp.behaviour.calls["token"] == 0
    assert visitor.come_back(url).status_code == 303


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


def test_another_providers_answer(visitor: Visitor, idp: Provider, settings: Settings, tmp_path) -> None:  # type: ignore[no-untyped-def]
    second = (tmp_path / "identity_providers.toml").read_text().replace(f'"{SLUG}"', '"other"')
    second = second.replace(idp.issuer, "http://127.0.0.3:9")
    declare(visitor.konto.application, settings, tmp_path, issuer=idp.issuer, more=second)
    url = visitor.walk()
    assert visitor.come_back(url.replace(SLUG, "other")).status_code == 400
    assert visitor.come_back(url).status_code == 303


def test_same_sub_and_email_elsewhere_is_somebody_else(
    visitor: Visitor,
    idp: Provider,
    settings: Settings,
    tmp_path,  # type: ignore[no-untyped-def]
) -> None:
    visitor.log_in("erika-musterbau")
    known = db.session.scalars(select(Identity)).one()
    known.issuer = "https://another.example"
    db.session.commit()
    visitor.log_in("erika-musterbau")
    identities = db.session.scalars(select(Identity)).all()
    assert len({one.person_id for one in identities}) == 2
    assert len({one.subject for one in identities}) == 1


def test_fresh_login_means_a_fresh_proof(visitor: Visitor, idp: Provider) -> None:
    with time_machine.travel(NOW, tick=False):
        url = visitor.walk(fresh="1")
        idp.behaviour.id_token["auth_time"] = NOW - 60
        assert visitor.come_back(url).status_code == 502
        idp.behaviour.id_token["auth_time"] = None
        assert visitor.come_back(visitor.walk(fresh="1")).status_code == 502
        idp.behaviour.reset()
        assert visitor.come_back(visitor.walk(fresh="1")).status_code == 303


def test_max_age_is_checked(visitor: Visitor, idp: Provider) -> None:
    with time_machine.travel(NOW, tick=False):
        url = visitor.walk(max_age="300")
        idp.behaviour.id_token["auth_time"] = NOW - 311
        assert visitor.come_back(url).status_code == 502
        idp.behaviour.id_token["auth_time"] = NOW - 299
        assert visitor.come_back(visitor.walk(max_age="300")).status_code == 303


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
def test_the_weakest_statement_counts(visitor: Visitor, idp: Provider, name: str, value: object) -> None:
    idp.behaviour.id_token[name] = value
    idp.behaviour.userinfo[name] = value
    assert visitor.log_in().status_code == 403
    assert nobody_is_signed_in(visitor)


def test_wanted_level_is_demanded(visitor: Visitor) -> None:
    assert visitor.log_in("erika-musterbau", level="high").status_code == 403
    assert visitor.log_in("petra-nordlicht", level="high").status_code == 303


def test_a_provider_is_believed_up_to_its_maximum(
    visitor: Visitor,
    idp: Provider,
    settings: Settings,
    tmp_path,  # type: ignore[no-untyped-def]
) -> None:
    lower = {'maximum = "high"': 'maximum = "substantial"'}
    declare(visitor.konto.application, settings, tmp_path, issuer=idp.issuer, **lower)
    visitor.log_in("petra-nordlicht")
    assert db.session.scalars(select(LoginSession.assurance_level)).one() == "substantial"


def test_too_many_attempts_are_slowed_down(visitor: Visitor) -> None:
    answers = [visitor.konto.get(f"/anmelden/{SLUG}/rueckkehr?state=x").status_code for _ in range(31)]
    assert answers == [400] * 30 + [429]


def test_login_cannot_be_started_from_another_site(visitor: Visitor, idp: Provider) -> None:
    assert visitor.konto.post(f"/anmelden/{SLUG}").status_code == 400
    assert visitor.konto.get(f"/anmelden/{SLUG}").status_code == 405


def test_weak_keys_and_keys_for_other_uses(visitor: Visitor, idp: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = idp.keys.published()["keys"][0]
    number = rsa.generate_private_key(65537, 1024).public_key().public_numbers().n.to_bytes(128)  # noqa: S505
    weak = {"kty": "RSA", "e": "AQAB", "n": base64.urlsafe_b64encode(number).rstrip(b"=").decode()}
    curve = ECKey.generate_key("P-256").as_dict(private=False)
    for published in (
        [{**honest, "use": "enc"}],
        [{**honest, "alg": "RS512"}],
        [{**weak, "kid": honest["kid"]}],
        [curve],
        [],
    ):
        visitor.konto.application.extensions["identity_provider_cache"]["keys"].clear()
        monkeypatch.setattr(idp.keys, "published", lambda published=published: {"keys": published})
        assert visitor.log_in(fresh="1").status_code == 502


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


def test_onward_page_leads_by_link_too(visitor: Visitor) -> None:
    answer = visitor.start()
    assert f'href="{onward(answer)}"'.replace("&", "&amp;") in answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
