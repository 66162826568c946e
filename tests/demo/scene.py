"""The demo online service on the stage: the demo provider plays Unternehmenskonto, a stand-in the authority."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, request

from unternehmenskonto.demo import identity_provider, online_service
from unternehmenskonto.demo.identity_provider import Behaviour, Provider
from unternehmenskonto.demo.serving import Listener

from .person import TIMEOUT, choose_certificate

ORG_SUB = "du-" + "b" * 40
WELCOME = "Mit Unternehmenskonto anmelden"


@dataclass
class Scene:
    """The service, the provider it trusts, the authority it reports to, and a browser."""

    url: str
    issuer: str
    behaviour: Behaviour
    browser: requests.Session = field(default_factory=requests.Session)
    applications: list[dict[str, Any]] = field(default_factory=list)
    authority_status: int = 202
    provider: Provider | None = None

    def get(self, path: str) -> requests.Response:
        return self.browser.get(self.url + path, timeout=TIMEOUT)

    def post(self, path: str, **form: str) -> requests.Response:
        return self.browser.post(self.url + path, form, timeout=TIMEOUT)

    def callback(self, certificate: str | None = "erika-musterbau") -> str:
        """Walk from the service to the provider and return the address that leads back."""
        begin = self.browser.get(f"{self.url}/login", allow_redirects=False, timeout=TIMEOUT)
        assert begin.status_code == 303, begin.text
        return choose_certificate(self.browser, begin.headers["Location"], certificate)

    def log_in(self) -> requests.Response:
        return self.browser.get(self.callback(), timeout=TIMEOUT)

    def is_logged_in(self) -> bool:
        return WELCOME not in self.get("/").text


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with Listener("127.0.0.3") as service, Listener("127.0.0.2") as provider, Listener("127.0.0.4") as office:
        client = identity_provider.Client(
            client_id="gewerbeanmeldung",
            name="Gewerbeanmeldung",
            redirect_uris=(f"{service.url}/callback",),
            post_logout_redirect_uris=(f"{service.url}/abgemeldet",),
            jwks_uri=f"{service.url}/jwks.json",
        )
        behaviour = Behaviour(id_token={"org_sub": ORG_SUB})
        set_up = Scene(service.url, provider.url, behaviour)
        app = identity_provider.create_app(
            issuer=provider.url, data=tmp_path / "provider", clients=[client], behaviour=behaviour
        )
        set_up.provider = app.extensions["identity_provider"]
        provider.serve(app)
        service.serve(
            online_service.create_app(
                issuer=provider.url, base_url=service.url, authority_url=office.url, data=tmp_path / "service"
            )
        )
        office.serve(make_office(set_up))
        yield set_up
        set_up.browser.close()


def make_office(scene: Scene) -> Flask:
    app = Flask(__name__)

    @app.post("/applications")
    def take() -> tuple[dict[str, str], int]:
        if scene.authority_status < 400:
            scene.applications.append(request.get_json())
        return {}, scene.authority_status

    return app
