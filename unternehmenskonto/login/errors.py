"""Everything that can go wrong on the way to an identity provider and back, with what to do about it."""

from typing import Any

from flask_babel import lazy_gettext as _l

from unternehmenskonto.errors import AppError, Conflict


class LoginFailed(AppError):
    """A login that did not succeed: a page with title, sentence and next step; `detail` is for the log only."""

    status = 502
    code = "login_failed"
    title: Any = _l("Anmeldung nicht möglich")
    advice: Any = _l("Versuchen Sie es noch einmal. Bleibt es dabei, schreiben Sie uns und nennen Sie die Kennung.")
    #: The same login would fail again: let the person choose another one, also where the provider remembers this.
    needs_other_login = False
    #: After how many seconds it is worth another try, where the status is 503.
    retry_after = 60


class ProviderUnreachable(LoginFailed):
    status = 503
    code = "provider_unreachable"
    title = _l("Der Anmeldedienst ist nicht erreichbar")
    sentence = _l("Wir erreichen den Anmeldedienst gerade nicht. An Ihrem Zertifikat liegt es nicht.")
    advice = _l("Versuchen Sie es in einigen Minuten noch einmal oder wählen Sie einen anderen Anmeldedienst.")


class ProviderSlow(ProviderUnreachable):
    code = "provider_slow"
    title = _l("Der Anmeldedienst antwortet zu langsam")
    sentence = _l("Der Anmeldedienst hat nicht rechtzeitig geantwortet. An Ihrem Zertifikat liegt es nicht.")


class ProviderDown(ProviderUnreachable):
    code = "provider_down"
    title = _l("Der Anmeldedienst ist zurzeit gestört")
    sentence = _l("Der Anmeldedienst hat mehrmals nicht geantwortet, deshalb fragen wir ihn gerade nicht.")
    advice = _l("Versuchen Sie es in einer Minute noch einmal oder wählen Sie einen anderen Anmeldedienst.")

    def __init__(self, *, retry_after: int, detail: str) -> None:
        super().__init__(detail=detail)
        self.retry_after = retry_after


class ProviderGarbage(LoginFailed):
    code = "provider_garbage"
    title = _l("Der Anmeldedienst antwortet nicht richtig")
    sentence = _l("Der Anmeldedienst hat geantwortet, aber nicht so, wie es vereinbart ist.")
    advice = _l("Versuchen Sie es in einigen Minuten noch einmal. Bleibt es dabei, nennen Sie uns bitte die Kennung.")


class TokenInvalid(LoginFailed):
    code = "token_invalid"
    sentence = _l("Die Antwort des Anmeldedienstes ließ sich nicht prüfen. Zu Ihrer Sicherheit haben wir abgebrochen.")
    advice = _l("Beginnen Sie die Anmeldung neu. Bleibt es dabei, nennen Sie uns bitte die Kennung.")


class Cancelled(LoginFailed):
    status = 403
    code = "cancelled"
    title = _l("Anmeldung abgebrochen")
    sentence = _l("Die Anmeldung wurde beim Anmeldedienst abgebrochen. Es ist nichts geschehen.")
    advice = _l("Wenn Sie sich anmelden möchten, beginnen Sie einfach neu.")


class TransactionUnknown(LoginFailed):
    status = 400
    code = "state_unknown"
    title = _l("Diese Anmeldung gibt es nicht mehr")
    sentence = _l("Die Anmeldung ist abgelaufen, wurde schon verwendet oder in einem anderen Browser begonnen.")
    advice = _l("Beginnen Sie neu und bleiben Sie dabei in diesem Browser. Cookies müssen erlaubt sein.")


class LevelTooLow(LoginFailed):
    status = 403
    code = "level_too_low"
    needs_other_login = True
    title = _l("Das Vertrauensniveau reicht nicht")
    sentence = _l("Diese Anmeldung hat nicht das Vertrauensniveau, das nötig ist.")
    advice = _l(
        "Melden Sie sich mit einem Zertifikat an, das ein höheres Vertrauensniveau hat, "
        "zum Beispiel mit einem ELSTER-Organisationszertifikat."
    )


class BelongsToYou(LoginFailed):
    status = 409
    code = "login_is_yours"
    title = _l("Diese Anmeldung gehört schon zu Ihnen")
    sentence = _l("Sie können sich damit bereits anmelden. Es ist nichts geschehen.")
    advice = _l("Möchten Sie eine andere hinzufügen, wählen Sie beim Anmeldedienst ein anderes Zertifikat.")


class BelongsToAnother(LoginFailed):
    status = 409
    code = "login_is_anothers"
    title = _l("Diese Anmeldung gehört schon zu einer anderen Person")
    sentence = _l("Damit hat sich schon jemand angemeldet, und Personen führen wir nicht zusammen.")
    advice = _l("Gehört auch diese Anmeldung Ihnen, melden Sie sich ab und mit ihr neu an, oder schreiben Sie uns.")


class LastLogin(Conflict):
    code = "last_login"
    sentence = _l("Das ist Ihre einzige Anmeldung. Ohne sie kämen Sie nicht mehr hinein; fügen Sie erst eine hinzu.")


class DataMissing(LoginFailed):
    status = 422
    code = "data_missing"
    needs_other_login = True
    title = _l("Es fehlen Angaben zu Ihrem Unternehmen")
    sentence = _l("Der Anmeldedienst hat nicht alles genannt, was wir über Ihr Unternehmen wissen müssen.")
    advice = _l(
        "Lassen Sie die Angaben bei der Stelle ergänzen, die Ihr Zertifikat ausgestellt hat, "
        "oder wählen Sie ein anderes Zertifikat."
    )
