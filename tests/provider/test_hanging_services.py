"""Services that hang when they are told of a logout: neither people nor neighbours nor other jobs wait for them."""

import threading
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select, text

from tests.factories import make_membership, sign_in
from tests.provider.test_backchannel import Receiver, only_session, sign_out, subscribed
from tests.worker import work_off
from unternehmenskonto import http, jobs, keys
from unternehmenskonto.audit import AuditSeal
from unternehmenskonto.db import db, one_commit
from unternehmenskonto.provider import backchannel


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A service that takes a call and does not answer; we would wait for a minute."""
    monkeypatch.setattr(http, "TOTAL_SECONDS", 60)
    made = Receiver()
    made.wait.clear()
    yield made
    made.close()


def has_sealed() -> bool:
    """Tell whether the job that seals the audit log has run."""
    found = db.session.scalar(select(AuditSeal.position).limit(1)) is not None
    db.session.rollback()
    return found


@pytest.mark.attack("hanging logout address")
def test_hanging_services_leave_the_places_of_other_jobs_free(fresh_app: Flask, hanging: Receiver) -> None:
    """As many services hang as the worker has places in all: the rest of the work is done meanwhile."""
    with fresh_app.app_context():
        keys.ensure_keys()
        client, membership = fresh_app.test_client(), make_membership()
        sign_in(client, membership)
        for _ in range(sum(jobs.PLACES.values())):
            subscribed(hanging).code(client)
        with one_commit():
            backchannel.close(only_session().id)
            jobs.defer("audit.seal")
        worker = threading.Thread(target=work_off, args=(fresh_app,))
        worker.start()
        ends_at = time.monotonic() + 45
        while not (sealed := has_sealed()) or len(hanging.tokens) < jobs.PLACES[jobs.CALLS]:
            assert time.monotonic() < ends_at, (sealed, len(hanging.tokens))
            time.sleep(0.05)
        assert len(hanging.tokens) == jobs.PLACES[jobs.CALLS]
        hanging.wait.set()
        worker.join(30)
        assert len(hanging.tokens) == sum(jobs.PLACES.values())


@pytest.mark.attack("hanging logout address")
def test_slow_service_holds_up_neither_person_nor_neighbour(fresh_app: Flask, hanging: Receiver) -> None:
    """Row 48: the receiver hangs; the sign-out answers at once, other services are told, the hanging one later."""
    quick = Receiver()
    try:
        with fresh_app.app_context():
            keys.ensure_keys()
            client = fresh_app.test_client()
            slow, *others = [subscribed(hanging), *(subscribed(quick) for _ in range(3))]
            membership = make_membership()
            for parties in ([slow, *others], [slow]):
                sign_in(client, membership)
                for party in parties:
                    party.code(client)
                began = time.monotonic()
                sign_out(client, membership)
                assert time.monotonic() - began < 10
            with one_commit():
                jobs.defer("provider.notice_ended")
            worker = threading.Thread(target=work_off, args=(fresh_app,))
            worker.start()
            ends_at = time.monotonic() + 45
            while (len(quick.tokens), len(hanging.tokens)) < (3, 1) and time.monotonic() < ends_at:
                time.sleep(0.05)
            # The neighbours are told; one call to the hanging service is under way, and no second.
            assert (len(quick.tokens), len(hanging.tokens)) == (3, 1)
            hanging.wait.set()
            worker.join(30)
            with one_commit():
                db.session.execute(text("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo'"))
            work_off(fresh_app)
            assert len(hanging.tokens) == 2
    finally:
        quick.close()
