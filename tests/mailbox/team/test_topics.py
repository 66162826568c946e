"""Topics: their readers, the rules at delivery, acts on many messages, and never mail without a living reader."""

import uuid
from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from tests.factories import make_company, make_membership, make_service
from tests.mailbox.reading_data import authority, put
from tests.mailbox.team.team_data import acting, make_topic
from tests.mailbox.test_inbox import START, counted_statements, fill
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.companies import actions as people
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.errors import NotFound
from unternehmenskonto.mailbox import places as places_of
from unternehmenskonto.mailbox.models import Mailbox, Message
from unternehmenskonto.mailbox.team import outside, routing, runs, tasks, topics
from unternehmenskonto.mailbox.team.models import Task, Topic, TopicMember, TopicRule
from unternehmenskonto.mailbox.team.topics import Conditions
from unternehmenskonto.notifications.models import Notice


@pytest.fixture
def boss(app: Flask) -> Membership:
    return make_membership(roles=("administrator", "mailbox"))


def colleague(boss: Membership, **columns: object) -> Membership:
    return make_membership(company=boss.company, **{"roles": ("mailbox",), **columns})


def add(topic: Topic, other: Membership) -> None:
    values = {"topic_id": topic.id, "membership_id": other.id, "added_by": other.id}
    db.session.add(TopicMember(company_id=topic.company_id, **values))
    db.session.flush()


def rule(boss: Membership, topic: Topic, **conditions: str) -> TopicRule:
    return topics.make_rule(actor=acting(boss), topic_id=topic.id, conditions=Conditions(**conditions))


def places(boss: Membership) -> dict[uuid.UUID, uuid.UUID | None]:
    db.session.expire_all()
    rows = db.session.execute(select(Message.id, Message.topic_id).where(Message.company_id == boss.company_id))
    return {message_id: topic_id for message_id, topic_id in rows}


def events(name: str) -> int:
    db.session.flush()
    return len(db.session.scalars(select(AuditEvent).where(AuditEvent.event == name)).all())


def test_a_topic_needs_a_living_reader(boss: Membership) -> None:
    without_right = make_membership(company=boss.company, roles=("services",))
    gone = colleague(boss, ended_at=now())
    for members in ([], [without_right.id], [gone.id], [new_id()], [make_membership().id]):
        with pytest.raises(topics.LastReader):
            topics.make(actor=acting(boss), name="Steuern", description="", member_ids=members)
    topic = topics.make(actor=acting(boss), name="Personal", description="", member_ids=[boss.id])
    with pytest.raises(topics.LastReader):
        topics.change(actor=acting(boss), topic_id=topic.id, name="Personal", description="", member_ids=[])
    assert topics.members_of(boss.company_id, topic.id) == {boss.id}


def test_the_last_reader_can_neither_leave_nor_lose_the_right(boss: Membership) -> None:
    only = colleague(boss)
    make_topic(boss.company, only, name="Steuern")
    by = {"company_id": boss.company_id, "membership_id": only.id, "by": "person:x"}
    with pytest.raises(topics.LastReader, match="last_reader") as refused:
        people.end_membership(**by)
    assert "Steuern" in str(refused.value.sentence)
    with pytest.raises(topics.LastReader):
        people.set_roles(roles=["services"], **by)
    people.set_roles(roles=["services", "mailbox"], **by)
    # A second reader who is gone, or has no right, helps nothing; a living one does.
    topic = db.session.scalars(select(Topic)).one()
    for other in (colleague(boss, ended_at=now()), make_membership(company=boss.company, roles=("services",))):
        add(topic, other)
    with pytest.raises(topics.LastReader):
        people.end_membership(**by)
    add(topic, boss)
    people.end_membership(**by)


def test_an_ended_topic_holds_nobody(boss: Membership) -> None:
    only = colleague(boss)
    make_topic(boss.company, only).ended_at = now()
    people.end_membership(company_id=boss.company_id, membership_id=only.id, by="person:x")


def test_every_change_of_readers_is_audited(boss: Membership) -> None:
    one, other = colleague(boss), colleague(boss)
    topic = topics.make(actor=acting(boss), name="Personal", description="", member_ids=[one.id, other.id])
    topics.change(actor=acting(boss), topic_id=topic.id, name="Personal", description="x", member_ids=[one.id, boss.id])
    assert (events("topic.member_added"), events("topic.member_removed"), events("topic.changed")) == (3, 1, 1)


