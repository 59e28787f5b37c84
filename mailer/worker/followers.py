"""How a worker follows what happens: it reads the stream of events for each consumer that is configured.

Each consumer has a thread in the worker's main process. In the whole cluster one process reads for a
consumer at a time, under a lease; the others look every few seconds whether the lease still holds. What a
consumer does not take waits in Redis.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic, time
from typing import Final, Protocol

from mailer.config import Settings
from mailer.errors import (
    ConfigError,
    EventsNotTakenError,
    HistoryUnavailableError,
    LedgerUnavailableError,
)
from mailer.mail.event import Event
from mailer.store.connection import Client
from mailer.store.events import LEASE, EventStream, Gaps, Reading
from mailer.worker.telling.courier import Courier
from mailer.worker.telling.helper import Helper
from mailer.worker.telling.ways import orders

log = logging.getLogger(__name__)

POLL: Final = 0.5
"""Seconds between two looks at a stream that was read to its end."""

GATHER: Final = 0.4
"""Seconds in which events gather behind a step that took few: each costs as much as a hundred events."""

LOOK: Final = 1.0
"""Seconds after which a consumer that asked for a pause gets its events again: it may set some aside."""

PATIENCE: Final = (1.0, 30.0)
"""Seconds until a consumer that failed is tried again: after the first failure, and at most."""

NICENESS: Final = 5
"""The niceness of a reader's thread: of a busy processor it gets a third of a sender's time."""

DRAIN: Final = 3.0
"""Seconds that a worker which ends still reads; another worker reads the rest."""


_NOTHING: Final = Reading((), "", 0)


class Consumer(Protocol):
    """Who takes events. If `take` raises, it gets the same events again."""

    name: str
    chunk: int
    """The number of recipients whose events are read in one step; more where an entry holds more."""

    def begin(self) -> None:
        """Be the one who takes from now on: another process may have been it before."""

    def take(self, events: Sequence[Event]) -> None:
        """Take *events*; there are none where the stream was read to its end.

        It may be given the same ones twice, after a crash or a failure.
        """

    def close(self) -> None:
        """Close connections and processes."""


class Follower(threading.Thread):
    """Reads the stream for one *consumer* until `stop`, under a lease of so many seconds."""

    def __init__(self, client: Client, consumer: Consumer, lease: float = LEASE) -> None:
        super().__init__(name=f"mailer-{consumer.name}", daemon=True)
        self._stream = EventStream(client, lease)
        self._gaps = Gaps(client)
        self._look = lease / 3
        self._consumer = consumer
        self._ended = threading.Event()
        self._over = threading.Event()
        self._lease = threading.Lock()
        self._reads = False
        self._is_new = True
        self._patience = 0.0

    def register(self) -> None:
        """Make the consumer known. Until then, entries that the others have read are dropped."""
        self._stream.register(self._consumer.name)

    def run(self) -> None:
        """Take what there is, then look again every half second; at the end, take what is left."""
        _step_back()
        threading.Thread(target=self._keep, name=f"{self.name}-lease", daemon=True).start()
        wait = 0.0
        while not self._ended.wait(wait):
            wait = self._careful_step()
        deadline = monotonic() + DRAIN
        while self._careful_step() in (0.0, GATHER) and monotonic() < deadline:
            pass
        self._over.set()
        self._consumer.close()
        try:
            self._leave()
        except LedgerUnavailableError:
            log.debug("the lease of %s lapses by itself", self._consumer.name)

    def _careful_step(self) -> float:
        try:
            return self.step()
        except LedgerUnavailableError:
            return PATIENCE[0]  # the sweep says so
        except Exception:
            log.exception("%s: its events wait", self._consumer.name)
            return PATIENCE[1]

    def step(self) -> float:
        """Take one chunk; returns the seconds until the next step."""
        name = self._consumer.name
        if not self._take():
            return self._look
        reading = self._stream.read(name, self._consumer.chunk)
        if reading is None:
            self._look_for_gap()
            reading = _NOTHING
        for why in reading.unreadable:
            log.error("%s: what cannot be read is passed over: %s", name, why)
        try:
            self._hand_over(reading.events)
        except HistoryUnavailableError as exc:
            return self._give_way(str(exc))
        except EventsNotTakenError as exc:
            self._note(str(exc))
            return min(exc.wait, LOOK)
        if reading.last:
            self._stream.acknowledge(name, reading)
        if reading.newer:
            return self._give_way(reading.newer)
        if self._patience:
            log.warning("%s: goes on", name)
        if self._patience or self._is_new:
            self._stream.note_trouble(name, "")
        self._patience, self._is_new = 0.0, False
        return self._wait_behind(reading)

    def _wait_behind(self, reading: Reading) -> float:
        if reading is _NOTHING:
            return POLL
        return 0.0 if reading.number >= self._consumer.chunk else GATHER

    def _hand_over(self, events: Sequence[Event]) -> None:
        if self._is_new:
            self._consumer.begin()
        self._consumer.take(events)

    def _look_for_gap(self) -> None:
        name = self._consumer.name
        if missed := self._gaps.look(name, time()):
            log.error(
                "%s: what became of %d recipients left Redis before it was read; mailer events list",
                name,
                missed,
            )

    def stop(self) -> None:
        """Ask the thread to end."""
        self._ended.set()

    def _take(self) -> bool:
        with self._lease:
            read, self._reads = self._reads, self._stream.take(self._consumer.name)
            self._is_new = self._is_new or not read
            return self._reads

    def _leave(self) -> None:
        with self._lease:
            self._reads = False
            self._stream.leave(self._consumer.name)

    def _keep(self) -> None:
        """Renew the lease in a thread of its own: one chunk may take longer than the lease lasts."""
        while not self._over.wait(self._look):
            with self._lease, suppress(LedgerUnavailableError):
                if self._reads:
                    self._reads = self._stream.take(self._consumer.name)

    def _give_way(self, why: str) -> float:
        """Leave the reading to another process, which may have a newer version, or reach the database.

        Returns the seconds to wait.
        """
        wait = self._note(why)
        self._leave()
        return wait

    def _note(self, why: str) -> float:
        """Log *why* the events wait, once, and keep it in Redis; returns the seconds to wait."""
        if not self._patience:
            log.warning("%s: events wait: %s", self._consumer.name, why)
        self._stream.note_trouble(self._consumer.name, why)
        shortest, longest = PATIENCE
        self._patience = min(max(self._patience * 2, shortest), longest)
        return self._patience


def _step_back() -> None:
    """Give this thread less of the processor than those that send: events can wait, mail cannot."""
    if sys.platform == "linux":  # elsewhere a thread has no niceness of its own
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def consumers(settings: Settings) -> list[Callable[[Client], Consumer]]:
    """What makes each consumer that is configured. Raises `ConfigError` where one cannot work."""
    made: list[Callable[[Client], Consumer]] = []
    if settings.history.url is not None:
        # Only where it is configured: SQL takes 0.3 s to load, and need not be installed.
        try:
            from mailer.history import open_history  # noqa: PLC0415
            from mailer.worker.history_writer import HistoryWriter  # noqa: PLC0415
        except ModuleNotFoundError as exc:
            raise ConfigError(
                f"history.url wants {exc.name}: pip install 'celery-mailer[history]'"
            ) from None
        open_history(settings.history.url).close()
        made.append(lambda client: HistoryWriter(settings, client))
    return made + [_courier(settings, name) for name in settings.events.ways]


def _courier(settings: Settings, name: str) -> Callable[[Client], Consumer]:
    told = orders(name, settings)
    helper = Helper(told, settings.events.time_limit)
    try:
        helper.check()
    except EventsNotTakenError as exc:
        raise ConfigError(str(exc)) from None
    finally:
        helper.close()

    def make(client: Client) -> Consumer:
        return Courier(name, settings.events, client, Helper(told, settings.events.time_limit))

    return make
