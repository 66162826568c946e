"""Authorization codes: issued for a grant, redeemed once, watched after that (RFC 6749 4.1.2, RFC 9700 4.5)."""

import hashlib
import re
import secrets
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from unternehmenskonto import audit
from unternehmenskonto.db import db, new_id, now, run
from unternehmenskonto.provider import claims, revoking
from unternehmenskonto.provider.authorize import AuthorizeRequest
from unternehmenskonto.provider.clients import OFFLINE_SCOPE, Client
from unternehmenskonto.provider.grant_facts import COLUMNS as GRANT_COLUMNS
from unternehmenskonto.provider.grant_facts import GrantFacts
from unternehmenskonto.provider.limits import CODE_LIFETIME, OFFLINE_LIFETIME
from unternehmenskonto.provider.models import AuthorizationCode, digest
from unternehmenskonto.provider.refresh import TOKEN_BYTES

#: 256 bit; RFC 6749 10.10 asks for 128.
CODE_BYTES = 32
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")

#: Grant, code and audit event; nothing where the sector has no pseudonyms yet.
_ISSUE = f"""
    WITH known AS (
        SELECT
            (SELECT value FROM pairwise_subjects WHERE sector = %(sector)s AND company_id = %(company_id)s
                AND membership_id = %(membership_id)s) AS sub,
            (SELECT value FROM pairwise_subjects WHERE sector = %(sector)s AND company_id = %(company_id)s
                AND membership_id IS NULL) AS org_sub
    ), granted AS (
        INSERT INTO provider_grants (id, company_id, membership_id, service, session_id, sub, org_sub, scope, claims,
            assurance_level, amr, auth_time, created_at, offline_until)
        SELECT %(grant_id)s, %(company_id)s, %(membership_id)s, %(service)s, %(session_id)s, sub, org_sub,
            %(scope)s, %(claims)s, %(assurance_level)s, %(amr)s, %(auth_time)s, %(moment)s,
            %(offline_until)s::timestamptz
        FROM known WHERE sub IS NOT NULL AND org_sub IS NOT NULL
        RETURNING id
    ), coded AS (
        INSERT INTO provider_codes (code_hash, grant_id, service, redirect_uri, nonce, code_challenge, issued_at,
            expires_at)
        SELECT %(code_hash)s, id, %(service)s, %(redirect_uri)s, %(nonce)s::varchar, %(code_challenge)s, %(moment)s,
            %(expires_at)s
        FROM granted
    ), recorded AS (
        INSERT INTO {audit.COLUMNS} SELECT {audit.ROW} FROM granted
    )
    SELECT id FROM granted
"""  # noqa: S608 - made of constants
#: Use the code up, whatever is wrong; where nothing is, issue the refresh token and record it, all at once.
_REDEEM = f"""
    WITH used AS (
        UPDATE provider_codes SET used_at = %(moment)s
        WHERE code_hash = %(code_hash)s AND service = %(client)s AND used_at IS NULL
        RETURNING grant_id, nonce,
            redirect_uri = %(redirect_uri)s AND code_challenge = %(challenge)s AND expires_at > %(moment)s AS is_proven
    ), found AS (
        SELECT {GRANT_COLUMNS}, nonce, is_proven IS TRUE AND revoked_at IS NULL AS is_good,
            'offline_access' = ANY (string_to_array(scope, ' ')) AS is_offline
        FROM used JOIN provider_grants ON id = grant_id
    ), refreshed AS (
        INSERT INTO provider_refresh_tokens (token_hash, grant_id, service, issued_at)
        SELECT %(refresh_hash)s, id, service, %(moment)s FROM found WHERE is_good AND is_offline
    ), recorded AS (
        INSERT INTO {audit.COLUMNS}
        SELECT %(audit_id)s::uuid, %(audit_at)s::timestamptz, %(audit_event)s, %(audit_by)s, company_id,
            %(audit_fields)s::jsonb || jsonb_build_object('scope', scope), %(audit_request_id)s
        FROM found WHERE is_good
    )
    SELECT * FROM found
"""  # noqa: S608 - made of constants


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
    """What a good code stood for: the columns of its grant, and the refresh token if there is to be one."""

    grant: GrantFacts
    nonce: str | None
    refresh_token: str | None


def issue(request: AuthorizeRequest, acting: ActingPerson) -> str:
    """Make a grant and its code; return the code, which is known to nobody else. One statement."""
    client, moment = request.client, now()
    code = secrets.token_urlsafe(CODE_BYTES)
    values = {
        "sector": client.sector,
        "grant_id": new_id(),
        "company_id": acting.company_id,
        "membership_id": acting.membership_id,
        "service": client.client_id,
        "session_id": acting.session_id,
        "scope": request.scope,
        "claims": list(request.claims),
        "assurance_level": request.reported_level(acting.login.assurance_level),
        "amr": list(acting.login.amr),
        "auth_time": acting.login.auth_time,
        "moment": moment,
        "offline_until": moment + OFFLINE_LIFETIME if OFFLINE_SCOPE in request.scope.split() else None,
        "code_hash": digest(code),
        "redirect_uri": request.redirect_uri,
        "nonce": request.nonce,
        "code_challenge": request.code_challenge,
        "expires_at": moment + CODE_LIFETIME,
        **audit.parameters(
            "code.issued", by=f"person:{acting.person_id}", company_id=acting.company_id, service=client.client_id
        ),
    }
    if not run(_ISSUE, values):
        claims.find_subjects(client, company_id=acting.company_id, membership_id=acting.membership_id)
        run(_ISSUE, values)
    return code


def redeem(form: Mapping[str, str], client: Client) -> RedeemedCode | None:
    """Use the code up and return what it stood for; None if anything is wrong with it. One statement.

    It decides between parallel requests. Whatever is wrong, the code is gone: its own client gets one try. A
    second use revokes the grant, and with it the tokens of the first.
    """
    code_hash, refresh_token = digest(form["code"]), secrets.token_urlsafe(TOKEN_BYTES)
    values = {
        "code_hash": code_hash,
        "client": client.client_id,
        "redirect_uri": form["redirect_uri"],
        "challenge": challenge_of(form.get("code_verifier")),
        "moment": now(),
        "refresh_hash": digest(refresh_token),
        **audit.parameters(
            "token.issued",
            by=f"client:{client.client_id}",
            service=client.client_id,
            grant_type="authorization_code",
        ),
    }
    rows = run(_REDEEM, values)
    if not rows:
        _notice_replay(code_hash, client.client_id)
        return None
    grant = rows[0]
    return RedeemedCode(grant, grant.nonce, refresh_token if grant.is_offline else None) if grant.is_good else None


def challenge_of(verifier: str | None) -> str | None:
    """Return the S256 challenge that belongs to the verifier (RFC 7636 4.6); None for what is no verifier.

    Without a verifier the challenge is empty. Only clients that the operator exempted get a code without challenge,
    and a verifier for one shows that somebody took the challenge out of the request on its way (RFC 9700 4.8.2).
    """
    if not verifier:
        return ""
    if _VERIFIER.fullmatch(verifier) is None:
        return None
    return urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()


def _notice_replay(code_hash: bytes, client_id: str) -> None:
    grant_id = db.session.scalar(
        select(AuthorizationCode.grant_id).where(
            AuthorizationCode.code_hash == code_hash, AuthorizationCode.service == client_id
        )
    )
    if grant_id is not None:
        revoking.revoke_grant(grant_id, by=f"client:{client_id}", reason="code_replayed")
        audit.record("code.replayed", by=f"client:{client_id}", service=client_id)
