"""Keys of [client] about signed requests, sectors and PKCE: what is taken, what is refused."""

from pathlib import Path

import pytest
from flask import Flask
from pytest_httpserver import HTTPServer

from tests.operators.test_declared import SERVICE, faults_of, write
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db
from unternehmenskonto.operators import declared
from unternehmenskonto.operators.reading import FaultyServices, read_service

NO_KEYS = SERVICE.replace(
    'token_endpoint_auth_method = "private_key_jwt"\njwks_uri = "https://abfall.example/jwks.json"\n',
    f'token_endpoint_auth_method = "client_secret_basic"\nclient_secret_sha256 = "{"a" * 64}"\n',
)
PUBLIC = NO_KEYS.replace("client_secret_basic", "none").replace(f'client_secret_sha256 = "{"a" * 64}"\n', "")
MARK = "token_endpoint_auth_method"


def with_keys(text: str, lines: str) -> str:
    return text.replace(MARK, f"{lines}\n{MARK}", 1)


FAULTS = {
    "signed without keys": (with_keys(NO_KEYS, "require_signed_request_object = true"), "need the public keys"),
    "fetched without keys": (with_keys(NO_KEYS, 'request_uris = ["https://abfall.example/r"]'), "need the public keys"),
    "no reason": (with_keys(SERVICE, "pkce_exempt = true"), "needs pkce_exempt_reason"),
    "no exemption": (with_keys(SERVICE, 'pkce_exempt_reason = "weil es alt ist"'), "a reason for nothing"),
    "public": (
        with_keys(PUBLIC, 'pkce_exempt = true\npkce_exempt_reason = "weil es alt ist"'), "never given to a client"
    ),
    "empty scope": (with_keys(SERVICE, 'scopes = ["openid", "phone"]'), "phone asks for phone_number"),
    "scope alone": (with_keys(SERVICE, 'scopes = ["profile"]'), "profile does nothing without openid"),
    "two sectors": (
        with_keys(SERVICE.replace("[client]", 'sector = "a.example"\n[client]'),
                  'sector_identifier_uri = "https://abfall.example/sector"'),
        "follows from sector_identifier_uri",
    ),
    "encrypted without keys": (
        with_keys(NO_KEYS, 'userinfo_encrypted_response_alg = "ECDH-ES"'), "needs a public key with use = enc"
    ),
    "content only": (
        with_keys(SERVICE, 'id_token_encrypted_response_enc = "A256GCM"'),
        "does nothing without id_token_encrypted_response_alg",
    ),
    "weak": (with_keys(SERVICE, 'id_token_encrypted_response_alg = "RSA1_5"'), "must be one of"),
    "unsigned": (with_keys(SERVICE, 'request_object_signing_alg = "none"'), "must be one of"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_told(tmp_path: Path, name: str) -> None:
    text, reason = FAULTS[name]
    assert any(reason in found for _, _, found in faults_of(tmp_path, text)), faults_of(tmp_path, text)


def test_exemption_and_signed_requests_are_taken(tmp_path: Path) -> None:
    lines = 'pkce_exempt = true\npkce_exempt_reason = "weil es alt ist"\nrequire_signed_request_object = true'
    client = read_service(write(tmp_path, with_keys(SERVICE, lines)), is_local=False).columns["client"]
    assert (client["pkce_exempt"], client["require_signed_request_object"]) == (True, True)


def test_encryption_and_offline_access_are_taken(tmp_path: Path) -> None:
    lines = "\n".join(
        (
            "offline_access = true",
            'id_token_encrypted_response_alg = "RSA-OAEP-256"',
            'userinfo_signed_response_alg = "PS256"',
        )
    )
    client = read_service(write(tmp_path, with_keys(SERVICE, lines)), is_local=False).columns["client"]
    assert client["id_token_encrypted_response_alg"] == "RSA-OAEP-256"
    assert client["userinfo_signed_response_alg"] == "PS256"
    assert client["grant_types"] == ["authorization_code", "refresh_token"]
    assert client["scopes"] == ["openid", "offline_access"]


def test_scopes_for_groups_of_claims_are_taken(tmp_path: Path) -> None:
    text = with_keys(SERVICE, 'scopes = ["openid", "profile"]')
    text += '\n[[claims]]\nname = "birthdate"\npurpose = "Nur Volljährige dürfen den Antrag stellen."\n'
    columns = read_service(write(tmp_path, text), is_local=False).columns
    assert columns["client"]["scopes"] == ["openid", "profile"]
    assert columns["claims"][-1]["name"] == "birthdate"


def test_sector_is_read_at_apply(app: Flask, tmp_path: Path, httpserver: HTTPServer) -> None:
    uri = httpserver.url_for("/sector.json")
    text = with_keys(SERVICE, f'sector_identifier_uri = "{uri}"').replace(
        '"https://abfall.example/callback",', '"https://abfall.example/callback", "https://b.example/callback"'
    )
    write(tmp_path, text)
    httpserver.expect_request("/sector.json").respond_with_json(["https://abfall.example/callback"])
    with pytest.raises(FaultyServices, match="does not list every redirect_uri"):
        declared.apply(tmp_path)
    assert db.session.get(OnlineService, "abfall") is None
    httpserver.clear()
    httpserver.expect_request("/sector.json").respond_with_json(
        ["https://abfall.example/callback", "https://b.example/callback"]
    )
    declared.apply(tmp_path)
    assert db.session.get_one(OnlineService, "abfall").sector == httpserver.host