def test_names_are_unique_whatever_the_case_and_topics_limited(boss: Membership) -> None:
    make_topic(boss.company, boss, name="Steuern")
    make_topic(make_company(), boss, name="Personal")
    with pytest.raises(topics.NameTaken):
        topics.make(actor=acting(boss), name="STEUERN", description="", member_ids=[boss.id])
    for _ in range(topics.MAXIMUM_TOPICS - 1):
        make_topic(boss.company, boss)
    with pytest.raises(topics.TooManyTopics):
        topics.make(actor=acting(boss), name="Noch eins", description="", member_ids=[boss.id])


def test_rules_are_limited_and_need_a_condition(boss: Membership) -> None:
    topic = make_topic(boss.company, boss)
    with pytest.raises(topics.NoCondition):
        rule(boss, topic, words="  ")
    for number in range(topics.MAXIMUM_RULES):
        rule(boss, topic, words=str(number))
    with pytest.raises(topics.TooManyRules):
        rule(boss, topic, words="x")
    with pytest.raises(NotFound):
        rule(boss, make_topic(make_company(), boss), words="x")


words = st.text("abÄ ", max_size=6)


@given(
    st.tuples(words, words, st.sampled_from(["", "dienst", "x"]), st.sampled_from(["", "99001001001000"]), words, words)
)
def test_every_condition_must_hold(drawn: tuple[str, ...]) -> None:
    authority_part, wanted, service, leika, name, subject = drawn
    tried = TopicRule(authority=authority_part.strip(), words=wanted.strip(), service=service, leika=leika)
    sample = routing.Sample(service="dienst", authority=name, subject=subject)
    offers = {"99001001001000": frozenset({"dienst"})}
    expected = (
        authority_part.strip().lower() in name.lower()
        and all(word in subject.lower() for word in wanted.lower().split())
        and service in ("", "dienst")
        and bool(authority_part.strip() or wanted.strip() or service or leika)
    )
    assert routing.fits(tried, sample, offers) == expected
    if leika:
        assert not routing.fits(tried, sample, {})


def test_a_delivery_goes_where_the_first_rule_says_and_tells_only_who_sees_it(boss: Membership) -> None:
    reader = colleague(boss)
    taxes, staff = make_topic(boss.company, reader), make_topic(boss.company, boss)
    sender = make_service(authority="Finanzamt Musterstadt", is_mailbox_sender=True, leika_keys=["99102013012000"])
    rule(boss, taxes, authority="finanzamt", words="steuer bescheid")
    rule(boss, staff, leika="99102013012000")
    rule(boss, taxes, service=sender.slug)
    first = put(boss.company, sender, subject="Gewerbesteuerbescheid")
    second = put(boss.company, sender, subject="Etwas anderes")
    third = put(boss.company, authority(), subject="Steuerbescheid")
    assert [one.topic_id for one in (first, second, third)] == [taxes.id, staff.id, None]
    told = select(Notice.membership_id).where(Notice.kind == "message")
    assert set(db.session.scalars(told.where(Notice.message_id == first.id))) == {reader.id}
    assert set(db.session.scalars(told.where(Notice.message_id == second.id))) == {boss.id}
    assert set(db.session.scalars(told.where(Notice.message_id == third.id))) == {boss.id, reader.id}
    assert [places_of.unread(acting(one)).inbox for one in (boss, reader)] == [2, 2]
    db.session.refresh(taxes)
    assert taxes.unread_count == 1


def test_the_order_of_rules_decides(boss: Membership) -> None:
    one, other = make_topic(boss.company, boss), make_topic(boss.company, boss)
    rule(boss, one, words="a")
    second = rule(boss, other, words="a")
    topics.move_rule(actor=acting(boss), rule_id=second.id, up=True)
    topics.move_rule(actor=acting(boss), rule_id=second.id, up=True)
    assert put(boss.company, authority(), subject="a").topic_id == other.id
    topics.move_rule(actor=acting(boss), rule_id=second.id, up=False)
    assert put(boss.company, authority(), subject="a").topic_id == one.id
    topics.remove_rule(actor=acting(boss), rule_id=topics.rules_of(boss.company_id)[0].id)
    assert put(boss.company, authority(), subject="a").topic_id == other.id
    other.ended_at = now()
    db.session.flush()
    assert put(boss.company, authority(), subject="a").topic_id is None


def test_routing_without_rules_costs_one_statement(boss: Membership) -> None:
    service = authority()
    with counted_statements() as statements:
        routing.route(company_id=boss.company_id, service=service, subject="x")
    assert len(statements) == 1


