"""What needs a human, and how it goes on.

A dead letter is a whole batch or some of its messages, with their payload and what the server said. The
ledger keeps it; a task message of the same id on the broker's queue ``mailer.dead`` makes it visible
there (`mailer.queues.dead_queue`). The ledger decides what is a dead letter; the queue only shows it.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

from mailer.errors import InputError
from mailer.mail.said import Said
from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.positions import unpack_positions
from mailer.store.reach.foreign import is_foreign

REASONS: Final = ("auth", "account", "exhausted", "uncertain", "poison", "undecodable")

UNREADABLE: Final = "unreadable"
"""The reason shown for a dead letter whose record cannot be read: another program wrote there."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter; *at* is seconds since the epoch."""

    identifier: str
    campaign: str
    batch: str
    account: str
    queue: str
    reason: str
    said: Said
    messages: int
    at: float
    positions: tuple[int, ...] = dataclasses.field(repr=False, default=())


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters: None takes all; *older_than* and *newer_than* are seconds of age."""

    reason: str | None = None
    account: str | None = None
    campaign: str | None = None
    older_than: float | None = None
    newer_than: float | None = None

    def fits(self, letter: DeadLetter) -> bool:
        """Whether *letter* is meant, its age aside (which the index finds)."""
        return (
            self.reason in (None, letter.reason)
            and self.account in (None, letter.account)
            and self.campaign in (None, letter.campaign)
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Exhumed:
    """What became of a dead letter that was taken out.

    *how* is ``replayed``, ``dropped``, ``gone`` or ``cancelled`` (its campaign is, and it stays); a
    replayed one is a queued batch *ref* now.
    """

    how: str
    messages: int = 0
    queue: str = ""
    ref: str = ""
    account: str = ""


class DeadLetters:
    """The dead letters that one Redis knows."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._exhume = load(client, "exhume")

    def __len__(self) -> int:
        """How many dead letters there are."""
        with reaching_redis():
            return int(self._client.zcard(keys.DEAD))

    def find(self, which: Filter, now: float) -> Iterator[DeadLetter]:
        """Dead letters that *which* means, the oldest first, streamed."""
        oldest = "-inf" if which.newer_than is None else str(now - which.newer_than)
        newest = "+inf" if which.older_than is None else str(now - which.older_than)
        with reaching_redis():
            found = self._client.zrangebyscore(keys.DEAD, oldest, newest)
        for start in range(0, len(found), 500):
            for letter in self.several(found[start : start + 500]):
                if letter is not None and which.fits(letter):
                    yield letter

    def several(self, identifiers: Sequence[bytes]) -> list[DeadLetter | None]:
        """The dead letters of these ids, None for each that is gone."""
        names = [identifier.decode() for identifier in identifiers]
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.hgetall(keys.dead_letter(name))
        with reaching_redis():
            rows = pipe.execute(raise_on_error=False)
            _raise_but_for_junk(rows)
        return [_letter(name, row) if row else None for name, row in zip(names, rows, strict=True)]

    def get(self, identifier: str) -> DeadLetter:
        """The dead letter of that id. Raises `InputError` where there is none."""
        (letter,) = self.several([identifier.encode()])
        if letter is None:
            raise InputError(f"no dead letter {identifier!r}; `mailer dead list` shows them")
        return letter

    def payload(self, identifier: str) -> bytes:
        """The dead letter's messages as `mailer.mail.payload` wrote them."""
        with reaching_redis():
            return self._client.get(keys.dead_payload(identifier)) or b""

    def replay(
        self, identifier: str, now: float, account: str = "", payload: bytes = b""
    ) -> Exhumed:
        """Queue its messages again, but for those settled meanwhile; twice does nothing more."""
        return self._take_out(identifier, now, "replay", account, payload)

    def drop(self, identifier: str, now: float) -> Exhumed:
        """Remove it; its recipients count as dropped."""
        return self._take_out(identifier, now, "drop", "", b"")

    def unpublished(self) -> list[str]:
        """Ids whose task message is not known to be on the broker's queue."""
        with reaching_redis():
            return [
                found.decode() for found in self._client.srandmember(keys.DEAD_UNPUBLISHED, 500)
            ]

    def to_publish(self, identifiers: Sequence[str]) -> None:
        """Note that the task messages of *identifiers* are to be published (again)."""
        if identifiers:
            with reaching_redis():
                self._client.sadd(keys.DEAD_UNPUBLISHED, *identifiers)

    def identifiers(self, until: float) -> list[str]:
        """Ids of all dead letters made before *until*, the oldest first."""
        with reaching_redis():
            found = self._client.zrangebyscore(keys.DEAD, "-inf", until)
        return [name.decode() for name in found]

    def known(self, identifiers: Sequence[str]) -> set[str]:
        """Those of *identifiers* that still are dead letters."""
        if not identifiers:
            return set()
        with reaching_redis():
            found = self._client.zmscore(keys.DEAD, list(identifiers))
        return {name for name, at in zip(identifiers, found, strict=True) if at is not None}

    def published(self, identifier: str) -> None:
        """Note that the task message of *identifier* is on the broker's queue."""
        with reaching_redis():
            self._client.srem(keys.DEAD_UNPUBLISHED, identifier)

    def _take_out(
        self, identifier: str, now: float, how: str, account: str, payload: bytes
    ) -> Exhumed:
        what, *rest = self._exhume(identifier, now, how, account, payload)
        if what == b"replayed":
            queue, ref, messages, to = rest
            return Exhumed("replayed", int(messages), queue.decode(), ref.decode(), to.decode())
        return Exhumed(what.decode(), int(rest[0]) if rest else 0)


def _raise_but_for_junk(rows: Sequence[object]) -> None:
    """Raise what Redis could not answer; a key of another type is an answer, for that letter."""
    for row in rows:
        if isinstance(row, Exception) and not is_foreign(row):
            raise row


def _letter(identifier: str, row: dict[bytes, bytes] | Exception) -> DeadLetter:
    """The letter as it stands there; of one that cannot be read, that it cannot."""
    if isinstance(row, Exception):
        return _unreadable(identifier, row)
    try:
        return _read(identifier, row)
    except (KeyError, ValueError) as exc:  # text that is no UTF-8 is a ValueError, too
        return _unreadable(identifier, exc)


def _unreadable(identifier: str, why: Exception) -> DeadLetter:
    said = Said(text=f"(the dead letter cannot be read: {type(why).__name__} {why})")
    campaign = identifier.rpartition(":")[0]
    return DeadLetter(identifier, campaign, "", "", "", UNREADABLE, said, 0, 0.0)


def _read(identifier: str, row: dict[bytes, bytes]) -> DeadLetter:
    text = {key.decode(): value for key, value in row.items()}
    return DeadLetter(
        identifier,
        text["campaign"].decode(),
        text["batch"].decode(),
        text["account"].decode(),
        text["queue"].decode(),
        text["reason"].decode(),
        Said.read(text["said"]),
        int(text["messages"]),
        float(text["at"]),
        unpack_positions(text["positions"].decode()),
    )
