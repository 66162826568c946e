"""Cases with everything a page can show, made by the real actions."""

from datetime import datetime, timedelta
from typing import Any

from tests.mailbox.conversations.writing_data import authority
from tests.mailbox.reading_data import put
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company, Membership
from unternehmenskonto.companies.subjects import subject
from unternehmenskonto.db import db, now
from unternehmenskonto.mailbox.actions import Recipient
from unternehmenskonto.mailbox.cases.actions import Report, put_state
from unternehmenskonto.mailbox.cases.models import Case

LONG_WORD = "Grundstücksverkehrsgenehmigungszuständigkeitsübertragungsverordnung"


def state(
    company: Company,
    service: OnlineService,
    *,
    state: str,
    at: datetime | None = None,
    name: str = "ga-1",
    **fields: Any,
) -> Case:
    """Report one state of a case."""
    values = {"title": "Gewerbeanmeldung", "text": None, "public_service": None, "link": None, **fields}
    recipient = Recipient(scheme="org_sub", value=subject(sector=service.sector, company_id=company.id))
    report = Report(recipient=recipient, state=state, at=at or now(), **values)
    return put_state(client_id=service.slug, external_id=name, report=report)


def a_case(membership: Membership) -> str:
    """Make a case with states, a message and long words; return its address."""
    service, company = authority(), membership.company
    link = "https://gewerbe.musterstadt.example/antraege/1"
    for hours, one in ((3, "submitted"), (2, "received"), (1, "processing")):
        case = state(company, service, state=one, at=now() - timedelta(hours=hours), name=f"a-{service.slug}")
    case = state(
        company, service, state="action_required", name=case.external_id, title=LONG_WORD,
        text=f"Bitte {LONG_WORD} nachreichen.", link=link, public_service="99050012104000",
    )  # fmt: skip
    put(company, service, regime="ozg9", subject=f"Bescheid zur {LONG_WORD}", case=case.external_id)
    state(company, service, state="completed", name=f"b-{service.slug}", title="Fertig")
    db.session.commit()
    return f"/vorgaenge/{case.id}"
