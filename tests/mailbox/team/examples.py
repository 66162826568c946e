"""Team work with everything a page can show, for the tests that open every page."""

from datetime import timedelta

from tests.factories import make_membership, make_person
from tests.mailbox.reading_data import authority, put
from tests.mailbox.team.team_data import acting
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox import reading
from unternehmenskonto.mailbox.deadlines import legal_day
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team import comments, runs, tasks, topics
from unternehmenskonto.mailbox.team.models import Task, Topic

LONG = "Grundstücksverkehrsgenehmigungszuständigkeitsübertragung"


def worked_on(membership: Membership) -> Message:
    """Return a message with an assignee, an overdue date, comments, a trace, a long history."""
    colleague = make_membership(
        company=membership.company, person=make_person(given_name="Otto", family_name=LONG), roles=("mailbox",)
    )
    actor, other = acting(membership), acting(colleague)
    message = put(membership.company, authority(), regime="ozg9", subject=f"Bescheid über {LONG}")
    due = legal_day(now()) + timedelta(days=3)
    reading.open_message(actor=other, message_id=message.id)
    tasks.assign(actor=other, message_id=message.id, assignee_id=colleague.id, due_on=due)
    tasks.finish(actor=other, message_id=message.id)
    tasks.reopen(actor=actor, message_id=message.id)
    mine = membership.id if "mailbox" in membership.roles else None
    tasks.assign(actor=actor, message_id=message.id, assignee_id=mine, due_on=due)
    comments.write(actor=other, message_id=message.id, text=f"{LONG * 3}\nund mehr")
    comments.write(actor=actor, message_id=message.id, text="Danke.")
    gone = comments.write(actor=other, message_id=message.id, text="Weg damit")
    comments.delete(actor=other, message_id=message.id, comment_id=gone.id)
    db.session.get_one(Task, (message.company_id, message.id)).due_on = legal_day(now()) - timedelta(days=1)
    db.session.commit()
    return message


def a_topic(membership: Membership) -> Topic:
    """Return a topic with a rule that takes messages, and some of them inside."""
    actor = acting(membership)
    number = len(topics.topics_of(membership.company_id))
    colleague = make_membership(company=membership.company, roles=("mailbox",))
    members = [membership.id, colleague.id]
    topic = topics.make(actor=actor, name=f"{LONG} {number}", description=LONG * 2, member_ids=members)
    conditions = topics.Conditions(authority="Gewerbeamt", words=f"{LONG} {number}")
    topics.make_rule(actor=actor, topic_id=topic.id, conditions=conditions)
    message = put(membership.company, authority(), regime="ozg9", subject=f"Bescheid {LONG} {number}")
    db.session.flush()
    assert message.topic_id == topic.id
    db.session.commit()
    return topic


def team_page(membership: Membership) -> str:
    return f"/postfach/{worked_on(membership).id}/team"


def seen_page(membership: Membership) -> str:
    return f"/postfach/{worked_on(membership).id}/gesehen"


def task_list(membership: Membership) -> str:
    worked_on(membership)
    return "/postfach/aufgaben"


def comment_page(membership: Membership) -> str:
    message = worked_on(membership)
    found = comments.comments_of(company_id=message.company_id, message_id=message.id)
    own = next(one for one in found if one.author_id == membership.id)
    return f"/postfach/{message.id}/kommentare/{own.id}"


def topic_page(membership: Membership) -> str:
    return f"/postfach/themen/{a_topic(membership).id}"


def rule_page(membership: Membership) -> str:
    topic = a_topic(membership)
    rule = next(one for one in topics.rules_of(membership.company_id) if one.topic_id == topic.id)
    return f"/postfach/themen/regeln/{rule.id}"


def run_page(membership: Membership) -> str:
    topic = a_topic(membership)
    run = runs.end_topic(actor=acting(membership), topic_id=topic.id)
    db.session.commit()
    return f"/postfach/themen/laeufe/{run.id}"
