"""An independent relying party and a browser: requests and joserfc over real HTTP, nothing of the provider."""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import requests
from joserfc import jws, jwt
from joserfc.jwk import KeySet, RSAKey

CALLBACK = "http://127.0.0.3:8002/conformance/callback"
SIGNED_OUT = "http://127.0.0.3:8002/conformance/signed-out"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SECONDS = 30
MAXIMUM_STEPS = 10


class _Forms(HTMLParser):
    """Every form of a page: its attributes, hidden fields and named buttons."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[dict[str, str], dict[str, str], set[tuple[str, str]]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((values, {}, set()))
        elif tag == "input" and self.forms and values.get("type") == "hidden":
            self.forms[-1][1][values["name"]] = values["value"]
        elif tag == "button" and self.forms and "name" in values:
            self.forms[-1][2].add((values["name"], values["value"]))


@dataclass
class Arrival:
    """Where the browser stands: at a callback with parameters, or on a page of the provider."""

    url: str
    status: int
    text: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    #: How the parameters came: query or form_post.
    mode: str | None = None
    #: The addresses of pages on the way.
    way: list[str] = field(default_factory=list)

    @property
    def has_asked_to_sign_in(self) -> bool:
        """Tell whether the person had to log in on the way."""
        return any(urlsplit(step).path == "/anmelden" for step in self.way)


class Browser:
    """A person at a browser: follows redirects, submits forms, agrees; logs in by `sign_in`."""

    def __init__(self, sign_in: Callable[[int], dict[str, str]]) -> None:
        self.session = requests.Session()
        self._sign_in = sign_in
        self.can_sign_in = True
        #: When the identity provider says that the person proved who they are, at the next login.
        self.seconds_ago = 0

    def sign_in(self) -> None:
        """Log in, or log in again."""
        self.session.cookies.update(self._sign_in(self.seconds_ago))

    def open(self, url: str, *, form: dict[str, str] | None = None, agrees: bool = True) -> Arrival:
        """Go to an address and on until a callback is reached or a page needs something else than agreement."""
        way: list[str] = []
        for _ in range(MAXIMUM_STEPS):
            way.append(url)
            if url.startswith((CALLBACK, SIGNED_OUT)):
                return Arrival(url, 0, parameters=once(urlsplit(url).query), mode="query", way=way)
            answer = self.session.request(
                "POST" if form else "GET", url, data=form, allow_redirects=False, timeout=SECONDS
            )
            form = None
            if answer.is_redirect:
                url = urljoin(url, answer.headers["Location"])
                continue
            if urlsplit(url).path == "/anmelden" and self.can_sign_in:
                self.sign_in()
                url = urljoin(url, once(urlsplit(url).query)["next"])
                continue
            found = self._next(url, answer, agrees=agrees)
            if isinstance(found, Arrival):
                found.way = way
                return found
            url, form = found
        raise AssertionError(f"no end: {way}")

    @staticmethod
    def _next(url: str, answer: requests.Response, *, agrees: bool) -> Arrival | tuple[str, dict[str, str]]:
        for attributes, fields, buttons in _Forms(answer.text).forms:
            action = attributes.get("action", "")
            if action.startswith(CALLBACK):
                return Arrival(action, answer.status_code, answer.text, fields, "form_post")
            if ("action", "agree") in buttons and agrees:
                return urljoin(url, action), {**fields, "action": "agree"}
        return Arrival(url, answer.status_code, answer.text)


def once(query: str) -> dict[str, str]:
    """Return parameters, each of which must be there once."""
    found = parse_qs(query, keep_blank_values=True)
    assert all(len(values) == 1 for values in found.values()), found
    return {name: values[0] for name, values in found.items()}


class RelyingParty:
    """A client that registered itself at the issuer."""

    def __init__(self, issuer: str, initial_token: str, *, mode: str = "query", **metadata: Any) -> None:
        self.issuer, self.mode = issuer, mode
        self.document = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=SECONDS).json()
        self.key = RSAKey.import_key(KEY.as_dict(private=True))
        values = {
            "client_name": "Prüfdienst",
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": [SIGNED_OUT],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            **metadata,
        }
        self.answer = requests.post(
            self.document["registration_endpoint"],
            json={name: value for name, value in values.items() if value is not None},
            headers={"Authorization": f"Bearer {initial_token}"},
            timeout=SECONDS,
        )
        self.client: dict[str, Any] = self.answer.json()
        self.nonce, self.state = secrets.token_urlsafe(8), secrets.token_urlsafe(8)

    @property
    def client_id(self) -> str:
        """Return the name the provider gave."""
        return str(self.client["client_id"])

    def request(self, **changes: str | None) -> dict[str, str]:
        """Return the parameters of an authorization request as the plans send it; None leaves one out."""
        values = {
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "state": self.state,
            "nonce": self.nonce,
            "response_type": "code",
            "response_mode": self.mode if self.mode != "query" else None,
            **changes,
        }
        return {name: value for name, value in values.items() if value is not None}

    def url(self, **changes: str | None) -> str:
        """Return the address to which the browser is sent."""
        return f"{self.document['authorization_endpoint']}?{urlencode(self.request(**changes))}"

    def login(self, browser: Browser, **changes: str | None) -> dict[str, str]:
        """Send the browser through a login; return what arrived, checked (state, iss, mode)."""
        arrival = browser.open(self.url(**changes))
        return self.arrived(arrival)

    def arrived(self, arrival: Arrival) -> dict[str, str]:
        """Check an answer as every client must and return its parameters."""
        assert arrival.mode == self.mode, (arrival.mode, arrival.status, arrival.text[:500])
        assert arrival.parameters.get("iss") == self.issuer
        assert arrival.parameters.get("state") == self.state
        return arrival.parameters

    def token(self, code: str, **changes: str | None) -> requests.Response:
        """Exchange a code with the registered way of proof."""
        values = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, **changes}
        return self.post("token_endpoint", {name: value for name, value in values.items() if value is not None})

    def post(self, endpoint: str, values: dict[str, str]) -> requests.Response:
        """Send a form to an endpoint with the registered way of proof."""
        auth, method = None, self.client["token_endpoint_auth_method"]
        if method == "client_secret_basic":
            auth = (self.client_id, self.client["client_secret"])
        elif method == "client_secret_post":
            values = {**values, "client_id": self.client_id, "client_secret": self.client["client_secret"]}
        elif method == "private_key_jwt":
            values = {**values, "client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion()}
        return requests.post(self.document[endpoint], data=values, auth=auth, timeout=SECONDS)

    def assertion(self) -> str:
        """Return a proof with iss, sub, aud (the issuer), jti and a short life."""
        moment = int(time.time())
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": self.issuer, "iat": moment, "exp": moment + 60}
        return self.sign({**claims, "jti": secrets.token_urlsafe(16)})

    def sign(self, claims: dict[str, Any], **header: str) -> str:
        """Sign with this client's key."""
        return jwt.encode({"alg": "RS256", "kid": self.key.kid, **header}, claims, self.key, algorithms=["RS256"])

    def request_object(self, **changes: Any) -> str:
        """Return a signed request object."""
        moment = int(time.time())
        envelope = {"iss": self.client_id, "aud": self.issuer, "iat": moment, "exp": moment + 60}
        return self.sign({**self.request(), **envelope, **changes}, typ="oauth-authz-req+jwt")

    def keys(self) -> KeySet:
        """Read the provider's keys."""
        return KeySet.import_key_set(requests.get(self.document["jwks_uri"], timeout=SECONDS).json())

    def verified(self, token: str, alg: str = "RS256") -> dict[str, Any]:
        """Return the claims of a token of the provider after every check of Core 3.1.3.7."""
        header = jws.extract_compact(token.encode()).headers()
        assert (header["alg"], bool(header["kid"])) == (alg, True)
        claims = jwt.decode(token, self.keys(), algorithms=[alg]).claims
        assert (claims["iss"], claims["aud"]) == (self.issuer, self.client_id)
        assert claims["iat"] - 5 <= time.time() < claims["exp"]
        assert claims["sub"]
        return dict(claims)

    def tokens(self, browser: Browser, **changes: str | None) -> dict[str, Any]:
        """Return what the token endpoint gives after a login, the ID token verified under `claims`."""
        answer = self.token(self.login(browser, **changes)["code"])
        assert answer.status_code == 200, answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        body = dict(answer.json())
        assert (body["token_type"], "expires_in" in body) == ("Bearer", True)
        body["claims"] = self.verified(body["id_token"])
        assert body["claims"].get("nonce") == (self.nonce if changes.get("nonce", "") is not None else None)
        half = hashlib.sha256(body["access_token"].encode()).digest()[:16]
        assert body["claims"]["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
        return body

    def userinfo(self, body: dict[str, Any]) -> dict[str, Any]:
        """Read the claims and compare sub (Core 5.3.2)."""
        answer = requests.get(
            self.document["userinfo_endpoint"],
            headers={"Authorization": f"Bearer {body['access_token']}"},
            timeout=SECONDS,
        )
        assert answer.status_code == 200, answer.text
        found = dict(answer.json())
        assert found["sub"] == body["claims"]["sub"]
        return found


#: Made once: a new RSA key takes a tenth of a second.
KEY = RSAKey.generate_key(2048, {"kid": "conformance-1", "use": "sig", "alg": "RS256"})
PUBLIC_KEYS = {"keys": [KEY.as_dict(private=False)]}
