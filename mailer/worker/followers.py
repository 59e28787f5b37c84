"""How a worker follows what happens: it reads the stream of events for each consumer that is configured.

A thread of the worker's main process for each consumer. Over the cluster one process reads at a time; the
others look every few seconds whether it still lives. Whatever a consumer does not take waits in Redis.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final, Protocol

from mailer.config import Settings
from mailer.errors import ConfigError, HistoryUnavailableError, LedgerUnavailableError
from mailer.mail.event import Event
from mailer.store.connection import Client
from mailer.store.events import LEASE, EventStream

log = logging.getLogger(__name__)

CHUNK: Final = 5_000
"""Recipients that one step takes at least, where there are so many."""

POLL: Final = 0.5
"""Seconds between two looks at a stream that was read to its end."""

PATIENCE: Final = (1.0, 30.0)
"""Seconds until a consumer that failed is tried again: at first, and at most."""

DRAIN: Final = 3.0
"""Seconds that a worker which ends takes for what was not read yet; another reads the rest."""


class Consumer(Protocol):
    """Who takes events. What it raises is its own trouble: it gets the same events again."""

    name: str

    def take(self, events: Sequence[Event]) -> None:
        """Do what is to be done with *events*; to be given the same ones again must do no harm."""

    def close(self) -> None:
        """Give up what it has open."""


class Follower(threading.Thread):
    """Reads the stream for one *consumer* until `stop`."""

    def __init__(self, client: Client, consumer: Consumer) -> None:
        super().__init__(name=f"mailer-{consumer.name}", daemon=True)
        self._stream = EventStream(client)
        self._consumer = consumer
        self._ended = threading.Event()
        self._patience = 0.0

    def run(self) -> None:
        """Take what there is, then look again every half second; at the end, take what is left."""
        wait = 0.0
        while not self._ended.wait(wait):
            wait = self._careful_step()
        deadline = monotonic() + DRAIN
        while self._careful_step() == 0.0 and monotonic() < deadline:
            pass
        self._consumer.close()
        try:
            self._stream.leave(self._consumer.name)
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
        if not self._stream.take(name):
            return LEASE / 3
        reading = self._stream.read(name, CHUNK)
        if reading is None:
            return POLL
        for why in reading.unreadable:
            log.error("%s: what cannot be read is passed over: %s", name, why)
        try:
            self._consumer.take(reading.events)
        except HistoryUnavailableError as exc:
            return self._note(str(exc))
        self._stream.acknowledge(name, reading)
        if self._patience:
            log.warning("%s: goes on", name)
            self._stream.note_trouble(name, "")
            self._patience = 0.0
        return 0.0

    def stop(self) -> None:
        """Ask the thread to end."""
        self._ended.set()

    def _note(self, why: str) -> float:
        """Say once why it does not get on; returns how long to wait."""
        if not self._patience:
            log.warning("%s: events wait: %s", self._consumer.name, why)
        self._stream.note_trouble(self._consumer.name, why)
        shortest, longest = PATIENCE
        self._patience = min(max(self._patience * 2, shortest), longest)
        return self._patience


def consumers(settings: Settings) -> list[Callable[[], Consumer]]:
    """What makes each consumer that is configured. Raises `ConfigError` where one cannot be."""
    made: list[Callable[[], Consumer]] = []
    if settings.history.url is not None:
        # Only where it is configured: SQL takes 0.3 s to load, and need not be installed.
        try:
            from mailer.worker.history_writer import HistoryWriter  # noqa: PLC0415
        except ModuleNotFoundError as exc:
            raise ConfigError(
                f"history.url wants {exc.name}: pip install 'mailer[history]'"
            ) from None
        HistoryWriter(settings).close()
        made.append(lambda: HistoryWriter(settings))
    return made
