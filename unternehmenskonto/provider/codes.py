"""Authorization codes: issued for a grant, redeemed once, watched after that (RFC 6749 4.1.2, RFC 9700 4.5)."""

import hashlib
import hmac
import re
import secrets
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update

from unternehmenskonto import audit
from unternehmenskonto.db import Base, db, new_id, now
from unternehmenskonto.provider import claims, revoking
from unternehmenskonto.provider.authorize import AuthorizeRequest
from unternehmenskonto.provider.clients import OFFLINE_SCOPE
from unternehmenskonto.provider.limits import CODE_LIFETIME, OFFLINE_LIFETIME
from unternehmenskonto.provider.models import AuthorizationCode, Grant, digest

#: 256 bit; RFC 6749 10.10 asks for 128.
CODE_BYTES = 32
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")

# The hot path: statements are made once, so that SQLAlchemy finds their compiled form at once.
_NEW_GRANT = insert(Base.metadata.tables[Grant.__tablename__])
_NEW_CODE = insert(Base.metadata.tables[AuthorizationCode.__tablename__])
_REDEEM = (
    update(AuthorizationCode)
    .where(
        AuthorizationCode.code_hash == bindparam("hash"),
        AuthorizationCode.service == bindparam("client"),
        AuthorizationCode.used_at.is_(None),
        Grant.id == AuthorizationCode.grant_id,
    )
    .values(used_at=bindparam("moment"))
    .returning(
        Grant,
        AuthorizationCode.redirect_uri,
        AuthorizationCode.nonce,
        AuthorizationCode.code_challenge,
        AuthorizationCode.expires_at,
    )
    .execution_options(synchronize_session=False)
)


@dataclass(frozen=True, kw_only=True)
class ActingPerson:
    """For whom a code is issued: the membership chosen, in the session that is open."""

    person_id: uuid.UUID
    company_id: uuid.UUID
    membership_id: uuid.UUID
    session_id: uuid.UUID
    login: claims.Login


@dataclass(frozen=True)
class RedeemedCode:
    """A code that was good for this client until now, with its grant."""

    grant: Grant
    redirect_uri: str
    nonce: str | None
    code_challenge: str
    expires_at: datetime


def issue(request: AuthorizeRequest, acting: ActingPerson) -> str:
    """Make a grant and its code; return the code, which is known to nobody else."""
    client, moment = request.client, now()
    pseudonyms = claims.find_subjects(client, company_id=acting.company_id, membership_id=acting.membership_id)
    grant_id = new_id()
    db.session.execute(
        _NEW_GRANT,
        {
            "id": grant_id,
            "company_id": acting.company_id,
            "membership_id": acting.membership_id,
            "service": client.client_id,
            "session_id": acting.session_id,
            "sub": pseudonyms.sub,
            "org_sub": pseudonyms.org_sub,
            "scope": request.scope,
            "claims": list(request.claims),
            "assurance_level": request.reported_level(acting.login.assurance_level),
            "amr": list(acting.login.amr),
            "auth_time": acting.login.auth_time,
            "created_at": moment,
            "offline_until": moment + OFFLINE_LIFETIME if OFFLINE_SCOPE in request.scope.split() else None,
        },
    )
    code = secrets.token_urlsafe(CODE_BYTES)
    db.session.execute(
        _NEW_CODE,
        {
            "code_hash": digest(code),
            "grant_id": grant_id,
            "service": client.client_id,
            "redirect_uri": request.redirect_uri,
            "nonce": request.nonce,
            "code_challenge": request.code_challenge,
            "issued_at": moment,
            "expires_at": moment + CODE_LIFETIME,
        },
    )
    audit.record("code.issued", by=f"person:{acting.person_id}", company_id=acting.company_id, service=client.client_id)
    return code


def redeem(code: str, *, client_id: str) -> RedeemedCode | None:
    """Use the code up and return what it stood for; None if it is unknown, foreign or was used before.

    One UPDATE decides between parallel requests. Whatever else is wrong with the request, the code is gone:
    its own client gets one try. A second use revokes the grant, and with it the tokens of the first.
    """
    code_hash = digest(code)
    row = db.session.execute(_REDEEM, {"hash": code_hash, "client": client_id, "moment": now()}).first()
    if row is None:
        _notice_replay(code_hash, client_id)
        return None
    return RedeemedCode(*row)


def _notice_replay(code_hash: bytes, client_id: str) -> None:
    grant_id = db.session.scalar(
        select(AuthorizationCode.grant_id).where(
            AuthorizationCode.code_hash == code_hash, AuthorizationCode.service == client_id
        )
    )
    if grant_id is not None:
        revoking.revoke_grant(grant_id, by=f"client:{client_id}", reason="code_replayed")
        audit.record("code.replayed", by=f"client:{client_id}", service=client_id)


def is_proven(verifier: str | None, challenge: str) -> bool:
    """Tell whether verifier and challenge belong together; a code without challenge takes no verifier.

    Only clients that the operator exempted get a code without challenge. A verifier for one shows that somebody
    took the challenge out of the request on its way (RFC 9700 4.8.2).
    """
    if not challenge or not verifier:
        return not challenge and not verifier
    return is_verifier_of(verifier, challenge)


def is_verifier_of(verifier: str, challenge: str) -> bool:
    """Tell whether the PKCE verifier hashes to the challenge (RFC 7636 4.6, S256)."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    found = urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=")
    return hmac.compare_digest(found, challenge.encode())
