"""An authority that may deliver, and a company that somebody reads for."""

import secrets
import uuid
from collections.abc import Iterator

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import create_engine, make_url, text

from tests.factories import access_token, make_company, make_membership, make_service
from unternehmenskonto import create_app, keys
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company
from unternehmenskonto.db import db
from unternehmenskonto.settings import Settings


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


@pytest.fixture(scope="module")
def committed_app(settings: Settings, database_url: str) -> Iterator[Flask]:
    """The application on a database that a whole module shares; what its tests commit stays, so each makes its own."""
    server = create_engine(make_url(database_url), isolation_level="AUTOCOMMIT")
    name = f"test_{secrets.token_hex(6)}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(database_url).set(database=name).render_as_string(hide_password=False)
    app = create_app(settings.model_copy(update={"database_url": url}))
    with app.app_context():
        upgrade()
        keys.ensure_keys()
        db.session.commit()
        yield app
        db.session.remove()
        db.engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()
