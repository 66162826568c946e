"""The thread that brings deliveries to Unternehmenskonto until each is acknowledged."""

import logging
import threading
import time
from typing import Any

from . import receipts
from .konto import Konto, RefusedError, TryLaterError
from .register import Delivery, Register

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
LONGEST_SLEEP_SECONDS = 30.0

log = logging.getLogger(__name__)


class Courier:
    """Works off the register. All it knows is in the register, so a restart goes on where it was."""

    def __init__(self, register: Register, konto: Konto) -> None:
        self._register = register
        self._konto = konto
        self._awake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End after the delivery at hand."""
        self._ending = True
        self._awake.set()
        self._thread.join()

    def wake(self) -> None:
        """Look at the register now."""
        self._awake.set()

    def _run(self) -> None:
        while not self._ending:
            self._awake.clear()
            for delivery in self._register.due():
                if self._ending:
                    return
                self._bring(delivery)
            due_at = self._register.next_due_at()
            pause = LONGEST_SLEEP_SECONDS if due_at is None else due_at - time.time()
            self._awake.wait(min(max(pause, 0.01), LONGEST_SLEEP_SECONDS))

    def _bring(self, delivery: Delivery) -> None:
        key = delivery.idempotency_key
        try:
            acknowledgement = self._konto.deliver(delivery)
        except TryLaterError as error:
            pause = min(FIRST_PAUSE_SECONDS * 2**delivery.attempts, LONGEST_PAUSE_SECONDS)
            self._register.postponed(key, str(error), time.time() + pause)
            log.warning("delivery %s waits %.0f s: %s", key, pause, error)
        except RefusedError as error:
            self._register.failed(key, str(error))
            log.error("delivery %s was refused: %s", key, error)
        else:
            self._register.delivered(key, acknowledgement, self._receipts(delivery, acknowledgement))
            log.info("delivery %s is acknowledged", key)

    def _receipts(self, delivery: Delivery, acknowledgement: dict[str, Any]) -> dict[str, str]:
        try:
            keys = self._konto.receipt_keys()
        except TryLaterError as error:
            return dict.fromkeys(receipts.EXPECTED, f"not verified, {error}")
        return receipts.verdicts(delivery, acknowledgement, issuer=self._konto.issuer, keys=keys)
