"""How many dead letters there are, by reason, account and campaign, without looking at each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.dead_letters import DeadLetter, DeadLetters, Filter


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead letters of one reason, account and campaign: how many, and how many *messages* lie in them."""

    reason: str
    account: str
    campaign: str
    letters: int
    messages: int


class DeadGroups:
    """The dead letters of one Redis, counted."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._letters = DeadLetters(client)
        self._groups = load(client, "dead_groups")

    def all(self, now: float) -> list[DeadGroup]:
        """Every group, the largest first."""
        flat = self._groups(now)
        found: Mapping[bytes, bytes] = dict(zip(flat[::2], flat[1::2], strict=True))
        groups = []
        for field, number in found.items():
            if field.startswith(b"l:"):
                reason, account, campaign = json.loads(field[2:])
                messages = int(found.get(b"m" + field[1:], 0))
                groups.append(DeadGroup(reason, account, campaign, int(number), messages))
        return sorted(groups, key=lambda one: -one.messages)

    def page(
        self, which: Filter, start: int, size: int, most: int
    ) -> tuple[list[DeadLetter], int | None]:
        """At most *size* letters that *which* means, from the *start*-th of all, the oldest first.

        Looks at *most* letters; returns with them where to go on, None at the end.
        """
        found: list[DeadLetter] = []
        for first in range(start, start + most, size):
            with reaching_redis():
                page = self._client.zrange(keys.DEAD, first, first + size - 1, withscores=True)
            for place, letter in enumerate(self._letters.several([name for name, _ in page])):
                if letter is not None and which.fits(letter):
                    found.append(letter)
                    if len(found) == size:
                        return found, first + place + 1
            if len(page) < size:
                return found, None
        return found, start + most
