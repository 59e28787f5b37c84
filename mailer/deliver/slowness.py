"""Which accounts answer well, and which hardly do, as one process has seen it.

Who hardly answers is *slow* for a while. What is known is the newest: a batch that hangs at one dead
connection says nothing against an account whose later batches are answered.
"""

from time import monotonic
from typing import Final

SLOW_RATE: Final = 5.0
"""Answers a second below which an account is slow."""

MUTE: Final = 0.3
"""Seconds without an answer after which an account is slow, where many batches are beside."""

GOOD_MUTE: Final = 5.0
"""The same for one that has answered well: another process may have all its connections just now."""

SLOW_FOR: Final = 60.0
"""Seconds for which an account counts as slow after a batch of it was last seen to be."""

ROOM_WAITS: Final = (0.5, 30.0)
"""Seconds that a batch waits, at least and at most, if its account is busy in this process."""

TRY_EVERY: Final = 0.1
"""Seconds between two of a slow account's batches that come back to see whether there is room, times the
slow accounts: together they take ten tasks a second, however many batches wait."""

LONGEST: Final = 300.0
"""Seconds that one of them waits at most."""


class Slowness:
    """What is known of the accounts; whoever uses it from several threads holds a lock."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._tries: dict[str, float] = {}

    def answered_well(self, account: str) -> None:
        """A batch of *account* was answered at a good rate."""
        self._until[account] = 0.0
        self._tries.pop(account, None)

    def hardly_answered(self, account: str) -> None:
        """A batch of *account* was not."""
        self._until[account] = monotonic() + SLOW_FOR

    def is_slow(self, account: str) -> bool:
        """Whether *account* hardly answers."""
        return self._until.get(account, 0.0) > monotonic()

    def is_good(self, account: str) -> bool:
        """Whether *account* is known to answer well."""
        return self._until.get(account) == 0.0

    def proof(self, account: str, usual: float, *, is_mute: bool, has_many: bool) -> float:
        """Seconds after which a batch with hardly an answer says that *account* is slow.

        They are the *usual* ones, but where nothing is answered at all.
        """
        if is_mute and self.is_good(account):
            return GOOD_MUTE
        return MUTE if is_mute and has_many else usual

    def accounts(self) -> set[str]:
        """All slow accounts."""
        now = monotonic()
        return {account for account, until in self._until.items() if until > now}

    def next_try(self, account: str, age: float, crowd: int) -> float:
        """Seconds until a batch of *account* comes back, for which there is no room for *age* seconds.

        Those of a slow account come one after the other, beside a *crowd* of so many slow accounts.
        """
        shortest, longest = ROOM_WAITS
        wait = min(max(age, shortest), longest)
        if not self.is_slow(account):
            return wait
        now = monotonic()
        in_turn = self._tries.get(account, 0.0) + TRY_EVERY * max(crowd, 1)
        self._tries[account] = due = max(now + wait, min(in_turn, now + LONGEST))
        return due - now
