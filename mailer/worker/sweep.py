"""What every worker does beside delivering: release what is due, find what is lost.

It is a thread of the worker's main process, and no process that somebody could forget to start. Each step
is atomic in Redis, so any number of workers may sweep at once.
"""

import itertools
import logging
import threading
from collections.abc import Callable, Iterable
from time import time
from typing import Final

from mailer.config import Settings
from mailer.errors import ForeignRecordError, LedgerUnavailableError
from mailer.queues.broker import Broker
from mailer.queues.publish import publish
from mailer.store import Store, account_limits
from mailer.store.breaker import RUNNING
from mailer.store.connection import Client, serves
from mailer.store.reach.foreign import told

log = logging.getLogger(__name__)

TICK: Final = 0.25
"""Seconds between two looks at what is due; a waiting batch is at most so much late."""

SLOW: Final = 1.0
"""Seconds. A tick that takes longer is slow: Redis did not answer, and leases may have lapsed."""

QUIET: Final = 1.0
"""Seconds for which the sweep then waits, so that workers that live can renew their leases first."""


class Sweeper(threading.Thread):
    """Releases due batches each tick; every ``worker.sweep_every`` seconds also looks for lost ones.

    *duties* are further calls every ``worker.sweep_every`` seconds; each gets the time, in seconds since
    the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        broker: Broker,
        duties: Iterable[Callable[[float], object]] = (),
    ) -> None:
        super().__init__(name="mailer-sweep", daemon=True)
        self._settings = settings
        self._client = client
        store = Store(client, account_limits.rules(settings))
        self._ledger = store.ledger
        self._waiting = store.waiting
        self._breaker = store.breaker
        self._dispatch = store.dispatch
        self._permit_queue = store.permit_queue
        self._broker = broker
        self._duties = tuple(duties)
        self._ended = threading.Event()
        self._reachable = self._serving = True
        self._failing: dict[str, str] = {}
        self.swept: Callable[[float], object] = lambda _seconds: None
        """Called with the seconds that a sweep with all duties took."""

    def run(self) -> None:
        """Sweep until `stop`."""
        rare, tick = 0.0, TICK
        while not self._ended.wait(tick):
            now, tick = time(), TICK
            often = now < rare
            try:
                if not self._reachable:
                    self._come_back()
                elif often:
                    self._do(self.release, now)
                else:
                    rare = now + self._settings.worker.sweep_every
                    for duty in (
                        self.reconcile,
                        self.wake_resumed,
                        self.wake_accounts,
                        self._waiting.note_sweep,
                        *self._duties,
                    ):
                        self._do(duty, now)
                    self._note_served()
                    self.swept(time() - now)
                self._do(self.call, now)
                tick = min(TICK, self._permit_queue.again(time()))
            except LedgerUnavailableError as exc:
                self._note_unreachable(exc)
                rare = 0.0
            if time() - now > SLOW:
                tick = QUIET

    def _do(self, duty: Callable[[float], object], now: float) -> None:
        """Do one *duty*. If it fails, at a record that cannot be read, the others are done nevertheless.

        Raises `LedgerUnavailableError`: then the others would fail, too.
        """
        name = getattr(duty, "__qualname__", repr(duty))
        try:
            duty(now)
        except LedgerUnavailableError:
            raise
        except ForeignRecordError as exc:
            if self._failing.get(name) != repr(exc):
                where = told(self._client) or exc
                log.error("the sweep's duty %s failed; the others go on: %s", name, where)  # noqa: TRY400
            self._failing[name] = repr(exc)
        except Exception as exc:  # whatever it is, the next sweep tries again
            # Logged once with its traceback, and not at every sweep until somebody mends it.
            if self._failing.get(name) != repr(exc):
                log.exception("the sweep's duty %s failed; the others go on", name)
            self._failing[name] = repr(exc)
        else:
            if self._failing.pop(name, None):
                log.warning("the sweep's duty %s works again", name)

    def stop(self) -> None:
        """Ask the thread to end; `join` waits until it has."""
        self._ended.set()

    def release(self, now: float) -> int:
        """Queue the batches whose wait is over or whose lease lapsed; returns how many."""
        return publish(self._broker, self._ledger, self._waiting.sweep(now))

    def call(self, now: float) -> int:
        """Publish the batches whose turn has come, for a worker or for permits; returns how many."""
        batches = itertools.chain(self._dispatch.call(now), self._permit_queue.call(now))
        return publish(self._broker, self._ledger, batches)

    def reconcile(self, now: float) -> int:
        """As `release`, and queue again batches whose task message is lost; returns how many.

        Some are lost if more batches are queued than the broker's queues hold.
        """
        overdue = self._settings.worker.requeue_after
        lengths = self._broker.lengths()
        return publish(self._broker, self._ledger, self._waiting.sweep(now, overdue, lengths))

    def wake_resumed(self, now: float) -> int:
        """Queue what is parked for resumed campaigns: who resumed one may have been killed in between."""
        return sum(
            publish(self._broker, self._ledger, self._waiting.wake(event, now))
            for event in self._waiting.resumed()
        )

    def wake_accounts(self, now: float) -> int:
        """Queue what is parked for accounts that may log in again; of one that only tries, one batch."""
        woken = 0
        for account in self._breaker.all(now):
            if account.usable:
                at_most = None if account.state == RUNNING else 1
                batches = self._waiting.wake(f"account:{account.account}", now, at_most)
                woken += publish(self._broker, self._ledger, batches)
        return woken

    def _note_unreachable(self, exc: Exception) -> None:
        if self._serving:
            log.warning("the sweep waits: %s", exc)
        self._reachable = self._serving = False

    def _come_back(self) -> None:
        """If Redis, which was away or refused, serves again: wait until leases have been renewed."""
        serves(self._client)
        self._reachable = True
        self._ended.wait(QUIET)

    def _note_served(self) -> None:
        """All duties were done: only now it is certain that Redis serves."""
        if not self._serving:
            log.warning("the sweep goes on: Redis serves again")
        self._serving = True
