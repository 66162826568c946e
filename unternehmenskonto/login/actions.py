"""The course of a login: begin, come back, be known; and the end of a session."""

import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import orjson
from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, exists, update

from unternehmenskonto import audit, keys
from unternehmenskonto.companies import assurance, subjects
from unternehmenskonto.companies.joining import create_person, found_or_join, update_person
from unternehmenskonto.companies.models import Membership, Person
from unternehmenskonto.db import db, now
from unternehmenskonto.jobs import job
from unternehmenskonto.login import linking, logout_tokens, relying_party
from unternehmenskonto.login.claims import Told
from unternehmenskonto.login.config import IdentityProvider, providers
from unternehmenskonto.login.devices import UNKNOWN, Device
from unternehmenskonto.login.errors import LevelTooLow, TransactionUnknown
from unternehmenskonto.login.models import Identity, LoginSession, LoginTransaction
from unternehmenskonto.login.sessions import Proof, digest, start_session
from unternehmenskonto.login.sessions import end_session as end_session
from unternehmenskonto.permissions import Actor
from unternehmenskonto.settings import get_settings

TRANSACTION_LIFETIME = timedelta(minutes=10)
RANDOM_BYTES = 32
MAXIMUM_PATH = 4000
MAXIMUM_HINT = 255
LEVEL_NAMES = {"low": _l("niedrig"), "substantial": _l("substanziell"), "high": _l("hoch")}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a login is to lead to and how good it must be."""

    next_path: str = "/"
    #: Prove again who you are, even if the identity provider remembers.
    is_fresh: bool = False
    #: The oldest proof that is accepted, in seconds.
    max_age: int | None = None
    #: low, substantial or high; never below the installation's minimum.
    level: str = "low"
    #: Whom a service expects, in words for the identity provider (OpenID Connect Core 3.1.2.1).
    login_hint: str = ""

    def fields(self) -> dict[str, str]:
        """Return the wish as parameters of the sign-in page, without what is not asked for."""
        asked = {
            "next": self.next_path,
            "fresh": "1" if self.is_fresh else "",
            "max_age": "" if self.max_age is None else str(self.max_age),
            "level": self.level if self.level != assurance.LEVELS[0] else "",
            "login_hint": self.login_hint,
        }
        return {name: value for name, value in asked.items() if value}


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A transaction that came back, used up now."""

    request: relying_party.Request
    wish: Wish
    #: The session that wants to add this login to its person; None for an ordinary login.
    linking_session_id: uuid.UUID | None
    #: Seconds since 1970; None if the age of the proof was not asked for.
    earliest_auth_time: int | None


def start_url(
    next_path: str,
    *,
    is_fresh: bool = False,
    max_age: int | None = None,
    level: str | None = None,
    login_hint: str | None = None,
) -> str:
    """Return the address of the sign-in page that comes back to next_path.

    is_fresh, max_age (seconds) and level (low, substantial, high) are wishes that go through the hands of the
    person: whoever asks must compare auth_time and assurance_level of the session afterwards. login_hint goes along
    only if it can go on to an identity provider.
    """
    wish = Wish(
        next_path=next_path,
        is_fresh=is_fresh,
        max_age=max_age,
        level=level or assurance.LEVELS[0],
        login_hint=usable_hint(login_hint or ""),
    )
    return "/anmelden?" + urlencode(wish.fields())


def usable_hint(hint: str) -> str:
    """Return the hint if an identity provider may hear it; else nothing.

    A pseudonym of ours is never told: it belongs to one service, and means nothing to anybody else.
    """
    is_wanted = any(one.passes_login_hint for one in providers().values())
    is_fit = len(hint) <= MAXIMUM_HINT and hint.isprintable() and not subjects.is_shaped_like_one(hint)
    return hint if is_wanted and is_fit else ""


def is_good_enough(actor: Actor, wish: Wish) -> bool:
    """Tell whether this session already fulfils the wish, so that nobody signs in for nothing."""
    is_young = wish.max_age is None or actor.auth_time > now() - timedelta(seconds=wish.max_age)
    return is_young and not wish.is_fresh and assurance.reaches(actor.assurance_level, wish.level)


def begin_login(
    provider: IdentityProvider,
    wish: Wish,
    *,
    browser: str,
    language: str,
    linking_session_id: uuid.UUID | None = None,
) -> str:
    """Note a new transaction of this browser (the value of its cookie) and return where to send it.

    With linking_session_id the login is to be added to the person of that session and makes no session.
    Raises LoginFailed if the provider cannot be reached.
    """
    level = max(wish.level, get_settings().minimum_assurance, key=assurance.LEVELS.index)
    request = relying_party.Request(
        state=secrets.token_urlsafe(RANDOM_BYTES),
        nonce=secrets.token_urlsafe(RANDOM_BYTES),
        verifier=secrets.token_urlsafe(RANDOM_BYTES),
        is_fresh=wish.is_fresh,
        max_age=wish.max_age,
        wanted_level=level,
        login_hint=wish.login_hint,
    )
    url = relying_party.authorize_url(provider, request, language=language)
    key = digest(request.state)
    db.session.add(
        LoginTransaction(
            state_hash=key,
            browser_hash=digest(browser),
            identity_provider=provider.slug,
            sealed=keys.seal(orjson.dumps([request.nonce, request.verifier]), context=_context(key)),
            next_path=wish.next_path if len(wish.next_path) <= MAXIMUM_PATH else "/",
            is_fresh=wish.is_fresh,
            max_age=wish.max_age,
            wanted_level=level,
            linking_session_id=linking_session_id,
        )
    )
    db.session.flush()
    return url


