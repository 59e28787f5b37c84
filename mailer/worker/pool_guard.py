"""A child of the prefork pool ends soon after its worker was asked to.

billiard has a child that ends wait half a minute until its main process has read all its results. When a
worker stops, Celery forgets the tasks of whose start it has not heard, and reads no result of theirs:
these children wait in vain, and the worker with them. Nothing depends on these results here: what became
of each recipient is in the ledger, and a task message that comes again finds its batch gone.
"""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, Final

from billiard.pool import Worker as Child

PATIENCE: Final = 2.0
"""Seconds that a child waits for its results to be read while its worker stops."""

_LOOK: Final = 0.05


def end_soon(stopping: Callable[[], bool]) -> None:
    """Have this child process wait no longer than `PATIENCE` at its end, if its worker is *stopping*."""
    original = Child._ensure_messages_consumed  # noqa: SLF001 - there is no other place

    def ensured(self: Any, completed: int) -> bool:
        counter = self.on_ready_counter
        if counter is None or not stopping():
            return bool(original(self, completed=completed))
        ends = monotonic() + PATIENCE
        while counter.value < completed and monotonic() < ends:
            sleep(_LOOK)
        return bool(counter.value >= completed)

    Child._ensure_messages_consumed = ensured  # noqa: SLF001
