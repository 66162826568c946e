"""All routes: each declares who may enter, none changes silently, and every answer carries the headers."""

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import csrf_token, make_membership, sign_in
from tests.probes import app_with_probes
from unternehmenskonto.permissions import access_of
from unternehmenskonto.settings import Settings

#: Methods, address, who may enter. A new or changed route is written here too, so that somebody looks at it.
ROUTES = """
GET       /  public
GET       /.well-known/oauth-authorization-server  public
GET       /.well-known/openid-configuration  public
GET       /.well-known/security.txt  public
GET       /abgemeldet  public
POST      /abmelden  public
GET POST  /abwesenheit  permission mailbox.read
POST      /abwesenheit/<uuid:absence_id>/entfernen  permission mailbox.read
GET       /anmelden  public
POST      /anmelden/<slug>  public
POST      /anmelden/<slug>/abmeldung  public
GET       /anmelden/<slug>/rueckkehr  public
PUT       /api/v1/cases/<external_id>  scope cases.write
POST      /api/v1/messages  scope mailbox.deliver
GET       /api/v1/messages/<uuid:message_id>  scope mailbox.deliver
GET       /api/v1/openapi.json  public
GET       /api/v1/problems  public
GET       /api/v1/replies  scope mailbox.replies
GET       /api/v1/replies/<uuid:sent_id>  scope mailbox.replies
PUT       /api/v1/replies/<uuid:sent_id>/acknowledgement  scope mailbox.replies
GET       /api/v1/replies/<uuid:sent_id>/attachments/<uuid:file_id>  scope mailbox.replies
GET       /datenweitergaben  signed_in
POST      /datenweitergaben/<slug>/zuruecknehmen  signed_in
GET       /datenweitergaben/verlauf  signed_in
GET       /dienste  public
GET       /dienste/<slug>  public
GET       /fristen  permission mailbox.read
GET       /fristen/<uuid:message_id>  permission mailbox.read
GET       /fristen/<uuid:message_id>/kalender.ics  permission mailbox.read
GET POST  /fristen/einstellungen  permission company.manage
GET POST  /fristen/kalender  permission mailbox.read
POST      /fristen/kalender/erneuern  permission mailbox.read
POST      /fristen/kalender/widerrufen  permission mailbox.read
GET       /healthz/live  public
GET       /healthz/ready  public
GET       /kalender/<secret>.ics  public
POST      /oauth/abmelden  public
GET POST  /oauth/authorize  public
GET POST  /oauth/end-session  public
POST      /oauth/introspect  public
GET       /oauth/jwks  public
POST      /oauth/register  public
DELETE GET PUT /oauth/register/<client_id>  public
POST      /oauth/revoke  public
POST      /oauth/token  public
GET POST  /oauth/userinfo  public
GET POST  /oauth/weiter/<name>  public
GET       /postfach  permission mailbox.read
GET       /postfach/<uuid:message_id>  permission mailbox.read
POST      /postfach/<uuid:message_id>/abrufen  permission mailbox.read
GET       /postfach/<uuid:message_id>/anhang/<uuid:attachment_id>  permission mailbox.read
POST      /postfach/<uuid:message_id>/archivieren  permission mailbox.manage
GET       /postfach/<uuid:message_id>/antworten  permission mailbox.manage
POST      /postfach/<uuid:message_id>/aufgabe  permission mailbox.manage
POST      /postfach/<uuid:message_id>/bestaetigen  permission mailbox.manage
GET       /postfach/<uuid:message_id>/druck  permission mailbox.read
POST      /postfach/<uuid:message_id>/papierkorb  permission mailbox.manage
POST      /postfach/<uuid:message_id>/ungelesen  permission mailbox.manage
GET       /postfach/<uuid:message_id>/vorschau  permission mailbox.read
POST      /postfach/<uuid:message_id>/erledigt  permission mailbox.manage
GET       /postfach/<uuid:message_id>/gesehen  permission mailbox.read
POST      /postfach/<uuid:message_id>/keine-aufgabe  permission mailbox.manage
POST      /postfach/<uuid:message_id>/kommentare  permission mailbox.manage
GET POST  /postfach/<uuid:message_id>/kommentare/<uuid:comment_id>  permission mailbox.manage
POST      /postfach/<uuid:message_id>/kommentare/<uuid:comment_id>/loeschen  permission mailbox.manage
POST      /postfach/<uuid:message_id>/schritt-zuruecknehmen  permission mailbox.manage
GET       /postfach/<uuid:message_id>/team  permission mailbox.read
POST      /postfach/<uuid:message_id>/thema  permission mailbox.manage
POST      /postfach/<uuid:message_id>/uebernehmen  permission mailbox.manage
POST      /postfach/<uuid:message_id>/wieder-oeffnen  permission mailbox.manage
POST      /postfach/<uuid:message_id>/wiederherstellen  permission mailbox.manage
GET       /postfach/<uuid:message_id>/zip  permission mailbox.read
GET       /postfach/archiv  permission mailbox.read
GET       /postfach/entwuerfe  permission mailbox.manage
GET       /postfach/entwuerfe/<uuid:draft_id>  permission mailbox.manage
POST      /postfach/entwuerfe/<uuid:draft_id>  permission mailbox.manage
GET       /postfach/entwuerfe/<uuid:draft_id>/anhang/<uuid:file_id>  permission mailbox.manage
POST      /postfach/entwuerfe/<uuid:draft_id>/loeschen  permission mailbox.manage
GET       /postfach/entwuerfe/<uuid:draft_id>/pruefen  permission mailbox.manage
POST      /postfach/entwuerfe/<uuid:draft_id>/senden  permission mailbox.send
POST      /postfach/entwuerfe/<uuid:draft_id>/zurueckholen  permission mailbox.manage
GET       /postfach/gesendet  permission mailbox.read
GET       /postfach/gesendet/<uuid:sent_id>  permission mailbox.read
GET       /postfach/gesendet/<uuid:sent_id>/anhang/<uuid:file_id>  permission mailbox.read
GET       /postfach/gesendet/<uuid:sent_id>/nachweis/<kind>  permission mailbox.read
GET       /postfach/neu  permission mailbox.manage
GET       /postfach/export  permission mailbox.read
POST      /postfach/export  permission mailbox.read
POST      /postfach/export/<uuid:export_id>/abbrechen  permission mailbox.read
POST      /postfach/export/<uuid:export_id>/datei  permission mailbox.read
GET       /postfach/suche  permission mailbox.read
GET POST  /postfach/suche/gemerkt/<uuid:search_id>  permission mailbox.read
POST      /postfach/suche/gemerkt/<uuid:search_id>/loeschen  permission mailbox.read
POST      /postfach/suche/gemerkt/<uuid:search_id>/wiederherstellen  permission mailbox.read
GET POST  /postfach/suche/merken  permission mailbox.read
POST      /postfach/auswahl  permission mailbox.manage
POST      /postfach/auswahl/<uuid:bulk_id>/rueckgaengig  permission mailbox.manage
GET       /postfach/etiketten  permission mailbox.read
POST      /postfach/etiketten  permission mailbox.manage
GET       /postfach/etiketten/<uuid:label_id>  permission mailbox.read
GET POST  /postfach/etiketten/<uuid:label_id>/bearbeiten  permission mailbox.manage
GET POST  /postfach/etiketten/<uuid:label_id>/loeschen  permission mailbox.manage
GET       /postfach/papierkorb  permission mailbox.read
GET       /postfach/papierkorb/geloescht  permission mailbox.read
GET       /postfach/papierkorb/loeschen  permission mailbox.manage
POST      /postfach/papierkorb/loeschen  permission mailbox.manage
GET       /postfach/aufgaben  permission mailbox.read
GET       /postfach/themen  permission company.manage
GET POST  /postfach/themen/<uuid:topic_id>  permission company.manage
GET POST  /postfach/themen/<uuid:topic_id>/aufloesen  permission company.manage
GET       /postfach/themen/laeufe/<uuid:run_id>  permission company.manage
POST      /postfach/themen/laeufe/<uuid:run_id>/zuruecknehmen  permission company.manage
GET POST  /postfach/themen/neu  permission company.manage
GET POST  /postfach/themen/regeln/<uuid:rule_id>  permission company.manage
GET POST  /postfach/themen/regeln/<uuid:rule_id>/anwenden  permission company.manage
POST      /postfach/themen/regeln/<uuid:rule_id>/loeschen  permission company.manage
POST      /postfach/themen/regeln/<uuid:rule_id>/verschieben  permission company.manage
GET POST  /postfach/themen/regeln/neu  permission company.manage
POST      /postfach/themen/vier-augen  permission company.manage
GET       /seiten/<name>  public
GET       /sitzungen  signed_in
POST      /sitzungen/<uuid:session_id>/beenden  signed_in
POST      /sitzungen/andere-beenden  signed_in
POST      /sitzungen/anmeldungen/<slug>/hinzufuegen  signed_in
POST      /sitzungen/anmeldungen/<uuid:identity_id>/entfernen  signed_in
GET       /sitzungen/anmeldungen/<uuid:offer_id>  signed_in
POST      /sitzungen/anmeldungen/<uuid:offer_id>/bestaetigen  signed_in
POST      /sitzungen/anmeldungen/<uuid:offer_id>/verwerfen  signed_in
POST      /sitzungen/verlaengern  signed_in
GET       /sprache/<language>  public
GET       /static/<path:filename>  public
GET       /unternehmen  signed_in
GET POST  /unternehmen/e-mail  signed_in
GET POST  /unternehmen/personen/<uuid:membership_id>  permission company.manage
GET POST  /unternehmen/personen/<uuid:membership_id>/entfernen  permission company.manage
POST      /unternehmen/wechseln  signed_in
GET       /vorgaenge  permission mailbox.read
GET       /vorgaenge/<uuid:case_id>  permission mailbox.read
GET       /vorgaenge/abgeschlossen  permission mailbox.read
"""
#: Addresses that software calls, or that other sites' forms post to by a standard; each has a proof of its own.
WITHOUT_FORM_TOKEN = {
    "/anmelden/<slug>/abmeldung",
    "/api/v1/messages",
    "/oauth/authorize",
    "/oauth/end-session",
    "/oauth/register",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/token",
    "/oauth/userinfo",
}
#: Public documents that browser software of other sites may read; nothing here depends on who asks.
OPEN_DOCUMENTS = {
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/oauth/jwks",
}
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "FOO")
EVIL = {"Origin": "https://evil.example"}
SAMPLES = {"uuid": str(uuid.UUID(int=7)), "path": "app.css", "int": "7"}
POLICY = ("default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'")


