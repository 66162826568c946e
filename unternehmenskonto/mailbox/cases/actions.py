"""Take down what services report of a case: every state once, in any order, the newest counts."""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import load_only

from unternehmenskonto import audit
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db, new_id, now
from unternehmenskonto.mailbox.actions import Recipient, company_of
from unternehmenskonto.mailbox.cases.models import COMPLETED, Case, CaseEvent
from unternehmenskonto.mailbox.problems import refusal

EXTERNAL_ID = re.compile(r"[A-Za-z0-9._~:-]{1,100}")
#: Clocks differ; what lies further ahead has not happened.
FUTURE_TOLERANCE = timedelta(minutes=5)
EVENTS_PER_CASE = 500
_COLUMNS = load_only(
    OnlineService.slug, OnlineService.name, OnlineService.authority, OnlineService.sector, OnlineService.is_enabled
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """The state of a case at one time, checked."""

    recipient: Recipient
    title: str
    state: str
    at: datetime
    text: str | None
    public_service: str | None
    link: str | None


def put_state(*, client_id: str, external_id: str, report: Report) -> Case:
    """Add the state to the case, made if it is missing, and return the case; the same report twice changes nothing.

    Raises the problems case_unknown (of another company), case_id_invalid, case_in_future, case_state_differs,
    case_full, recipient_unknown, sender_not_allowed.
    """
    if not EXTERNAL_ID.fullmatch(external_id):
        raise refusal("case_id_invalid")
    if report.at > now() + FUTURE_TOLERANCE:
        raise refusal("case_in_future")
    service = _service(client_id)
    company, _pseudonym = company_of(service, report.recipient)
    case = _locked_case(service, external_id, company.id, report)
    if not _add_event(case, service, report):
        return case
    newest = select(CaseEvent.at, CaseEvent.state).where(
        CaseEvent.company_id == case.company_id, CaseEvent.case_id == case.id
    )
    at, state = db.session.execute(newest.order_by(CaseEvent.at.desc(), CaseEvent.id.desc()).limit(1)).one()
    if (at, state) == (report.at, report.state):
        _apply(case, service, report)
    audit.record(
        "case.state_set",
        by=f"client:{client_id}",
        company_id=case.company_id,
        case_id=case.id,
        state=report.state,
        service=client_id,
    )
    db.session.flush()
    return case


def _service(client_id: str) -> OnlineService:
    service = db.session.scalar(select(OnlineService).where(OnlineService.slug == client_id).options(_COLUMNS))
    if service is None or not service.is_enabled:
        raise refusal("sender_not_allowed", detail=client_id)
    return service


def _locked_case(service: OnlineService, external_id: str, company_id: uuid.UUID, report: Report) -> Case:
    fresh = insert(Case).values(
        company_id=company_id,
        id=new_id(),
        sector=service.sector,
        external_id=external_id,
        title=report.title,
        service_name=service.name,
        authority=service.authority,
        public_service=report.public_service,
        link=report.link,
        state=report.state,
        changed_at=report.at,
        is_open=report.state != COMPLETED,
        created_at=now(),
    )
    db.session.execute(fresh.on_conflict_do_nothing(index_elements=["sector", "external_id"]))
    query = select(Case).where(Case.sector == service.sector, Case.external_id == external_id).with_for_update()
    case = db.session.scalars(query.execution_options(populate_existing=True)).one()
    if case.company_id != company_id:
        raise refusal("case_unknown")
    return case


def _add_event(case: Case, service: OnlineService, report: Report) -> bool:
    """Add the state unless it is there; refuse another text for the same state at the same time."""
    own = (CaseEvent.company_id == case.company_id, CaseEvent.case_id == case.id)
    known = db.session.scalar(select(CaseEvent).where(*own, CaseEvent.at == report.at, CaseEvent.state == report.state))
    if known is not None:
        if known.text != report.text:
            raise refusal("case_state_differs")
        return False
    if db.session.scalar(select(func.count()).select_from(CaseEvent).where(*own)) == EVENTS_PER_CASE:
        raise refusal("case_full")
    db.session.add(
        CaseEvent(
            company_id=case.company_id,
            case_id=case.id,
            service=service.slug,
            service_name=service.name,
            state=report.state,
            at=report.at,
            text=report.text,
        )
    )
    db.session.flush()
    return True


def _apply(case: Case, service: OnlineService, report: Report) -> None:
    case.title, case.link = report.title, report.link
    case.service_name, case.authority = service.name, service.authority
    case.public_service = report.public_service or case.public_service
    case.state, case.changed_at = report.state, report.at
    case.is_open = report.state != COMPLETED
