"""When to write to the journal: at once if no other session is about to need it, else together with them.

A note costs a round trip to the caller's database, however much it says. So what is ready waits for other
sessions, at most twice as long as notes took lately, and never longer than a millisecond. That takes no
longer than one note for each session would.
"""

from collections.abc import Callable, Sequence
from math import inf

from mailer.smtp.interfaces import Journal, Proceed
from mailer.smtp.submission import Result

HEARTBEAT = 0.5
"""Seconds between two notes at most."""
LONGEST = 0.001
"""Seconds for which what is ready waits for other sessions at most."""
PATIENCE = 2.0
"""How long it waits, as a multiple of what a note costs."""

_SMOOTHING = 0.2


class GroupCommit:
    """The rhythm of one call's notes to *journal*."""

    def __init__(self, journal: Journal, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock
        self._last = clock()
        self._cost = 0.0
        self._wait_until = inf

    def next_time(self) -> float:
        """The time at which `is_due` may become true even if no socket has an event."""
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

    def commit(self, results: Sequence[tuple[int, Result]], starting: Sequence[int]) -> Proceed:
        """Write one note, and return what the journal says; see `Journal.commit`."""
        began = self._clock()
        proceed = self._journal.commit(results, starting)
        self._last = self._clock()
        self._cost += _SMOOTHING * (self._last - began - self._cost)
        self._wait_until = inf
        return proceed
