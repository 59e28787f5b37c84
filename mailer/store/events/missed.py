"""What a consumer was never told of: entries that left the stream before it had read them.

Only `EventStream.acknowledge` takes entries away. Whoever else does (XTRIM, DEL, an eviction) leaves a
gap, which shows where the consumer has read to the end: more recipients were told of than it has heard.
"""

from dataclasses import dataclass

from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.reach import reading


@dataclass(frozen=True, slots=True)
class Missed:
    """What *consumer* missed, all gaps together: of how many *recipients*, and when they were told of.

    Between *since*, 0.0 where it had read nothing before, and *until*, in seconds since the epoch.
    """

    consumer: str
    recipients: int
    since: float
    until: float


class Gaps:
    """The gaps in what consumers were told, in one Redis."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._end = load(client, "events_end")

    def look(self, consumer: str, now: float) -> int:
        """Look for a gap where *consumer* has read to the end; returns of how many recipients it is."""
        return int(self._end(consumer, now))

    def all(self) -> list[Missed]:
        """What each consumer missed, until somebody has looked; nothing of one that missed nothing."""
        with reaching_redis():
            found = self._client.hgetall(keys.EVENTS_MISSED)
        read = (_missed(reading.text(name), packed) for name, packed in sorted(found.items()))
        return [one for one in read if one.recipients]

    def of(self, consumer: str) -> Missed | None:
        """What *consumer* missed; None where it missed nothing."""
        return next((one for one in self.all() if one.consumer == consumer), None)

    def close(self, seen: Missed) -> None:
        """Say no more of what was *seen*; a gap that was noticed since stays."""
        if self.of(seen.consumer) == seen:
            with reaching_redis():
                self._client.hdel(keys.EVENTS_MISSED, seen.consumer)


def _missed(consumer: str, packed: bytes) -> Missed:
    found = reading.table(packed, keys.EVENTS_MISSED)
    try:
        numbers = [float(found.get(name, 0)) for name in ("recipients", "since", "until")]
    except (TypeError, ValueError):
        reading.passed_over(keys.EVENTS_MISSED)
        numbers = [0.0, 0.0, 0.0]
    return Missed(consumer, int(numbers[0]), numbers[1], numbers[2])
