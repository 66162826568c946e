"""The relying party: everything a service needs to let Unternehmenskonto do the login.

Authlib's client does the protocol. What it leaves to its user is done here and explained where it is done.
"""

import json
import secrets
import time
from pathlib import Path
from typing import Any, cast

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from flask import Blueprint, Flask, abort, current_app, redirect, render_template, request, session
from flask.typing import ResponseReturnValue
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey
from werkzeug.wrappers import Response

from .storage import execute, kept_secret

CLIENT_ID = "gewerbeanmeldung"
SCOPE = "openid"
LOGIN_SECONDS = 8 * 3600
ASSERTION_SECONDS = 60
TIMEOUT_SECONDS = 10
#: How much our clock and the issuer's may differ.
LEEWAY_SECONDS = 10
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"

login = Blueprint("login", __name__)


class ClientAssertion(PrivateKeyJWT):
    """Our signature in place of a shared secret (private_key_jwt, OpenID Connect Core 9)."""

    def __init__(self, issuer: str) -> None:
        """Remember whom to convince."""
        super().__init__()
        self.issuer = issuer

    def sign(self, auth: Any, token_endpoint: str) -> str:
        """Return a fresh assertion.

        Authlib would sign for the token endpoint and for an hour. The audience must be the issuer (RFC 10070),
        or a server that names somebody else's token endpoint could collect assertions that are good there.
        """
        key, claims = auth.client_secret, {"exp": int(time.time()) + ASSERTION_SECONDS}
        header = {"kid": key.kid}
        return str(private_key_jwt_sign(key, auth.client_id, self.issuer, claims=claims, header=header))


def init_app(app: Flask, key_file: Path) -> None:
    """Register Unternehmenskonto as the one place where people log in."""
    key = RSAKey.import_key(json.loads(kept_secret(key_file, new_key)))
    app.extensions["key"] = key
    app.extensions["konto"] = OAuth(app).register(
        "konto",
        client_id=CLIENT_ID,
        client_secret=key,
        client_auth_methods=[ClientAssertion(app.config["ISSUER"])],
        server_metadata_url=f"{app.config['ISSUER']}/.well-known/openid-configuration",
        client_kwargs={
            "scope": SCOPE,
            "code_challenge_method": "S256",  # PKCE: a stolen code is worth nothing without our verifier
            "token_endpoint_auth_method": "private_key_jwt",
            "default_timeout": TIMEOUT_SECONDS,
        },
    )
    app.register_blueprint(login)


def konto() -> Any:
    """Return Authlib's client; its metadata must be of the issuer we asked and must not allow `alg: none`."""
    client = current_app.extensions["konto"]
    metadata = client.load_server_metadata()
    if metadata.get("issuer") != current_app.config["ISSUER"]:
        raise OAuthError("invalid_issuer", "the metadata belongs to another issuer")
    metadata["id_token_signing_alg_values_supported"] = ["RS256"]
    return client


@login.route("/login", methods=["GET", "POST"])
def start() -> ResponseReturnValue:
    """Send the browser to Unternehmenskonto; also the address it calls itself (initiate_login_uri)."""
    if request.values.get("iss", current_app.config["ISSUER"]) != current_app.config["ISSUER"]:
        abort(400)  # OpenID Connect Core 4: whoever starts our login, we only ever ask our own issuer
    answer = konto().authorize_redirect(current_app.config["BASE_URL"] + "/callback")
    answer.status_code = 303  # also when we were called by POST
    return cast(Response, answer)


@login.get("/callback")
def callback() -> ResponseReturnValue:
    """Take the answer, verify it and open a session."""
    issuer = current_app.config["ISSUER"]
    # RFC 9207: an answer of another provider must not be mistaken for one of ours.
    if request.args.get("iss") != issuer:
        raise OAuthError("invalid_issuer", "the answer comes from another issuer")
    # Authlib compares state, nonce and at_hash; iss and aud only where both are named here.
    must_be = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": CLIENT_ID},
    }
    try:
        token = konto().authorize_access_token(claims_options=must_be)
    except ValueError as error:
        raise OAuthError("invalid_response", "the answer is not readable") from error
    identity = token.get("userinfo")
    if not identity:
        raise OAuthError("invalid_response", "the answer has no ID token")
    facts = konto().userinfo(token=token)
    # Names and addresses come from userinfo only. Facts about somebody else are not to be used (Core 5.3.2).
    if facts.get("sub") != identity["sub"]:
        raise OAuthError("invalid_response", "the facts belong to another subject")
    # A new name for the session at every login: one that somebody planted before is worth nothing.
    session.clear()
    session["login"] = secrets.token_urlsafe(32)
    claims, now = json.dumps({**facts, **identity}), time.time()
    execute("DELETE FROM login WHERE until < ?", now)
    values = (session["login"], now + LOGIN_SECONDS, claims, token["id_token"])
    execute("INSERT INTO login (id, until, claims, id_token) VALUES (?, ?, ?, ?)", *values)
    return redirect("/", 303)


