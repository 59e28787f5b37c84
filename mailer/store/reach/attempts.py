"""How often a call to Redis is repeated, and when that is given up.

Two kinds of callers. People at a terminal hear within some five seconds what is wrong, whatever it is.
Workers have replies in hand that exist nowhere else: they ask until Redis answers and serves, and say
once that they wait and once that it is over. A Redis that takes no writes goes on answering those who
only read: that what they asked is answered does not end the waiting.
"""

import logging
import threading
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, Final

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from mailer.store.reach.refusal import refusal

log = logging.getLogger(__name__)

ATTEMPTS: Final = 3
"""How often a call is repeated in one round, within about two seconds where Redis refuses at once."""

BUDGET: Final = 4.0
"""Seconds after the first failure in which a person's call is still repeated."""

_NOTICED: Final = 3
"""Failures after which a person at a terminal is told that Redis does not answer."""

_DEPOSED: Final = ("READONLY", "MASTERDOWN", "LOADING")
"""How a server refuses that was master, or will be."""

_BACKOFF: Final = ExponentialBackoff(cap=1.0, base=0.1)
_AWAY: Final = (redis.ConnectionError, redis.TimeoutError, TimeoutError)


class Attempts(Retry):
    """The attempts of one client's calls; with *go_on*, rounds of them until it says no.

    With *between*, one behind Sentinel: between two masters every call fails at once, so a person's call
    is repeated for all of `BUDGET`, and says what it waits for.

    redis-py nests them, a command's around a connect's. Only the outermost repeats: each level would
    multiply the wait, and a connection that is taken and refused afterwards is no success.
    """

    def __init__(self, go_on: Callable[[], bool] | None = None, *, between: bool = False) -> None:
        super().__init__(_BACKOFF, ATTEMPTS, (*_AWAY, redis.RedisError))
        self._go_on = go_on
        self._between = between
        self._failing_since: float | None = None
        self._told = self._told_of_refusal = False
        self._inside = threading.local()

    def __deepcopy__(self, _memo: object) -> "Attempts":
        return self  # each connection copies its own; the time since the first failure is shared

    def call_with_retry(
        self,
        do: Callable[[], Any],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,  # noqa: ARG002 - redis-py's
        with_failure_count: bool = False,  # noqa: FBT001, FBT002 - redis-py's
    ) -> Any:
        """Call *do* until it returns, *fail* after each failure; raises the last one."""
        failed = fail if with_failure_count else lambda exc, _number: fail(exc)
        if getattr(self._inside, "a_call", False):
            return self._once(do, failed)
        self._inside.a_call = True
        try:
            return self._until_it_returns(do, failed)
        finally:
            self._inside.a_call = False

    @staticmethod
    def _once(do: Callable[[], Any], fail: Callable[[Exception, int], Any]) -> Any:
        try:
            return do()
        except (redis.RedisError, TimeoutError) as exc:
            fail(exc, 1)
            raise

    def _until_it_returns(
        self, do: Callable[[], Any], fail: Callable[[Exception, int], Any]
    ) -> Any:
        failures, began, refused = 0, monotonic(), False
        while True:
            try:
                result = do()
            except (redis.RedisError, TimeoutError) as exc:
                if not self._passes(exc):
                    raise
                failures += 1
                refused = refused or refusal(exc) is not None
                self._failing_since = self._failing_since or began
                fail(exc, failures)
                if self._gives_up(exc, failures):
                    raise
                sleep(_BACKOFF.compute((failures - 1) % ATTEMPTS + 1))
            else:
                self._failing_since = None
                if refused or not self._told_of_refusal:
                    self._tell_that_it_is_over()
                return result

    def _passes(self, exc: Exception) -> bool:
        """Whether another attempt is worth it: Redis is away, or, for workers, cannot serve."""
        if self._between and str(exc).startswith(_DEPOSED):
            return True
        if refusal(exc) is not None and not isinstance(exc, redis.BusyLoadingError):
            return self._go_on is not None
        return isinstance(exc, _AWAY) and not isinstance(exc, redis.AuthenticationError)

    def _gives_up(self, exc: Exception, failures: int) -> bool:
        if self._go_on is None:
            is_over = monotonic() - (self._failing_since or 0.0) >= BUDGET
            if not self._between or is_over:
                return failures > ATTEMPTS or is_over
            if failures == _NOTICED:
                self._tell(exc, "waiting for the next master: %s")
            return False
        if failures % (ATTEMPTS + 1):
            return False
        self._tell(exc, "waiting for Redis: %s")
        return not self._go_on()

    def _tell(self, exc: Exception, text: str) -> None:
        if not self._told:
            why = refusal(exc)
            self._told, self._told_of_refusal = True, why is not None
            log.warning(text, why or exc)

    def _tell_that_it_is_over(self) -> None:
        if self._told:
            self._told = self._told_of_refusal = False
            log.warning("Redis serves again")
