"""How a list is cut: rows that are asked about together, and batches of one account each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from mailer.mail.recipients import Recipient
from mailer.produce.spool import Row

LOOK: Final = 500
"""Rows that are asked about in one question to the ledger."""
LEAST: Final = 25
"""Messages. The last batches of a list are not made smaller: a task costs as much as thirty messages."""

Cut = tuple[str, tuple[Recipient, ...]]
"""An account, and who gets a message by it in one batch."""


class Batching:
    """Puts recipients, as they come, into batches of *size*; the last of each account's shrink.

    *route* says which account sends to a recipient.
    """

    def __init__(self, route: Callable[[Recipient], str], size: int) -> None:
        self._route = route
        self._size = size
        self._waiting: dict[str, list[Recipient]] = {}
        self._begun: set[str] = set()

    def put(self, recipients: Iterable[Recipient]) -> Iterator[Cut]:
        """Take *recipients*; give the batches that are full by them."""
        size = self._size
        for one in recipients:
            account = self._route(one)
            pile = self._waiting.setdefault(account, [])
            pile.append(one)
            if len(pile) == 2 * size:
                yield account, tuple(pile[:size])
                del pile[:size]
                self._begun.add(account)

    def rest(self) -> Iterator[Cut]:
        """Give what is left: nobody else comes."""
        for account, pile in self._waiting.items():
            for part in _shrinking(pile, self._size, is_begun=account in self._begun):
                yield account, tuple(part)


def _shrinking(
    pile: Sequence[Recipient], size: int, *, is_begun: bool
) -> Iterator[Sequence[Recipient]]:
    """The last recipients of a list, in batches of half of what is left: so all workers end together.

    No batch is cut below a quarter of *size*; nor below `LEAST`, unless it would not fit into *size*.
    A list that fits into one batch stays in one: a second one would cost more time than it saves.
    """
    least = max(size // 4, LEAST)
    while len(pile) > size or (is_begun and len(pile) >= 2 * least):
        half = min(size, (len(pile) + 1) // 2)
        yield pile[:half]
        pile, is_begun = pile[half:], True
    if pile:
        yield pile


def chunks(rows: Iterable[Row], size: int) -> Iterator[list[tuple[int, Row]]]:
    """The *rows*, numbered from 1, *size* at a time."""
    chunk: list[tuple[int, Row]] = []
    for row in enumerate(rows, start=1):
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
