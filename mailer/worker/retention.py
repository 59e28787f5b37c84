"""When finished campaigns are forgotten: a worker's duty, some campaigns at each turn.

One worker of the cluster has the turn. It looks at some campaigns, the oldest first. At its next turn it
looks at the next ones, and after the last it begins again with the oldest.
"""

from collections.abc import Callable
from typing import Final

from mailer.config import Settings
from mailer.errors import ForeignRecordError
from mailer.store.connection import Client, take_turn
from mailer.store.reach.reading import passed_over
from mailer.store.retention.forgetting import NAMES_KEPT, Forgetting

EVERY: Final = 60.0
"""Seconds between two turns."""

LOOKED_AT: Final = 200
"""Campaigns that one turn looks at."""


class Retention:
    """The duty of one worker."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._limits = settings.retention
        self._client = client
        self._forgetting = Forgetting(client)
        self._next = 0

    def sweep(self, now: float) -> int:
        """Forget campaigns that ended long enough ago, if it has the turn; returns how many."""
        if not take_turn(self._client, "retention", EVERY):
            return 0
        for name in self._forgetting.unfinished():
            self._one(self._forgetting.finish, name, now)
        self._forgetting.free_names(now - NAMES_KEPT)
        shortest = min(self._limits.ledger, self._limits.replies)
        names = self._forgetting.candidates(now - shortest, self._next, LOOKED_AT)
        forgotten = sum(bool(self._one(self._forget, name, now)) for name in names)
        # Those that were forgotten are counted no more: the next ones have moved up.
        self._next = self._next + len(names) - forgotten if len(names) == LOOKED_AT else 0
        return forgotten

    @staticmethod
    def _one(do: Callable[[str, float], object], name: str, now: float) -> object:
        """Do it to one campaign. One with a Redis key of a wrong type is named, and stops no other."""
        try:
            return do(name, now)
        except ForeignRecordError:
            passed_over(f"a key of campaign {name}")
            return False

    def _forget(self, name: str, now: float) -> bool:
        # The campaign of single messages never ends; of it only the servers' replies are forgotten.
        if not self._forgetting.is_single(name):
            done = self._forgetting.forget(name, now, now - self._limits.ledger)
            if done.what == "done":
                return True
        self._forgetting.forget_replies(name, now - self._limits.replies)
        return False
