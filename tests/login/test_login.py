"""The way in: first person, second person, several companies, and what is kept of it."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from tests.login.conftest import SLUG, Visitor, declare, onward
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies.models import Company, CompanyIdentifier, Membership, Person
from unternehmenskonto.db import db
from unternehmenskonto.demo.identity_provider import Provider
from unternehmenskonto.login import actions, config, cookies, relying_party
from unternehmenskonto.login.models import Identity, LoginSession, LoginTransaction
from unternehmenskonto.settings import Settings


def count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_first_person_founds_the_company_and_runs_it(visitor: Visitor) -> None:
    answer = visitor.log_in("erika-musterbau", next="/unternehmen")
    assert (answer.status_code, answer.location) == (303, "/unternehmen")
    company = db.session.scalars(select(Company)).one()
    assert company.name == "Musterbau GmbH"
    assert (company.legal_form_code, company.register_type, company.register_number) == ("350", "HRB", "12345")
    assert (company.street, company.building, company.zip_code, company.city) == (
        "Hauptstraße", "12", "12345", "Musterstadt",
    )  # fmt: skip
    assert (company.datenkranz_type, company.data_source) == ("StNr", "Demo-Zertifikat")
    membership = db.session.scalars(select(Membership)).one()
    assert membership.roles == ["administrator", "correspondence", "mailbox", "services"]
    assert membership.email == membership.verified_email == "erika.beispiel@musterbau.example"
    assert membership.person.name == membership.person.full_name == "Dr. Erika Beispiel"
    numbers = dict(db.session.execute(select(CompanyIdentifier.scheme, CompanyIdentifier.value)).all())
    assert numbers["w_idnr"] == "DE900000006-00001"
    assert numbers["register"] == "musterstadt|hrb|12345"
    assert "Musterbau GmbH" in visitor.konto.get("/seiten/impressum").get_data(as_text=True)


def test_second_person_joins_without_rights(visitor: Visitor) -> None:
    visitor.log_in("erika-musterbau")
    other = Visitor(visitor.konto.application)
    assert other.log_in("jonas-musterbau").status_code == 303
    assert count(Company) == 1
    jonas = db.session.scalars(select(Membership).join(Membership.person).where(Person.given_name == "Jonas")).one()
    assert jonas.roles == []


def test_the_same_person_again_is_the_same_person(visitor: Visitor) -> None:
    visitor.log_in("erika-musterbau")
    visitor.log_in("erika-musterbau")
    assert (count(Company), count(Person), count(Membership), count(Identity)) == (1, 1, 1, 1)
    ended = db.session.scalars(select(LoginSession.ended_reason).order_by(LoginSession.created_at)).all()
    assert ended == ["replaced", None]


def test_one_person_with_two_companies(visitor: Visitor) -> None:
    visitor.log_in("petra-nordlicht")
    visitor.log_in("petra-musterbau", fresh="1")
    assert (count(Company), count(Person), count(Membership)) == (2, 1, 2)


def test_high_stays_high_and_is_told(visitor: Visitor) -> None:
    visitor.log_in("petra-nordlicht")
    session = db.session.scalars(select(LoginSession)).one()
    assert (session.assurance_level, session.identity_provider) == ("high", SLUG)
    assert session.upstream_sid
    assert session.amr == ["swk"]


@pytest.mark.attack("session fixation")
def test_a_new_session_id_at_each_login(visitor: Visitor) -> None:
    visitor.konto.set_cookie(cookies.SESSION, "chosen-by-somebody-else")
    visitor.log_in()
    first = visitor.konto.get_cookie(cookies.SESSION)
    visitor.log_in()
    second = visitor.konto.get_cookie(cookies.SESSION)
    assert first is not None and second is not None
    assert len({"chosen-by-somebody-else", first.value, second.value}) == 3


@pytest.mark.attack("stolen cookie")
def test_cookies_are_kept_from_scripts_and_strangers(visitor: Visitor) -> None:
    answer = visitor.log_in()
    (header,) = [h for h in answer.headers.getlist("Set-Cookie") if h.startswith(cookies.SESSION)]
    assert "HttpOnly" in header
    assert "SameSite=Lax" in header
    assert "Domain" not in header
    assert "Max-Age" not in header


def test_company_data_follow_the_identity_provider(visitor: Visitor, idp: Provider) -> None:
    visitor.log_in()
    idp.behaviour.userinfo = {"org_city": None}
    idp.behaviour.id_token = {"org_street": "Neue Straße", "org_city": None}
    visitor.log_in()
    company = db.session.scalars(select(Company).execution_options(populate_existing=True)).one()
    assert (company.street, company.city) == ("Neue Straße", "Musterstadt"), "what is not told stays"
    event = db.session.scalars(select(AuditEvent).filter_by(event="company.updated")).one()
    assert event.fields == {"fields": ["street"]}


def test_audit_knows_the_login(visitor: Visitor) -> None:
    visitor.log_in()
    events = db.session.scalars(select(AuditEvent.event).order_by(AuditEvent.id)).all()
    assert events == ["company.founded", "membership.joined", "login.succeeded"]


def test_the_request_to_the_provider(visitor: Visitor, idp: Provider) -> None:
    url = onward(visitor.start())
    assert url.startswith(f"{idp.issuer}/authorize?response_type=code&client_id=unternehmenskonto&")
    for part in ("code_challenge_method=S256", "nonce=", "state=", "acr_values=", "scope=openid+profile+email"):
        assert part in url
    assert "prompt" not in url
    assert "LoA%2Flow" not in url
    assert "prompt=login&max_age=0" in onward(visitor.start(fresh="1"))


HINT = "erika.beispiel@musterbau.example"


def hint_in(url: str) -> list[str]:
    return parse_qs(urlsplit(url).query).get("login_hint", [])


def test_a_login_hint_stays_here_unless_the_operator_says_otherwise(visitor: Visitor) -> None:
    with visitor.konto.application.test_request_context():
        assert "login_hint" not in actions.start_url("/postfach", login_hint=HINT)
    assert HINT not in visitor.konto.get(f"/anmelden?login_hint={HINT}").text
    assert hint_in(onward(visitor.start(login_hint=HINT))) == []


def test_a_login_hint_is_passed_on_where_it_is_understood(
    visitor: Visitor, idp: Provider, settings: Settings, tmp_path: Path
) -> None:
    passing = {'client_id = "unternehmenskonto"': 'client_id = "unternehmenskonto"\npasses_login_hint = true'}
    app = visitor.konto.application
    declare(app, settings, tmp_path, issuer=idp.issuer, **passing)
    with app.test_request_context():
        address = actions.start_url("/postfach", login_hint=HINT)
    assert f'name="login_hint" value="{HINT}"' in visitor.konto.get(address).text
    assert hint_in(onward(visitor.start(login_hint=HINT))) == [HINT]
    assert hint_in(onward(visitor.start())) == []
    for ours in ("du-" + "0" * 40, "ek-" + "a" * 40, "x" * 256, "a\nb", ""):
        assert hint_in(onward(visitor.start(login_hint=ours))) == [], ours
    # The hint is in the form for each provider; one that is not to hear it does not.
    asked = relying_party.Request(state="s", nonce="n", verifier="v", login_hint=HINT)
    speaking = config.providers()[SLUG]
    silent = speaking.model_copy(update={"passes_login_hint": False})
    found = [hint_in(relying_party.authorize_url(one, asked, language="de")) for one in (speaking, silent)]
    assert found == [[HINT], []]


@pytest.mark.attack("secrets at rest")
def test_secrets_of_a_login_are_not_in_the_database(visitor: Visitor) -> None:
    url = onward(visitor.start())
    row = db.session.scalars(select(LoginTransaction)).one()
    stored = b"".join(value for value in vars(row).values() if isinstance(value, bytes))
    for name in ("state", "nonce"):
        assert url.split(f"{name}=")[1].split("&")[0].encode() not in stored


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/%0d%0a//evil", "\n/x"],
)
def test_next_leads_nowhere_else(visitor: Visitor, target: str) -> None:
    answer = visitor.log_in(next=target)
    assert answer.status_code == 303
    assert answer.location.startswith("/")
    assert "evil.example" not in answer.location


def test_signed_in_people_skip_the_page(visitor: Visitor) -> None:
    visitor.log_in()
    assert visitor.konto.get("/anmelden?next=/unternehmen").location == "/unternehmen"
    assert visitor.konto.get("/anmelden?next=/unternehmen&level=substantial").location == "/unternehmen"
    assert visitor.konto.get("/anmelden?next=/unternehmen&level=high").status_code == 200
    assert visitor.konto.get("/anmelden?next=/unternehmen&max_age=0").status_code == 200
    assert visitor.konto.get("/anmelden?next=/unternehmen&fresh=1").status_code == 200


def test_the_page_keeps_where_to_go(visitor: Visitor) -> None:
    answer = visitor.konto.get("/unternehmen")
    assert (answer.status_code, answer.location) == (303, "/anmelden?next=%2Funternehmen")
    page = visitor.konto.get(answer.location).get_data(as_text=True)
    assert 'name="next" value="/unternehmen"' in page
    assert "Mit Demo-Zertifikat anmelden" in page
