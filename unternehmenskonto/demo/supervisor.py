"""Run all pieces of the demonstration, in order, until Ctrl-C: what `make demo` is."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

from flask import Flask

from unternehmenskonto.demo import guide, health, pieces
from unternehmenskonto.demo.addresses import Addresses, check_free
from unternehmenskonto.demo.database import EmbeddedPostgres
from unternehmenskonto.demo.folder import DemoFolder
from unternehmenskonto.demo.preparation import prepare_database, worker_is_alive
from unternehmenskonto.demo.processes import Children

START_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.1
WATCH_SECONDS = 0.5
READY_LINE = "READY"
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """Somebody asked us to end; like KeyboardInterrupt it passes everything that catches errors."""


class StartError(Exception):
    """A piece does not answer in time; the text names it."""


def run(folder: DemoFolder, needed: Addresses) -> None:
    """Start everything, say so, and keep it running until a signal; then end it, the database last.

    Raises the errors of the pieces, each a sentence: AddressError, FolderError, DatabaseError, ProcessError,
    PreparationError, StartError, SettingsError.
    """
    begun = time.monotonic()
    with contextlib.suppress(Ended), folder.held(), _ended_by_signals(), contextlib.ExitStack() as stack:
        check_free(needed)
        folder.make()
        database_url = os.environ.get("DATABASE_URL") or _embedded(folder, stack)
        environment = os.environ | folder.write_settings(database_url=database_url, needed=needed)
        children = Children(pieces.main, module=pieces.__name__, environment=environment, logs=folder.logs)
        stack.callback(children.stop)
        children.add("The parties around it", "parties", str(folder.parties))
        app = prepare_database(environment)
        started_at = time.time()
        children.add("The job worker", "worker")
        children.add("The web server", "web")
        _wait_until_all_answer(children, needed, app, started_at)
        guide.show(needed, folder, seconds=time.monotonic() - begun)
        print(READY_LINE, flush=True)
        _watch(children)
    print("Everything has ended.", flush=True)


def _embedded(folder: DemoFolder, stack: contextlib.ExitStack) -> str:
    server = EmbeddedPostgres(folder.postgres)
    stack.callback(server.stop)
    return server.start()


def _wait_until_all_answer(children: Children, needed: Addresses, app: Flask, started_at: float) -> None:
    give_up = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        children.require_running()
        waiting = health.silent(needed)
        if not worker_is_alive(app, since=started_at):
            waiting.append("Job worker")
        if not waiting:
            return
        if time.monotonic() > give_up:
            raise StartError(
                f"No answer within {START_TIMEOUT_SECONDS:.0f} seconds from: {', '.join(waiting)}.\n"
                + children.log_tails()
            )
        time.sleep(POLL_SECONDS)


def _watch(children: Children) -> None:
    while True:
        time.sleep(WATCH_SECONDS)
        for name in children.check():
            print(f"{name} had ended and was started again.", flush=True)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turn the first signal into Ended, and leave the rest of the ending undisturbed by further ones."""

    def end(number: int, frame: FrameType | None) -> None:
        for each in ENDING_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        print("\nEnding ...", flush=True)
        raise Ended

    for each in ENDING_SIGNALS:
        signal.signal(each, end)
    yield
