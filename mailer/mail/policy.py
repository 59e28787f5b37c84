"""How a campaign's messages are to be treated: when they are tried again."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a deferred recipient is tried again: exponential, jittered, limited.

    The n-th wait is ``first_delay * factor**n`` seconds, at most *max_delay*, moved by up to *jitter* of
    itself either way. After *attempts* tries, or *give_up_after* seconds, no more.
    """

    first_delay: float = 60.0
    factor: float = 2.0
    max_delay: float = 4 * 3600.0
    jitter: float = 0.2
    attempts: int = 20
    give_up_after: float = 2 * 86400.0

    def delay(self, attempt: int, random: Callable[[], float]) -> float:
        """Seconds to wait after the *attempt*-th try (from 1); *random* gives 0 ≤ x < 1."""
        steps = min(attempt - 1, 64)
        delay = min(self.first_delay * self.factor**steps, self.max_delay)
        return delay * (1 + self.jitter * (2 * random() - 1))
