"""How many entries of the suppression list have which reason and source, and which those are.

The scripts keep an index of them (`barring.lua`). Versions before it write the list alone: until a worker
has made the index anew, nothing is said here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mailer.mail.barring.scopes import ALL
from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.reach import reading
from mailer.store.suppression import Suppressed, Suppression

_VERSION: Final = b"1"
_STEP: Final = 500
_STEPS: Final = 10
"""Calls of some mailboxes each that one turn of the sweep makes."""

_AGAIN: Final = 600
"""Seconds between two makings: while versions before it write the list, it would be made without end."""

_KEY: Final = 8
_AT_A_TIME: Final = 100


@dataclass(frozen=True, slots=True)
class ReasonGroup:
    """So many *entries* with one reason and source; *number* is that of their set.

    *others* is the set of those whose reasons are too many, or too long, to have one each.
    """

    reason: str
    source: str
    entries: int
    number: str
    others: bool = False


class Reasons:
    """The suppression list of one Redis, by reason and source."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._list = Suppression(client)
        self._make = load(client, "barring", "suppress_index")

    def sweep(self, now: float) -> None:
        """Make the index where it lacks, some of it at each turn."""
        for _ in range(_STEPS):
            if not self._make(now, _STEP, _AGAIN):
                return

    def all(self) -> list[ReasonGroup] | None:
        """Every reason with its source, the most frequent first; None while the index is not there."""
        with reaching_redis():
            known = self._client.hgetall(keys.SUPPRESSED_REASONS)
            mailboxes = self._client.hlen(keys.SUPPRESSED)
        if not known and not mailboxes:
            return []
        state = (known.get(b"v"), known.get(b"#"), known.get(b"@"), known.get(b"cursor"))
        if state != (_VERSION, b"%d" % mailboxes, b"%d" % self._list.changes(), None):
            return None
        pairs = {name: number.decode() for name, number in known.items() if b"\0" in name}
        pipe = self._client.pipeline(transaction=False)
        for number in (*pairs.values(), "0"):
            pipe.zcard(keys.suppressed_of(number))
        with reaching_redis():
            sizes = pipe.execute()
        found = []
        for (name, number), size in zip(pairs.items(), sizes, strict=False):
            reason, source = map(reading.text, name.rsplit(b"\0", 1))
            found.append(ReasonGroup(reason, source, size, number))
        if others := sizes[-1]:
            found.append(ReasonGroup("", "", others, "0", others=True))
        return sorted(found, key=lambda one: (-one.entries, one.reason, one.source))

    def entries(
        self, wanted: Sequence[ReasonGroup], start: int
    ) -> Iterator[tuple[int, Suppressed]]:
        """The entries of *wanted*, set by set, each the newest first, from the *start*-th on.

        Each with its place among them. What was changed or taken off meanwhile is left out.
        """
        first = 0
        for one in wanted:
            for begins in range(max(start - first, 0), one.entries, _AT_A_TIME):
                until = begins + _AT_A_TIME - 1
                with reaching_redis():
                    members = self._client.zrevrange(keys.suppressed_of(one.number), begins, until)
                for place, entry in enumerate(self._read(members), first + begins):
                    if entry and (
                        one.others or (entry.reason, entry.source) == (one.reason, one.source)
                    ):
                        yield place, entry
            first += one.entries

    def _read(self, members: Sequence[bytes]) -> Iterator[Suppressed | None]:
        """The entry that each member of a set names; None for one that is not there any more."""
        found = self._list.of([member[:_KEY] for member in members])
        for member in members:
            scope = reading.text(member[_KEY:]) or ALL
            entries = found.get(member[:_KEY], ())
            yield next((one for one in entries if one.scope == scope), None)