def routes(app: Flask) -> Iterator[tuple[list[str], str, Callable[..., Any]]]:
    """Yield methods, address and view of every route."""
    for rule in app.url_map.iter_rules():
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        yield methods, rule.rule, app.view_functions[rule.endpoint]


def with_samples(address: str) -> str:
    """Return the address with something in place of its variables."""
    return re.sub(r"<(?:(\w+):)?\w+>", lambda found: SAMPLES.get(found[1], "nichts"), address)


def access_text(view: Callable[..., Any]) -> str:
    access = access_of(view)
    return "NONE" if access is None else access.kind + (f" {access.name}" if access.name else "")


def closed_routes(app: Flask, kind: str) -> Iterator[tuple[list[str], str]]:
    for methods, address, view in routes(app):
        access = access_of(view)
        if access is not None and access.kind == kind:
            yield methods, with_samples(address)


def assert_headers(answer: TestResponse) -> None:
    """Rows H01 to H07 of the security requirements, for an installation on https."""
    headers, where = answer.headers, f"{answer.request.method} {answer.request.path}: {answer.status_code}"
    policy = headers["Content-Security-Policy"]
    assert all(directive in policy for directive in POLICY), where
    assert "unsafe" not in policy, where
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload", where
    assert headers["X-Content-Type-Options"] == "nosniff", where
    assert headers["Referrer-Policy"] == "no-referrer", where
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin", where
    assert headers["X-Request-Id"], where
    assert headers["Cache-Control"], where
    if answer.request.path not in OPEN_DOCUMENTS:
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin", where
        assert not [name for name, _ in headers if name.startswith("Access-Control-")], where
    assert "Access-Control-Allow-Credentials" not in headers, where
    if answer.mimetype and answer.mimetype.startswith("text/"):
        assert answer.mimetype_params["charset"] == "utf-8", where


