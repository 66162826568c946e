"""Whose values a service gets: membership, person, company and its numbers in one row, read by one statement."""

import uuid
from typing import Any

from unternehmenskonto.companies import identifiers
from unternehmenskonto.db import run
from unternehmenskonto.provider import grant_facts
from unternehmenskonto.provider.grant_facts import GrantFacts
from unternehmenskonto.provider.steps import RIGHTFUL_ROLES

#: Prefix of the columns in a row, alias of their table, what is read of it: company_name, person_title …
_READ = (
    (
        "company",
        "c",
        "name legal_form_code legal_form_text register_number register_type register_court street building zip_code"
        " city city_district address_addition country datenkranz_type",
    ),
    ("person", "p", "title given_name family_name full_name date_of_birth"),
    ("membership", "m", "email verified_email phone_number is_phone_verified address"),
)
_COLUMNS = ", ".join(f"{alias}.{name} AS {prefix}_{name}" for prefix, alias, names in _READ for name in names.split())
_GRANT = ", ".join(f"g.{name}" for name in grant_facts.COLUMNS.split(", "))
#: Scheme -> number; of several numbers of one scheme the first in order.
_NUMBERS = """(
    SELECT jsonb_object_agg(i.scheme, i.value ORDER BY i.value DESC) FROM company_identifiers i
    WHERE i.company_id = c.id AND i.scheme = ANY (%(schemes)s)
) AS numbers"""
_LIVING = "m.ended_at IS NULL AND m.roles && %(rightful)s::varchar[]"
_TABLES = "memberships m JOIN companies c ON c.id = m.company_id JOIN people p ON p.id = m.person_id"
_HOLDER = f"SELECT {_COLUMNS}, {_NUMBERS} FROM {_TABLES} WHERE m.id = %(membership_id)s"  # noqa: S608 - constants
_OF_GRANT = f"""
    SELECT {_GRANT}, {_COLUMNS}, {_NUMBERS} FROM provider_grants g JOIN {_TABLES} ON m.id = g.membership_id
    WHERE g.id = %(grant_id)s AND g.revoked_at IS NULL AND {_LIVING}
"""  # noqa: S608 - constants
_GRANT_ONLY = f"""
    SELECT {_GRANT} FROM provider_grants g JOIN memberships m ON m.id = g.membership_id
    WHERE g.id = %(grant_id)s AND g.revoked_at IS NULL AND {_LIVING}
"""  # noqa: S608 - constants
_SCHEMES = [identifiers.W_IDNR, identifiers.VAT_ID]


def find(membership_id: uuid.UUID) -> Any:
    """Return the row of a membership that exists: company_…, person_…, membership_… and numbers."""
    return run(_HOLDER, {"membership_id": membership_id, "schemes": _SCHEMES})[0]


def of_living_grant(grant_id: uuid.UUID) -> Any:
    """Return the row of a grant with its holder; None if grant, membership or right has ended."""
    values = {"grant_id": grant_id, "rightful": sorted(RIGHTFUL_ROLES), "schemes": _SCHEMES}
    rows = run(_OF_GRANT, values)
    return rows[0] if rows else None


def living_grant(grant_id: uuid.UUID) -> GrantFacts | None:
    """Return the facts of a grant; None if grant, membership or right has ended."""
    rows = run(_GRANT_ONLY, {"grant_id": grant_id, "rightful": sorted(RIGHTFUL_ROLES)})
    return rows[0] if rows else None
