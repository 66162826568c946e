"""The grants at the token endpoint, on Authlib's engine; implicit, password and device do not exist."""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, InvalidScopeError, UnauthorizedClientError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant as CodeEngine
from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant as ClientCredentialsEngine

from unternehmenskonto import audit
from unternehmenskonto.db import run
from unternehmenskonto.provider import codes, encryption, refresh, tokens
from unternehmenskonto.provider.clients import API_SCOPES, DELIVERY_SCOPE, OPENID_SCOPE, Client
from unternehmenskonto.provider.grant_facts import GrantFacts
from unternehmenskonto.provider.limits import ACCESS_TOKEN_SECONDS
from unternehmenskonto.provider.parameters import InvalidTarget

AUTH_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
BAD_CODE = "The code is unknown, expired, already used or belongs to another request."

Answer = tuple[int, dict[str, Any], list[tuple[str, str]]]


class AuthorizationCodeGrant(CodeEngine):
    """RFC 6749 4.1.3 with PKCE for every client; the authorization endpoint is authorize.py."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def validate_token_request(self) -> None:
        """Authenticate the client, use the code up, hold its request against this one."""
        client: Client = self.authenticate_token_endpoint_client()
        self.request.client = client
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("This client may not use authorization codes.")
        form = self.request.form
        _check_resource(form, tokens.userinfo_audience())
        self.recipient = encryption.recipient(client, "id_token")
        needed = ("code", "redirect_uri") if client.is_pkce_exempt else ("code", "redirect_uri", "code_verifier")
        for name in needed:
            if not form.get(name):
                raise InvalidRequestError(f"{name} is missing.")
        redeemed = codes.redeem(form, client)
        if redeemed is None:
            raise InvalidGrantError(BAD_CODE)
        self.request.authorization_code = redeemed

    def create_token_response(self) -> Answer:
        """Answer with access token and ID token; scope is told because unknown ones were left out."""
        client: Client = self.request.client
        redeemed: codes.RedeemedCode = self.request.authorization_code
        grant = redeemed.grant
        answer = _answer(grant, client, scope=grant.scope, nonce=redeemed.nonce, to=self.recipient)
        if redeemed.refresh_token is not None:
            answer["refresh_token"] = redeemed.refresh_token
        return 200, answer, []


class RefreshTokenGrant(BaseGrant, TokenEndpointMixin):
    """RFC 6749 6 for clients with offline access: a new access token, a new refresh token, the same grant."""

    GRANT_TYPE = "refresh_token"
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def validate_token_request(self) -> None:
        """Authenticate the client and spend its token."""
        client: Client = self.authenticate_token_endpoint_client()
        self.request.client = client
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("This client is not registered for offline access.")
        form = self.request.form
        if not form.get("refresh_token"):
            raise InvalidRequestError("refresh_token is missing.")
        _check_resource(form, tokens.userinfo_audience())
        self.recipient = encryption.recipient(client, "id_token")
        self.asked = list(dict.fromkeys(form.get("scope", "").split()))
        self.grant, self.successor = refresh.rotate(form["refresh_token"], client, scope=self.asked)

    def create_token_response(self) -> Answer:
        """Answer with all three tokens; the ID token tells of the same login, without nonce (Core 12.2)."""
        client: Client = self.request.client
        scope = " ".join(self.asked) or self.grant.scope
        answer = _answer(self.grant, client, scope=scope, nonce=None, to=self.recipient)
        answer["refresh_token"] = self.successor
        return 200, answer, []


class ClientCredentialsGrant(ClientCredentialsEngine):
    """RFC 6749 4.4: authorities that deliver to mailboxes or fetch what was written to them, and nobody else."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def validate_token_request(self) -> None:
        """Authenticate the client and hold it against its registration."""
        client: Client = self.authenticate_token_endpoint_client()
        self.request.client = client
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("This client may not use the API.")
        asked = self.request.form.get("scope", DELIVERY_SCOPE).split()
        self.granted = client.api_scope(" ".join(asked))
        if self.granted.split() != asked:
            raise InvalidScopeError(f"Ask for one or more of these, as registered: {', '.join(API_SCOPES)}.")
        _check_resource(self.request.form, tokens.api_audience())

    def create_token_response(self) -> Answer:
        """Answer with a token for the API."""
        client: Client = self.request.client
        answer = {
            "access_token": tokens.access_token_for_client(client, self.granted),
            "token_type": "Bearer",
            "expires_in": ACCESS_TOKEN_SECONDS,
            "scope": self.granted,
        }
        event = audit.parameters(
            "token.issued",
            by=f"client:{client.client_id}",
            service=client.client_id,
            scope=self.granted,
            grant_type=self.GRANT_TYPE,
        )
        run(audit.RECORD, event)
        return 200, answer, []


def _check_resource(form: Mapping[str, str], audience: str) -> None:
    """Refuse a resource other than the one the token is made for; a token has one audience (RFC 8707 3)."""
    if form.get("resource", audience) != audience:
        raise InvalidTarget(f"The only resource of this grant is {audience}.")


def _answer(
    grant: GrantFacts, client: Client, *, scope: str, nonce: str | None, to: encryption.Recipient | None
) -> dict[str, Any]:
    """Return access token and, for the scope openid, ID token, closed if it is closed for somebody."""
    access_token = tokens.access_token_for_grant(grant, scope)
    answer = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": ACCESS_TOKEN_SECONDS,
        "scope": scope,
    }
    if OPENID_SCOPE in scope.split():
        signed = tokens.id_token(grant, client, nonce=nonce, access_token=access_token)
        answer["id_token"] = encryption.close(signed, to, is_token=True) if to else signed
    return answer
