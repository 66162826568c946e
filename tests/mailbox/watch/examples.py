"""What the pages of the deadlines show when they are not empty, for the checks of every page."""

import secrets
from datetime import timedelta

from tests.factories import make_membership, make_person
from tests.mailbox.reading_data import authority, put
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team.models import Task
from unternehmenskonto.mailbox.watch.models import Absence, CalendarFeed, WatchStep

LONG_WORD = "Straßenreinigungsgebührensatzungsänderungsverfahren"


def a_waiting_decision(membership: Membership) -> Message:
    """Put a decision into the mailbox whose dates depend on when somebody opens it, with a log."""
    message = put(membership.company, authority(), regime="vwvfg41_2a", subject=f"Bescheid im {LONG_WORD}")
    step = {"company_id": message.company_id, "message_id": message.id, "due_on": message.due_on}
    db.session.add(WatchStep(kind="reminder", days=7, told=[membership.id], **step))
    db.session.add(WatchStep(kind="everybody", days=0, told=[], **step))
    db.session.flush()
    return message


def explained(membership: Membership) -> str:
    """Return the address of a deadline with everything its page can say."""
    message = a_waiting_decision(membership)
    return f"/fristen/{message.id}?tag={message.due_on}"


def deadlines(membership: Membership) -> str:
    """Fill every group of the list; return its address."""
    for days in (0, 31, 34, 60):
        put(
            membership.company, authority(), regime="ozg9", subject=f"Bescheid im {LONG_WORD} {days}",
            at=now() - timedelta(days=days),
        )  # fmt: skip
    message = a_waiting_decision(membership)
    due_on = legal_day(now()) + timedelta(days=2)
    task = Task(company_id=message.company_id, message_id=message.id, due_on=due_on, is_listed=True)
    task.assignee_id = membership.id
    db.session.add(task)
    db.session.commit()
    return "/fristen"


def absences(membership: Membership) -> str:
    """Enter an absence in both directions; return the address of the page."""
    colleague = make_membership(company=membership.company, person=make_person(family_name=LONG_WORD))
    today = legal_day(now())
    for away, substitute in ((membership, colleague), (colleague, membership)):
        row = Absence(company_id=membership.company_id, membership_id=away.id, substitute_id=substitute.id)
        row.starts_on, row.ends_on = today, today + timedelta(days=14)
        db.session.add(row)
    db.session.commit()
    return "/abwesenheit"


def calendar(membership: Membership) -> str:
    """Give the person a calendar address; return the page that shows it."""
    feed = CalendarFeed(membership_id=membership.id, token_hash=secrets.token_bytes(32), detail="dates", language="de")
    db.session.add(feed)
    db.session.commit()
    return "/fristen/kalender"
