"""How many recipients ever had which outcome, through which account: figures that never fall."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mailer.mail.event import CAME_BACK
from mailer.mail.status import OPEN, Status
from mailer.store import keys
from mailer.store.campaigns import Campaigns
from mailer.store.connection import Client, reaching_redis
from mailer.store.reach import reading

_TRIES: Final = 5
"""Readings of all campaigns, while some of them are leaving Redis meanwhile."""

_KINDS: Final = {*CAME_BACK, "permanent"}
_FINAL: Final = {one.value: one.word for one in Status if one not in OPEN}

Labels = tuple[str, str]
"""A status word, or a kind of what came back; and the account, or ``a, b``, that its campaign names."""


@dataclass(frozen=True, slots=True)
class Counted:
    """*now* are recipients by status word; *outcomes* and *came_back* all that there ever were."""

    now: Counter[str] = field(default_factory=lambda: Counter({one.word: 0 for one in Status}))
    outcomes: Counter[Labels] = field(default_factory=Counter)
    came_back: Counter[Labels] = field(default_factory=Counter)


class Ever:
    """Counts over all campaigns of one Redis, those that left it included."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._campaigns = Campaigns(client)

    def counted(self) -> Counted:
        """What there is, and what there was."""
        left = self._left()
        for _ in range(_TRIES):
            found = self._of_campaigns()
            # What left in between was counted twice, or not at all.
            before, left = left, self._left()
            if left == before:
                break
        for what, account, number in _read(left):
            if what in _KINDS:
                found.came_back[what, account] += number
            elif word := _FINAL.get(what):
                found.outcomes[word, account] += number
        return found

    def _of_campaigns(self) -> Counted:
        found = Counted()
        for account, counts, backs in self._campaigns.counts_by_account():
            for letter, number in counts.items():
                found.now[letter.word] += number
                if letter not in OPEN:
                    found.outcomes[letter.word, account] += number
            for kind, number in backs.items():
                found.came_back[kind, account] += number
        return found

    def _left(self) -> dict[bytes, bytes]:
        with reaching_redis():
            return self._client.hgetall(keys.LEFT)


def _read(left: dict[bytes, bytes]) -> Iterator[tuple[str, str, int]]:
    for name, number in left.items():
        what, _, account = reading.text(name).partition(":")
        yield what, account, reading.whole(number, keys.LEFT)