def current_login() -> dict[str, Any] | None:
    """Return the claims of who is logged in, None for nobody."""
    name = session.get("login", "")
    rows = execute("SELECT claims FROM login WHERE id = ? AND until > ?", name, time.time())
    return json.loads(rows[0][0]) if rows else None


@login.post("/abmelden")
def log_out() -> ResponseReturnValue:
    """End our session, then the one at Unternehmenskonto (RP-Initiated Logout)."""
    rows = execute("DELETE FROM login WHERE id = ? RETURNING id_token", session.pop("login", ""))
    if not rows:
        return redirect("/abgemeldet", 303)
    back = current_app.config["BASE_URL"] + "/abgemeldet"
    answer = konto().logout_redirect(back, id_token_hint=rows[0][0])
    answer.status_code = 303  # the form was ours; what follows is a plain GET
    return cast(Response, answer)


@login.get("/abgemeldet")
def logged_out() -> ResponseReturnValue:
    """Confirm the logout. Its state is one of ours, or the page would confirm what nobody asked for."""
    if "state" in request.args:
        current_app.extensions["konto"].validate_logout_response()
    return render_template("online_service/logged_out.html", login=current_login())


@login.post("/backchannel-logout")
def log_out_from_behind() -> ResponseReturnValue:
    """End the login whose session is over at Unternehmenskonto, which calls this itself (Back-Channel Logout)."""
    try:
        sid = read_logout_token(request.form.get("logout_token", ""))
    except (JoseError, ValueError) as error:
        return {"error": "invalid_request", "error_description": str(error)}, 400
    # No browser is here, so the session is ended where it lies: in our database.
    execute("DELETE FROM login WHERE json_extract(claims, '$.sid') = ?", sid)
    return "", 204


def read_logout_token(token: str) -> str:
    """Return the `sid` of a logout token; ValueError or JoseError for anything else (section 2.6)."""
    try:
        decoded = verify(token)
    except JoseError:
        decoded = verify(token, with_new_keys=True)  # Unternehmenskonto may have changed its keys
    claims, now = decoded.claims, time.time()
    # Nothing else that Unternehmenskonto signs may pass for a logout token, an ID token least of all.
    if decoded.header.get("typ") != "logout+jwt" or "nonce" in claims:
        raise ValueError("this is no logout token")
    if claims.get("iss") != current_app.config["ISSUER"] or claims.get("aud") != CLIENT_ID:
        raise ValueError("issuer or audience is another")
    if not claims.get("iat", 0) - LEEWAY_SECONDS <= now < claims.get("exp", 0) + LEEWAY_SECONDS:
        raise ValueError("the token is expired or not yet valid")
    if claims.get("events", {}).get(LOGOUT_EVENT) != {}:
        raise ValueError("the event is another")
    if not claims.get("sid") or not claims.get("jti"):
        raise ValueError("sid or jti is missing")
    execute("DELETE FROM logout WHERE until < ?", now)
    values = (claims["jti"], claims["exp"] + LEEWAY_SECONDS)
    if not execute("INSERT INTO logout (jti, until) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1", *values):
        raise ValueError("the token was used before")
    return str(claims["sid"])


def verify(token: str, *, with_new_keys: bool = False) -> jwt.Token:
    """Return a token that Unternehmenskonto signed."""
    keys = KeySet.import_key_set(konto().fetch_jwk_set(force=with_new_keys))
    return jwt.decode(token, keys, algorithms=["RS256"])


@login.get("/jwks.json")
def jwks() -> ResponseReturnValue:
    """Publish the key our assertions are verified with."""
    return {"keys": [current_app.extensions["key"].as_dict(private=False)]}


@login.app_errorhandler(AuthlibBaseError)
@login.app_errorhandler(JoseError)
@login.app_errorhandler(requests.RequestException)
def login_failed(error: Exception) -> ResponseReturnValue:
    """Explain a login or logout that did not come to its end; nobody is logged in by it."""
    current_app.logger.warning("login failed: %s", error)
    if isinstance(error, requests.RequestException):
        return render_template("online_service/failed.html", reason="unreachable"), 502
    refused = getattr(error, "error", "") == "access_denied"
    return render_template("online_service/failed.html", reason="refused" if refused else "invalid"), 400


def new_key() -> str:
    """Return a new signing key as JSON."""
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)
    return json.dumps(key.as_dict(private=True))
