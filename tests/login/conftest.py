"""The application beside a real identity provider on another loopback host, and a person with a browser."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from tests.demo.person import choose_certificate
from tests.factories import csrf_token
from unternehmenskonto import keys
from unternehmenskonto.companies.models import Person
from unternehmenskonto.db import db
from unternehmenskonto.demo import identity_provider
from unternehmenskonto.demo.serving import Listener
from unternehmenskonto.login import breaker, config, cookies, discovery
from unternehmenskonto.login.models import LoginSession
from unternehmenskonto.settings import ROOT, Settings
from unternehmenskonto.web import limiter

SLUG = "demo-zertifikat"


class Visitor:
    """A person: one browser, seen by us through the test client and by the identity provider over HTTP."""

    def __init__(self, app: Flask) -> None:
        self.konto: FlaskClient = app.test_client()
        self.elsewhere = requests.Session()

    def start(self, slug: str = SLUG, **wish: str) -> TestResponse:
        """Press the button of the sign-in page."""
        fields = {"csrf_token": csrf_token(self.konto, "/anmelden?fresh=1"), **wish}
        return self.konto.post(f"/anmelden/{slug}", data=fields)

    def walk(self, certificate: str | None = "erika-musterbau", slug: str = SLUG, **wish: str) -> str:
        """Go to the identity provider, choose there; return the address it sends the browser back to."""
        return choose_certificate(self.elsewhere, onward(self.start(slug, **wish)), certificate)

    def come_back(self, url: str) -> TestResponse:
        """Open the callback address, given as a whole."""
        parts = urlsplit(url)
        return self.konto.get(f"{parts.path}?{parts.query}")

    def log_in(self, certificate: str | None = "erika-musterbau", **wish: str) -> TestResponse:
        return self.come_back(self.walk(certificate, **wish))


def onward(response: TestResponse) -> str:
    """Return where the page in between leads by itself."""
    assert response.status_code == 200, response.get_data(as_text=True)
    found = response.get_data(as_text=True).split('http-equiv="refresh" content="0;url=', 1)[1].split('"', 1)[0]
    return found.replace("&amp;", "&")


def nobody_is_signed_in(visitor: Visitor) -> bool:
    sessions = db.session.scalar(select(func.count()).select_from(LoginSession))
    people = db.session.scalar(select(func.count()).select_from(Person))
    return sessions == 0 and people == 0 and visitor.konto.get_cookie(cookies.SESSION) is None


@pytest.fixture(scope="module")
def running_idp(session_app: Flask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[identity_provider.Provider]:
    with session_app.app_context():
        jwks = keys.jwks()
    client = identity_provider.Client(
        client_id="unternehmenskonto",
        name="Unternehmenskonto",
        redirect_uris=(f"http://127.0.0.1:8000/anmelden/{SLUG}/rueckkehr",),
        post_logout_redirect_uris=("http://127.0.0.1:8000/abgemeldet",),
        jwks=jwks,
    )
    with Listener("127.0.0.2") as listener:
        app = identity_provider.create_app(issuer=listener.url, data=tmp_path_factory.mktemp("idp"), clients=[client])
        listener.serve(app)
        yield app.extensions["identity_provider"]


@pytest.fixture
def idp(running_idp: identity_provider.Provider) -> Iterator[identity_provider.Provider]:
    """The identity provider, honest at the start of each test."""
    running_idp.behaviour.reset()
    yield running_idp
    running_idp.behaviour.reset()


def declare(app: Flask, settings: Settings, folder: Path, *, issuer: str, more: str = "", **changes: str) -> None:
    """Let the application know the identity provider of this issuer, by the file that ships with it."""
    content = (ROOT / "config" / "identity_providers.toml").read_text().replace("http://127.0.0.2:8001", issuer)
    for old, new in changes.items():
        assert old in content
        content = content.replace(old, new)
    path = folder / "identity_providers.toml"
    path.write_text(content + more)
    changed = settings.model_copy(update={"identity_providers_file": path})
    app.extensions[config.EXTENSION] = config.load(changed)
    app.extensions[discovery.EXTENSION] = discovery.empty_cache()
    app.extensions[breaker.EXTENSION] = {}


@pytest.fixture
def visitor(app: Flask, settings: Settings, idp: identity_provider.Provider, tmp_path: Path) -> Iterator[Visitor]:
    """A person whose sign-in page offers the running identity provider."""
    before = app.extensions[config.EXTENSION]
    limiter.reset()
    declare(app, settings, tmp_path, issuer=idp.issuer)
    yield Visitor(app)
    app.extensions[config.EXTENSION] = before
    app.extensions[discovery.EXTENSION] = discovery.empty_cache()
    app.extensions[breaker.EXTENSION] = {}
    limiter.reset()