@pytest.fixture
def secure(app: Flask, settings: Settings, tmp_path: Path) -> FlaskClient:
    """A client of an installation on https, with a few routes that go wrong."""
    providers = tmp_path / "identity_providers.toml"
    local = settings.identity_providers_file.read_text(encoding="utf-8")
    providers.write_text(re.sub(r"http://127[0-9.:]+", "https://idp.example", local), encoding="utf-8")
    changes = {"base_url": "https://konto.example", "identity_providers_file": providers}
    return app_with_probes(settings.model_copy(update=changes)).test_client()


def test_every_route_says_who_may_enter(app: Flask) -> None:
    assert [address for _, address, view in routes(app) if access_of(view) is None] == []


def test_route_that_says_nothing_is_closed(secure: FlaskClient) -> None:
    assert secure.get("/probe/undeclared").status_code == 403


def test_no_route_changes_silently(app: Flask) -> None:
    found = sorted(f"{' '.join(methods):9} {address}  {access_text(view)}" for methods, address, view in routes(app))
    assert found == sorted(ROUTES.strip().splitlines())


def test_person_without_session_is_led_to_the_login(app: Flask, client: FlaskClient) -> None:
    token = csrf_token(client, "/anmelden")
    closed = [*closed_routes(app, "signed_in"), *closed_routes(app, "permission")]
    assert closed
    for methods, address in closed:
        if "GET" in methods:
            answer = client.get(address)
            assert (answer.status_code, answer.headers["Location"][:15]) == (303, "/anmelden?next="), address
        if "POST" in methods:
            assert client.post(address, data={"csrf_token": token}).status_code == 401, address


