"""The states of a batch and which may follow which; the fields of its hash.

A batch is in exactly one state, and its ref in exactly one index, that of its state. Only the function
`enter` of ``prelude.lua`` moves it; that file has the same table (a test compares the two).

Field of a batch  Holds
----------------  -------------------------------------------------------------------------------------
state             queued, leased, waiting or parked (`BatchState`)
positions         its recipients in the campaign, in the payload's order: ``12+200`` or ``12,15,40``
without           of these, the ones that lie in a dead letter or are another batch's by now
open              how many of its recipients somebody had to try when it was last put down
queue             bulk or priority
account           through which it is sent
fence             number of its newest lease: a worker with an older one can change nothing
owner             the worker process that has the lease
lapsed            the fence of a lease that lapsed, while nobody else has taken the batch
began             when those began that were marked as transmitting last: their first try, and Date
deaths            leases in a row that nobody ended: their workers died over it
made              when its messages could first have left (seconds since the epoch)
trace             W3C's traceparent of who queued it, where traces are made
due               when a wait is over (seconds since the epoch)
event             what a parked batch waits for
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
