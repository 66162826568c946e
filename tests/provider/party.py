"""An online service in tests: knows its registration, builds requests, keeps its secrets."""

import base64
import hashlib
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from werkzeug.test import TestResponse

from tests.factories import make_service
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db

REDIRECT_URI = "http://127.0.0.3:8002/callback"
SIGNED_OUT_URI = "http://127.0.0.3:8002/abgemeldet"
CLAIMS = ("org_sub", "org_company_name", "given_name", "family_name", "email")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
AnyKey = RSAKey | ECKey | OKPKey


def pkce() -> tuple[str, str]:
    """Return a verifier and its S256 challenge (RFC 7636)."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Party:
    """One online service with its credentials; `keys` sign its assertions, `secret` is its password."""

    def __init__(
        self,
        *,
        issuer: str = "http://127.0.0.1:8000",
        auth_method: str = "client_secret_basic",
        claims: tuple[str, ...] = CLAIMS,
        registration: dict[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        self.issuer, self.auth_method = issuer, auth_method
        self.secret = secrets.token_urlsafe(32)
        self.key: AnyKey = ECKey.generate_key("P-256", {"kid": "party-1", "use": "sig", "alg": "ES256"})
        self.verifier, self.challenge = pkce()
        client: dict[str, Any] = {
            "redirect_uris": [REDIRECT_URI],
            "post_logout_redirect_uris": [SIGNED_OUT_URI],
            "token_endpoint_auth_method": auth_method,
        }
        if auth_method.startswith("client_secret"):
            client["client_secret_sha256"] = hashlib.sha256(self.secret.encode()).hexdigest()
        if auth_method == "private_key_jwt":
            client["jwks"] = {"keys": [self.key.as_dict(private=False)]}
        purposes = [{"name": name, "purpose": f"Damit {name} im Antrag steht."} for name in claims]
        self.service: OnlineService = make_service(
            client={**client, **(registration or {})}, claims=purposes, **columns
        )
        db.session.commit()
        self.client_id = self.service.slug
        self.redirect_uri = client["redirect_uris"][0]

    def request(self, **changes: str | None) -> dict[str, str]:
        """Return the parameters of a good authorization request, with changes; None leaves one out."""
        values: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": "openid",
            "state": "st-1",
            "nonce": "n-1",
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in values.items() if value is not None}

    def authorize(self, client: FlaskClient, **changes: str | None) -> TestResponse:
        """Send the browser to the authorization endpoint."""
        return client.get("/oauth/authorize?" + urlencode(self.request(**changes)))

    def agree(self, client: FlaskClient, page: TestResponse | str) -> TestResponse:
        """Press "Weiter zu …" on the consent page behind a redirect; return the answer."""
        path = page if isinstance(page, str) else path_of(page)
        return client.post(path, data={**hidden_fields(client.get(path)), "action": "agree"})

    def code(self, client: FlaskClient, **changes: str | None) -> str:
        """Return a fresh code for the signed-in person, who agrees if asked."""
        answer = self.authorize(client, **changes)
        if answer.headers["Location"].startswith("/oauth/weiter/"):
            answer = self.agree(client, answer)
        return query_of(answer)["code"]

    def token_request(self, code: str, **changes: str | None) -> dict[str, str]:
        """Return the form of a good token request, with changes; without the client's proof."""
        values: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            **changes,
        }
        return {name: value for name, value in values.items() if value is not None}

    def proof(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return headers and form fields by which this client proves itself."""
        if self.auth_method == "client_secret_basic":
            raw = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
            return {"Authorization": f"Basic {raw}"}, {}
        if self.auth_method == "client_secret_post":
            return {}, {"client_id": self.client_id, "client_secret": self.secret}
        if self.auth_method == "private_key_jwt":
            return {}, {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion()}
        return {}, {"client_id": self.client_id}

    def assertion(self, *, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a good client assertion, with changes; a claim of None is left out."""
        moment = int(time.time())
        content = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "iat": moment,
            "exp": moment + 60,
            "jti": secrets.token_urlsafe(16),
            **claims,
        }
        found = {"alg": "ES256", "kid": "party-1", **(header or {})}
        payload = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(found, payload, key or self.key, algorithms=[found["alg"]])

    def exchange(self, client: FlaskClient, code: str, **changes: str | None) -> TestResponse:
        """Send the token request with the client's proof."""
        headers, fields = self.proof()
        return client.post("/oauth/token", data={**self.token_request(code, **changes), **fields}, headers=headers)

    def tokens(self, client: FlaskClient, **changes: str | None) -> dict[str, Any]:
        """Return what the token endpoint gives for a fresh code."""
        answer = self.exchange(client, self.code(client, **changes))
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def userinfo(self, client: FlaskClient, access_token: str) -> TestResponse:
        """Read the claims."""
        return client.get("/oauth/userinfo", headers={"Authorization": f"Bearer {access_token}"})


def path_of(answer: TestResponse) -> str:
    """Return where a redirect to one of our pages leads."""
    location = answer.headers["Location"]
    assert location.startswith("/"), location
    return location


def interaction_of(answer: TestResponse) -> str:
    """Return the page to which the login comes back."""
    found = parse_qs(urlsplit(path_of(answer)).query)["next"][0]
    assert found.startswith("/oauth/weiter/"), found
    return found


def claims_of(token: str) -> dict[str, Any]:
    """Read a token of ours without verifying it."""
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def unsigned(claims: dict[str, Any], alg: Any, **header: Any) -> str:
    """Return a token whose header says anything and whose signature is nothing."""

    def encode(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{encode({'alg': alg, **header})}.{encode(claims)}."


def query_of(answer: TestResponse) -> dict[str, str]:
    """Return the parameters that a redirect carries, each once."""
    found = parse_qs(urlsplit(answer.headers["Location"]).query, keep_blank_values=True)
    assert all(len(values) == 1 for values in found.values()), found
    return {name: values[0] for name, values in found.items()}


def hidden_fields(page: TestResponse) -> dict[str, str]:
    """Return the hidden fields of the page's last form with a token (header and consent form share names)."""
    assert page.status_code == 200, (page.status_code, page.headers.get("Location"), page.text)
    form = page.text.rsplit('class="app-form"', 1)[1].split("</form>", 1)[0]
    fields = {}
    for part in form.split('<input type="hidden" name="')[1:]:
        name, _, rest = part.partition('" value="')
        fields[name] = rest.split('"', 1)[0]
    return fields
