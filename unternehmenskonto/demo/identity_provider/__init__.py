"""Demo-Zertifikat: an OpenID provider for the demonstration and for tests of the login.

Small but honest: authorization code with PKCE, single sign-on, RP-initiated and back-channel logout. It shares no
code with Unternehmenskonto, so that a mistake made there is not repeated here. The only thing it does not do is
to check a certificate: whoever clicks on a person, is that person.

    app = create_app(issuer="http://127.0.0.2:8001", data=Path("…"), clients=[Client(…)])
    provider = app.extensions["identity_provider"]     # keys, memory, clients, behaviour: for tests

A browser goes GET /authorize -> POST /certificate with `interaction` (hidden field) and `certificate` (an id
of people.toml) or `cancel` -> the redirect URI of the client.
"""

from collections.abc import Iterable
from pathlib import Path

from flask import Flask, Response, request

from unternehmenskonto.demo import site

from .certificates import Certificate, load
from .clients import Client, ClientAuthenticator
from .memory import Memory
from .misbehaviour import Behaviour, Fault
from .pages import pages
from .protocol import protocol
from .provider import EXTENSION, Provider
from .tokens import Keys

__all__ = ["Behaviour", "Certificate", "Client", "Fault", "Provider", "create_app"]

KEY_FILE = "identity-provider-key.json"
ENDPOINTS = frozenset({"discovery", "jwks", "authorize", "token", "userinfo", "end_session"})


def create_app(*, issuer: str, data: Path, clients: Iterable[Client], behaviour: Behaviour | None = None) -> Flask:
    """Return the provider as an application of its own; the signing key is kept in the folder `data`."""
    app = Flask(
        __name__,
        template_folder=str(site.TEMPLATES),
        static_folder=str(site.STATIC),
        static_url_path="/static",
    )
    known = {client.client_id: client for client in clients}
    memory = Memory()
    app.extensions[EXTENSION] = provider = Provider(
        issuer=issuer,
        clients=known,
        certificates=load(),
        keys=Keys(data / KEY_FILE),
        memory=memory,
        authenticator=ClientAuthenticator(issuer, known, memory.assertions),
        behaviour=behaviour or Behaviour(),
    )
    site.prepare(app, name="Demo-Zertifikat", forms_lead_elsewhere=True)
    app.register_blueprint(pages)
    app.register_blueprint(protocol)

    @app.before_request
    def misbehave() -> Response | None:
        endpoint = (request.endpoint or "").rpartition(".")[2]
        return provider.behaviour.interfere(endpoint) if endpoint in ENDPOINTS else None

    return app
