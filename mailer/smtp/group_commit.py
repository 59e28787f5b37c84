"""When to write to the journal: at once if nobody else is about to speak, else with the next ones.

A note costs a round trip to the caller's database, whatever stands in it. Waiting for more about as
long as notes have cost lately never takes longer than writing them one by one would have.
"""

from math import inf

HEARTBEAT = 0.5
"""Seconds between two notes at most."""
LONGEST = 0.001
"""Seconds that what is ready waits for others at most."""
PATIENCE = 2.0
"""How long it waits, in terms of what a note costs."""

_SMOOTHING = 0.2


class Gathering:
    """The rhythm of one call's notes, begun at *now*."""

    def __init__(self, now: float) -> None:
        self._last = now
        self._cost = 0.0
        self._wait_until = inf

    def next_time(self) -> float:
        """When `is_due` may become true without anything having moved."""
        return min(self._wait_until, self._last + HEARTBEAT)

    def is_due(self, now: float, *, has_something: bool, others: int) -> bool:
        """Whether to note now, while *others* are about to bring more."""
        if not has_something:
            return now - self._last >= HEARTBEAT
        if others <= 0:
            return True
        if self._wait_until == inf:
            self._wait_until = now + min(LONGEST, PATIENCE * self._cost)
        return now >= self._wait_until

    def noted(self, began: float, ended: float) -> None:
        """Hear how long a note took."""
        self._cost += _SMOOTHING * (ended - began - self._cost)
        self._last = ended
        self._wait_until = inf
