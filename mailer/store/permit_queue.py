"""Which batches wait for permits, and which of them goes next.

A line for each account, and for each group of domains, that has more batches than permits. Whoever
releases due batches calls from it as many as there are permits for, the campaign first that has had the
fewest messages called: so campaigns share an account evenly, and a thousand waiting batches do not come
back all at once. The line only makes it faster: a batch that nobody calls asks for permits by itself
after a while.
"""

from collections.abc import Iterator
from typing import Final

from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.limits import Limits

TICK: Final = 0.25
"""Seconds until the lines are looked at again where nothing says when permits will be free."""

_COURTESY: Final = 0.03
"""Seconds for which free permits are left to workers that already hold a batch and wait for them."""


class PermitQueue:
    """The lines of every scope, as methods. Times are seconds since the epoch."""

    def __init__(self, client: Client, limits: Limits) -> None:
        self._client = client
        self._limits = limits
        self._join = load(client, "permit_queue_join")
        self._call = load(client, "permit_queue_call")

    def join(self, scope: str, ref: str, now: float, free_at: float) -> None:
        """Let the waiting batch *ref* stand in line for permits of *scope* (`Grant.scope`)."""
        self._join(scope, ref, now, free_at)

    def call(self, now: float) -> Iterator[tuple[str, str]]:
        """Queue the batches whose turn it is; yields queue and ref of each, to publish."""
        for scope in self.scopes():
            room = self._limits.room(scope, now - _COURTESY)
            if room.free >= room.least:
                flat = self._call(scope, now, room.free, room.least)
                for queue, ref in zip(flat[::2], flat[1::2], strict=True):
                    yield queue.decode(), ref.decode()

    def again(self, now: float) -> float:
        """Seconds until it is worth to `call` again; at most `TICK`, which it is without a line."""
        waits = [self._limits.room(scope, now).free_at - now for scope in self.scopes()]
        return max(_COURTESY, min([TICK, *(wait + _COURTESY for wait in waits)]))

    def waiting(self, scope: str) -> int:
        """How many batches stand in line for permits of *scope*."""
        with reaching_redis():
            campaigns = self._client.zrangebyscore(keys.line(scope), "-inf", "+inf")
            return sum(
                int(self._client.zcard(keys.line(scope, campaign.decode())))
                for campaign in campaigns
            )

    def scopes(self) -> tuple[str, ...]:
        """Whose permits are waited for, as ``account:<a>`` and ``domain:<d>``."""
        with reaching_redis():
            return tuple(sorted(scope.decode() for scope in self._client.smembers(keys.LINES)))