@pytest.mark.parametrize("direct", [True, False])
def test_old_messages_move_only_on_request_and_come_back(
    boss: Membership, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 7)
    monkeypatch.setattr(runs, "DIRECT", 1000 if direct else 0)
    wanted = set()
    for number in range(10):
        fill(boss.company, [START + timedelta(minutes=number)] * 2)
        wanted |= {key[1] for key in fill(boss.company, [START] * 2, sender_authority="x")}
    db.session.get_one(Mailbox, boss.company_id).last_sequence = 40
    topic, elsewhere = make_topic(boss.company, boss), make_topic(boss.company, boss)
    away = sorted(wanted)[0]
    db.session.execute(Message.__table__.update().where(Message.id == away).values(topic_id=elsewhere.id))  # type: ignore[attr-defined]
    before = places(boss)
    kept = rule(boss, topic, authority="x")
    topics.change_rule(actor=acting(boss), rule_id=kept.id, topic_id=topic.id, conditions=Conditions(authority="X"))
    assert places(boss) == before
    trial = runs.try_rule(actor=acting(boss), rule=kept)
    assert (trial.examined, trial.is_whole, trial.matching, trial.movable) == (40, True, 20, 19)
    run = runs.apply_rule(actor=acting(boss), rule_id=kept.id)
    while runs.is_running(run):
        assert not direct
        runs.work(str(run.company_id), str(run.id))
    assert run.moved_count == 19
    assert {one for one, place in places(boss).items() if place == topic.id} == wanted - {away}
    # What somebody moved on since stays there.
    later = sorted(wanted)[1]
    tasks.move(actor=acting(boss), message_id=later, topic_id=elsewhere.id)
    runs.undo_run(actor=acting(boss), run_id=run.id)
    while runs.is_running(run):
        runs.work(str(run.company_id), str(run.id))
    assert run.returned_count == 18
    assert places(boss) == {**before, later: elsewhere.id}
    with pytest.raises(runs.CannotUndoRun):
        runs.undo_run(actor=acting(boss), run_id=run.id)


def test_ending_a_topic_shows_its_messages_to_everybody_and_can_be_undone(boss: Membership) -> None:
    reader = colleague(boss)
    topic = make_topic(boss.company, reader)
    messages = [put(boss.company, authority(), subject=f"a{number}") for number in range(3)]
    for message in messages:
        tasks.assign(actor=acting(boss), message_id=message.id, assignee_id=boss.id, due_on=None)
        tasks.move(actor=acting(boss), message_id=message.id, topic_id=topic.id)
    assert places_of.unread(acting(boss)).inbox == 0
    assert outside.count(company_id=boss.company_id, topic_id=topic.id) == 3
    rule(boss, topic, words="a")
    run = runs.end_topic(actor=acting(boss), topic_id=topic.id)
    assert (run.moved_count, places_of.unread(acting(boss)).inbox) == (3, 3)
    assert put(boss.company, authority(), subject="a").topic_id is None
    with pytest.raises(NotFound):
        topics.topic_of(boss.company_id, topic.id)
    tasks.assign(actor=acting(boss), message_id=messages[0].id, assignee_id=boss.id, due_on=None)
    runs.undo_run(actor=acting(boss), run_id=run.id)
    assert {one.topic_id for one in messages if db.session.refresh(one) is None} == {topic.id}
    assert put(boss.company, authority(), subject="a").topic_id == topic.id
    # Whoever does not read the topic is not the assignee any more.
    assert db.session.get_one(Task, (boss.company_id, messages[0].id)).assignee_id is None


def test_an_ended_topic_comes_back_only_under_a_free_name(boss: Membership) -> None:
    topic = make_topic(boss.company, boss, name="Steuern")
    run = runs.end_topic(actor=acting(boss), topic_id=topic.id)
    make_topic(boss.company, boss, name="steuern")
    with pytest.raises(runs.CannotUndoRun, match="cannot_undo_run"):
        runs.undo_run(actor=acting(boss), run_id=run.id)
    with pytest.raises(NotFound):
        runs.run_of(make_company().id, run.id)


def test_the_outside_of_a_topic_tells_no_subject(boss: Membership) -> None:
    topic = make_topic(boss.company, colleague(boss))
    keys = fill(boss.company, [START + timedelta(minutes=n) for n in range(30)], topic_id=topic.id)
    page = outside.outsides_of(company_id=boss.company_id, topic_id=topic.id, cursor=None)
    rest = outside.outsides_of(company_id=boss.company_id, topic_id=topic.id, cursor=page.older)
    moments = [line.made_available_at for line in page.lines + rest.lines]
    assert moments == [key[0] for key in keys] and rest.older is None
    sketch = topics.sketch(topic_id=topic.id, conditions=Conditions(words="betr"))
    trial = runs.try_rule(actor=acting(boss), rule=sketch)
    assert trial.matching == 30 and {match.subject for match in trial.newest} == {None}
