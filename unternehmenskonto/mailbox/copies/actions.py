"""Ask for an export of the whole mailbox, cancel it, fetch it; and the jobs that make and remove the files."""

import tempfile
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from flask_babel import force_locale, get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select, update

from unternehmenskonto import audit, storage
from unternehmenskonto.companies.models import Membership
from unternehmenskonto.db import db, now
from unternehmenskonto.errors import Conflict, NotFound
from unternehmenskonto.jobs import defer, job
from unternehmenskonto.mailbox.copies import archive
from unternehmenskonto.mailbox.copies.archive import Cancelled, Progress
from unternehmenskonto.mailbox.copies.models import MailboxExport
from unternehmenskonto.permissions import ROLES, Actor

log = structlog.get_logger()

PERMISSION = "mailbox.read"
KEPT_DAYS = 7
#: Exports that all workers together make at once; further ones wait.
MAXIMUM_RUNNING = 2
WAIT_SECONDS = 30
SHOWN = 10


class ExportRunning(Conflict):
    """The company is making one already."""

    code = "export_running"
    sentence = _l("Für Ihr Unternehmen läuft schon ein Export. Warten Sie, bis er fertig ist, oder brechen Sie ihn ab.")


def start(*, actor: Actor) -> MailboxExport:
    """Ask for an export; raises ExportRunning while the company makes one."""
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(actor.company_id), 14))))
    if db.session.scalar(_open(actor.company_id)):
        raise ExportRunning
    total, closed = archive.count(actor)
    export = MailboxExport(
        company_id=actor.company_id,
        membership_id=actor.membership_id,
        language=str(get_locale() or "de")[:2],
        total=total,
        closed=closed,
    )
    db.session.add(export)
    db.session.flush()
    _audit("export.requested", export, by=f"person:{actor.person_id}")
    defer("copies.export", export_id=str(export.id))
    return export


def mine(actor: Actor) -> Sequence[MailboxExport]:
    """Return the last exports of this person, the newest first."""
    return db.session.scalars(_own(actor).order_by(MailboxExport.created_at.desc()).limit(SHOWN)).all()


def is_one_running(actor: Actor) -> bool:
    """Tell whether somebody of the company has an export made."""
    return db.session.scalar(_open(actor.company_id)) is not None


def cancel(*, actor: Actor, export_id: uuid.UUID) -> None:
    """End an export of one's own; the job stops after its batch. Raises NotFound."""
    export = _get(actor, export_id)
    if export.is_open:
        export.state, export.finished_at = "cancelled", now()
        _audit("export.cancelled", export, by=f"person:{actor.person_id}")
    db.session.flush()


def fetch(*, actor: Actor, export_id: uuid.UUID) -> MailboxExport:
    """Return a finished export of one's own and write down that it was fetched; raises NotFound."""
    export = _get(actor, export_id)
    if export.state != "done" or export.path is None:
        raise NotFound
    _audit("export.fetched", export, by=f"person:{actor.person_id}")
    db.session.flush()
    return export


@job("copies.export")
def make(export_id: str) -> None:
    """Make the file of an export; begins anew after a crash. A job cancelled meanwhile leaves nothing."""
    key = uuid.UUID(export_id)
    export = db.session.get(MailboxExport, key, with_for_update=True)
    if export is None or not export.is_open:
        return
    running = select(func.count()).where(MailboxExport.state == "running", MailboxExport.id != key)
    if (db.session.scalar(running) or 0) >= MAXIMUM_RUNNING:
        defer("copies.export", delay=timedelta(seconds=WAIT_SECONDS), export_id=export_id)
        return
    actor = _actor(export)
    if actor is None:
        export.state, export.finished_at = "cancelled", now()
        return
    with force_locale(export.language):
        notes = _notes(actor)
    db.session.rollback()
    try:
        _report(key, Progress())
        with tempfile.TemporaryFile(dir=_folder()) as file:
            progress = archive.write(file, actor=actor, notes=notes, report=lambda done: _report(key, done))
            sha256, size = archive.digest(file)
            path = storage.put(file)
    except Cancelled:
        return
    _finish(key, progress, path=path, sha256=sha256, size=size)


