"""Every reason for which the delivery API says no: status, what is wrong, what to do.

The table is served at /api/v1/problems; the `type` of each problem details object (RFC 9457) points into it.
"""

from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l

from unternehmenskonto.errors import (
    AppError,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    SignInRequired,
    TooLarge,
    TooManyRequests,
    Unavailable,
    Unprocessable,
    UnsupportedType,
)


class TooSlow(AppError):
    """Give up a request whose body does not arrive."""

    status = 408
    code = "too_slow"


@dataclass(frozen=True)
class Problem:
    """One row of the table; `kind` gives the status."""

    code: str
    kind: type[AppError]
    sentence: Any
    remedy: Any

    @property
    def status(self) -> int:
        """Return the HTTP status of this problem."""
        return self.kind.status


_ROWS = (
    Problem(
        "invalid_input",
        InvalidInput,
        _l("Die Nachricht ist unvollständig oder fehlerhaft."),
        _l("Berichtigen Sie die unter „errors“ genannten Felder."),
    ),
    Problem(
        "invalid_json",
        InvalidInput,
        _l("Die Nachricht ist kein gültiges JSON-Objekt."),
        _l("Senden Sie UTF-8, jeden Namen nur einmal und keine Werte wie NaN."),
    ),
    Problem(
        "invalid_multipart",
        InvalidInput,
        _l("Die Teile der Anfrage lassen sich nicht lesen."),
        _l(
            "Senden Sie multipart/form-data nach RFC 7578 mit einem Teil „message“ "
            "und, wenn nötig, Teilen „attachments“."
        ),
    ),
    Problem(
        "unknown_part",
        InvalidInput,
        _l("Die Anfrage enthält einen Teil, der nicht vorgesehen ist."),
        _l("Vorgesehen sind genau ein Teil „message“ und Teile „attachments“ mit Dateinamen."),
    ),
    Problem(
        "idempotency_key_missing",
        InvalidInput,
        _l("Der Idempotency-Key fehlt oder ist ungültig."),
        _l("Senden Sie mit jeder Zustellung einen eigenen Wert aus 1 bis 255 sichtbaren ASCII-Zeichen."),
    ),
    Problem(
        "invalid_digest",
        InvalidInput,
        _l("Der Kopf Content-Digest ist nicht lesbar."),
        _l("Schreiben Sie ihn nach RFC 9530, zum Beispiel „sha-256=:…Base64…:“."),
    ),
    Problem(
        "digest_mismatch",
        InvalidInput,
        _l("Der Inhalt passt nicht zu seinem Content-Digest, er wurde unterwegs verändert oder falsch berechnet."),
        _l("Senden Sie die Anfrage noch einmal; bleibt der Fehler, prüfen Sie die Berechnung."),
    ),
    Problem(
        "invalid_identifier",
        InvalidInput,
        _l("Die Nummer des Unternehmens ist nicht gültig."),
        _l("Prüfen Sie sie auf Tippfehler."),
    ),
    Problem(
        "reply_is_over",
        InvalidInput,
        _l("Die Frist für die Antwort ist schon vorbei."),
        _l("Nennen Sie unter „reply.until“ heute oder einen späteren Tag."),
    ),
    Problem(
        "case_id_invalid",
        InvalidInput,
        _l("Das ist keine Kennung eines Vorgangs."),
        _l("Erlaubt sind 1 bis 100 Zeichen: Buchstaben ohne Umlaute, Ziffern und . _ ~ : -"),
    ),
    Problem(
        "case_in_future",
        InvalidInput,
        _l("Dieser Stand liegt in der Zukunft."),
        _l("Nennen Sie unter „at“, wann er eingetreten ist, mit Zeitzone; prüfen Sie Ihre Uhr."),
    ),
    Problem(
        "invalid_cursor",
        InvalidInput,
        _l("Das ist keine Stelle in der Liste."),
        _l("Übernehmen Sie „next“ aus der letzten Antwort unverändert oder lassen Sie „after“ weg."),
    ),
    Problem(
        "invalid_token",
        SignInRequired,
        _l("Das Zugriffstoken fehlt, ist ungültig oder abgelaufen."),
        _l("Holen Sie an /oauth/token ein neues mit dem Scope der Adresse, etwa mailbox.deliver."),
    ),
    Problem(
        "insufficient_scope",
        Forbidden,
        _l("Dem Zugriffstoken fehlt der Scope für diese Adresse."),
        _l("Fordern Sie ihn an /oauth/token an; der Betreiber muss ihn Ihrem Dienst erlaubt haben."),
    ),
    Problem(
        "sender_not_allowed",
        Forbidden,
        _l("Ihr Dienst darf nicht in Postfächer zustellen."),
        _l("Bitten Sie den Betreiber, Ihren Dienst als Absender freizuschalten."),
    ),
    Problem(
        "recipient_unknown",
        NotFound,
        _l("Dieses Unternehmen hat hier kein Konto."),
        _l("Stellen Sie auf einem anderen Weg zu oder prüfen Sie die Angabe des Empfängers."),
    ),
    Problem(
        "not_found",
        NotFound,
        _l("Diese Adresse gibt es nicht."),
        _l("Die Adressen der Schnittstelle stehen unter /api/v1/openapi.json."),
    ),
    Problem(
        "message_unknown",
        NotFound,
        _l("Diese Nachricht gibt es nicht oder ein anderer Dienst hat sie zugestellt."),
        _l("Prüfen Sie die Kennung aus der Antwort auf Ihre Zustellung."),
    ),
    Problem(
        "reply_unknown",
        NotFound,
        _l("Diese Antwort oder Datei gibt es nicht, oder sie ist an einen anderen Dienst gerichtet."),
        _l("Prüfen Sie die Kennung aus der Liste unter /api/v1/replies."),
    ),
    Problem(
        "case_unknown",
        NotFound,
        _l("Diesen Vorgang gibt es bei diesem Unternehmen nicht."),
        _l("Melden Sie ihn zuerst mit PUT /api/v1/cases/… und nehmen Sie für jeden Vorgang eine eigene Kennung."),
    ),
    Problem(
        "too_slow",
        TooSlow,
        _l("Die Anfrage kam nicht innerhalb von zehn Minuten vollständig an."),
        _l("Senden Sie sie über eine schnellere Verbindung noch einmal, mit demselben Idempotency-Key."),
    ),
    Problem(
        "request_in_progress",
        Conflict,
        _l("Eine Anfrage mit demselben Idempotency-Key läuft noch."),
        _l("Warten Sie zwei Sekunden und senden Sie sie unverändert noch einmal."),
    ),
    Problem(
        "too_large",
        TooLarge,
        _l("Die Anfrage ist zu groß."),
        _l("Erlaubt sind 1 MiB für die Nachricht, 25 MiB je Anhang, 20 Anhänge und 100 MiB zusammen."),
    ),
    Problem(
        "too_many_attachments",
        TooLarge,
        _l("Die Anfrage enthält mehr als 20 Anhänge."),
        _l("Verteilen Sie die Anhänge auf mehrere Nachrichten."),
    ),
    Problem(
        "attachment_too_large",
        TooLarge,
        _l("Ein Anhang ist größer als 25 MiB."),
        _l("Verkleinern oder teilen Sie die Datei."),
    ),
    Problem(
        "unsupported_type",
        UnsupportedType,
        _l("Der Content-Type der Anfrage oder ihres Teils „message“ wird nicht angenommen."),
        _l("Senden Sie application/json in UTF-8 oder multipart/form-data."),
    ),
    Problem(
        "attachment_type",
        UnsupportedType,
        _l("Dieser Dateityp wird nicht angenommen."),
        _l("Erlaubt sind pdf, png, jpg, jpeg, txt, csv und xml; die Endung muss zum Inhalt passen."),
    ),
    Problem(
        "attachment_empty",
        Unprocessable,
        _l("Ein Anhang ist leer."),
        _l("Senden Sie die Datei mit Inhalt oder lassen Sie sie weg."),
    ),
    Problem(
        "attachment_damaged",
        Unprocessable,
        _l("Ein Anhang ist beschädigt, verschlüsselt oder enthält mehr als eine Datei seiner Art."),
        _l("Öffnen Sie die Datei zur Probe, speichern Sie sie neu und ohne Kennwort und senden Sie sie noch einmal."),
    ),
    Problem(
        "attachment_active",
        Unprocessable,
        _l("Ein Anhang enthält aktive Inhalte, etwa JavaScript, Programmaufrufe, eingebettete Dateien oder eine DTD."),
        _l("Speichern Sie die Datei ohne aktive Inhalte, am besten als PDF/A."),
    ),
    Problem(
        "case_state_differs",
        Unprocessable,
        _l("Diesen Stand zu dieser Zeit haben Sie schon mit einem anderen Text gemeldet."),
        _l("Ein gemeldeter Stand ändert sich nicht mehr. Melden Sie einen neuen mit seiner eigenen Zeit."),
    ),
    Problem(
        "case_full",
        Unprocessable,
        _l("Zu diesem Vorgang sind schon 500 Stände gemeldet."),
        _l("Melden Sie nur, was für das Unternehmen neu ist."),
    ),
    Problem(
        "idempotency_key_reused",
        Unprocessable,
        _l("Unter diesem Idempotency-Key kam schon eine andere Nachricht."),
        _l("Nehmen Sie für jede Nachricht einen neuen Wert und wiederholen Sie nur unveränderte Anfragen."),
    ),
    Problem(
        "too_many_requests",
        TooManyRequests,
        _l("Das waren zu viele Anfragen."),
        _l("Warten Sie so viele Sekunden, wie der Kopf Retry-After nennt."),
    ),
    Problem(
        "internal_error",
        AppError,
        _l("Etwas ist schiefgegangen."),
        _l("Wiederholen Sie die Anfrage mit demselben Idempotency-Key; bleibt der Fehler, nennen Sie uns „instance“."),
    ),
    Problem(
        "unavailable",
        Unavailable,
        _l("Datenbank oder Ablage sind gerade nicht erreichbar."),
        _l("Wiederholen Sie die Anfrage nach Retry-After Sekunden mit demselben Idempotency-Key."),
    ),
)
PROBLEMS = {problem.code: problem for problem in _ROWS}


def refusal(code: str, *, detail: str = "", **members: Any) -> AppError:
    """Return the error to raise for a row of the table; `detail` is for the log only."""
    problem = PROBLEMS[code]
    return problem.kind(f"{problem.sentence} {problem.remedy}", code=code, detail=detail, **members)
