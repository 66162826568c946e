"""One running provider: what its pages and its protocol endpoints share."""

from dataclasses import dataclass

from flask import current_app

from .certificates import Certificate
from .clients import Client, ClientAuthenticator
from .memory import Memory
from .misbehaviour import Behaviour
from .tokens import Keys

EXTENSION = "identity_provider"


@dataclass
class Provider:
    """Settings, memory and keys of one provider."""

    issuer: str
    clients: dict[str, Client]
    certificates: dict[str, Certificate]
    keys: Keys
    memory: Memory
    authenticator: ClientAuthenticator
    behaviour: Behaviour


def current_provider() -> Provider:
    """Return the provider of the application that answers this request."""
    provider: Provider = current_app.extensions[EXTENSION]
    return provider
