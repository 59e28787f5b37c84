"""How long a worker waits for a Redis that does not answer.

A worker that holds a lease has outcomes that exist nowhere else: replies that it has read. It asks Redis
again until they are written down, however long that takes. Only a worker that was asked to stop gives up;
then what it had begun to transmit is uncertain.
"""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

PAUSE: Final = 0.25
"""Seconds between two rounds of attempts."""

LAST: Final = 5.0
"""Seconds for which Redis is still asked once the worker is to stop."""


class RedisPatience:
    """Called after each round of failed attempts: waits a little, and says whether to try again."""

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
