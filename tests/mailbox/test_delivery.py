"""Delivering messages: what is answered, kept and proved."""

import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.factories import access_token, make_company, make_membership, make_service, org_sub
from tests.mailbox.samples import message
from unternehmenskonto.audit import AuditEvent
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import ChainLink, Mailbox, Message
from unternehmenskonto.notifications.models import Notice

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def service(app: Any) -> OnlineService:
    service = make_service(is_mailbox_sender=True)
    db.session.commit()
    return service


@pytest.fixture
def company(app: Any) -> Company:
    identifiers = {
        "w_idnr": "DE900000006-00001",
        "vat_id": "DE900000006",
        "register": "musterstadt|hrb|12345",
    }
    company = make_company(identifiers=identifiers)
    make_membership(company=company, roles=("mailbox",))
    db.session.commit()
    return company


@pytest.fixture
def headers(service: OnlineService) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token(service)}", "Idempotency-Key": uuid.uuid4().hex}


def post(client: FlaskClient, headers: dict[str, str], body: Any) -> TestResponse:
    return client.post("/api/v1/messages", json=body, headers=headers)


def test_a_message_arrives(
    client: FlaskClient, headers: dict[str, str], service: OnlineService, company: Company
) -> None:
    answer = post(client, headers, message({"org_sub": org_sub(service, company)}, reference="GA-2026-0001"))
    assert answer.status_code == 201, answer.json
    kept = db.session.scalars(select(Message)).one()
    assert answer.json["id"] == str(kept.id)
    assert answer.json["sequence_number"] == kept.sequence_number == 1
    assert (kept.company_id, kept.service, kept.sender_authority) == (company.id, service.slug, service.authority)
    assert (kept.reference, kept.is_unread, kept.announced_on, kept.first_retrieved_at) == (
        "GA-2026-0001", True, None, None,
    )  # fmt: skip
    mailbox = db.session.get_one(Mailbox, company.id)
    assert (mailbox.last_sequence, mailbox.unread_count) == (1, 1)
    assert mailbox.head == db.session.scalars(select(ChainLink.hash)).one()
    event = db.session.scalars(select(AuditEvent).filter_by(event="message.delivered")).one()
    assert (event.by, event.company_id) == (f"client:{service.slug}", company.id)
    assert db.session.scalars(select(Notice.message_id)).all() == [kept.id]


@pytest.mark.parametrize(
    "recipient",
    [
        {"w_idnr": "DE900000006-00001"},
        {"w_idnr": "de 900000006"},
        {"vat_id": "DE900000006"},
        {"register": {"court": "Amtsgericht Musterstadt", "type": "HRB", "number": "12345"}},
    ],
)
def test_the_company_is_found_by_its_numbers(
    client: FlaskClient, headers: dict[str, str], company: Company, recipient: dict[str, Any]
) -> None:
    answer = post(client, headers, message(recipient))
    assert answer.status_code == 201, answer.json
    assert db.session.scalars(select(Message.company_id)).all() == [company.id]
