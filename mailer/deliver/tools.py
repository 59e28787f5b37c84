"""What a process delivers with: the ledger and its neighbours, limits, contents, connections.

Made once a process and shared by its threads. A batch's run reads all of it and owns none of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic, time

from mailer.config import Settings
from mailer.deliver.barring.dropper import Dropper
from mailer.deliver.content import Contents
from mailer.deliver.gate import Gate
from mailer.deliver.observer import Observer
from mailer.deliver.server import rules, server
from mailer.deliver.unable import Unable, UnableError
from mailer.errors import ConfigError
from mailer.smtp import Driver
from mailer.store import account_limits
from mailer.store.breaker import Breaker
from mailer.store.campaigns import Campaigns
from mailer.store.connection import Client
from mailer.store.dispatch import Dispatch
from mailer.store.events import EventStream
from mailer.store.feedback.receivers import Receivers
from mailer.store.feedback.records import Feedback
from mailer.store.ledger import Ledger
from mailer.store.limits import Limits
from mailer.store.permit_queue import PermitQueue
from mailer.store.slots import Slots
from mailer.store.suppression import Suppression
from mailer.store.workers.able import Able
from mailer.store.workers.single_watch import SingleWatch


class Tools:
    """What batches are delivered with, by the worker of that name.

    *takes_single* says whether single messages are its, too.
    Raises `ConfigError` for wrong reply rules or DKIM keys.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        worker: str,
        observer: Observer,
        takes_single: Callable[[], bool],
    ) -> None:
        self.settings = settings
        self.observer = observer
        self.dispatch = Dispatch(client)
        self.singles = SingleWatch(takes_single, lambda: self.dispatch.single_waits(time()))
        self.ledger = Ledger(client, self.singles)
        self.campaigns = Campaigns(client)
        self.suppression = Suppression(client)
        self.dropper = Dropper(Feedback(client), settings.feedback.dropping)
        self.receivers = Receivers(client)
        self.breaker = Breaker(client)
        self.limits = Limits(client, account_limits.rules(settings))
        self.line = PermitQueue(client, self.limits)
        self.unable = Unable(Able(client), worker, settings.worker.unable_after)
        self.contents = Contents(settings, self.ledger)
        self.events = EventStream(client)
        self.connections = Connections(settings, self.breaker, Slots(client), self.limits, observer)


class Connections:
    """The process's SMTP drivers, each with its gate; their sessions live over batches.

    A batch borrows a driver for as long as it is sent. Two batches of one account have two drivers; the
    account's limit of connections holds for both together, because their gates ask the cluster.
    """

    def __init__(
        self,
        settings: Settings,
        breaker: Breaker,
        slots: Slots,
        limits: Limits,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._breaker = breaker
        self._slots = slots
        self._limits = limits
        self._rules = rules(settings)
        self._lock = Lock()
        self._idle: dict[str, list[tuple[Driver, Gate]]] = {}
        self._all: list[tuple[Driver, Gate]] = []

    @contextmanager
    def borrow(self, account: str) -> Iterator[tuple[Driver, Gate]]:
        """A driver for *account* that nobody else uses. Raises `UnableError` for one not known here."""
        with self._lock:
            idle = self._idle.setdefault(account, [])
            # The driver that was used last comes first: it has the most open connections.
            pair = idle.pop() if idle else self._make(account)
            pair[1].idle_since = None
        try:
            yield pair
        finally:
            with self._lock:
                pair[1].idle_since = monotonic()
                idle.append(pair)

    def reap(self) -> None:
        """Close idle connections, keep the leases of the others."""
        for driver, gate in list(self._all):
            gate.renew()
            driver.reap(gate.surplus)

    def close(self) -> None:
        """Say QUIT on every connection."""
        with self._lock:
            pairs, self._all = self._all, []
            self._idle.clear()
        for driver, _ in pairs:
            driver.close()

    def __repr__(self) -> str:
        return ", ".join(repr(driver) for driver, _ in list(self._all))

    def _make(self, name: str) -> tuple[Driver, Gate]:
        worker = self._settings.worker
        try:
            account = self._settings.account(name)
            where = server(account, self._rules, grace=worker.grace)
        except ConfigError as exc:
            raise UnableError(f"account:{name}", str(exc)) from exc
        gate = Gate(account, self._breaker, self._slots, self._limits.pace, worker.lease)
        gate.observer = self._observer
        pair = Driver(where, gate), gate
        self._all.append(pair)
        return pair
