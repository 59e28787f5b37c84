"""The states of a batch, and which may follow which.

A batch is in exactly one state, and its ref in exactly one index, that of its state. Only the function
`enter` of ``prelude.lua`` moves it; that file has the same table (a test compares the two).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class BatchState(StrEnum):
    """What the field ``state`` of a batch says."""

    QUEUED = "queued"
    """A task message for it is on the broker, or will be. Index: ``queued:<queue>``."""
    LEASED = "leased"
    """A worker has it, until its lease ends. Index: ``timers``."""
    WAITING = "waiting"
    """For its campaign's start, a later try, or permits. Index: ``timers``."""
    PARKED = "parked"
    """Until a campaign goes on or an account is good again. Index: ``parked:<event>``."""
    GONE = "gone"
    """It has no hash: not written down yet, or each of its recipients is settled or elsewhere."""


FOLLOWS: Final[Mapping[BatchState, frozenset[BatchState]]] = {
    BatchState.GONE: frozenset({BatchState.QUEUED, BatchState.WAITING}),
    BatchState.QUEUED: frozenset(
        {BatchState.LEASED, BatchState.WAITING, BatchState.PARKED, BatchState.GONE}
    ),
    BatchState.WAITING: frozenset(BatchState),
    BatchState.LEASED: frozenset(BatchState),
    # From parked to waiting: its campaign goes on, and was given a later start meanwhile.
    BatchState.PARKED: frozenset(BatchState),
}
"""The states that may follow each; leased follows leased where a dead worker's batch is taken over."""
