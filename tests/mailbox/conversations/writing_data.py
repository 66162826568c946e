"""Messages that ask something, and people who answer, for the tests of conversations."""

import io
import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import csrf_token, make_company, make_service, sign_in
from tests.factories import make_membership as membership_of
from tests.mailbox.reading_data import put
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.companies.models import Company, Membership
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Message

QUESTIONS: list[dict[str, Any]] = [
    {"id": "zweck", "kind": "text", "label": "Wozu dient die Fläche?", "choices": [], "required": True},
    {"id": "betrieb", "kind": "yes_no", "label": "Ist der Betrieb geöffnet?", "choices": [], "required": True},
    {
        "id": "termin", "kind": "date_choice", "label": "Wann passt Ihnen ein Termin?", "required": True,
        "choices": ["2027-01-11", "2027-01-12T09:30:00+01:00"],
    },
    {"id": "umsatz", "kind": "amount", "label": "Wie hoch war der Umsatz?", "choices": [], "required": False},
    {"id": "plan", "kind": "upload", "label": "Lageplan", "choices": [], "required": True},
]  # fmt: skip
REPLY: dict[str, Any] = {"until": None, "attachments": True, "questions": QUESTIONS}
PLAIN_REPLY: dict[str, Any] = {"until": None, "attachments": False, "questions": []}
PDF_NAME = "Lageplan.pdf"
WRITERS = ("mailbox", "correspondence")


def authority(**columns: Any) -> OnlineService:
    return make_service(
        **{"name": "Gewerbeanmeldung", "authority": "Gewerbeamt Musterstadt", "is_mailbox_sender": True, **columns}
    )


def writer(client: FlaskClient, company: Company | None = None, *, roles: tuple[str, ...] = WRITERS) -> Membership:
    """Return a person who may write for the company and is signed in."""
    membership = membership_of(company=company or make_company(), roles=roles)
    sign_in(client, membership)
    return membership


def asking(company: Company, service: OnlineService | None = None, **fields: Any) -> Message:
    """Deliver a message that asks every kind of question."""
    message = put(company, service or authority(), **{"reply": REPLY, "subject": "Rückfrage zu Ihrem Antrag", **fields})
    db.session.commit()
    return message


def opened(client: FlaskClient, company: Company, **fields: Any) -> Message:
    """Deliver a message that asks something, and open it as the person who is signed in."""
    message = asking(company, **fields)
    assert client.get(f"/postfach/{message.id}").status_code == 200
    return message


def form_address(html: str) -> str:
    found = re.search(r'action="(/postfach/entwuerfe/[0-9a-f-]{36})"', html)
    assert found, html
    return found[1]


def hidden(html: str, name: str) -> str:
    found = re.search(rf'name="{name}"[^>]* value="([^"]*)"', html)
    assert found, name
    return found[1]


def save(client: FlaskClient, page: str, *, button: str = "pruefen", **fields: Any) -> TestResponse:
    """Send the form of a page in, with these fields; `files` is a list of (field, name, bytes)."""
    files = fields.pop("files", [])
    data: dict[str, Any] = {
        "csrf_token": csrf_token(client),
        "version": hidden(page, "version"),
        "message_id": hidden(page, "message_id"),
        "service": hidden(page, "service"),
        "weiter": button,
        **{name.replace("__", "-"): value for name, value in fields.items()},
    }
    for field, name, content in files:
        data.setdefault(field, []).append((io.BytesIO(content), name))
    return client.post(form_address(page), data=data, content_type="multipart/form-data")


def full_answer(pdf: bytes) -> dict[str, Any]:
    """Return everything the form of REPLY wants."""
    return {
        "frage__zweck": "Lager für Baustoffe",
        "frage__betrieb": "ja",
        "frage__termin": "2027-01-12T09:30:00+01:00",
        "frage__umsatz": "1.234,5",
        "body": "Guten Tag,\r\n\r\nanbei der Plan.",
        "files": [("frage-plan", PDF_NAME, pdf)],
    }


def send(client: FlaskClient, draft: str, page: str) -> TestResponse:
    """Press "Jetzt senden" on the review page of a draft."""
    data = {"csrf_token": csrf_token(client), "version": hidden(page, "version")}
    return client.post(f"{draft}/senden", data=data)
