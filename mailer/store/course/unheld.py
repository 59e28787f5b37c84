"""Which recipients of a campaign are open, and in no batch: nobody will ever send to them.

No script that runs to its end leaves anybody so. Redis before 7.0 ends one in its middle where a right is
missing, and people delete keys.
"""

import re
from collections.abc import Iterator
from typing import Final

from mailer.mail.status import OPEN
from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.positions import pack_positions, unpack_positions
from mailer.store.reach import reading

_PAGE: Final = 1_000
_LETTERS: Final = 65_536
_OPEN: Final = re.compile(f"[{''.join(sorted(OPEN))}]".encode())


class Unheld:
    """Those of each campaign whom no batch holds."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._cancel = load(client, "unheld")

    def unheld_in(self, name: str) -> list[int]:
        """The positions of all who are open in the campaign and in none of its batches.

        Reads each batch, from the newest on until everybody is found: to be asked where nothing moves.
        """
        client = self._client
        left = set(_open(client, name))
        last = _batches(client, name)
        for newest in range(last, 0, -_PAGE):
            if not left:
                break
            for held in _held(client, name, range(newest, max(newest - _PAGE, 0), -1)):
                left -= held
        # Whoever became final meanwhile is not open. A batch that was made meanwhile has taken from
        # others.
        if not left or _batches(client, name) != last:
            return []
        return sorted(left.intersection(_open(client, name)))

    def settle_unheld(self, name: str) -> None:
        """Cancel those of a cancelled campaign; that they may have got it is kept."""
        lost = self.unheld_in(name)
        for first in range(0, len(lost), _PAGE):
            self._cancel(name, pack_positions(lost[first : first + _PAGE]))


def _open(client: Client, name: str) -> Iterator[int]:
    first = 0
    while True:
        with reaching_redis():
            letters = client.getrange(keys.status(name), first, first + _LETTERS - 1)
        yield from (first + found.start() for found in _OPEN.finditer(letters))
        first += _LETTERS
        if len(letters) < _LETTERS:
            return


def _batches(client: Client, name: str) -> int:
    with reaching_redis():
        return int(client.hget(keys.campaign(name), "batches") or 0)


def _held(client: Client, name: str, numbers: range) -> Iterator[set[int]]:
    """Whom each of these batches holds."""
    pipe = client.pipeline(transaction=False)
    for number in numbers:
        pipe.hmget(keys.batch(f"{name}:{number}"), "positions", "without")
    with reaching_redis():
        found = pipe.execute(raise_on_error=False)
        batches = [
            reading.of_type(one, (None, None), f"a batch of campaign {name}") for one in found
        ]
    for positions, without in batches:
        if positions is not None:
            held = set(unpack_positions(positions.decode()))
            yield held.difference(unpack_positions((without or b"").decode()))
