"""Fill mailboxes without the cost of a delivery, and ask the search as the pages do."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from tests.mailbox.reading_data import acting
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.models import Mailbox, Message
from unternehmenskonto.mailbox.search import index, queries
from unternehmenskonto.mailbox.search.filters import Filters


def found(membership: Membership, words: str = "", **filters: Any) -> list[int]:
    """Return the sequence numbers of what the search finds, newest first."""
    return queries.find(
        actor=acting(membership), asked=queries.ask(words), filters=Filters(words=words, **filters), limit=1000
    )


def fill(membership: Membership, messages: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Put messages with these columns into the mailbox and the index, the first one first."""
    mailbox = db.session.get(Mailbox, membership.company_id)
    if mailbox is None:
        mailbox = Mailbox(company_id=membership.company_id, last_sequence=0, unread_count=0)
        db.session.add(mailbox)
    made = []
    for columns in messages:
        mailbox.last_sequence += 1
        moment = now() + timedelta(milliseconds=mailbox.last_sequence)
        defaults = {"service": "dienst", "sender_name": "Dienst", "sender_authority": "Amt", "kind": "message"}
        defaults |= {"subject": "Betreff", "body": "Text", "body_format": "text"}
        times = {"accepted_at": moment, "made_available_at": moment}
        common = {"company_id": membership.company_id, "sequence_number": mailbox.last_sequence, **times}
        made.append(Message(**{**defaults, **common, **columns}))
        db.session.add(made[-1])
        db.session.flush()
        index.add(made[-1], [])
    return made
