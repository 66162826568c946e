"""The endpoints that machines call: discovery, keys, token, userinfo."""

import base64
import hashlib
import hmac
import re

from flask import Blueprint, Response, jsonify, request

from .certificates import LEVELS
from .clients import ASSERTION_ALGORITHMS, Client, ClientError
from .memory import TOKEN_SECONDS, Grant
from .misbehaviour import changed
from .provider import Provider, current_provider
from .tokens import id_token

protocol = Blueprint("protocol", __name__)


class TokenError(Exception):
    """A refused token request (RFC 6749, 5.2)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.status = error, status


@protocol.get("/.well-known/openid-configuration")
def discovery() -> Response:
    """Describe the provider (OpenID Connect Discovery 3)."""
    provider = current_provider()
    issuer = provider.issuer
    honest = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": f"{issuer}/jwks",
        "end_session_endpoint": f"{issuer}/end-session",
        "scopes_supported": ["openid", "profile", "email"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "acr_values_supported": list(LEVELS),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
        "token_endpoint_auth_signing_alg_values_supported": ASSERTION_ALGORITHMS,
        "claims_supported": sorted(_claim_names(provider)),
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "ui_locales_supported": ["de"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
    }
    return jsonify(changed(honest, provider.behaviour.discovery))


def _claim_names(provider: Provider) -> set[str]:
    own = {"sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "amr", "sid", "nonce", "at_hash"}
    return own.union(*(certificate.claims() for certificate in provider.certificates.values()))


@protocol.get("/jwks")
def jwks() -> Response:
    """Publish the public keys (RFC 7517)."""
    return jsonify(current_provider().keys.published())


@protocol.post("/token")
def token() -> Response:
    """Exchange a code for tokens (OpenID Connect Core 3.1.3)."""
    provider = current_provider()
    if request.args or any(len(values) > 1 for values in request.form.listvalues()):
        raise TokenError("invalid_request", "send each parameter once, in the body")
    client = provider.authenticator.authenticate(request.headers.get("Authorization"), request.form)
    if request.form.get("grant_type") != "authorization_code":
        raise TokenError("unsupported_grant_type", "only authorization_code is supported")
    grant = _redeem(provider, client)
    access_token = provider.memory.access_tokens.put(grant)
    provider.memory.spent_codes.put(access_token, name=request.form["code"])
    honest = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "scope": grant.request.scope,
        "id_token": id_token(provider.issuer, grant, access_token, provider.keys, provider.behaviour),
    }
    return jsonify(changed(honest, provider.behaviour.token))


def _redeem(provider: Provider, client: Client) -> Grant:
    """Return what the code stands for, exactly once; raises TokenError."""
    code = request.form.get("code", "")
    grant = provider.memory.codes.take(code)
    if grant is None:
        # RFC 6749, 4.1.2: a code that comes twice may have been stolen, so its token ends too.
        provider.memory.access_tokens.take(provider.memory.spent_codes.take(code))
        raise TokenError("invalid_grant", "the code is unknown, used or expired")
    if grant.request.client_id != client.client_id:
        raise TokenError("invalid_grant", "the code belongs to another client")
    if grant.request.redirect_uri != request.form.get("redirect_uri"):
        raise TokenError("invalid_grant", "redirect_uri is not the one of the authorization request")
    verifier = request.form.get("code_verifier", "")
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    # RFC 7636, 4.1 and 4.6
    if not re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier) or not hmac.compare_digest(
        challenge, grant.request.code_challenge
    ):
        raise TokenError("invalid_grant", "code_verifier does not match code_challenge")
    return grant


@protocol.route("/userinfo", methods=["GET", "POST"])
def userinfo() -> Response:
    """Return the claims of the person behind an access token (OpenID Connect Core 5.3)."""
    provider = current_provider()
    scheme, _, access_token = request.headers.get("Authorization", "").partition(" ")
    grant = provider.memory.access_tokens.get(access_token) if scheme.lower() == "bearer" else None
    if grant is None:
        # RFC 6750, 3
        refusal = jsonify(error="invalid_token")
        refusal.status_code = 401
        refusal.headers["WWW-Authenticate"] = f'Bearer realm="{provider.issuer}", error="invalid_token"'
        return refusal
    certificate = grant.session.certificate
    honest = {"sub": certificate.subject, **certificate.claims()}
    return jsonify(changed(honest, provider.behaviour.userinfo))


@protocol.errorhandler(TokenError)
def refuse(error: TokenError) -> Response:
    """Answer a refused token request."""
    answer = jsonify(error=error.error, error_description=str(error))
    answer.status_code = error.status
    return answer


@protocol.errorhandler(ClientError)
def refuse_client(error: ClientError) -> Response:
    """Answer a client that did not prove who it is."""
    answer = jsonify(error="invalid_client", error_description=str(error))
    answer.status_code = 401
    answer.headers["WWW-Authenticate"] = "Basic"
    return answer


@protocol.after_request
def never_store(response: Response) -> Response:
    """Keep tokens and claims out of every cache (RFC 6749, 5.1)."""
    cacheable = (request.endpoint or "").endswith((".discovery", ".jwks"))
    response.headers["Cache-Control"] = "public, max-age=60" if cacheable else "no-store"
    return response
