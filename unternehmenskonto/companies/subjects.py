"""Pseudonyms per sector: no two services can compare what they know of a company or person."""

import re
import secrets
import uuid

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from unternehmenskonto.companies.models import Company, PairwiseSubject
from unternehmenskonto.db import db

COMPANY_PREFIX = "du-"
MEMBERSHIP_PREFIX = "ek-"
_SHAPE = re.compile(f"({COMPANY_PREFIX}|{MEMBERSHIP_PREFIX})[0-9a-f]{{40}}")


def subject(*, sector: str, company_id: uuid.UUID, membership_id: uuid.UUID | None = None) -> str:
    """Return the pseudonym of the membership, or of the company if none is named; made at first use.

    OpenID Connect Core 8.1: unguessable, the same for every service of a sector, different elsewhere.
    """
    prefix = COMPANY_PREFIX if membership_id is None else MEMBERSHIP_PREFIX
    fresh = insert(PairwiseSubject).values(
        sector=sector,
        value=prefix + secrets.token_hex(20),
        company_id=company_id,
        membership_id=membership_id,
    )
    db.session.execute(fresh.on_conflict_do_nothing(index_elements=["sector", "company_id", "membership_id"]))
    known = select(PairwiseSubject.value).where(
        PairwiseSubject.sector == sector,
        PairwiseSubject.company_id == company_id,
        PairwiseSubject.membership_id.is_not_distinct_from(membership_id),
    )
    return str(db.session.scalars(known).one())


def is_shaped_like_one(value: str) -> bool:
    """Tell whether the value could be a pseudonym; whose, or whether anybody's, is not looked up."""
    return _SHAPE.fullmatch(value) is not None


def company_by_subject(*, sector: str, value: str) -> Company | None:
    """Return the company that this sector knows under the pseudonym; None if there is none."""
    return db.session.scalar(
        select(Company)
        .join(PairwiseSubject, PairwiseSubject.company_id == Company.id)
        .where(
            PairwiseSubject.sector == sector,
            PairwiseSubject.value == value,
            PairwiseSubject.membership_id.is_(None),
        )
    )
