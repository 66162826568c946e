"""The online service of the measurements: its requests, its proofs, and what it checks in the answers."""

import base64
import hashlib
import json
import secrets
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.provider.sides import REDIRECT_URI, Service, Side
from benchmarks.provider.wire import Answer, Connection, WireError

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60
CURVE_BYTES = 32
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class RelyingParty:
    """One service at one provider over one connection of its own."""

    def __init__(self, side: Side, service: Service, keys: dict[str, PublicKey]) -> None:
        self.side, self.service = side, service
        self.connection = Connection("127.0.0.1", side.port)
        self._keys = keys
        self._paths = {name: urlsplit(value).path for name, value in side.metadata.items() if isinstance(value, str)}
        raw = base64.b64encode(f"{service.client_id}:{service.secret}".encode()).decode()
        self._basic = {"Authorization": f"Basic {raw}"}
        self._nonce = self._verifier = self._state = ""

    def authorize_path(self, scope: str) -> str:
        """Return the address of a new authorization request with PKCE (RFC 7636), state and nonce."""
        self._verifier, self._state, self._nonce = (secrets.token_urlsafe(32) for _ in range(3))
        asked = {
            "response_type": "code", "client_id": self.service.client_id, "redirect_uri": REDIRECT_URI, "scope": scope,
            "state": self._state, "nonce": self._nonce, "code_challenge": _hash(self._verifier.encode()),
            "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{self._paths['authorization_endpoint']}?{urlencode(asked)}"

    def redeem(self, callback: str) -> dict[str, Any]:
        """Take the code out of the callback's address and exchange it; the ID token is verified."""
        address, _, query = callback.partition("?")
        found = dict(parse_qsl(query))
        if address != REDIRECT_URI or found.get("state") != self._state or "code" not in found:
            raise WireError(f"no code came back: {callback[:300]}")
        form = {
            "grant_type": "authorization_code", "code": found["code"], "redirect_uri": REDIRECT_URI,
            "code_verifier": self._verifier,
        }  # fmt: skip
        answer = self._token(form)
        self._check(answer["id_token"], nonce=self._nonce)
        return answer

    def refresh(self, token: str) -> str:
        """Spend the refresh token, verify the ID token and return the successor."""
        answer = self._token({"grant_type": "refresh_token", "refresh_token": token})
        self._check(answer["id_token"], nonce=None)
        if answer["refresh_token"] == token:
            raise WireError("the refresh token was not rotated")
        return str(answer["refresh_token"])

    def own_token(self) -> dict[str, Any]:
        """Ask for a token in the service's own name, with its secret or its signature."""
        return self._token({"grant_type": "client_credentials", "scope": self.side.own_scope})

    def userinfo(self, token: str) -> None:
        """Read the claims."""
        answer = self.connection.get(self._paths["userinfo_endpoint"], {"Authorization": f"Bearer {token}"})
        if not answer.expect(200).json()["org_company_name"]:
            raise WireError("the claims lack the company")

    def introspect(self, token: str) -> None:
        """Ask whether the token is active."""
        answer = self.connection.post(self._paths["introspection_endpoint"], {"token": token}, self._basic)
        if answer.expect(200).json()["active"] is not True:
            raise WireError("the token is not active")

    def discover(self) -> None:
        """Read the metadata."""
        answer = self.connection.get("/.well-known/openid-configuration")
        if b'"issuer"' not in answer.expect(200).body:
            raise WireError("the metadata name no issuer")

    def _token(self, form: dict[str, str]) -> dict[str, Any]:
        path = self._paths["token_endpoint"]
        if self.service.key is None:
            answer: Answer = self.connection.post(path, form, self._basic)
        else:
            proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self._assertion()}
            answer = self.connection.post(path, {**form, **proof})
        found: dict[str, Any] = answer.expect(200).json()
        if not found.get("access_token"):
            raise WireError("the answer has no access token")
        return found

    def _assertion(self) -> str:
        """Return a client assertion (RFC 7523 2.2), signed ES256."""
        name, moment = self.service.client_id, int(time.time())
        claims = {
            "iss": name, "sub": name, "aud": self.side.metadata["issuer"], "iat": moment,
            "exp": moment + ASSERTION_SECONDS, "jti": secrets.token_urlsafe(16),
        }  # fmt: skip
        signed = f"{_encode(_json({'alg': 'ES256', 'kid': name, 'typ': 'JWT'}))}.{_encode(_json(claims))}"
        if self.service.key is None:
            raise WireError("this service has no key")
        r, s = decode_dss_signature(self.service.key.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{_encode(r.to_bytes(CURVE_BYTES, 'big') + s.to_bytes(CURVE_BYTES, 'big'))}"

    def _check(self, token: str, *, nonce: str | None) -> None:
        """Verify signature, issuer, audience, times and nonce of an ID token (OpenID Connect Core 3.1.3.7)."""
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        header, claims = json.loads(_decode(head)), json.loads(_decode(body))
        key = self._keys[header["kid"]]
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(_decode(signature), signed.encode(), padding.PKCS1v15(), SHA256())
        else:
            raw = _decode(signature)
            r, s = (int.from_bytes(part, "big") for part in (raw[:CURVE_BYTES], raw[CURVE_BYTES:]))
            key.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(SHA256()))
        expected = (self.side.metadata["issuer"], self.service.client_id)
        audience = claims["aud"][0] if isinstance(claims["aud"], list) else claims["aud"]
        if (claims["iss"], audience) != expected or claims["exp"] <= time.time():
            raise WireError(f"an ID token of somebody else, or too old: {claims}")
        if nonce is not None and claims["nonce"] != nonce:
            raise WireError("an ID token for another login")


def public_keys(side: Side) -> dict[str, PublicKey]:
    """Return the signing keys that the provider publishes, by id."""
    path = urlsplit(side.metadata["jwks_uri"]).path
    connection = Connection("127.0.0.1", side.port)
    entries = connection.get(path).expect(200).json()["keys"]
    connection.close()
    return {entry["kid"]: _public_key(entry) for entry in entries if entry["kty"] in ("RSA", "EC")}


def read_metadata(port: int) -> dict[str, Any]:
    """Return the discovery document of the provider at this port."""
    connection = Connection("127.0.0.1", port)
    found: dict[str, Any] = connection.get("/.well-known/openid-configuration").expect(200).json()
    connection.close()
    return found


def _public_key(entry: dict[str, str]) -> PublicKey:
    def number(name: str) -> int:
        return int.from_bytes(_decode(entry[name]), "big")

    if entry["kty"] == "RSA":
        return rsa.RSAPublicNumbers(number("e"), number("n")).public_key()
    return ec.EllipticCurvePublicNumbers(number("x"), number("y"), ec.SECP256R1()).public_key()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decode(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def _hash(value: bytes) -> str:
    return _encode(hashlib.sha256(value).digest())
