"""Decisions with a wanted last day, straight in the table, for the tests that watch over deadlines."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from tests.factories import make_company
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db, new_id
from unternehmenskonto.mailbox import actions
from unternehmenskonto.mailbox.models import Message

#: A Tuesday, a little after nine in Germany.
TODAY = date(2026, 12, 1)
MORNING = datetime(2026, 12, 1, 8, 5, tzinfo=UTC)


def decisions(company: Company | None, days: list[int], **columns: Any) -> list[uuid.UUID]:
    """Put one decision for each number of days from TODAY to its last day into the mailbox; return their ids."""
    company = company or make_company()
    mailbox = actions.locked_mailbox(company.id)
    first = mailbox.last_sequence
    mailbox.last_sequence += len(days)
    mailbox.unread_count += len(days)
    at = MORNING - timedelta(days=40)
    common = {
        "company_id": company.id, "service": "dienst", "sender_name": "Dienst", "sender_authority": "Amt Musterstadt",
        "kind": "decision", "body": "Text", "body_format": "text", "is_unread": True, "accepted_at": at,
        "made_available_at": at, "regime": "ozg9", "land": "NW", "remedy_kind": "objection", "remedy_length": 1,
        "remedy_unit": "month", "remedy_instructed": True, "announced_on": at.date(), "rule_version": "ozg9/2025-01-01",
    }  # fmt: skip
    rows = [
        {
            **common, "id": new_id(), "sequence_number": number, "subject": f"Bescheid {number}",
            "remedy_ends_on": TODAY + timedelta(days=left), **columns,
        }
        for number, left in enumerate(days, start=first + 1)
    ]  # fmt: skip
    if rows:
        db.session.execute(insert(Message), rows)
    return [row["id"] for row in rows]
