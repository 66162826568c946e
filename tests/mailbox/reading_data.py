"""Mailboxes with messages for the tests of the pages, delivered by the real action."""

import hashlib
import io
import secrets
import uuid
from datetime import datetime
from typing import Any

import time_machine
from flask.testing import FlaskClient

from tests.factories import make_company, make_membership, make_service, sign_in
from unternehmenskonto import storage
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company, Membership
from unternehmenskonto.companies.subjects import subject
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.actions import Decision, Delivery, Recipient, StoredFile, deliver, request_key
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.permissions import Actor


def file(name: str, content: bytes, media_type: str = "application/pdf") -> StoredFile:
    return StoredFile(
        file_name=name,
        media_type=media_type,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        path=storage.put(io.BytesIO(content)),
    )


def put(
    company: Company,
    service: OnlineService,
    *,
    regime: str | None = None,
    land: str = "NW",
    files: list[StoredFile] | None = None,
    at: datetime | None = None,
    **fields: Any,
) -> Message:
    """Deliver one message, a decision where a regime is named; `at` is the moment of delivery."""
    law = {"remedy_kind": "objection", "remedy_length": 1, "remedy_unit": "month", "remedy_instructed": True}
    law |= {"remedy_addressee": "Gewerbeamt Musterstadt, Rathausplatz 1"}
    law |= {name: fields.pop(name) for name in list(fields) if name in law}
    defaults = {"subject": "Ihre Gewerbeanmeldung", "body": "Guten Tag,\n\nwir haben sie.", "body_format": "text"}
    delivery = Delivery(
        recipient=Recipient(scheme="org_sub", value=subject(sector=service.sector, company_id=company.id)),
        kind="decision" if regime else "message",
        decision=Decision(regime=regime, land=land, **law) if regime else None,
        **{**defaults, "reference": None, **fields},
    )
    request = request_key(client_id=service.slug, key=secrets.token_hex(8), delivery=delivery, files=files or [])
    arguments = {"request": request, "delivery": delivery, "files": files or []}
    if at is None:
        deliver(**arguments)
    else:
        with time_machine.travel(at, tick=False):
            deliver(**arguments)
    db.session.flush()
    query = db.select(Message).filter_by(company_id=company.id).order_by(Message.sequence_number.desc()).limit(1)
    return db.session.scalars(query).one()


def reader(client: FlaskClient, company: Company | None = None, **columns: Any) -> Membership:
    """Return a person who reads the mailbox and is signed in."""
    membership = make_membership(company=company or make_company(), **{"roles": ("mailbox",), **columns})
    sign_in(client, membership)
    return membership


def acting(membership: Membership) -> Actor:
    """Return the person of this membership as the actions know them."""
    return Actor(
        person_id=membership.person_id,
        person_name=membership.person.name,
        company_id=membership.company_id,
        company_name=membership.company.name,
        membership_id=membership.id,
        session_id=uuid.uuid4(),
        assurance_level="substantial",
        auth_time=now(),
        roles=frozenset(membership.roles),
    )


def somebody_of(company: Company) -> Actor:
    """Return a new person of the company who may read its mailbox."""
    return acting(make_membership(company=company, roles=("mailbox",)))


def authority() -> OnlineService:
    return make_service(name="Gewerbeanmeldung", authority="Gewerbeamt Musterstadt", is_mailbox_sender=True)


#: Everything the safe part of Markdown has, with words that are hard to break.
LONG_BODY = """# Gewerbeanmeldungsbestätigungsverfahrensverordnung

Sehr geehrte Damen und Herren, **wir haben** Ihre *Anmeldung* erhalten.

## Was jetzt zu tun ist

1. Unterlagen bei der Grundstücksverkehrsgenehmigungszuständigkeitsübertragungsverordnungsstelle einreichen
2. [Termin vereinbaren](https://termine.musterstadt.example/gewerbe)

| Gebühr | Rechtsgrundlage | Betrag | Fälligkeit | Verwendungszweckangabe |
|---|---|--:|---|---|
| Gewerbeanmeldung | § 14 GewO | 26,00 € | 15.01.2027 | GA-2026-0001-MUSTERSTADT |

> Bitte geben Sie das Aktenzeichen an.

`DonaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaftDonaudampfschifffahrt`
"""


def example(company: Company) -> Message:
    """Deliver a decision with everything a page can show."""
    return put(
        company,
        authority(),
        regime="ao122a",
        subject="Bescheid über die Grundstücksverkehrsgenehmigungszuständigkeitsübertragung",
        body=LONG_BODY,
        body_format="markdown",
        reference="GA-2026-0001",
        files=[file("Bescheid über die Anmeldung.pdf", b"%PDF-1.7 x"), file("b" * 120 + ".txt", b"x", "text/plain")],
    )