def test_person_without_rights_gets_no_further(app: Flask, client: FlaskClient) -> None:
    sign_in(client, make_membership(roles=()))
    token = csrf_token(client)
    for methods, address in closed_routes(app, "permission"):
        for method in methods:
            data = {"csrf_token": token} if method == "POST" else None
            assert client.open(address, method=method, data=data).status_code == 403, address


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer a.b.c"}],
    ids=["none", "nonsense", "other scheme", "no JWS"],
)
def test_software_without_token_gets_no_further(app: Flask, client: FlaskClient, headers: dict[str, str]) -> None:
    for methods, address in closed_routes(app, "scope"):
        for method in methods:
            answer = client.open(address, method=method, headers=headers)
            assert answer.status_code == 401, address
            assert answer.headers["WWW-Authenticate"].startswith("Bearer "), address


def test_session_opens_no_route_of_the_api(app: Flask, client: FlaskClient) -> None:
    sign_in(client, make_membership())
    for methods, address in closed_routes(app, "scope"):
        assert client.open(address, method=methods[0]).status_code == 401, address


@pytest.mark.attack("forged form")
def test_change_without_form_token_is_refused(app: Flask, client: FlaskClient) -> None:
    sign_in(client, make_membership())
    posts = [address for methods, address, _ in routes(app) if "POST" in methods]
    assert set(posts) >= WITHOUT_FORM_TOKEN
    for address in set(posts) - WITHOUT_FORM_TOKEN:
        for data in ({}, {"csrf_token": "x"}, {"csrf_token": csrf_token(app.test_client(), "/anmelden")}):
            answer = client.post(with_samples(address), data=data)
            assert answer.status_code == 400, (address, data)
            assert answer.mimetype == "text/html", address


