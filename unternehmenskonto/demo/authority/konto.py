"""The authority as a client of Unternehmenskonto: get a token, deliver a message, verify the receipts."""

import base64
import hashlib
import json
import time
import uuid
from typing import Any

import requests
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from .letters import COMPLETED
from .register import Delivery

CLIENT_ID = "gewerbeamt-musterstadt"
SCOPE = "mailbox.deliver cases.write"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60
RENEW_BEFORE_SECONDS = 30
TIMEOUT_SECONDS = 30
#: Answers after which the same request may succeed later.
TEMPORARY = frozenset({401, 408, 409, 423, 425, 429})

#: file name, content, media type, further headers
Part = tuple[str | None, str | bytes, str, dict[str, str]]


class TryLaterError(Exception):
    """The delivery may succeed later; the text says what stood in its way."""


class RefusedError(Exception):
    """The delivery was refused for good; the text is Unternehmenskonto's reason."""


class Konto:
    """A connection to one Unternehmenskonto, authenticated by our signature (private_key_jwt)."""

    def __init__(self, issuer: str, key: RSAKey) -> None:
        self.issuer = issuer
        self.key = key
        self._token = ""
        self._token_until = 0.0

    def deliver(self, delivery: Delivery) -> dict[str, Any]:
        """Return the acknowledgement of a delivery; raises TryLaterError and RefusedError.

        Repeating a delivery is safe: the Idempotency-Key makes the second one return the first's answer.
        """
        try:
            self._report(delivery, is_done=False)
            acknowledgement = self._checked(self._post(delivery)).json()
            if not isinstance(acknowledgement, dict) or "id" not in acknowledgement:
                raise TryLaterError("the answer is no acknowledgement")
            self._report(delivery, is_done=True)
        except (requests.RequestException, ValueError, KeyError) as error:
            raise TryLaterError(f"{type(error).__name__}: {error}") from error
        return acknowledgement

    def _report(self, delivery: Delivery, *, is_done: bool) -> None:
        """Tell the states of the case; each may be told again, the second time changes nothing."""
        for report in delivery.reports:
            if (report["state"] == COMPLETED) == is_done:
                headers = {"Authorization": f"Bearer {self._access_token()}"}
                url = f"{self.issuer}/api/v1/cases/{delivery.application}"
                self._checked(requests.put(url, json=report, headers=headers, timeout=TIMEOUT_SECONDS))

    def _checked(self, answer: requests.Response) -> requests.Response:
        if answer.status_code in TEMPORARY or answer.status_code >= 500:
            self._token_until = 0
            raise TryLaterError(_reason(answer))
        if answer.status_code not in (200, 201):
            raise RefusedError(_reason(answer))
        return answer

    def _post(self, delivery: Delivery) -> requests.Response:
        headers = {
            "Authorization": f"Bearer {self._access_token()}",
            "Idempotency-Key": delivery.idempotency_key,
        }
        url = f"{self.issuer}/api/v1/messages"
        if delivery.file is None:
            return requests.post(url, json=delivery.message, headers=headers, timeout=TIMEOUT_SECONDS)
        digest = base64.b64encode(hashlib.sha256(delivery.file).digest()).decode()
        # RFC 9530: the digest lets the receiver notice a file that was damaged on its way.
        file_headers = {"Content-Digest": f"sha-256=:{digest}:"}
        message: Part = (None, json.dumps(delivery.message), "application/json", {})
        attachment: Part = (delivery.file_name, delivery.file, "application/pdf", file_headers)
        parts = [("message", message), ("attachments", attachment)]
        return requests.post(url, files=parts, headers=headers, timeout=TIMEOUT_SECONDS)

    def _access_token(self) -> str:
        if time.time() > self._token_until - RENEW_BEFORE_SECONDS:
            metadata = self._metadata()
            form = {
                "grant_type": "client_credentials",
                "scope": SCOPE,
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": self._assertion(),
            }
            answer = requests.post(metadata["token_endpoint"], form, timeout=TIMEOUT_SECONDS)
            answer.raise_for_status()
            token = answer.json()
            self._token, self._token_until = token["access_token"], time.time() + token["expires_in"]
        return self._token

    def _metadata(self) -> dict[str, Any]:
        answer = requests.get(f"{self.issuer}/.well-known/openid-configuration", timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        metadata: dict[str, Any] = answer.json()
        # Discovery 4.3: whoever answers must be the issuer we know.
        if metadata["issuer"] != self.issuer:
            raise ValueError("the metadata belongs to another issuer")
        return metadata

    def _assertion(self) -> str:
        now = int(time.time())
        claims = {
            "iss": CLIENT_ID,
            "sub": CLIENT_ID,
            # RFC 10070: the issuer as a single string, so that no other server can use the assertion.
            "aud": self.issuer,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key, ["RS256"])

    def receipt_keys(self) -> KeySet:
        """Return the keys that receipts are verified with; raises TryLaterError."""
        try:
            answer = requests.get(self._metadata()["jwks_uri"], timeout=TIMEOUT_SECONDS)
            return KeySet.import_key_set(answer.json())
        except (requests.RequestException, JoseError, ValueError, KeyError) as error:
            raise TryLaterError(f"no keys: {error}") from error


def _reason(answer: requests.Response) -> str:
    """Return what an error answer says (RFC 9457), in one line."""
    try:
        problem = answer.json()
        text = problem.get("detail") or problem.get("title") or problem.get("error_description") or ""
    except (ValueError, AttributeError):
        text = ""
    return f"{answer.status_code} {text or answer.reason}"[:500]
