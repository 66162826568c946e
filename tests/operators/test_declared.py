"""Services declared in files: every fault with its line, a plan before, all or nothing, audited, repeatable."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import select

from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db
from unternehmenskonto.operators import declared
from unternehmenskonto.operators.reading import FaultyServices, key_lines, read_service
from unternehmenskonto.settings import ROOT

SERVICE = """\
name = "Abfallanzeige"
authority = "Umweltamt Musterstadt"
description = \"\"\"
name = "nicht ich"
\"\"\"
regions = ["DE05"]
start_url = "https://abfall.example/"

[client]
redirect_uris = [
  "https://abfall.example/callback",
]
token_endpoint_auth_method = "private_key_jwt"
jwks_uri = "https://abfall.example/jwks.json"

[[claims]]
name = "org_company_name"
purpose = "Steht auf der Anzeige."
"""
DIGEST = "a" * 64


def write(folder: Path, text: str = SERVICE, *, slug: str = "abfall") -> Path:
    file = folder / f"{slug}.toml"
    file.write_text(text, encoding="utf-8")
    return file


def faults_of(folder: Path, text: str, *, is_local: bool = False) -> list[tuple[int, str, str]]:
    file = write(folder, text)
    with pytest.raises(FaultyServices) as caught:
        read_service(file, is_local=is_local)
    assert all(fault.file == str(file) for fault in caught.value.faults)
    return [(fault.line, fault.place, fault.reason) for fault in caught.value.faults]


def test_file_becomes_the_values_of_its_row(tmp_path: Path) -> None:
    columns = read_service(write(tmp_path), is_local=False).columns
    assert columns["regions"] == ["05"]
    assert columns["sector"] == "abfall.example"
    assert columns["client"]["grant_types"] == ["authorization_code"]
    assert columns["client"]["scopes"] == ["openid"]
    assert columns["client"]["id_token_signed_response_alg"] == "RS256"
    assert columns["claims"] == [{"name": "org_company_name", "purpose": "Steht auf der Anzeige."}]


def test_mailbox_sender_gets_grant_and_scope(tmp_path: Path) -> None:
    columns = read_service(write(tmp_path, SERVICE.replace("regions", "mailbox_sender = true\nregions")), is_local=True)
    assert columns.columns["client"]["grant_types"] == ["authorization_code", "client_credentials"]
    assert columns.columns["client"]["scopes"] == ["openid", "mailbox.deliver", "mailbox.replies"]


CASES = {
    "unknown key": (("regions", "listet = true\nregions"), 6, "listet", 'write "listed"'),
    "missing key": (('authority = "Umweltamt Musterstadt"\n', ""), 1, "authority", "is missing"),
    "unknown key in client": (("jwks_uri", "jwks_url"), 14, "client.jwks_url", 'write "jwks_uri"'),
    "http address": (
        ('https://abfall.example/"', 'http://abfall.example/"'),
        7,
        "start_url",
        "https://abfall.example/",
    ),
    "loopback in production": (
        ("https://abfall.example/callback", "http://127.0.0.3:8002/callback"),
        11,
        "client.redirect_uris[0]",
        "names this machine, which works in a demonstration only",
    ),
    "secure loopback in production": (
        ("https://abfall.example/callback", "https://localhost/callback"),
        11,
        "client.redirect_uris[0]",
        "names this machine",
    ),
    "fragment": (("/callback", "/callback#x"), 11, "client.redirect_uris[0]", "fragment"),
    "wildcard": (("/callback", "/*"), 11, "client.redirect_uris[0]", "wildcard"),
    "relative": (("https://abfall.example/callback", "/callback"), 11, "client.redirect_uris[0]", "complete address"),
    "own scheme": (("https://abfall.example/callback", "app:/cb"), 11, "client.redirect_uris[0]", "complete address"),
    "user name": (("https://abfall.example/callback", "https://a@b.example/"), 11, "client.redirect_uris[0]", "user"),
    "port that is none": (("https://abfall.example/callback", "https://b.example:x/"), 11, "", "is not an address"),
    "space": (("/callback", "/call back"), 11, "client.redirect_uris[0]", "without spaces"),
    "several hosts": (
        ('/callback",', '/callback", "https://zwei.example/cb",'),
        1,
        "sector",
        'write sector = "gewerbe.musterstadt.example"',
    ),
    "redirect twice": (
        ('/callback",', '/callback", "https://abfall.example/callback",'),
        10,
        "client.redirect_uris",
        "more than once",
    ),
    "unknown claim": (('"org_company_name"', '"date_of_birth"'), 17, "claims[0].name", "which is not passed on"),
    "claim twice": (
        (
            '"Steht auf der Anzeige."',
            '"Steht auf der Anzeige."\n[[claims]]\npurpose = "Noch einmal."\nname = "org_company_name"',
        ),
        21,
        "claims[1].name",
        "a second time",
    ),
    "purpose too short": (('"Steht auf der Anzeige."', '"Nur so."'), 18, "claims[0].purpose", "at least 10"),
    "wrong region": (('"DE05"', '"5"'), 6, "regions[0]", "2, 3, 5, 9 or 12 digits"),
    "wrong LeiKa key": (("regions", 'leika_keys = ["12"]\nregions'), 6, "leika_keys[0]", "99 and twelve digits"),
    "text instead of truth": (("regions", 'listed = "yes"\nregions'), 6, "listed", "true or false"),
    "text instead of list": (('["DE05"]', '"DE05"'), 6, "regions", "a list in square brackets"),
    "number instead of text": (('"Abfallanzeige"', "7"), 1, "name", "quotation marks"),
    "plain secret": (("jwks_uri", 'client_secret = "geheim123"\njwks_uri'), 14, "client.client_secret", "sha256sum"),
    "unknown method": (('"private_key_jwt"', '"tls_client_auth"'), 13, "", "must be one of 'private_key_jwt'"),
    "method without keys": (('jwks_uri = "https://abfall.example/jwks.json"', ""), 13, "", "either jwks_uri or jwks"),
    "secret method without digest": (
        ('"private_key_jwt"', '"client_secret_basic"'),
        13,
        "client.token_endpoint_auth_method",
        "needs client_secret_sha256",
    ),
    "digest that is none": (
        ("jwks_uri", 'client_secret_sha256 = "geheim"\njwks_uri'),
        14,
        "client.client_secret_sha256",
        "64 lower-case hex digits",
    ),
    "digest that is not used": (
        ("jwks_uri", f'client_secret_sha256 = "{DIGEST}"\njwks_uri'),
        14,
        "client.client_secret_sha256",
        "is not used",
    ),
    "private key": (
        ('jwks_uri = "https://abfall.example/jwks.json"', 'jwks = {keys = [{kty = "OKP", x = "", d = ""}]}'),
        14,
        "client.jwks",
        "replace this key pair",
    ),
    "keys that are none": (
        ('jwks_uri = "https://abfall.example/jwks.json"', "jwks = {keys = []}"),
        14,
        "client.jwks",
        "JWK Set",
    ),
    "sender without proof": (
        (
            'token_endpoint_auth_method = "private_key_jwt"\njwks_uri = "https://abfall.example/jwks.json"',
            'token_endpoint_auth_method = "none"\nscopes = ["mailbox.deliver"]',
        ),
        14,
        "client.scopes",
        "mailbox_sender = true",
    ),
    "scope that is none": (("jwks_uri", 'scopes = ["admin"]\njwks_uri'), 14, "client.scopes[0]", "no scope here"),
    "contact that is none": (("jwks_uri", 'contacts = ["hallo"]\njwks_uri'), 14, "client.contacts[0]", "e-mail"),
    "listed without way in": (('start_url = "https://abfall.example/"\n', ""), 1, "listed", "start_url"),
    "sector that is none": (("regions", 'sector = "Müll"\nregions'), 6, "sector", "host name in lower case"),
    "not TOML": (('name = "Abf', "name = Abf"), 1, "", "is not TOML here"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_fault_is_told_with_line_reason_and_remedy(tmp_path: Path, case: tuple[tuple[str, str], int, str, str]) -> None:
    (old, new), line, place, words = case
    assert old in SERVICE
    found = faults_of(tmp_path, SERVICE.replace(old, new, 1))
    assert len(found) == 1
    assert found[0][0] == line
    assert found[0][1].startswith(place)
    assert words in found[0][2]


def test_secret_in_a_file_is_not_repeated(tmp_path: Path) -> None:
    text = SERVICE.replace("jwks_uri", 'client_secret = "geheim123"\njwks_uri')
    assert "geheim123" not in str(faults_of(tmp_path, text))


def test_sender_without_client_is_refused(tmp_path: Path) -> None:
    text = SERVICE.split("[client]")[0].replace("regions", "mailbox_sender = true\nregions")
    assert "add a table [client]" in faults_of(tmp_path, text)[0][2]


def test_claims_without_login_are_refused(tmp_path: Path) -> None:
    text = SERVICE.split("[client]")[0] + "[[claims]]" + SERVICE.split("[[claims]]")[1]
    assert "at login only" in faults_of(tmp_path, text)[0][2]


def test_client_that_can_do_nothing_is_refused(tmp_path: Path) -> None:
    text = SERVICE.split("[[claims]]")[0].replace('  "https://abfall.example/callback",\n', "")
    assert any("can do nothing" in reason for *_, reason in faults_of(tmp_path, text))


def test_loopback_is_accepted_in_a_demonstration(tmp_path: Path) -> None:
    text = SERVICE.replace("https://abfall.example/callback", "http://127.0.0.3:8002/callback")
    assert read_service(write(tmp_path, text), is_local=True).columns["sector"] == "127.0.0.3"


def test_plain_http_is_refused_in_a_demonstration_too(tmp_path: Path) -> None:
    text = SERVICE.replace("https://abfall.example/callback", "http://abfall.example/callback")
    assert "must begin with https://" in faults_of(tmp_path, text, is_local=True)[0][2]


def test_file_name_that_is_no_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FaultyServices, match="rename it"):
        read_service(write(tmp_path, slug="Abfall_Anzeige"), is_local=True)


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "abfall.toml"
    file.write_bytes(b'name = "Stra\xdfe"')
    with pytest.raises(FaultyServices, match="is not UTF-8"):
        read_service(file, is_local=True)


def test_lines_of_keys_pass_over_long_texts() -> None:
    lines = key_lines(SERVICE)
    assert (lines["name",], lines["client", "jwks_uri"], lines["claims", 0, "name"]) == (1, 14, 17)


def test_all_faults_of_all_files_are_told_at_once(app: Flask, tmp_path: Path) -> None:
    write(tmp_path, SERVICE.replace("DE05", "x").replace('"Abfallanzeige"', "7"))
    write(tmp_path, "name = 7", slug="zwei")
    with pytest.raises(FaultyServices) as caught:
        declared.check(tmp_path)
    assert len(caught.value.faults) == 4


def test_directory_without_files_does_not_switch_off_everything(app: Flask, tmp_path: Path) -> None:
    with pytest.raises(FaultyServices, match="services_dir"):
        declared.apply(tmp_path)


def test_plan_shows_fields_before_and_after(app: Flask, tmp_path: Path) -> None:
    write(tmp_path)
    declared.apply(tmp_path)
    write(tmp_path, SERVICE.replace("Umweltamt", "Abfallamt").replace("/callback", "/cb"))
    plan = declared.plan(tmp_path)
    assert [(item.name, item.before, item.after) for item in plan.services[0].fields] == [
        ("authority", "Umweltamt Musterstadt", "Abfallamt Musterstadt"),
        ("client.redirect_uris", ["https://abfall.example/callback"], ["https://abfall.example/cb"]),
    ]
    assert db.session.get_one(OnlineService, "abfall").authority == "Umweltamt Musterstadt"


def test_apply_is_idempotent_and_audited_once(app: Flask, tmp_path: Path) -> None:
    write(tmp_path)
    assert declared.apply(tmp_path, by="operator:maria").count(declared.NEW) == 1
    assert declared.apply(tmp_path, by="operator:maria").is_empty
    events = db.session.scalars(select(AuditEvent).where(AuditEvent.event == "service.applied")).all()
    assert [(event.by, event.fields["service"], event.fields["change"]) for event in events] == [
        ("operator:maria", "abfall", "new")
    ]


def test_comment_changes_nothing_but_the_fingerprint(app: Flask, tmp_path: Path) -> None:
    write(tmp_path)
    declared.apply(tmp_path)
    before = db.session.get_one(OnlineService, "abfall").fingerprint
    write(tmp_path, "# reviewed\n" + SERVICE)
    assert declared.apply(tmp_path).is_empty
    assert db.session.get_one(OnlineService, "abfall").fingerprint != before


def test_service_without_file_is_switched_off_and_comes_back(app: Flask, tmp_path: Path) -> None:
    write(tmp_path)
    other = write(tmp_path, slug="zwei")
    declared.apply(tmp_path)
    other.unlink()
    assert [(change.slug, change.kind) for change in declared.apply(tmp_path).services] == [
        ("abfall", declared.UNCHANGED),
        ("zwei", declared.REMOVED),
    ]
    assert db.session.get_one(OnlineService, "zwei").is_enabled is False
    assert declared.apply(tmp_path).is_empty
    write(tmp_path, slug="zwei")
    declared.apply(tmp_path)
    assert db.session.get_one(OnlineService, "zwei").is_enabled is True


def test_value_changed_behind_the_files_is_set_right(app: Flask, tmp_path: Path) -> None:
    write(tmp_path)
    declared.apply(tmp_path)
    db.session.get_one(OnlineService, "abfall").is_mailbox_sender = True
    db.session.flush()
    assert [item.name for item in declared.apply(tmp_path).services[0].fields] == ["is_mailbox_sender"]


def test_faulty_file_changes_nothing(app: Flask, tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "name = 7", slug="zwei")
    with pytest.raises(FaultyServices):
        declared.apply(tmp_path)
    assert db.session.scalars(select(OnlineService)).all() == []


def test_services_of_this_repository_are_applied(app: Flask) -> None:
    plan = declared.apply(ROOT / "config" / "services")
    assert plan.count(declared.NEW) == 11
    rows = {row.slug: row for row in db.session.scalars(select(OnlineService))}
    assert rows["gewerbeanmeldung"].sector == rows["gewerbeamt-musterstadt"].sector
    assert rows["gewerbeamt-musterstadt"].client is not None
    assert rows["gewerbeamt-musterstadt"].client["grant_types"] == ["client_credentials"]
    assert rows["handwerksrolle"].client is None


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


def test_check_command_lists_faults_and_fails(runner: FlaskCliRunner, tmp_path: Path) -> None:
    write(tmp_path, SERVICE.replace("DE05", "x"))
    result = runner.invoke(args=["services", "check", "--directory", str(tmp_path)])
    assert result.exit_code == 1
    assert f"{tmp_path}/abfall.toml:6: regions[0]: must be a regional key" in result.stderr


def test_plan_command_tells_by_exit_code_whether_something_changes(runner: FlaskCliRunner, tmp_path: Path) -> None:
    write(tmp_path)
    plan = ["services", "plan", "--directory", str(tmp_path), "--detailed-exitcode"]
    result = runner.invoke(args=plan)
    assert (result.exit_code, "+ abfall (new)" in result.output) == (2, True)
    assert runner.invoke(args=plan[:-1]).exit_code == 0
    applied = runner.invoke(args=["services", "apply", "--directory", str(tmp_path)])
    assert (applied.exit_code, applied.output.endswith("Applied.\n")) == (0, True)
    assert runner.invoke(args=plan).exit_code == 0


def test_apply_command_refuses_faulty_files(runner: FlaskCliRunner, tmp_path: Path) -> None:
    write(tmp_path, SERVICE.replace("DE05", "x"))
    result = runner.invoke(args=["services", "apply", "--directory", str(tmp_path)])
    assert result.exit_code == 1
    assert "1 faults, nothing was changed." in result.stderr
    assert db.session.scalars(select(OnlineService)).all() == []
