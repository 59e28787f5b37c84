"""Does a single message wait for this process: heard with the ledger's notes, asked where there are none.

A note goes to Redis anyhow, some hundred times a second while mail leaves, and answers for the whole
process. A look of its own costs as much CPU time as sending a message, and wakes Redis for nothing else.
"""

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Final

WAITED: Final = 0.01
"""Seconds: a message that has not waited for so long is about to be taken by a process that is free."""

LOST: Final = 10.0
"""Seconds after which its task message is lost, and nobody can hurry."""

LOOK: Final = 0.01
"""Seconds for which an answer is good: a part of how long a message may wait."""

NOTE: Final = LOOK / 2
"""Seconds after which the next note asks again, so that while there are notes no look is needed."""


_NOTHING: Final = ("", "")


class SingleWatch:
    """What the process has last heard; shared by its threads.

    *takes* says whether the process takes single messages at all, *ask* asks Redis for one that waits.
    *heard* is called when one does, by whichever thread hears it.
    """

    def __init__(
        self, takes: Callable[[], bool] = lambda: False, ask: Callable[[], bool] = lambda: False
    ) -> None:
        self._takes = takes
        self._ask = ask
        self._answered_at = -inf
        self._waits = False
        self.heard: Callable[[], None] = lambda: None

    def asked(self) -> tuple[object, object]:
        """What the note that is about to be written asks: two of its arguments (``commit.lua``)."""
        if monotonic() - self._answered_at >= NOTE and self._takes():
            return WAITED, LOST
        return _NOTHING

    def answered(self, answer: str, asked: tuple[object, object]) -> str:
        """The verdict out of a note's *answer*; what else stands in it, if it was *asked*, is heard."""
        verdict, _, single = answer.partition(" ")
        if asked is not _NOTHING:
            self._answered_at, self._waits = monotonic(), bool(single)
            if single:
                self.heard()
        return verdict

    def single_waits(self) -> bool:
        """Whether a single message waits; what a note told is told once, to whoever goes for it."""
        if monotonic() - self._answered_at >= LOOK:
            self._answered_at, self._waits = monotonic(), self._takes() and self._ask()
        waits, self._waits = self._waits, False
        return waits
