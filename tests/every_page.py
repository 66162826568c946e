"""The addresses of all pages, taken from the routes, so that a new page is checked without being named."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

from flask import Flask
from flask.testing import FlaskClient

from tests.factories import make_service
from tests.mailbox.conversations import writing_examples
from tests.mailbox.reading_data import authority, file, put
from tests.mailbox.watch import examples as watch
from tests.provider.party import Party
from unternehmenskonto import audit
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.search.models import SavedSearch
from unternehmenskonto.provider import consents

FIXED_PAGES = ("barrierefreiheit", "datenschutz", "impressum", "sicherheit")
LONG_WORD = "Straßenreinigungsgebührensatzungsänderungsverfahren"
#: A delivery whose period would end on a weekend, so that the explanation has all its sentences.
DELIVERED_AT = datetime(2026, 11, 10, 9, 0, tzinfo=UTC)


def a_decision(membership: Membership) -> Message:
    """Put a decision with attachments and long words into the mailbox."""
    return put(
        membership.company,
        authority(),
        regime="ozg9",
        at=DELIVERED_AT,
        subject=f"Bescheid im {LONG_WORD}",
        body=f"# Bescheid\n\nÜber das **{LONG_WORD}**:\n\n- [Auskunft](https://behoerde.example)\n\n| a | b |\n|-|-|",
        body_format="markdown",
        reference="GA-2026-0001/" + "7" * 60,
        files=[file(f"{LONG_WORD}.pdf", b"%PDF-1.7 a"), file("b.csv", b"a;b", "text/csv")],
    )


def a_disclosure(membership: Membership) -> str:
    """Let a service with long words get something; return where that is shown."""
    service = Party(name=LONG_WORD, registration={"backchannel_logout_uri": "http://127.0.0.3:8002/abmeldung"}).service
    consents.give(
        person_id=membership.person_id,
        company_id=membership.company_id,
        membership_id=membership.id,
        service=service.slug,
        claims=[*service.claim_names, "offline_access"],
    )
    audit.record(
        "claims.disclosed",
        by=f"client:{service.slug}",
        company_id=membership.company_id,
        service=service.slug,
        claims=service.claim_names,
        membership_id=membership.id,
    )
    db.session.commit()
    return "/datenweitergaben"


def a_saved_search(membership: Membership) -> SavedSearch:
    """Keep a search under a name that is hard to break."""
    fields = {"suche": LONG_WORD, "art": "decision"}
    search = SavedSearch(
        company_id=membership.company_id, membership_id=membership.id, name=f"{LONG_WORD} {secrets.token_hex(3)}",
        fields=fields,
    )  # fmt: skip
    db.session.add(search)
    db.session.commit()
    return search


def a_search(membership: Membership) -> str:
    """Return a search with filters that finds a message with long words."""
    a_decision(membership)
    a_saved_search(membership)
    db.session.commit()
    return "/postfach/suche?suche=gebuehrensatzung&art=decision&von=2026-01-01&anhang=yes"


#: How to open the pages whose address has a variable part, or which are empty by themselves.
EXAMPLES: dict[str, Callable[[Membership], str]] = {
    "/seiten/<name>": lambda membership: "/seiten/impressum",
    "/datenweitergaben": a_disclosure,
    "/dienste/<slug>": lambda membership: f"/dienste/{make_service(name='Gewerbeanmeldung').slug}",
    "/abwesenheit": watch.absences,
    "/fristen": watch.deadlines,
    "/fristen/<uuid:message_id>": watch.explained,
    "/fristen/kalender": watch.calendar,
    "/oauth/weiter/<name>": lambda membership: "/oauth/authorize?" + urlencode(Party().request()),
    "/postfach/<uuid:message_id>": lambda membership: f"/postfach/{a_decision(membership).id}",
    "/postfach/<uuid:message_id>/druck": lambda membership: f"/postfach/{a_decision(membership).id}/druck",
    "/postfach/<uuid:message_id>/antworten": writing_examples.a_form,
    "/postfach/entwuerfe/<uuid:draft_id>": writing_examples.a_draft,
    "/postfach/entwuerfe/<uuid:draft_id>/pruefen": writing_examples.a_review,
    "/postfach/gesendet/<uuid:sent_id>": writing_examples.a_copy,
    "/postfach/neu": writing_examples.a_new_message,
    "/postfach/suche": a_search,
    "/postfach/suche/gemerkt/<uuid:search_id>": lambda membership: (
        f"/postfach/suche/gemerkt/{a_saved_search(membership).id}"
    ),
    "/postfach/suche/merken": lambda membership: "/postfach/suche/merken?suche=bescheid&art=decision",
    "/unternehmen/personen/<uuid:membership_id>": lambda membership: f"/unternehmen/personen/{membership.id}",
    "/unternehmen/personen/<uuid:membership_id>/entfernen": (
        lambda membership: f"/unternehmen/personen/{membership.id}/entfernen"
    ),
}
#: Addresses with a variable part that answer with a redirect or a file; their own tests open them.
NOT_PAGES = (
    "/fristen/<uuid:message_id>/kalender.ics",
    "/kalender/",
    "/static/",
    "/oauth/register/",
    "/sprache/",
    "/api/",
    "/anmelden/<slug>/rueckkehr",
    "/postfach/<uuid:message_id>/zip",
    "/postfach/<uuid:message_id>/anhang/",
    "/sitzungen/anmeldungen/",
    "/postfach/entwuerfe/<uuid:draft_id>/anhang/",
    "/postfach/gesendet/<uuid:sent_id>/anhang/",
    "/postfach/gesendet/<uuid:sent_id>/nachweis/",
)


def get_rules(app: Flask) -> list[str]:
    """Return the routes that can be asked for with GET."""
    return sorted({rule.rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())})


def rules_without_example(app: Flask) -> list[str]:
    """Return the routes with a variable part of which no test knows an example."""
    return [rule for rule in get_rules(app) if "<" in rule and not rule.startswith(NOT_PAGES) and rule not in EXAMPLES]


def make_addresses(app: Flask, membership: Membership) -> list[str]:
    """Return every address to open, with rows made for those that need one; not all of them are pages."""
    made = [EXAMPLES[rule](membership) if rule in EXAMPLES else rule for rule in get_rules(app)]
    fixed = [f"/seiten/{name}" for name in FIXED_PAGES]
    return sorted({address for address in made if "<" not in address} | set(fixed))


def find_pages(client: FlaskClient, addresses: list[str]) -> dict[str, str]:
    """Return the pages behind the addresses, redirects followed: address -> HTML. Fails for a 5xx."""
    pages: dict[str, str] = {}
    for address in addresses:
        target: str | None = address
        while target is not None and target.startswith("/"):
            with client.get(target) as answer:
                assert answer.status_code < 500, target
                if answer.status_code < 300 or answer.status_code >= 400:
                    if answer.mimetype == "text/html":
                        pages[target] = answer.text
                    break
                target = answer.headers["Location"]
    return pages
