"""Which messages of the company's one mailbox a person may see; every query for a person's eyes asks here.

A message of no topic is for everybody with mailbox.read; a message of a topic for the members of the topic alone.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, or_, select, true, union_all

from unternehmenskonto.mailbox.folders.models import ErasedMessage
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team.models import TopicMember
from unternehmenskonto.permissions import Actor


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on Message that holds for what the person may see; the company is not part of it.

    For one message, or a set that another condition makes small. A page of a long list takes `nearest`, which does
    not walk over what the person may not see.
    """
    return or_(Message.topic_id.is_(None), Message.topic_id.in_(topics_of(actor).scalar_subquery()))


def nearest(actor: Actor, *conditions: ColumnElement[bool], limit: int, newest_first: bool = True) -> Subquery:
    """Return the keys (made_available_at, id) of the first `limit` visible messages on which the conditions hold.

    To be joined with Message, and sorted again. What is for everybody and each topic of the person are read in the
    order of an index, `limit` rows at most of each, and merged: one statement, however much the person may not see.
    """
    order: list[Any] = [Message.made_available_at, Message.id]
    order = [column.desc() if newest_first else column.asc() for column in order]
    keys: Any = select(Message.made_available_at, Message.id).where(Message.company_id == actor.company_id, *conditions)
    # Named first although it is the same in all rows: for PostgreSQL "IS NULL" settles no place in an order.
    first = Message.topic_id.desc() if newest_first else Message.topic_id.asc()
    for_all = keys.where(Message.topic_id.is_(None)).order_by(first, *order).limit(limit).subquery()
    mine = topics_of(actor).subquery()
    of_one = keys.where(Message.topic_id == mine.c.topic_id).order_by(*order).limit(limit).lateral()
    of_all = select(of_one.c.made_available_at, of_one.c.id).select_from(mine).join(of_one, true())
    merged = union_all(select(for_all), of_all).subquery()
    last = [merged.c.made_available_at, merged.c.id]
    last = [column.desc() if newest_first else column.asc() for column in last]  # type: ignore[misc]
    return select(merged).order_by(*last).limit(limit).subquery()


def remains_visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on ErasedMessage that holds for what the person could see before it was deleted."""
    return or_(ErasedMessage.topic_id.is_(None), ErasedMessage.topic_id.in_(topics_of(actor).scalar_subquery()))


def topics_of(actor: Actor) -> Select[Any]:
    """Return the query for the ids of the topics whose messages the person sees."""
    return select(TopicMember.topic_id).where(
        TopicMember.company_id == actor.company_id, TopicMember.membership_id == actor.membership_id
    )
