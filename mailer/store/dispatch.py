"""Whose batches go to the broker next, when more campaigns have batches than workers can take.

The broker's queue is first in, first out: a campaign of a million would delay everything that is enqueued
after it. So only some task messages are on the broker at a time. The other batches lie in Redis, and each
sweep publishes as many as were taken, of the campaign that has had the fewest messages.
"""

from collections.abc import Collection, Iterator
from typing import Final

from mailer.store.connection import Client, load
from mailer.store.ledger import BULK, PRIORITY
from mailer.store.workers.single_watch import LOST, WAITED

WINDOW: Final = 64
"""Task messages on the broker beyond which a batch waits for its turn: enough for a quarter of a second
of any number of workers that one broker can feed, few enough that a new campaign begins at once."""


_BULK_WAITED: Final = 0.3
"""Seconds: a batch that has not waited for so long is about to be taken by a process that is free."""


class Dispatch:
    """The turns of campaigns, as methods. Times are seconds since the epoch."""

    def __init__(self, client: Client, window: int = WINDOW) -> None:
        self._take = load(client, "dispatch_take")
        self._call = load(client, "dispatch_call")
        self._others = load(client, "waits", "dispatch_others")
        self._window = window

    def take(self, ref: str, now: float, queue: str = BULK) -> bool:
        """Whether the task message of the queued batch *ref* is to be published now.

        Else a sweep does it in its turn.
        """
        return bool(self._take(queue, ref, now, self._window))

    def call(self, now: float, queue: str = BULK) -> Iterator[tuple[str, str]]:
        """Yield queue and ref of the batches whose turn it is, to publish."""
        flat = self._call(queue, now, self._window)
        for name, ref in zip(flat[::2], flat[1::2], strict=True):
            yield name.decode(), ref.decode()

    def others_wait(self, now: float, besides: Collection[str]) -> bool:
        """Whether a campaign's batch waits for a worker, of another account than *besides*."""
        return bool(self._others(BULK, now, _BULK_WAITED, now, *besides))

    def single_waits(self, now: float) -> bool:
        """Whether a single message waits for a worker; not one whose task message is lost."""
        return bool(self._others(PRIORITY, now, WAITED, LOST))
