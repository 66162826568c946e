"""Messages that a company begins, to authorities that accept them."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.factories import access_token, make_service
from tests.mailbox.conversations.writing_data import authority, form_address, save, send, writer
from tests.mailbox.samples import MINIMAL_PDF
from tests.page_checks import faults
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.conversations.models import Draft, SentMessage
from unternehmenskonto.operators.declared import check
from unternehmenskonto.operators.reading import FaultyServices

ACCEPTS = {"topics": ["Unterlagen nachreichen", "Fragen zur Anmeldung"], "attachments": True}
SERVICE = """
name = "Bürgerbüro"
authority = "Stadt Musterstadt"
listed = false
sector = "musterstadt.example"

[accepts_messages]
topics = ["Fragen", "Unterlagen"]
attachments = true

[client]
token_endpoint_auth_method = "private_key_jwt"
jwks_uri = "http://127.0.0.4:8003/jwks.json"
"""


def test_a_company_begins(client: FlaskClient) -> None:
    membership, service = writer(client), authority(accepts_messages=ACCEPTS)
    db.session.commit()
    directory = client.get(f"/dienste/{service.slug}").text
    assert faults(directory) == [] and f"/postfach/neu?dienst={service.slug}" in directory
    choice = client.get("/postfach/neu").text
    assert faults(choice) == [] and "Unterlagen nachreichen" in choice
    form = client.get(f"/postfach/neu?dienst={service.slug}").text
    assert faults(form) == [] and "Worum geht es?" in form
    missing = save(client, form, body="")
    assert missing.status_code == 422
    for words in ("Wählen Sie aus, worum es geht.", "Geben Sie einen Betreff an.", "Schreiben Sie Ihre Nachricht."):
        assert words in missing.text
    full = {
        "topic": ACCEPTS["topics"][0],
        "subject": "  Plan \u202e ",
        "body": "Anbei.",
        "files": [("files", "p.pdf", MINIMAL_PDF)],
    }
    assert save(client, missing.text, **full).status_code == 303
    draft = form_address(form)
    assert "Plan" in client.get("/postfach/entwuerfe").text
    review = client.get(f"{draft}/pruefen").text
    assert faults(review) == [] and "Unterlagen nachreichen" in review and service.authority in review
    copy = client.get(send(client, draft, review).headers["Location"]).text
    assert faults(copy) == []
    sent = db.session.scalars(select(SentMessage)).one()
    assert (sent.topic, sent.subject, sent.message_id, len(sent.files)) == (full["topic"], "Plan", None, 1)
    headers = {"Authorization": f"Bearer {access_token(service, scope='mailbox.replies')}"}
    (fetched,) = client.get("/api/v1/replies", headers=headers).json["replies"]
    assert (fetched["kind"], fetched["topic"], fetched["in_reply_to"]) == ("message", full["topic"], None)
    assert membership.company.name == fetched["company_name"]


def test_who_accepts_nothing_gets_nothing(client: FlaskClient) -> None:
    writer(client)
    service = make_service()
    gone = authority(accepts_messages=ACCEPTS, is_enabled=False)
    db.session.commit()
    assert "Noch nimmt keine Behörde Nachrichten an" in client.get("/postfach/neu").text
    for slug in (service.slug, gone.slug, "gibt-es-nicht", "ü", "x\x00"):
        assert client.get("/postfach/neu", query_string={"dienst": slug}).status_code == 404
    assert "/postfach/neu" not in client.get(f"/dienste/{service.slug}").text


def test_a_topic_that_nobody_offers_is_not_sent(client: FlaskClient) -> None:
    writer(client)
    service = authority(accepts_messages=ACCEPTS)
    db.session.commit()
    form = client.get(f"/postfach/neu?dienst={service.slug}").text
    answer = save(client, form, topic="Erfunden", subject="x", body="y")
    assert answer.status_code == 422 and "Wählen Sie aus, worum es geht." in answer.text
    assert db.session.scalars(select(Draft)).one().topic == "Erfunden"


def test_one_service_gets_so_many_in_a_day(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unternehmenskonto.mailbox.conversations.sending.BEGUN_PER_DAY", 1)
    writer(client)
    service, other = authority(accepts_messages=ACCEPTS), authority(accepts_messages=ACCEPTS)
    db.session.commit()
    for target, status in ((service, 303), (service, 429), (other, 303)):
        form = client.get(f"/postfach/neu?dienst={target.slug}").text
        save(client, form, topic=ACCEPTS["topics"][1], subject="x", body="y")
        draft = form_address(form)
        assert send(client, draft, client.get(f"{draft}/pruefen").text).status_code == status


def declared(folder: Path, text: str) -> dict[str, object]:
    (folder / "buergerbuero.toml").write_text(text, encoding="utf-8")
    (service,) = check(folder)
    return service.columns


@pytest.mark.usefixtures("app")
def test_the_registration_says_who_accepts(tmp_path: Path) -> None:
    columns = declared(tmp_path, SERVICE)
    assert columns["accepts_messages"] == {"topics": ["Fragen", "Unterlagen"], "attachments": True}
    assert columns["client"]["scopes"] == ["mailbox.replies"]  # type: ignore[index]
    assert columns["client"]["grant_types"] == ["client_credentials"]  # type: ignore[index]


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('topics = ["Fragen", "Unterlagen"]', "topics = []", "topics"),
        ('"Unterlagen"]', '"Fragen"]', "topics"),
        ('"private_key_jwt"\njwks_uri = "http://127.0.0.4:8003/jwks.json"', '"none"', "must prove who it is"),
        ("jwks_uri =", 'scopes = ["openid"]\nredirect_uris = ["http://127.0.0.3:8002/c"]\njwks_uri =', "nobody could"),
        (SERVICE[SERVICE.index("[client]") :], "", "somebody must fetch"),
    ],
)
def test_a_registration_that_cannot_work_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    with pytest.raises(FaultyServices, match=reason):
        declared(tmp_path, SERVICE.replace(old, new))
