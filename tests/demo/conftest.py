"""Demo parties on real ports of 127.0.0.x."""

from collections.abc import Iterator

import pytest
from joserfc.jwk import RSAKey

from unternehmenskonto.demo import identity_provider
from unternehmenskonto.demo.serving import Listener

from .relying_party import LOGOUT_URI, REDIRECT_URI, RelyingParty, RunningProvider
from .scene import scene

__all__ = ["scene"]


@pytest.fixture(scope="module")
def provider_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProvider]:
    key = RSAKey.generate_key(2048, auto_kid=True)
    client = {"redirect_uris": (REDIRECT_URI,), "post_logout_redirect_uris": (LOGOUT_URI,)}
    clients = [
        identity_provider.Client(
            client_id="portal", name="Portal", jwks={"keys": [key.as_dict(private=False)]}, **client
        ),
        identity_provider.Client(client_id="other", name="Anderer Dienst", secret="s3cret & 100%", **client),
    ]
    with Listener("127.0.0.2") as listener:
        app = identity_provider.create_app(
            issuer=listener.url, data=tmp_path_factory.mktemp("provider"), clients=clients
        )
        listener.serve(app)
        yield RunningProvider(listener.url, app.extensions["identity_provider"], key)


@pytest.fixture
def idp(provider_process: RunningProvider) -> Iterator[RunningProvider]:
    """The running identity provider, honest at the start of each test."""
    provider_process.behaviour.reset()
    yield provider_process
    provider_process.behaviour.reset()


@pytest.fixture
def party(idp: RunningProvider) -> Iterator[RelyingParty]:
    relying_party = RelyingParty(idp)
    yield relying_party
    relying_party.browser.close()
    relying_party.oauth.close()
