"""A person at the demo identity provider, as far as HTTP shows it."""

import re
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests

TIMEOUT = 10


def choose_certificate(
    browser: requests.Session, authorize_url: str, certificate: str | None = "erika-musterbau"
) -> str:
    """Open the authorize address, click on a certificate (None: on Abbrechen), return where that leads.

    Where single sign-on answers at once, no page is shown and nothing is clicked.
    """
    page = browser.get(authorize_url, allow_redirects=False, timeout=TIMEOUT)
    if page.is_redirect:
        return page.headers["Location"]
    assert page.status_code == 200, page.text
    interaction = re.search(r'name="interaction" value="([^"]+)"', page.text)
    assert interaction, page.text
    click = {"certificate": certificate} if certificate else {"cancel": "1"}
    answer = browser.post(
        urljoin(authorize_url, "/certificate"),
        {"interaction": interaction[1], **click},
        allow_redirects=False,
        timeout=TIMEOUT,
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def parameters(url: str) -> dict[str, str]:
    """Return the query of an address."""
    return dict(parse_qsl(urlsplit(url).query))