@job("copies.remove_old", cron="17 * * * *")
def remove_old() -> None:
    """Remove the files of exports that are older than KEPT_DAYS, and of requests that nobody works on."""
    old = now() - timedelta(days=KEPT_DAYS)
    for export in db.session.scalars(
        select(MailboxExport).where(
            MailboxExport.state.in_(("done", "waiting", "running")), MailboxExport.created_at < old
        )
    ):
        if export.path is not None:
            storage.delete(export.path)
        export.state = "removed" if export.state == "done" else "failed"
        export.path = None


def _finish(key: uuid.UUID, progress: Progress, **file: Any) -> None:
    export = db.session.get(MailboxExport, key, with_for_update=True, populate_existing=True)
    if export is None or not export.is_open:  # cancelled in the last moment
        storage.delete(file["path"])
        return
    export.state, export.finished_at = "done", now()
    export.written, export.closed, export.damaged = progress.written, progress.closed, progress.damaged
    export.total = progress.written
    export.path, export.sha256, export.size = file["path"], file["sha256"], file["size"]
    _audit("export.made", export, by="system", messages=progress.written, closed=progress.closed)


def _report(key: uuid.UUID, progress: Progress) -> None:
    """Show the progress at once, in a transaction of its own; raise Cancelled if nobody wants the file any more."""
    with db.engine.begin() as connection:
        changed = connection.execute(
            update(MailboxExport)
            .where(MailboxExport.id == key, MailboxExport.state.in_(("waiting", "running")))
            .values(state="running", written=progress.written)
        )
    if not changed.rowcount:
        raise Cancelled


def _actor(export: MailboxExport) -> Actor | None:
    """Return the person as whom the job reads; None if they may not any more."""
    membership = db.session.get(Membership, export.membership_id)
    if membership is None or membership.ended_at is not None:
        return None
    if not any(PERMISSION in ROLES.get(role, ()) for role in membership.roles):
        return None
    return Actor(
        person_id=membership.person_id,
        person_name=membership.person.name,
        company_id=export.company_id,
        company_name=membership.company.name,
        membership_id=membership.id,
        session_id=export.id,
        assurance_level="",
        auth_time=export.created_at,
        roles=frozenset(membership.roles),
    )


def _notes(actor: Actor) -> str:
    """Return what is in the archive and how its proofs are checked, for the person who unpacks it."""
    notes: str = _(
        "Export des Postfachs von %(company)s\n\n"
        "nachrichten/<Nummer>/nachricht.json: alle Angaben einer Nachricht, ihr Text und die signierten Nachweise.\n"
        "Daneben liegen ihre Anhänge im Original. sha256 in der JSON-Datei ist die Prüfsumme jedes Anhangs.\n"
        "Nachrichten, die noch niemand geöffnet hat, stehen ohne Text und Anhänge darin (is_opened: false):\n"
        "Ein Export ist kein Abruf.\n\n"
        "So prüfen Sie die Nachweise: Jeder Wert unter receipts ist eine signierte Bestätigung (JWS, RFC 7515).\n"
        "Die öffentlichen Schlüssel liegen in schluessel.json (JWKS, RFC 7517), benannt wie kid im Kopf der\n"
        "Bestätigung.\n\n"
        "So prüfen Sie, dass nichts fehlt: kette.jsonl nennt für jede Nummer leaf, previous und hash, je 32 Bytes\n"
        "hexadezimal. previous ist der hash der Nummer davor, am Anfang Nullen.\n"
        "hash = SHA-256(previous, Nummer als 8 Bytes, leaf). leaf = SHA-256(salt, Nachricht); salt steht in\n"
        "nachricht.json.\n",
        company=actor.company_name,
    )
    return notes


def _open(company_id: uuid.UUID) -> Any:
    return select(MailboxExport.id).where(
        MailboxExport.company_id == company_id, MailboxExport.state.in_(("waiting", "running"))
    )


def _own(actor: Actor) -> Any:
    return select(MailboxExport).where(
        MailboxExport.company_id == actor.company_id, MailboxExport.membership_id == actor.membership_id
    )


def _get(actor: Actor, export_id: uuid.UUID) -> MailboxExport:
    export: MailboxExport | None = db.session.scalar(_own(actor).where(MailboxExport.id == export_id).with_for_update())
    if export is None:
        raise NotFound
    return export


def _audit(event: str, export: MailboxExport, *, by: str, **fields: Any) -> None:
    audit.record(event, by=by, company_id=export.company_id, export_id=export.id, **fields)


def _folder() -> Path:
    """Return where the file is written; beside the store, so that no other disk is filled."""
    return storage.folder()
