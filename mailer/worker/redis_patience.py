"""How long a worker waits for a Redis that does not answer.

Whoever holds a lease has outcomes in hand that exist nowhere else: replies that were read. It asks Redis
again until they are written down; "cannot be reached" is never taken for an answer. Only a worker that
was asked to stop gives up, and then what it had begun is uncertain.
"""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

PAUSE: Final = 0.25
"""Seconds between two rounds of attempts."""

LAST: Final = 5.0
"""Seconds that are left for Redis to answer once the worker is to stop."""


class RedisPatience:
    """Called after each round of attempts in vain: waits a little, says whether to try again."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._stopping_since: float | None = None

    def __call__(self) -> bool:
        """Whether to ask Redis once more."""
        if self._stopping():
            now = monotonic()
            self._stopping_since = self._stopping_since or now
            if now - self._stopping_since >= LAST:
                return False
        threading.Event().wait(PAUSE)
        return True
