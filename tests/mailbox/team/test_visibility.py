"""Who sees what: topics against a plain filter, and the count of unread messages of each topic."""

import random
import uuid
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from tests.factories import make_company, make_membership
from tests.mailbox.team.team_data import acting, make_topic
from tests.mailbox.test_inbox import START, counted_statements, fill
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.team.models import Topic
from unternehmenskonto.mailbox.visibility import nearest, visible_to


def unread(company: Company) -> dict[uuid.UUID, int]:
    rows = db.session.execute(select(Topic.id, Topic.unread_count).where(Topic.company_id == company.id))
    return {topic_id: count for topic_id, count in rows}


@pytest.mark.parametrize("count", [0, 1, 7, 90])
def test_nearest_is_the_sorted_rest_of_a_plain_filter(app: Flask, count: int) -> None:
    company = make_company()
    membership = make_membership(company=company, roles=("mailbox",))
    mine = [make_topic(company, membership).id for _ in range(3)]
    hidden = [make_topic(company, make_membership(company=company)).id for _ in range(2)]
    keys = fill(company, [START + timedelta(minutes=random.randrange(20)) for _ in range(count)])
    expected = []
    for moment, message_id in keys:
        topic_id = random.choice([None, *mine, *hidden])
        db.session.execute(update(Message).where(Message.id == message_id).values(topic_id=topic_id))
        if topic_id not in hidden:
            expected.append((moment, message_id))
    actor = acting(membership)
    seen = set(db.session.scalars(select(Message.id).where(Message.company_id == company.id, visible_to(actor))))
    assert seen == {key[1] for key in expected}
    for limit in (1, 5, 200):
        with counted_statements() as statements:
            found = nearest(actor, Message.archived_at.is_(None), limit=limit)
            rows = db.session.execute(select(found).order_by(found.c.made_available_at.desc(), found.c.id.desc()))
            assert [tuple(row) for row in rows] == expected[:limit]
            oldest = nearest(actor, limit=limit, newest_first=False)
            rows = db.session.execute(select(oldest).order_by(oldest.c.made_available_at, oldest.c.id))
            assert [tuple(row) for row in rows] == expected[::-1][:limit]
        assert len(statements) == 2


def test_a_topic_of_another_company_opens_nothing(app: Flask) -> None:
    ours, theirs = make_company(), make_company()
    member = make_membership(company=theirs, roles=("mailbox",))
    make_topic(theirs, member)
    stranger = make_membership(company=ours, person=member.person, roles=("mailbox",))
    fill(ours, [START])
    hidden = make_topic(ours, make_membership(company=ours))
    db.session.execute(update(Message).where(Message.company_id == ours.id).values(topic_id=hidden.id))
    query = select(Message.id).where(Message.company_id == ours.id, visible_to(acting(stranger)))
    assert db.session.scalars(query).all() == []


def test_the_unread_count_of_a_topic_follows_its_messages(app: Flask) -> None:
    company = make_company()
    one, other = (make_topic(company, make_membership(company=company)) for _ in range(2))
    ids = [key[1] for key in fill(company, [START] * 6)]

    def change(*message_ids: uuid.UUID, **values: object) -> tuple[int, int]:
        db.session.execute(update(Message).where(Message.id.in_(message_ids)).values(**values))
        counts = unread(company)
        return counts[one.id], counts[other.id]

    assert change(*ids[:4], topic_id=one.id) == (4, 0)
    assert change(ids[0], is_unread=False) == (3, 0)
    assert change(ids[0], is_unread=False) == (3, 0)
    assert change(*ids[:2], topic_id=other.id) == (2, 1)
    assert change(ids[0], is_unread=True, topic_id=None) == (2, 1)
    assert change(*ids, is_unread=False) == (0, 0)
    assert change(*ids, is_unread=True) == (2, 1)
    fill(company, [START], topic_id=one.id)
    assert unread(company)[one.id] == 3
    db.session.execute(update(Message).where(Message.topic_id == one.id).values(binned_at=START))
    assert unread(company) == {one.id: 0, other.id: 1}
