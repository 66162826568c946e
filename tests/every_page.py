"""The addresses of all pages, taken from the routes, so that a new page is checked without being named."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

from flask import Flask
from flask.testing import FlaskClient

from tests.factories import make_service
from tests.mailbox.cases.case_data import a_case
from tests.mailbox.conversations import writing_examples
from tests.mailbox.reading_data import acting, authority, file, put
from tests.mailbox.team import examples as team
from tests.mailbox.watch import examples as watch
from tests.provider.party import Party
from unternehmenskonto import audit
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db
from unternehmenskonto.mailbox.copies.models import MailboxExport
from unternehmenskonto.mailbox.folders import actions as folders
from unternehmenskonto.mailbox.folders import erasure
from unternehmenskonto.mailbox.labels import actions as labels
from unternehmenskonto.mailbox.models import Message
from unternehmenskonto.mailbox.search.models import SavedSearch
from unternehmenskonto.provider import consents

FIXED_PAGES = ("barrierefreiheit", "datenschutz", "impressum", "sicherheit")
LONG_WORD = "Straßenreinigungsgebührensatzungsänderungsverfahren"
#: A delivery whose period would end on a weekend, so that the explanation has all its sentences.
DELIVERED_AT = datetime(2026, 11, 10, 9, 0, tzinfo=UTC)


def a_decision(membership: Membership, regime: str = "ozg9", at: datetime | None = DELIVERED_AT) -> Message:
    """Put a decision with attachments and long words into the mailbox."""
    return put(
        membership.company,
        authority(),
        regime=regime,
        at=at,
        subject=f"Bescheid im {LONG_WORD}",
        body=f"# Bescheid\n\nÜber das **{LONG_WORD}**:\n\n- [Auskunft](https://behoerde.example)\n\n| a | b |\n|-|-|",
        body_format="markdown",
        reference="GA-2026-0001/" + "7" * 60,
        files=[file(f"{LONG_WORD}.pdf", b"%PDF-1.7 a"), file("b.csv", b"a;b", "text/csv")],
    )


def a_waiting_decision(membership: Membership) -> Message:
    """Put a decision into the mailbox whose dates depend on when somebody opens it."""
    return put(membership.company, authority(), regime="vwvfg41_2a", subject=f"Bescheid im {LONG_WORD}")


def full_lists(membership: Membership, address: str) -> str:
    """Put messages into all folders, with labels and a result above the list; `{label}` becomes the id of a label."""
    actor, service = acting(membership), authority()
    names = {label.name for label in labels.list_labels(actor=actor).values()}
    name = next(name for name in (f"{LONG_WORD[:32]} {number}" for number in range(50)) if name not in names)
    label = labels.make(actor=actor, name=name, colour="violet")
    subjects = [f"Mitteilung zum {LONG_WORD}", "Kurz", "Einladung", "Erinnerung", "Protokoll", "Alt"]
    ids = [put(membership.company, service, subject=subject).id for subject in subjects]
    ids.append(a_decision(membership).id)
    folders.act(actor=actor, action="label", message_ids=ids, label_id=label.id)
    folders.act(actor=actor, action="archive", message_ids=ids[2:4])
    bulk = folders.act(actor=actor, action="bin", message_ids=ids[4:])
    db.session.commit()
    return address.format(label=label.id) + f"?ergebnis={bulk.id}&auswahl=alle"


def a_message_to_erase(membership: Membership) -> str:
    """Put messages into the bin and return where their final deletion is confirmed."""
    ids = [put(membership.company, authority(), subject=LONG_WORD, files=[file("a.pdf", b"%PDF")]).id for _ in "ab"]
    folders.act(actor=acting(membership), action="bin", message_ids=ids)
    db.session.commit()
    return f"/postfach/papierkorb/loeschen?n={ids[0]}&n={ids[1]}"


def an_erased_message(membership: Membership) -> str:
    """Delete a message for good and return where its remains are shown."""
    message_id = put(membership.company, authority()).id
    folders.act(actor=acting(membership), action="bin", message_ids=[message_id])
    erasure.erase(actor=acting(membership), message_ids=[message_id])
    db.session.commit()
    return "/postfach/papierkorb/geloescht"


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


def an_export(membership: Membership) -> str:
    """Leave a running export and a finished one."""
    a_decision(membership)
    common = {"company_id": membership.company_id, "membership_id": membership.id, "language": "de", "total": 12_000}
    done = {"state": "done", "written": 12_000, "damaged": 2, "size": 5_000_000, "path": "x", "sha256": "0" * 64}
    db.session.add_all([MailboxExport(**common, state="running", written=4_000), MailboxExport(**common, **done)])
    db.session.commit()
    return "/postfach/export"


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
    "/postfach": lambda membership: full_lists(membership, "/postfach"),
    "/postfach/archiv": lambda membership: full_lists(membership, "/postfach/archiv"),
    "/postfach/papierkorb": lambda membership: full_lists(membership, "/postfach/papierkorb"),
    "/postfach/papierkorb/geloescht": an_erased_message,
    "/postfach/papierkorb/loeschen": a_message_to_erase,
    "/postfach/etiketten": lambda membership: full_lists(membership, "/postfach/etiketten"),
    "/postfach/etiketten/<uuid:label_id>": lambda membership: full_lists(membership, "/postfach/etiketten/{label}"),
    "/postfach/etiketten/<uuid:label_id>/bearbeiten": (
        lambda membership: full_lists(membership, "/postfach/etiketten/{label}/bearbeiten")
    ),
    "/postfach/etiketten/<uuid:label_id>/loeschen": (
        lambda membership: full_lists(membership, "/postfach/etiketten/{label}/loeschen")
    ),
    "/postfach/<uuid:message_id>/vorschau": (
        lambda membership: f"/postfach/{a_decision(membership, regime='vwvfg41_2a', at=None).id}/vorschau"
    ),
    "/postfach/<uuid:message_id>/druck": lambda membership: f"/postfach/{a_decision(membership).id}/druck",
    "/postfach/<uuid:message_id>/antworten": writing_examples.a_form,
    "/postfach/entwuerfe/<uuid:draft_id>": writing_examples.a_draft,
    "/postfach/entwuerfe/<uuid:draft_id>/pruefen": writing_examples.a_review,
    "/postfach/gesendet/<uuid:sent_id>": writing_examples.a_copy,
    "/vorgaenge/<uuid:case_id>": a_case,
    "/postfach/neu": writing_examples.a_new_message,
    "/postfach/export": an_export,
    "/postfach/suche": a_search,
    "/postfach/suche/gemerkt/<uuid:search_id>": lambda membership: (
        f"/postfach/suche/gemerkt/{a_saved_search(membership).id}"
    ),
    "/postfach/suche/merken": lambda membership: "/postfach/suche/merken?suche=bescheid&art=decision",
    "/postfach/aufgaben": team.task_list,
    "/postfach/<uuid:message_id>/team": team.team_page,
    "/postfach/<uuid:message_id>/gesehen": team.seen_page,
    "/postfach/<uuid:message_id>/kommentare/<uuid:comment_id>": team.comment_page,
    "/postfach/themen/<uuid:topic_id>": team.topic_page,
    "/postfach/themen/<uuid:topic_id>/aufloesen": lambda membership: team.topic_page(membership) + "/aufloesen",
    "/postfach/themen/regeln/<uuid:rule_id>": team.rule_page,
    "/postfach/themen/regeln/<uuid:rule_id>/anwenden": lambda membership: team.rule_page(membership) + "/anwenden",
    "/postfach/themen/laeufe/<uuid:run_id>": team.run_page,
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
