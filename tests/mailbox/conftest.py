"""An authority that may deliver, and a company that somebody reads for."""

import uuid

import pytest
from flask import Flask

from tests.factories import access_token, make_company, make_membership, make_service
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db


@pytest.fixture
def sender(app: Flask) -> OnlineService:
    service = make_service(is_mailbox_sender=True)
    db.session.commit()
    return service


@pytest.fixture
def company(app: Flask) -> Company:
    identifiers = {"w_idnr": "DE900000006-00001", "vat_id": "DE900000006", "register": "musterstadt|hrb|12345"}
    company = make_company(identifiers=identifiers)
    make_membership(company=company, roles=("mailbox",))
    db.session.commit()
    return company


@pytest.fixture
def headers(sender: OnlineService) -> dict[str, str]:
    """What a correct delivery carries; a key of its own for each test."""
    return {"Authorization": f"Bearer {access_token(sender)}", "Idempotency-Key": uuid.uuid4().hex}
