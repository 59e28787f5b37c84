"""Which batches wait for a time or an event, and which were lost: no worker has them in hand.

Every worker sweeps; each script call is atomic, so two sweeps at once publish different batches. What
a sweep says to publish is already counted as queued: if the sweeper dies before it publishes, the
batch is overdue a little later and the next sweep finds it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.ledger import BULK, PRIORITY

STEP: Final = 500
"""Batches a script call moves at most: it blocks Redis for a millisecond or two."""


class Waiting:
    """The sweep and the waking as methods. Times are seconds since the epoch."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sweep = load(client, "sweep")
        self._wake = load(client, "wake")
        self._hasten = load(client, "hasten")

    def sweep(
        self, now: float, overdue: float = 0.0, on_broker: Mapping[str, int] | None = None
    ) -> Iterator[tuple[str, str]]:
        """Yield queue and ref of each batch whose task is to be published.

        *on_broker* gives the number of task messages by queue; where more batches are queued than
        that, the oldest are published again once they have waited *overdue* seconds.
        """
        lengths = [part for pair in (on_broker or {}).items() for part in pair]
        yield from self._pairs(lambda: self._sweep(now, STEP, overdue, *lengths))

    def wake(self, event: str, now: float, at_most: int | None = None) -> Iterator[tuple[str, str]]:
        """Queue what was parked for *event*; yields queue and ref of each, to publish."""
        if at_most is None:
            yield from self._pairs(lambda: self._wake(event, now, STEP))
        else:
            yield from _pairs(self._wake(event, now, at_most))

    def resumed(self) -> list[str]:
        """Events that are over, with batches still parked for them: waking them was interrupted."""
        with reaching_redis():
            names = [name.decode() for name in self._client.smembers(keys.RESUMED)]
        return [f"{kind}:{name}" for name in names for kind in ("campaign", "receivers")]

    def parked(self, event: str) -> int:
        """How many batches are parked for *event*."""
        with reaching_redis():
            return int(self._client.zcard(keys.parked(event)))

    def note_sweep(self, now: float) -> None:
        """Note that a worker has looked for what is due and lost."""
        with reaching_redis():
            self._client.set(keys.SWEPT, str(now))

    def swept(self) -> float:
        """When a worker last looked for what is due and lost; 0.0 for never."""
        with reaching_redis():
            return float(self._client.get(keys.SWEPT) or 0.0)

    def lengths(self) -> dict[str, int]:
        """How many batches are queued, by queue."""
        with reaching_redis():
            return {
                queue: int(self._client.zcard(keys.queued(queue))) for queue in (BULK, PRIORITY)
            }

    def oldest(self, now: float) -> dict[str, float]:
        """Age in seconds of the oldest task message that nobody has taken, by queue; 0.0 for none."""
        ages = {}
        for queue in (BULK, PRIORITY):
            with reaching_redis():
                first = self._client.zrange(keys.queued(queue), 0, 0, withscores=True)
            ages[queue] = max(0.0, now - first[0][1]) if first else 0.0
        return ages

    def hasten(self, account: str, now: float) -> Iterator[tuple[str, str]]:
        """Queue what waits for a later try through *account*; yields queue and ref of each, to publish.

        Batches that wait for their campaign's start are left.
        """
        passed = 0
        while True:
            left, *flat = self._hasten(account, now, passed, STEP)
            yield from _pairs(flat)
            passed += left
            if left + len(flat) // 2 < STEP:
                return

    @staticmethod
    def _pairs(call: Callable[[], list[bytes]]) -> Iterator[tuple[str, str]]:
        while True:
            flat = call()
            yield from _pairs(flat)
            if len(flat) < 2 * STEP:
                return


def _pairs(flat: list[bytes]) -> Iterator[tuple[str, str]]:
    for queue, ref in zip(flat[::2], flat[1::2], strict=True):
        yield queue.decode(), ref.decode()
