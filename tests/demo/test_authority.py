"""The demo authority against an Unternehmenskonto whose answers the test decides."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import puremagic
import pytest
import requests
from flask import Flask, Response, jsonify, request
from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeySet

from unternehmenskonto.demo import authority
from unternehmenskonto.demo.authority import courier, letters
from unternehmenskonto.demo.authority.pdf import MAX_LINES, letter
from unternehmenskonto.demo.serving import Listener

from .person import TIMEOUT

APPLICATION = {
    "id": "0123456789abcdef",
    "org_sub": "du-" + "a" * 40,
    "company": "Müller & Söhne (GmbH)",
    "activity": "Einzelhandel mit Fliesen *und* Übertöpfen",
    "begins_on": "2027-01-31",
    "address": "Hauptstraße 12, 12345 Musterstadt",
}


@dataclass
class Counterpart:
    """The far end of the wire: metadata, tokens and message intake, with answers as the test wants them."""

    url: str
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", auto_kid=True))
    authority_url: str = ""
    #: statuses to answer with before the first success
    refusals: list[int] = field(default_factory=list)
    #: (idempotency key, message, files)
    taken: list[tuple[str, dict[str, Any], dict[str, bytes]]] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    #: (name of the case, state)
    reports: list[tuple[str, str]] = field(default_factory=list)
    foreign_receipts: bool = False
    receipt_typ: str = "receipt+jwt"
    receipt_changes: dict[str, Any] = field(default_factory=dict)

    def app(self) -> Flask:
        app = Flask(__name__)
        app.add_url_rule("/.well-known/openid-configuration", view_func=self.metadata)
        app.add_url_rule("/oauth/jwks", view_func=self.jwks)
        app.add_url_rule("/oauth/token", view_func=self.token, methods=["POST"])
        app.add_url_rule("/api/v1/messages", view_func=self.take, methods=["POST"])
        app.add_url_rule("/api/v1/cases/<name>", view_func=self.report, methods=["PUT"])
        return app

    def metadata(self) -> dict[str, str]:
        return {
            "issuer": self.url,
            "token_endpoint": f"{self.url}/oauth/token",
            "jwks_uri": f"{self.url}/oauth/jwks",
        }

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.key.as_dict(private=False)]}

    def token(self) -> dict[str, Any]:
        keys = KeySet.import_key_set(requests.get(f"{self.authority_url}/jwks.json", timeout=TIMEOUT).json())
        claims = jwt.decode(request.form["client_assertion"], keys, ["RS256"]).claims
        assert claims["iss"] == claims["sub"] == "gewerbeamt-musterstadt"
        assert claims["aud"] == self.url
        assert claims["exp"] - claims["iat"] <= 300
        assert request.form["scope"] == "mailbox.deliver cases.write"
        return {"access_token": "t", "token_type": "Bearer", "expires_in": 300}

    def report(self, name: str) -> dict[str, Any]:
        assert request.headers["Authorization"] == "Bearer t"
        self.reports.append((name, request.get_json()["state"]))
        return {"id": name}

    def take(self) -> Response | tuple[Response, int]:
        assert request.headers["Authorization"] == "Bearer t"
        if self.refusals:
            status = self.refusals.pop(0)
            return jsonify(title="Not now", detail="The recipient is not known."), status
        message = request.get_json() if request.is_json else json.loads(request.form["message"])
        files = {str(file.filename): file.read() for file in request.files.getlist("attachments")}
        self.digests += [file.headers["Content-Digest"] for file in request.files.getlist("attachments")]
        self.taken.append((request.headers["Idempotency-Key"], message, files))
        claims = {
            "iss": self.url,
            "message_id": "m-1",
            "sequence_number": len(self.taken),
            "mailbox": message["recipient"]["org_sub"],
            "kind": message["kind"],
            "subject_sha256": digest(message["subject"].encode()),
            "body_sha256": digest(message["body"].encode()),
            "attachments": [{"sha256": digest(file), "size": len(file)} for file in files.values()],
            **self.receipt_changes,
        }
        answer = {
            "id": "m-1",
            "sequence_number": len(self.taken),
            "receipts": {kind: self.sign({"receipt": kind, **claims}) for kind in ("accepted", "made_available")},
        }
        return jsonify(answer), 201

    def sign(self, claims: dict[str, Any]) -> str:
        key = ECKey.generate_key("P-256") if self.foreign_receipts else self.key
        header = {"alg": "ES256", "kid": self.key.kid, "typ": self.receipt_typ}
        return jws.serialize_compact(header, json.dumps(claims), key, ["ES256"])


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def counterpart() -> Iterator[Counterpart]:
    with Listener("127.0.0.1") as listener:
        far_end = Counterpart(listener.url)
        listener.serve(far_end.app())
        yield far_end


@pytest.fixture
def office(counterpart: Counterpart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(courier, "FIRST_PAUSE_SECONDS", 0.05)
    with Listener("127.0.0.4") as listener:
        app = authority.create_app(konto_url=counterpart.url, data=tmp_path, decision_after=0.05)
        counterpart.authority_url = listener.url
        listener.serve(app)
        app.extensions["courier"].start()
        yield listener.url
        app.extensions["courier"].stop()


def submit(office: str, **changes: str) -> requests.Response:
    return requests.post(f"{office}/applications", json={**APPLICATION, **changes}, timeout=TIMEOUT)


def eventually(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < give_up, "it never happened"
        threading.Event().wait(0.02)


def shows(office: str, text: str) -> Callable[[], bool]:
    return lambda: text in requests.get(office, timeout=TIMEOUT).text


def test_application_becomes_a_decision_with_its_document(office: str, counterpart: Counterpart) -> None:
    assert submit(office).status_code == 202
    eventually(shows(office, "Unterschrift geprüft"))
    key, message, files = counterpart.taken[0]
    assert message["case"] == APPLICATION["id"] and "reports" not in message
    eventually(lambda: len(counterpart.reports) == 3)
    assert counterpart.reports == [(APPLICATION["id"], state) for state in ("received", "processing", "completed")]
    assert key == "application-0123456789abcdef-decision"
    assert message["kind"] == "decision"
    assert message["recipient"] == {"org_sub": APPLICATION["org_sub"]}
    assert message["decision"]["remedy"]["length"] == 1
    assert (message["decision"]["regime"], message["decision"]["land"]) == ("ozg9", "NW")
    ((name, content),) = files.items()
    assert name == f"Bescheid-{message['reference']}.pdf"
    assert content.startswith(b"%PDF-1.4")
    assert counterpart.digests[0].startswith("sha-256=:")


def test_same_application_is_decided_once(office: str, counterpart: Counterpart) -> None:
    for _ in range(3):
        assert submit(office).status_code == 202
    eventually(shows(office, "Unterschrift geprüft"))
    assert len(counterpart.taken) == 1
    assert requests.get(office, timeout=TIMEOUT).text.count("<section") == 1


def test_delivery_is_repeated_until_it_is_acknowledged(office: str, counterpart: Counterpart) -> None:
    counterpart.refusals = [500, 503, 429, 401]
    submit(office)
    eventually(shows(office, "Unterschrift geprüft"))
    assert [key for key, _, _ in counterpart.taken] == ["application-0123456789abcdef-decision"]
    assert "(5 Versuche)" in requests.get(office, timeout=TIMEOUT).text


def test_refused_delivery_waits_for_a_person(office: str, counterpart: Counterpart) -> None:
    counterpart.refusals = [422]
    submit(office)
    eventually(shows(office, "422 The recipient is not known."))
    assert counterpart.taken == []
    again = requests.post(f"{office}/deliveries/application-0123456789abcdef-decision/again", timeout=TIMEOUT)
    assert again.status_code == 200
    eventually(shows(office, "Unterschrift geprüft"))
    assert "Erneut zustellen" not in requests.get(office, timeout=TIMEOUT).text


def test_foreign_receipt_is_noticed(office: str, counterpart: Counterpart) -> None:
    counterpart.foreign_receipts = True
    submit(office)
    eventually(shows(office, "signature does not verify"))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"iss": "http://127.0.0.9:1"}, "speaks of something else: iss"),
        ({"body_sha256": "0" * 64}, "speaks of something else: body_sha256"),
        ({"attachments": []}, "speaks of something else: attachments"),
        ({"mailbox": "du-" + "0" * 40}, "speaks of something else: mailbox"),
        ({"sequence_number": 7}, "speaks of something else: sequence_number"),
        ({"receipt": "first_retrieved"}, "speaks of something else: receipt"),
    ],
    ids=str,
)
def test_receipt_for_something_else_is_noticed(
    office: str, counterpart: Counterpart, changes: dict[str, Any], verdict: str
) -> None:
    counterpart.receipt_changes = changes
    submit(office)
    eventually(shows(office, verdict))


def test_token_of_another_kind_is_no_receipt(office: str, counterpart: Counterpart) -> None:
    counterpart.receipt_typ = "JWT"
    submit(office)
    eventually(shows(office, "not a receipt"))


def test_ordinary_message_can_follow(office: str, counterpart: Counterpart) -> None:
    submit(office)
    eventually(shows(office, "Unterschrift geprüft"))
    url = f"{office}/applications/{APPLICATION['id']}/messages"
    assert requests.post(url, timeout=TIMEOUT).status_code == 200
    eventually(lambda: len(counterpart.taken) == 2)
    key, message, files = counterpart.taken[1]
    assert (key, message["kind"], files) == ("application-0123456789abcdef-message-1", "message", {})
    assert "decision" not in message


def test_forms_of_other_sites_are_refused(office: str) -> None:
    submit(office)
    url = f"{office}/applications/{APPLICATION['id']}/messages"
    answer = requests.post(url, headers={"Sec-Fetch-Site": "cross-site"}, timeout=TIMEOUT)
    assert answer.status_code == 403


def test_nothing_is_lost_over_a_restart(tmp_path: Path, counterpart: Counterpart) -> None:
    before = authority.create_app(konto_url=counterpart.url, data=tmp_path, decision_after=0)
    assert before.test_client().post("/applications", json=APPLICATION).status_code == 202
    after = authority.create_app(konto_url=counterpart.url, data=tmp_path)
    with Listener("127.0.0.4") as listener:
        counterpart.authority_url = listener.url
        listener.serve(after)
        after.extensions["courier"].start()
        eventually(lambda: len(counterpart.taken) == 1)
        after.extensions["courier"].stop()
    assert before.extensions["key"].kid == after.extensions["key"].kid


def test_unreachable_konto_is_tried_again_later(tmp_path: Path) -> None:
    app = authority.create_app(konto_url="http://127.0.0.1:9", data=tmp_path, decision_after=0)
    app.test_client().post("/applications", json=APPLICATION)
    app.extensions["courier"].start()
    register = app.extensions["register"]
    eventually(lambda: register.overview()[0][2][0].attempts == 1)
    app.extensions["courier"].stop()
    delivery = register.overview()[0][2][0]
    assert delivery.state == "waiting"
    assert delivery.due_at > time.time()
    assert "ConnectionError" in delivery.problem


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "../x"}, "id must be"),
        ({"begins_on": "bald"}, "begins_on must be"),
        ({"begins_on": "2027-02-30"}, "day"),
        ({"activity": ""}, "activity must be"),
        ({"address": "x" * 301}, "address must be"),
        ({"org_sub": None}, "org_sub must be"),
        ({"activity": "zwei\nZeilen"}, "activity must be one line"),
        ({"activity": "unsicht\u200bbar"}, "activity must be one line"),
    ],
    ids=str,
)
def test_faulty_application_is_refused_with_a_reason(office: str, changes: dict[str, str], reason: str) -> None:
    answer = submit(office, **changes)
    assert answer.status_code == 400
    assert reason in answer.json()["detail"]


@pytest.mark.parametrize("body", ["", "[]", "{", '"x"'])
def test_application_that_is_no_object_is_refused(office: str, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{office}/applications", body, headers=headers, timeout=TIMEOUT)
    assert (answer.status_code, answer.json()["detail"]) == (400, "Send a JSON object.")


def test_decision_document_is_a_pdf_with_umlauts() -> None:
    day = time.strptime("2026-11-23", "%Y-%m-%d")
    pdf = letters.decision_pdf(APPLICATION, "GA-2026-0001", letters.date(*day[:3]))
    assert puremagic.from_string(pdf) == ".pdf"
    assert "Müller & Söhne \\(GmbH\\)".encode("cp1252") in pdf
    assert "26,00 €".encode("cp1252") in pdf


def test_every_object_of_the_document_is_where_its_table_says() -> None:
    pdf = letter("Größe (1)", ["Zeile \\ eins", "", "Ende"])
    start = int(pdf.rsplit(b"startxref\n", 1)[1].split()[0])
    assert pdf[start:].startswith(b"xref\n0 8\n")
    rows = pdf[start:].split(b"\n")[3:10]
    for number, row in enumerate(rows, 1):
        assert len(row) == 19
        assert pdf[int(row[:10]) :].startswith(b"%d 0 obj\n" % number)
    stream = pdf.split(b"stream\n", 1)[1].split(b"\nendstream", 1)[0]
    assert b"/Length %d " % len(stream) in pdf


def test_document_has_one_page() -> None:
    with pytest.raises(ValueError, match="a page has"):
        letter("x", ["x"] * (MAX_LINES + 1))


def test_typed_markdown_stays_as_typed() -> None:
    body = letters.decision_message({**APPLICATION, "activity": "[x](http://e) *y*\n# z"}, "GA-1")["body"]
    assert r"\[x\]\(http://e\) \*y\* \# z" in body
