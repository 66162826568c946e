"""Plan and apply the services declared in config/services: a diff first, then all of it or nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from unternehmenskonto import audit
from unternehmenskonto.catalogue.models import OnlineService
from unternehmenskonto.db import db
from unternehmenskonto.operators.reading import DeclaredService, Fault, FaultyServices, read_services
from unternehmenskonto.provider import sectors
from unternehmenskonto.provider.registration_models import Registration
from unternehmenskonto.settings import get_settings

NEW, CHANGED, REMOVED, UNCHANGED = "new", "changed", "removed", "unchanged"


@dataclass(frozen=True)
class FieldChange:
    """One value before and after."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class ServiceChange:
    """What applying does to one service; a removed one is switched off and kept as evidence."""

    slug: str
    kind: str
    fields: list[FieldChange] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """What applying does, service by service in alphabetical order."""

    services: list[ServiceChange]

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return all(service.kind == UNCHANGED for service in self.services)

    def count(self, kind: str) -> int:
        """Return how many services change in this way."""
        return sum(service.kind == kind for service in self.services)


def check(directory: Path) -> list[DeclaredService]:
    """Return the declared services; raise FaultyServices naming every fault of every file."""
    return read_services(directory, is_local=get_settings().is_local)


def plan(directory: Path) -> Plan:
    """Return what applying the directory would change; raise FaultyServices if a file is faulty."""
    return _compare(check(directory), _existing())


def apply(directory: Path, *, by: str = "system") -> Plan:
    """Bring the services to what the directory declares and return what was done; the caller commits.

    One transaction, one audit event per changed service, nothing to do the second time. A service without file
    is switched off, never deleted. Raises FaultyServices before anything is changed if a file is faulty.
    """
    declared = check(directory)
    _check_sectors(declared, directory)
    # Two operators applying at once would each see half of the other's work.
    db.session.execute(text("SELECT pg_advisory_xact_lock(hashtext('services apply'))"))
    existing = _existing()
    result = _compare(declared, existing)
    by_slug = {service.slug: service for service in declared}
    for change in result.services:
        _write(change, by_slug.get(change.slug), existing.get(change.slug))
        if change.kind != UNCHANGED:
            names = [item.name for item in change.fields]
            audit.record("service.applied", by=by, service=change.slug, change=change.kind, fields=names)
    db.session.flush()
    return result


def _check_sectors(services: list[DeclaredService], directory: Path) -> None:
    """Read the lists behind sector_identifier_uri (OpenID Connect Registration 5); raise FaultyServices."""
    faults = []
    for service in services:
        client = service.columns["client"] or {}
        uri = client.get("sector_identifier_uri")
        if uri is None:
            continue
        try:
            sectors.check(uri, client["redirect_uris"])
        except sectors.InvalidSector as error:
            place = "client.sector_identifier_uri"
            faults.append(Fault(str(directory / f"{service.slug}.toml"), 1, place, str(error)))
    if faults:
        raise FaultyServices(faults)


def _existing() -> dict[str, OnlineService]:
    """Return the services that files declare; those that registered themselves are no business of the files."""
    registered = select(Registration.service)
    rows = db.session.scalars(
        select(OnlineService).where(OnlineService.slug.not_in(registered)).execution_options(populate_existing=True)
    )
    return {row.slug: row for row in rows}


def _compare(declared: list[DeclaredService], existing: dict[str, OnlineService]) -> Plan:
    changes = [_change(service, existing.get(service.slug)) for service in declared]
    named = {service.slug for service in declared}
    changes += [
        ServiceChange(slug, REMOVED, [FieldChange("is_enabled", True, False)])
        for slug, row in existing.items()
        if slug not in named and row.is_enabled
    ]
    return Plan(sorted(changes, key=lambda change: change.slug))


def _change(service: DeclaredService, row: OnlineService | None) -> ServiceChange:
    after = dict(_flat(service.columns))
    if row is None:
        return ServiceChange(service.slug, NEW, [FieldChange(name, None, value) for name, value in after.items()])
    before = dict(_flat({name: getattr(row, name) for name in service.columns}))
    fields = [
        FieldChange(name, before.get(name), after.get(name))
        for name in {**after, **before}
        if before.get(name) != after.get(name)
    ]
    return ServiceChange(service.slug, CHANGED if fields else UNCHANGED, fields)


def _flat(columns: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the columns with the values of the client each on its own."""
    for name, value in columns.items():
        if name == "client":
            yield from ((f"client.{key}", inner) for key, inner in (value or {}).items())
        else:
            yield name, value


def _write(change: ServiceChange, service: DeclaredService | None, row: OnlineService | None) -> None:
    if service is None:
        if row is not None:
            row.is_enabled = False
        return
    if row is None:
        db.session.add(OnlineService(slug=service.slug, fingerprint=service.fingerprint, **service.columns))
        return
    if change.kind == CHANGED:
        for name, value in service.columns.items():
            setattr(row, name, value)
    row.fingerprint = service.fingerprint
