"""A relying party for tests: Authlib's client on one side, a person's browser on the other."""

import time
from dataclasses import dataclass

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from unternehmenskonto.demo import identity_provider

from .person import TIMEOUT, choose_certificate, parameters

REDIRECT_URI = "http://127.0.0.1:9/rueckkehr"
LOGOUT_URI = "http://127.0.0.1:9/abgemeldet"
SUBSTANTIAL = "http://eidas.europa.eu/LoA/substantial"
HIGH = "http://eidas.europa.eu/LoA/high"


@dataclass
class RunningProvider:
    url: str
    provider: identity_provider.Provider
    key: RSAKey

    @property
    def behaviour(self) -> identity_provider.Behaviour:
        return self.provider.behaviour


class ShortAssertion(PrivateKeyJWT):
    """Authlib signs for the token endpoint and for an hour; this provider wants its issuer and 5 minutes."""

    def __init__(self, issuer: str, kid: str) -> None:
        super().__init__()
        self.issuer, self.kid = issuer, kid

    def sign(self, auth: OAuth2Session, token_endpoint: str) -> str:
        claims = {"exp": int(time.time()) + 60}
        header = {"kid": self.kid}
        return private_key_jwt_sign(auth.client_secret, auth.client_id, self.issuer, claims=claims, header=header)


class RelyingParty:
    """Authlib's client on one side, a person's browser on the other."""

    def __init__(self, idp: RunningProvider) -> None:
        self.idp = idp
        self.browser = requests.Session()
        self.oauth = OAuth2Session(
            "portal",
            idp.key,
            scope="openid profile email",
            redirect_uri=REDIRECT_URI,
            code_challenge_method="S256",
            token_endpoint_auth_method=ShortAssertion(idp.url, idp.key.kid),
        )
        self.verifier = generate_token(64)

    def authorize_url(self, **extra: str) -> str:
        url, _ = self.oauth.create_authorization_url(
            f"{self.idp.url}/authorize", code_verifier=self.verifier, nonce="n-1", **extra
        )
        return str(url)

    def walk(self, certificate: str | None = "erika-musterbau", **extra: str) -> dict[str, str]:
        return parameters(choose_certificate(self.browser, self.authorize_url(**extra), certificate))

    def redeem(self, code: str, **changes: str) -> dict[str, str]:
        return dict(
            self.oauth.fetch_token(f"{self.idp.url}/token", code=code, **{"code_verifier": self.verifier, **changes})
        )

    def log_in(self, certificate: str = "erika-musterbau", **extra: str) -> dict[str, str]:
        return self.redeem(self.walk(certificate, **extra)["code"])

    def claims(self, token: dict[str, str]) -> dict[str, object]:
        keys = KeySet.import_key_set(requests.get(f"{self.idp.url}/jwks", timeout=TIMEOUT).json())
        return jwt.decode(token["id_token"], keys, ["RS256"]).claims
