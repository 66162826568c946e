"""kill -9 of web workers and job workers while authorities deliver: nothing acknowledged is lost or doubled."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from email.message import Message as Mail
from pathlib import Path

import pytest
import requests
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MailHandler
from sqlalchemy import func, select, text

from tests import factories
from tests.installation import HOST, Installation, free_port
from unternehmenskonto.db import db
from unternehmenskonto.mailbox import chain
from unternehmenskonto.mailbox.models import Mailbox, Message
from unternehmenskonto.notifications.models import Notice

#: The run goes on until so much has happened, however fast the machine is.
ENOUGH = {"messages": 60, "web": 4, "job": 2}
MAXIMUM_SECONDS = 180
DELIVERERS = 3
WEB_KILL_SECONDS = 3
WORKER_KILL_SECONDS = 4
#: A dead worker's jobs are taken over after 20 s, looked for every 20 s, and then done.
HEAL_SECONDS = 90


class Mails(MailHandler):
    """Keep the Message-ID of every mail that was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()

    def handle_message(self, message: Mail) -> None:
        self.ids[str(message["Message-ID"])] += 1


@pytest.fixture
def mails() -> Iterator[tuple[Mails, int]]:
    handler, port = Mails(), free_port()
    controller = Controller(handler, hostname=HOST, port=port)
    controller.start()
    yield handler, port
    controller.stop()


class Deliverer(threading.Thread):
    """Deliver one message after the other; the same key again until the answer is there."""

    def __init__(self, installation: Installation, token: str, org_sub: str, number: int) -> None:
        super().__init__()
        self.url = f"{installation.base_url}/api/v1/messages"
        self.headers = {"Authorization": f"Bearer {token}"}
        self.org_sub, self.number = org_sub, number
        self.is_over = threading.Event()
        self.acknowledged: list[str] = []
        self.repeated = 0

    def run(self) -> None:
        for number in itertools.count():
            if self.is_over.is_set():
                return
            self.deliver(f"{self.number}-{number}")

    def deliver(self, key: str) -> None:
        body = {
            "recipient": {"org_sub": self.org_sub}, "kind": "message", "subject": f"Nachricht {key}",
            "body": "Guten Tag", "body_format": "text",
        }  # fmt: skip
        for _ in range(600):
            try:
                answer = requests.post(
                    self.url, json=body, headers={**self.headers, "Idempotency-Key": key}, timeout=10
                )
            except requests.RequestException:
                self.repeated += 1
                time.sleep(0.1)
                continue
            if answer.status_code == 201:
                self.acknowledged.append(answer.json()["id"])
                return
            assert answer.status_code in (409, 503), answer.text
            time.sleep(0.1)
        raise AssertionError(f"{key} was never acknowledged")


def test_killed_workers_lose_and_double_nothing(tmp_path: Path, mails: tuple[Mails, int]) -> None:
    handler, smtp_port = mails
    with Installation(tmp_path, smtp_port=smtp_port) as installation:
        with installation.app.app_context():
            service = factories.make_service(is_mailbox_sender=True)
            membership = factories.make_membership(roles=["mailbox"], email="post@musterbau.example")
            company_id, org_sub = membership.company_id, factories.org_sub(service, membership.company)
            token = factories.access_token(service, lifetime=600)
            db.session.commit()
        server, worker = installation.start_web(), installation.start_worker()
        deliverers = [Deliverer(installation, token, org_sub, number) for number in range(DELIVERERS)]
        for deliverer in deliverers:
            deliverer.start()
        happened = Counter[str]()
        next_web, next_worker = time.monotonic() + WEB_KILL_SECONDS, time.monotonic() + WORKER_KILL_SECONDS
        ends_at = time.monotonic() + MAXIMUM_SECONDS
        while any(deliverer.is_alive() for deliverer in deliverers):
            happened["messages"] = sum(len(deliverer.acknowledged) for deliverer in deliverers)
            if all(happened[what] >= count for what, count in ENOUGH.items()) or time.monotonic() > ends_at:
                for deliverer in deliverers:
                    deliverer.is_over.set()
            if server.poll() is not None:  # gave up on workers that die young; a service manager starts it again
                server = installation.start_web()
            if time.monotonic() > next_web:
                alive = installation.workers_of(server)
                if alive:
                    random.choice(alive).kill()
                    happened["web"] += 1
                next_web = time.monotonic() + WEB_KILL_SECONDS
            if time.monotonic() > next_worker:
                worker.kill()
                worker.wait()
                happened["job"] += 1
                worker = installation.start_worker()
                next_worker = time.monotonic() + WORKER_KILL_SECONDS
            time.sleep(0.05)
        for deliverer in deliverers:
            deliverer.join()
        acknowledged = [message_id for deliverer in deliverers for message_id in deliverer.acknowledged]
        assert all(happened[what] >= count for what, count in ENOUGH.items()), happened

        with installation.app.app_context():
            stored = [str(message_id) for message_id in db.session.scalars(select(Message.id))]
            assert sorted(stored) == sorted(acknowledged)
            sequence = list(db.session.scalars(select(Message.sequence_number).order_by(Message.sequence_number)))
            assert sequence == list(range(1, len(stored) + 1))
            mailbox = db.session.get_one(Mailbox, company_id)
            assert (mailbox.last_sequence, mailbox.unread_count) == (len(stored), len(stored))
            assert not list(chain.verify(company_id).faults)
            wait_until_worked_off()
            assert db.session.scalar(select(func.count()).where(Notice.sent_at.is_not(None))) == len(stored)
        # A worker killed between the server's "250" and our commit sends again, under the same Message-ID.
        assert len(handler.ids) == len(stored)
        assert sum(handler.ids.values()) - len(stored) <= 4 * happened["job"]


def wait_until_worked_off() -> None:
    """Wait until no notice is open and no job is left undone."""
    ends_at = time.monotonic() + HEAL_SECONDS
    open_notices = select(func.count()).where(Notice.sent_at.is_(None))
    open_jobs = text(
        "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing') AND task_name LIKE 'notifications.%'"
    )
    while time.monotonic() < ends_at:
        db.session.rollback()
        if db.session.scalar(open_notices) == 0 and db.session.scalar(open_jobs) == 0:
            return
        time.sleep(0.5)
    raise AssertionError(f"not worked off within {HEAL_SECONDS} s")
