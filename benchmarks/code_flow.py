"""The provider: full code flows a second for somebody who is signed in and has agreed before."""

import base64
import hashlib
import secrets
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import requests

from benchmarks.measure import Timing, repeat
from tests import factories
from tests.installation import Installation
from unternehmenskonto.db import db
from unternehmenskonto.provider.models import Consent

REDIRECT_URI = "http://127.0.0.1:9/callback"
CLAIMS = ("org_company_name", "org_street", "org_zip_code", "org_city", "given_name", "family_name")
SECRET = secrets.token_urlsafe(32)
CLIENTS = (1, 4)
SECONDS = 6.0


def measure(installation: Installation) -> list[tuple[int, Timing]]:
    """Return the timing of authorize, token and userinfo together, for one and for four clients at once."""
    with installation.app.app_context():
        service = factories.make_service(
            client={
                "redirect_uris": [REDIRECT_URI],
                "token_endpoint_auth_method": "client_secret_basic",
                "client_secret_sha256": hashlib.sha256(SECRET.encode()).hexdigest(),
                "scopes": ["openid"],
            },
            claims=[{"name": name, "purpose": "Anmeldung"} for name in CLAIMS],
        )
        membership = factories.make_membership()
        db.session.add(
            Consent(
                company_id=membership.company_id, membership_id=membership.id, service=service.slug,
                claims=sorted(CLAIMS),
            )
        )  # fmt: skip
        cookies, slug = factories.session_cookie(membership), service.slug
        db.session.commit()

    def make() -> Callable[[], None]:
        browser, client = requests.Session(), requests.Session()
        browser.cookies.update(cookies)
        client.auth = (slug, SECRET)
        return lambda: _flow(installation.base_url, browser, client, slug)

    return [(clients, repeat(make, seconds=SECONDS, threads=clients)) for clients in CLIENTS]


def _flow(base_url: str, browser: requests.Session, client: requests.Session, client_id: str) -> None:
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code", "client_id": client_id, "redirect_uri": REDIRECT_URI, "scope": "openid",
        "state": secrets.token_urlsafe(16), "nonce": secrets.token_urlsafe(16), "code_challenge": challenge,
        "code_challenge_method": "S256",
    }  # fmt: skip
    answer = browser.get(f"{base_url}/oauth/authorize", params=asked, allow_redirects=False, timeout=30)
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": verifier}
    tokens = client.post(f"{base_url}/oauth/token", data=form, timeout=30).json()
    person = browser.get(
        f"{base_url}/oauth/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}, timeout=30
    ).json()
    assert person["org_company_name"]
