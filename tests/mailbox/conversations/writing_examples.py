"""Drafts and copies with everything a page can show, made by the real actions, for the checks of every page."""

import uuid

from tests.mailbox.conversations.writing_data import REPLY, authority
from tests.mailbox.reading_data import file, put
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.mailbox.conversations import actions, sending
from unternehmenskonto.mailbox.conversations.actions import NewFile, Writing
from unternehmenskonto.mailbox.conversations.targets import reply_target
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.permissions import Actor

LONG_WORD = "Grundstücksverkehrsgenehmigungszuständigkeitsübertragungsverordnung"


def actor_of(membership: Membership) -> Actor:
    return Actor(
        person_id=membership.person_id,
        person_name=membership.person.name,
        company_id=membership.company_id,
        company_name=membership.company.name,
        membership_id=membership.id,
        session_id=uuid.UUID(int=1),
        assurance_level="substantial",
        auth_time=now(),
        roles=frozenset({"mailbox", "correspondence"}),
    )


def a_question(membership: Membership) -> Message:
    service = authority(accepts_messages={"topics": [LONG_WORD, "Fragen"], "attachments": True})
    message = put(membership.company, service, subject=f"Rückfrage zur {LONG_WORD}", reply=REPLY, reference="GA-1")
    message.first_retrieved_at, message.first_retrieved_by = now(), membership.id
    db.session.commit()
    return message


def a_form(membership: Membership) -> str:
    return f"/postfach/{a_question(membership).id}/antworten"


def saved(membership: Membership) -> uuid.UUID:
    actor, draft_id = actor_of(membership), new_id()
    answers = {"zweck": LONG_WORD, "betrieb": "ja", "termin": "2027-01-11", "umsatz": "1.234,56"}
    actions.save(
        actor=actor,
        draft_id=draft_id,
        target=reply_target(actor, a_question(membership).id),
        writing=Writing(body=f"Guten Tag,\n\n{LONG_WORD}", answers=answers),
        new_files=[
            NewFile(question="plan", file=file(f"{LONG_WORD}.pdf", b"%PDF-1.7 plan")),
            NewFile(question=None, file=file("b.csv", b"a;b", "text/csv")),
        ],
    )
    db.session.commit()
    return draft_id


def a_draft(membership: Membership) -> str:
    return f"/postfach/entwuerfe/{saved(membership)}"


def a_review(membership: Membership) -> str:
    return f"{a_draft(membership)}/pruefen"


def a_copy(membership: Membership) -> str:
    sent = sending.send(actor=actor_of(membership), draft_id=saved(membership), version=2)
    sending.acknowledge(client_id=sent.service, sent_id=sent.id)
    db.session.commit()
    return f"/postfach/gesendet/{sent.id}"


def a_new_message(membership: Membership) -> str:
    return f"/postfach/neu?dienst={a_question(membership).service}"
