"""Faults a test can switch on while the provider runs; the demonstration leaves all of them off.

behaviour = Behaviour()
app = create_app(issuer=..., data=..., clients=[...], behaviour=behaviour)
behaviour.faults["token"] = Fault.SERVER_ERROR      # the token endpoint answers 500
behaviour.id_token["nonce"] = "another"             # every ID token carries this nonce
behaviour.calls["token"]                            # how often the token endpoint was asked
behaviour.reset()
"""

import base64
import hmac
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from flask import Response
from joserfc import jwt
from joserfc.jwk import RSAKey

HUGE_ANSWER_BYTES = 5 * 1024 * 1024


class Fault(StrEnum):
    """What an endpoint answers instead of its honest answer."""

    GARBAGE = "bytes that are no JSON, called JSON"
    WRONG_SHAPE = "JSON, but a list where an object belongs"
    HTML = "a page of some proxy with status 200"
    SERVER_ERROR = "status 500"
    UNAVAILABLE = "status 503"
    OAUTH_ERROR = "status 400 with an OAuth error"
    HUGE = "5 MB of well-formed JSON"
    REDIRECT = "status 302 to the discovery document"
    EMPTY = "status 200 without a body"


@dataclass
class Behaviour:
    """Everything that can be made wrong.

    Endpoints are called discovery, jwks, authorize, token, userinfo, end_session.
    """

    #: endpoint -> the fault it answers with
    faults: dict[str, Fault] = field(default_factory=dict)
    #: endpoint -> seconds it waits before it answers
    slow: dict[str, float] = field(default_factory=dict)
    #: members set over the honest ones; None removes a member
    discovery: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    id_token: dict[str, Any] = field(default_factory=dict)
    id_token_header: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    #: parameters of the redirect back to the client, e.g. {"iss": None} or {"state": "forged"}
    callback: dict[str, Any] = field(default_factory=dict)
    #: "none": unsigned; "HS256": signed with the public key as if it were a shared secret (key confusion)
    algorithm: str | None = None
    #: sign with a key that no key set contains, under the key id of the published one
    foreign_key: bool = False
    #: how often each endpoint was asked
    calls: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        """Return to honesty and forget the counts."""
        for name, value in vars(Behaviour()).items():
            setattr(self, name, value)

    def interfere(self, endpoint: str) -> Response | None:
        """Count a call and return the faulty answer, or None for the honest one."""
        self.calls[endpoint] += 1
        time.sleep(self.slow.get(endpoint, 0))
        fault = self.faults.get(endpoint)
        return ANSWERS[fault]() if fault else None

    def forge(self, header: dict[str, Any], claims: dict[str, Any], key: RSAKey) -> str:
        """Return the ID token, signed honestly unless a fault says otherwise."""
        header = changed(header, self.id_token_header)
        claims = changed(claims, self.id_token)
        if self.algorithm == "none":
            return ".".join((_segment({**header, "alg": "none"}), _segment(claims), ""))
        if self.algorithm == "HS256":
            # By hand: joserfc refuses, rightly, to use a public key as a secret.
            signed = f"{_segment({**header, 'alg': 'HS256'})}.{_segment(claims)}"
            digest = hmac.digest(key.as_pem(private=False), signed.encode(), "sha256")
            return f"{signed}.{_base64url(digest)}"
        signer = RSAKey.generate_key(2048) if self.foreign_key else key
        return jwt.encode(header, claims, signer, algorithms=["RS256"])


def changed(honest: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the honest members with the changes applied; a change to None removes the member."""
    return {name: value for name, value in {**honest, **changes}.items() if value is not None}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _segment(members: dict[str, Any]) -> str:
    return _base64url(json.dumps(members).encode())


def _answer(body: str, status: int = 200, media_type: str = "application/json") -> Response:
    return Response(body, status=status, mimetype=media_type)


ANSWERS = {
    Fault.GARBAGE: lambda: _answer("\x00\x01{not json"),
    Fault.WRONG_SHAPE: lambda: _answer("[1, 2, 3]"),
    Fault.HTML: lambda: _answer("<!doctype html><title>Wartung</title>", media_type="text/html"),
    Fault.SERVER_ERROR: lambda: _answer('{"error": "server_error"}', 500),
    Fault.UNAVAILABLE: lambda: _answer("", 503),
    Fault.OAUTH_ERROR: lambda: _answer('{"error": "invalid_grant"}', 400),
    Fault.HUGE: lambda: _answer(json.dumps({"padding": "x" * HUGE_ANSWER_BYTES})),
    Fault.REDIRECT: lambda: Response("", 302, {"Location": "/.well-known/openid-configuration"}),
    Fault.EMPTY: lambda: _answer(""),
}
