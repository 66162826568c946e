"""A running provider, a person with a browser, and relying parties that register themselves."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import make_membership, make_person
from tests.provider.conformance.relying_party import Browser, RelyingParty
from tests.provider.conftest import Live
from unternehmenskonto.db import db, now
from unternehmenskonto.login import cookies, sessions
from unternehmenskonto.web import limiter

STANDARD = ("name", "title", "given_name", "family_name", "email", "email_verified")
CLAIMS = ("org_sub", "org_company_name", *STANDARD, "phone_number", "phone_number_verified", "address")
HOME = {"street_address": "Deichweg 3", "postal_code": "24103", "locality": "Kiel", "country": "Deutschland"}
Make = Callable[..., RelyingParty]


@pytest.fixture(scope="session")
def initial_token(live: Live) -> str:
    """The operator's token for the run: with claims, and without PKCE, which the plans do not send."""
    claims = [part for name in CLAIMS for part in ("--claim", name)]
    made = live.app.test_cli_runner().invoke(
        args=["services", "registration-token", "create", "--authority", "Prüfstelle", "--uses", "1000", *claims,
              "--offline-access", "--pkce-exempt", "Die Prüfpläne senden kein PKCE."]
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    return made.stdout.strip().splitlines()[0]


@pytest.fixture(params=["query", "form_post"])
def mode(request: pytest.FixtureRequest) -> str:
    """How answers come: the Basic plan and the Form Post Basic plan have the same modules."""
    return str(request.param)


@pytest.fixture
def make_party(live: Live, initial_token: str) -> Make:
    """Register a relying party."""

    def make(**metadata: Any) -> RelyingParty:
        return RelyingParty(live.url, initial_token, **metadata)

    return make


@pytest.fixture
def party(make_party: Make, mode: str) -> RelyingParty:
    """A relying party as the Basic plans register it, in each response mode."""
    found = make_party(mode=mode)
    assert found.answer.status_code == 201, found.answer.text
    return found


@pytest.fixture
def person(live: Live) -> Iterator[Browser]:
    """A person who is not signed in yet; each sign-in is a new session of the same person."""
    limiter.reset()
    with live.app.app_context():
        membership_id = make_membership(
            person=make_person(title="Dr."),
            email="maria@firma.example",
            verified_email="maria@firma.example",
            phone_number="+49 431 901-2345",
            is_phone_verified=True,
            address=HOME,
        ).id
        db.session.commit()

    def sign_in(seconds_ago: int) -> dict[str, str]:
        with live.app.app_context():
            proof = sessions.Proof(
                identity_provider="demo-zertifikat",
                assurance_level="substantial",
                auth_time=now() - timedelta(seconds=seconds_ago),
            )
            token = sessions.start_session(membership_id=membership_id, proof=proof)
            db.session.commit()
            return {cookies.name(cookies.SESSION): token}

    found = Browser(sign_in)
    yield found
    found.session.close()
