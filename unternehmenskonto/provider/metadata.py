"""What we tell machines about ourselves: only what is true, and all of it."""

import time
from typing import Any

import orjson
from flask import current_app

from unternehmenskonto import keys
from unternehmenskonto.companies import assurance
from unternehmenskonto.db import run
from unternehmenskonto.provider import claims, encryption
from unternehmenskonto.provider.authorize import PROMPTS
from unternehmenskonto.provider.client_keys import KEY_OF_ALG
from unternehmenskonto.provider.clients import API_SCOPES, AUTH_METHODS, LOGIN_SCOPES
from unternehmenskonto.provider.limits import METADATA_SECONDS
from unternehmenskonto.provider.registration import REGISTER_PATH
from unternehmenskonto.provider.responses import RESPONSE_MODES
from unternehmenskonto.settings import get_settings
from unternehmenskonto.web import LANGUAGES

#: In every ID token, whatever the registration says.
PROTOCOL_CLAIMS = ("iss", "aud", "iat", "exp", "nonce", "sid", "at_hash")
#: Under this name the application keeps when the document was made, and its JSON.
EXTENSION = "provider_metadata"
_EXEMPT = """
    SELECT EXISTS (SELECT FROM online_services WHERE is_enabled AND client ->> 'pkce_exempt' = 'true') AS is_there
"""


def document() -> bytes:
    """Return the metadata of OpenID Connect Discovery 3 and RFC 8414 2, made as often as readers come back for it."""
    kept: tuple[float, bytes] | None = current_app.extensions.get(EXTENSION)
    if kept is None or time.monotonic() - kept[0] > METADATA_SECONDS:
        kept = current_app.extensions[EXTENSION] = time.monotonic(), orjson.dumps(_members())
    return kept[1]


def _members() -> dict[str, Any]:
    issuer = get_settings().base_url
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "registration_endpoint": f"{issuer}{REGISTER_PATH}",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "end_session_endpoint": f"{issuer}/oauth/end-session",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": [name for name in AUTH_METHODS if name != "none"],
        "introspection_endpoint_auth_signing_alg_values_supported": list(KEY_OF_ALG),
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(KEY_OF_ALG),
        "scopes_supported": [*LOGIN_SCOPES, *API_SCOPES],
        "response_types_supported": ["code"],
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": list(keys.ALGORITHMS),
        "id_token_encryption_alg_values_supported": list(encryption.ALGORITHMS),
        "id_token_encryption_enc_values_supported": list(encryption.CONTENT_ALGORITHMS),
        "userinfo_signing_alg_values_supported": list(keys.ALGORITHMS),
        "userinfo_encryption_alg_values_supported": list(encryption.ALGORITHMS),
        "userinfo_encryption_enc_values_supported": list(encryption.CONTENT_ALGORITHMS),
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(KEY_OF_ALG),
        "code_challenge_methods_supported": ["S256"],
        # Ours: false while the operator lets a named client go without (services/*.toml, pkce_exempt).
        "pkce_required": not run(_EXEMPT, {})[0].is_there,
        "claim_types_supported": ["normal"],
        "claims_supported": [*PROTOCOL_CLAIMS, *claims.SUPPORTED],
        "acr_values_supported": [assurance.eidas_uri(level) for level in assurance.LEVELS],
        "prompt_values_supported": list(PROMPTS),
        "claims_parameter_supported": True,
        "ui_locales_supported": list(LANGUAGES),
        "request_parameter_supported": True,
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": True,
        "request_object_signing_alg_values_supported": list(KEY_OF_ALG),
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
    }


def jwks() -> bytes:
    """Return our public keys."""
    return orjson.dumps(keys.jwks())