def test_other_methods_are_refused_with_the_ones_that_exist(app: Flask, client: FlaskClient) -> None:
    by_address: dict[str, set[str]] = {}
    for methods, address, _ in routes(app):
        by_address.setdefault(with_samples(address), set()).update(methods)
    for address, methods in by_address.items():
        for method in set(METHODS) - methods:
            answer = client.open(address, method=method)
            assert answer.status_code == 405, (method, address)
            assert methods <= set(answer.headers["Allow"].split(", ")), (method, address)


@pytest.mark.parametrize("signed_in", [False, True], ids=["anonymous", "signed in"])
@pytest.mark.attack("clickjacking", "Referer leak")
def test_every_route_answers_with_the_headers(app: Flask, secure: FlaskClient, signed_in: bool) -> None:
    if signed_in:
        client = app.test_client()
        sign_in(client, make_membership())
        cookie = client.get_cookie("konto_session")
        assert cookie is not None
        secure.set_cookie("__Host-konto_session", cookie.value, domain="localhost")
        assert secure.get("/unternehmen", base_url="https://localhost").status_code == 200
    for methods, address, view in routes(app):
        for method in (*methods, "OPTIONS"):
            answer = secure.open(with_samples(address), method=method, headers=EVIL, base_url="https://localhost")
            answer.close()
            assert_headers(answer)
            assert answer.status_code < 500, (method, address)
            if access_text(view) != "public":
                assert answer.headers["Cache-Control"] == "no-store", (method, address)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/seiten/impressum", 200),
        ("GET", "/probe/error/SignInRequired", 303),
        ("GET", "/probe/error/InvalidInput", 400),
        ("GET", "/api/probe/error/SignInRequired", 401),
        ("GET", "/probe/error/Forbidden", 403),
        ("GET", "/nichts", 404),
        ("GET", "/api/nichts", 404),
        ("GET", "/postfach/x.css", 404),
        ("PUT", "/", 405),
        ("GET", "/probe/error/Conflict", 409),
        ("GET", "/probe/error/Gone", 410),
        ("GET", "/probe/error/TooLarge", 413),
        ("GET", "/probe/error/UnsupportedType", 415),
        ("GET", "/probe/error/TooManyRequests", 429),
        ("GET", "/probe/unexpected", 500),
        ("GET", "/api/probe/unexpected", 500),
        ("GET", "/probe/lost_database", 503),
    ],
)
def test_every_status_carries_the_headers(secure: FlaskClient, method: str, path: str, status: int) -> None:
    answer = secure.open(path, method=method, headers=EVIL)
    assert answer.status_code == status
    assert_headers(answer)


def test_unchanged_file_carries_the_headers(secure: FlaskClient) -> None:
    first = secure.get("/static/app.css")
    assert first.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    second = secure.get("/static/app.css", headers={"If-None-Match": first.headers["ETag"]})
    first.close()
    second.close()
    assert second.status_code == 304
    assert_headers(first)
    assert_headers(second)


def test_nonce_is_new_in_every_answer(secure: FlaskClient) -> None:
    policies = {secure.get("/").headers["Content-Security-Policy"] for _ in range(3)}
    nonces = [re.findall(r"'nonce-([^']+)'", policy) for policy in policies]
    assert all(len(nonce[0]) >= 20 for nonce in nonces if nonce)
    assert len(policies) == 3 or nonces == [[]]


def test_demonstration_without_tls_sends_no_hsts(client: FlaskClient) -> None:
    assert "Strict-Transport-Security" not in client.get("/").headers
