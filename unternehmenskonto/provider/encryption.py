"""Answers that only the client can read (OpenID Connect Core 10.2, TR-03172 A3.10.03).

Where a registration names an encryption algorithm, the answer leaves encrypted or not at all.
"""

from dataclasses import dataclass
from typing import Any, Literal

from authlib.oauth2.rfc6749 import InvalidRequestError
from joserfc import jwe

from unternehmenskonto.provider import client_keys
from unternehmenskonto.provider.clients import Client

#: Key management; no RSA-OAEP with SHA-1, no RSA1_5.
ALGORITHMS = tuple(client_keys.KEYS_OF_ENCRYPTION)
#: Content encryption. The first is what counts where a registration names none (Registration 2).
CONTENT_ALGORITHMS = ("A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM")

Kind = Literal["id_token", "userinfo"]


@dataclass(frozen=True)
class Recipient:
    """With which key and algorithms an answer is closed."""

    key: client_keys.EncryptionKey
    alg: str
    enc: str


def recipient(client: Client, kind: Kind) -> Recipient | None:
    """Return for whom answers of this kind are closed; None if the registration does not ask for it.

    May fetch the client's keys, so call it before anything is written. Raises InvalidRequestError if there is no key.
    """
    alg = client.registration.get(f"{kind}_encrypted_response_alg")
    if alg is None:
        return None
    enc = str(client.registration.get(f"{kind}_encrypted_response_enc") or CONTENT_ALGORITHMS[0])
    key = client_keys.encryption_key(client, alg=str(alg))
    if key is None:
        raise InvalidRequestError(
            f"The registration asks for {alg}, but no key with use=enc that fits is at jwks or jwks_uri. Publish one."
        )
    return Recipient(key, str(alg), enc)


def close(content: str | bytes, to: Recipient, *, is_token: bool) -> str:
    """Return the content as a compact JWE; is_token tells that a signed token lies inside (RFC 7519 5.2)."""
    header: dict[str, Any] = {"alg": to.alg, "enc": to.enc}
    if is_token:
        header["cty"] = "JWT"
    if to.key.kid:
        header["kid"] = to.key.kid
    return jwe.encrypt_compact(header, content, to.key, algorithms=[to.alg, to.enc])
