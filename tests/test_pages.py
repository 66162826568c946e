"""Every page a person can open: frame, headings, labels, tokens, references, language."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.every_page import EXAMPLES, FIXED_PAGES, find_pages, make_addresses, rules_without_example
from tests.factories import csrf_token, make_membership, sign_in
from tests.page_checks import faults


def test_the_checker_finds_what_is_wrong() -> None:
    page = '<html lang="en"><title>x</title><h1>a</h1><h3 style="x">b</h3><form method="post"><input name="n">'
    found = "\n".join(faults(page))
    for sentence in ("the title must", "one main", "level 1 to 3", "csrf_token", "no label", "has style", "is not de"):
        assert sentence in found


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("path", ["/", *(f"/seiten/{name}" for name in FIXED_PAGES)])
def test_public_pages(client: FlaskClient, path: str, language: str) -> None:
    client.set_cookie("sprache", language)
    answer = client.get(path)
    assert answer.status_code == 200
    assert faults(answer.text, language=language) == []


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/gibt-es-nicht", 404), ("PUT", "/", 405)])
def test_error_pages(client: FlaskClient, method: str, path: str, status: int, language: str) -> None:
    client.set_cookie("sprache", language)
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert faults(answer.text, language=language) == []
    assert answer.headers["X-Request-ID"] in answer.text


def test_a_form_without_token_is_refused_with_a_page(client: FlaskClient) -> None:
    answer = client.post("/abmelden")
    assert answer.status_code == 400
    assert faults(answer.text) == []


def test_the_language_is_remembered_and_leads_back(client: FlaskClient) -> None:
    answer = client.get("/sprache/en?next=/seiten/impressum", follow_redirects=True)
    assert answer.request.path == "/seiten/impressum"
    assert '<html lang="en">' in answer.text


@pytest.mark.parametrize(("accepted", "language"), [("en-GB,fr;q=0.5", "en"), ("fr", "de"), ("de-AT,en;q=0.9", "de")])
def test_the_browser_decides_the_language_first(client: FlaskClient, accepted: str, language: str) -> None:
    assert f'<html lang="{language}">' in client.get("/", headers={"Accept-Language": accepted}).text


def test_each_answer_has_a_nonce_of_its_own_and_every_header(client: FlaskClient) -> None:
    answer = client.get("/gibt-es-nicht")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"


def test_static_files_carry_their_digest(client: FlaskClient) -> None:
    page = client.get("/").text
    address = page.split('href="/static/app.css')[1].split('"')[0]
    assert address.startswith("?v=") and len(address) == 15
    with client.get(f"/static/app.css{address}") as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_every_page_with_a_variable_address_is_opened_here(app: Flask) -> None:
    assert rules_without_example(app) == [], "name an example in tests/every_page.py"


@pytest.mark.parametrize("roles", [(), ("mailbox",), ("administrator", "mailbox", "correspondence", "services")])
@pytest.mark.parametrize("language", ["de", "en"])
def test_pages_of_a_signed_in_person(app: Flask, client: FlaskClient, language: str, roles: tuple[str, ...]) -> None:
    membership = make_membership(roles=roles)
    paths = make_addresses(app, membership)
    sign_in(client, membership)
    client.set_cookie("sprache", language)
    pages = find_pages(client, paths)
    assert len(pages) >= len(FIXED_PAGES)
    for path, html in pages.items():
        assert (path, faults(html, language=language)) == (path, [])
        assert membership.person.name in html, path


def test_pages_of_a_person_of_two_companies(client: FlaskClient) -> None:
    membership = make_membership()
    other = make_membership(person=membership.person).company.name
    sign_in(client, membership)
    addresses = ["/unternehmen", EXAMPLES["/oauth/weiter/<name>"](membership)]
    pages = find_pages(client, addresses)
    assert len(pages) == len(addresses)
    for path, html in pages.items():
        assert (path, faults(html)) == (path, [])
        assert other in html


def test_a_refused_form_tells_what_to_do_above_and_at_the_field(client: FlaskClient) -> None:
    sign_in(client, make_membership())
    token = csrf_token(client)
    page = client.post("/unternehmen/e-mail", data={"csrf_token": token, "email": "keine Adresse"}).text
    assert faults(page) == []
    assert "<title>Fehler: " in page
    summary = page.split('id="fehler"')[1].split("</ul>")[0]
    assert 'href="#email"' in summary
    field = page.split('<input aria-describedby="email-hint email-error"')[1].split(">")[0]
    assert 'aria-invalid="true"' in field and 'value="keine Adresse"' in field


def test_navigation_shows_only_what_the_person_may_do(client: FlaskClient) -> None:
    sign_in(client, make_membership(roles=()))
    navigation = client.get("/seiten/impressum").text.split('class="app-nav"')[1].split("</nav>")[0]
    assert "/postfach" not in navigation and "/dienste" not in navigation
    assert "/unternehmen" in navigation