def take_transaction(provider: IdentityProvider, *, state: str, browser: str | None) -> Pending:
    """Use up the transaction of this state; raise TransactionUnknown if it is not this browser's, or not alive.

    Only the browser that began can use it up, so that nobody else can spoil a login.
    """
    if not state or browser is None:
        raise TransactionUnknown(detail="no state or no cookie")
    key = digest(state)
    row = db.session.scalar(
        update(LoginTransaction)
        .where(
            LoginTransaction.state_hash == key,
            LoginTransaction.browser_hash == digest(browser),
            LoginTransaction.identity_provider == provider.slug,
            LoginTransaction.used_at.is_(None),
            LoginTransaction.created_at > now() - TRANSACTION_LIFETIME,
        )
        .values(used_at=now())
        .returning(LoginTransaction)
    )
    if row is None:
        raise TransactionUnknown(detail="unknown, used, expired or another browser's")
    nonce, verifier = orjson.loads(keys.unseal(row.sealed, context=_context(key)))
    request = relying_party.Request(
        state=state,
        nonce=nonce,
        verifier=verifier,
        is_fresh=row.is_fresh,
        max_age=row.max_age,
        wanted_level=row.wanted_level,
    )
    wish = Wish(next_path=row.next_path, is_fresh=row.is_fresh, max_age=row.max_age, level=row.wanted_level)
    return Pending(
        request=request,
        wish=wish,
        linking_session_id=row.linking_session_id,
        earliest_auth_time=_earliest(row),
    )


def _earliest(row: LoginTransaction) -> int | None:
    if row.is_fresh:
        return int(row.created_at.timestamp())
    return None if row.max_age is None else int(row.created_at.timestamp()) - row.max_age


def finish_login(
    provider: IdentityProvider,
    login: relying_party.Login,
    told: Told,
    *,
    wanted_level: str,
    language: str,
    device: Device = UNKNOWN,
) -> str:
    """Make person, company and membership where they are new, and a session; return the value of its cookie.

    Raises LevelTooLow before anything is written.
    """
    check_level(told.level, wanted_level)
    person = _person(provider, str(login.claims["sub"]), told, language)
    membership = found_or_join(data=told.company, person=person, contact=told.contact, source=provider.name)
    token = start_session(
        membership_id=membership.id,
        proof=Proof(
            identity_provider=provider.slug,
            assurance_level=told.level,
            auth_time=datetime.fromtimestamp(login.auth_time, UTC),
            amr=told.amr,
            upstream_sid=told.sid,
            upstream_subject=str(login.claims["sub"]),
            id_token=login.id_token,
        ),
        device=device,
    )
    audit.record(
        "login.succeeded",
        by=f"person:{person.id}",
        company_id=membership.company_id,
        identity_provider=provider.slug,
        assurance_level=told.level,
    )
    return token


def check_level(level: str, wanted: str) -> None:
    """Raise LevelTooLow if a login of this level is not enough."""
    if not assurance.reaches(level, wanted):
        raise LevelTooLow(
            _l(
                "Ihr Zertifikat hat das Vertrauensniveau „%(level)s“, nötig ist mindestens „%(wanted)s“.",
                level=LEVEL_NAMES[level],
                wanted=LEVEL_NAMES[wanted],
            ),
            detail=f"{level} < {wanted}",
        )


def record_refusal(provider: IdentityProvider, reason: str) -> None:
    """Note in the audit log that a login failed and why; who it was is not known or not proved."""
    audit.record("login.refused", by="system", identity_provider=provider.slug, reason=reason)


def _person(provider: IdentityProvider, subject: str, told: Told, language: str) -> Person:
    """Return who this is, by (issuer, sub) alone: the same name or e-mail address elsewhere is somebody else."""
    linking.lock_identity(provider.issuer, subject)
    identity = db.session.get(Identity, (provider.issuer, subject))
    if identity is not None:
        update_person(identity.person, told.person)
        return identity.person
    person = create_person(told.person, language=language)
    db.session.add(Identity(issuer=provider.issuer, subject=subject, person_id=person.id))
    db.session.flush()
    return person


@job("login.forget", cron="* * * * *")
def forget() -> None:
    """Delete used and expired transactions; end sessions that are over, so that services are told soon."""
    settings, moment = get_settings(), now()
    db.session.execute(delete(LoginTransaction).where(LoginTransaction.created_at < moment - TRANSACTION_LIFETIME))
    logout_tokens.forget()
    linking.forget()
    has_left = exists().where(Membership.id == LoginSession.membership_id, Membership.ended_at.is_not(None))
    is_over = (
        (LoginSession.created_at < moment - settings.session_absolute)
        | (LoginSession.last_seen_at < moment - settings.session_idle)
        | has_left
    )
    db.session.execute(
        update(LoginSession)
        .where(LoginSession.ended_at.is_(None), is_over)
        .values(ended_at=moment, ended_reason="expired", sealed_id_token=None)
        .execution_options(synchronize_session=False)
    )


def _context(key: bytes) -> str:
    return f"login transaction {key.hex()}"
