"""The file of identity providers: a mistake stops the start and is named, a secret never is."""

from pathlib import Path

import pytest

from unternehmenskonto.login import config
from unternehmenskonto.settings import ROOT, Settings, SettingsError

SHIPPED = (ROOT / "config" / "identity_providers.toml").read_text()
SECRET = 'token_endpoint_auth_method = "client_secret_basic"\nclient_secret_variable = "DEMO_SECRET"'
METHOD = 'token_endpoint_auth_method = "private_key_jwt"'


def load(settings: Settings, folder: Path, content: str, **environ: str) -> dict[str, config.IdentityProvider]:
    path = folder / "providers.toml"
    path.write_text(content)
    return config.load(settings.model_copy(update={"identity_providers_file": path}), environ)


def test_the_shipped_file_is_good(settings: Settings, tmp_path: Path) -> None:
    (provider,) = load(settings, tmp_path, SHIPPED).values()
    assert (provider.slug, provider.issuer) == ("demo-zertifikat", "http://127.0.0.2:8001")
    assert provider.claims.organisation_id == "elster_datenuebermittler"


def test_the_secret_comes_from_the_environment(settings: Settings, tmp_path: Path) -> None:
    content = SHIPPED.replace(METHOD, SECRET)
    (provider,) = load(settings, tmp_path, content, DEMO_SECRET="s3cret").values()
    assert provider.client_secret is not None
    assert provider.client_secret.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(provider)
    with pytest.raises(SettingsError, match="DEMO_SECRET with the secret is not set"):
        load(settings, tmp_path, content)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('slug = "demo-zertifikat"', 'slug = "../x"', r"identity provider \.\./x\.slug"),
        ('slug = "demo-zertifikat"', "", "identity provider 1.slug: is missing"),
        ('name = "Demo-Zertifikat"', 'name = ""', "demo-zertifikat.name"),
        ('client_id = "unternehmenskonto"', 'clientid = "x"', "demo-zertifikat.clientid: is not known here"),
        ("http://127.0.0.2:8001", "http://login.example", "must begin with https://"),
        ("http://127.0.0.2:8001", "https://login.example/?x=1", "must be an address"),
        ("http://127.0.0.2:8001", "login.example", "must be an address"),
        ("http://127.0.0.2:8001", "https://login.example/#x", "must be an address"),
        ("http://127.0.0.2:8001", "https://user@login.example/", "must be an address"),
        ("http://127.0.0.2:8001", "ftp://login.example/", "must be an address"),
        ('["RS256"]', '["none"]', "id_token_algorithms"),
        ('["RS256"]', '["HS256"]', "id_token_algorithms"),
        ('["RS256"]', "[]", "id_token_algorithms"),
        ('"openid", ', "", "scopes must contain openid"),
        (METHOD, 'token_endpoint_auth_method = "client_secret_post"', "token_endpoint_auth_method"),
        (METHOD, 'token_endpoint_auth_method = "client_secret_basic"', "client_secret_variable belongs to"),
        (METHOD, METHOD + '\nclient_secret = "hunter2"', "must not stand in a file"),
        ('maximum = "high"', 'maximum = "sehr hoch"', "assurance.maximum"),
        ('maximum = "high"', 'fixed = "high"', "name either claims or fixed"),
        ('organisation_id = "elster_datenuebermittler"', "", "claims.organisation_id: is missing"),
        ('email = "email"', 'phone = "phone"', "claims.phone: is not known here"),
        ("[[identity_providers]]", "[[identity_provider]]", "identity_provider: is not known here"),
        ("[[identity_providers]]", "[[identity_providers", "Cannot read the identity providers"),
    ],
)
def test_mistakes_are_named(settings: Settings, tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in SHIPPED
    with pytest.raises(SettingsError, match=reason) as refusal:
        load(settings, tmp_path, SHIPPED.replace(old, new))
    assert "providers.toml" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_twice_is_a_mistake(settings: Settings, tmp_path: Path) -> None:
    block = SHIPPED[SHIPPED.index("[[identity_providers]]") :]
    with pytest.raises(SettingsError, match="slug demo-zertifikat stands there twice"):
        load(settings, tmp_path, SHIPPED + block)


def test_no_file_no_start(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Cannot read the identity providers"):
        config.load(settings.model_copy(update={"identity_providers_file": tmp_path / "none.toml"}))


def test_the_demo_provider_is_not_for_the_public(settings: Settings, tmp_path: Path) -> None:
    public = settings.model_copy(update={"base_url": "https://konto.example"})
    with pytest.raises(SettingsError, match="issuer names this machine"):
        load(public, tmp_path, SHIPPED)
    load(public, tmp_path, SHIPPED.replace("http://127.0.0.2:8001", "https://login.example"))
