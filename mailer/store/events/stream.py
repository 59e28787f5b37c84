"""The stream of what happened, out of the ledger: written with each note, read by its consumers.

A consumer (the history, the application) has a name and a cursor, the last entry that it has read.
One process reads for it at a time, under a lease; it moves the cursor after it has done its work, so
that each entry is read at least once, in order. What all consumers have read is taken away.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mailer.errors import PayloadError, PayloadTooNewError
from mailer.mail.event import ORDER_BITS, Event, decode_entry, moved
from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.reach import reading

LEASE: Final = 15.0
"""Seconds that a process which reads may be silent before another takes its place, unless told else."""

HISTORY: Final = "history"
"""The consumer that writes the history."""

_START: Final = "0-0"
"""The cursor of a consumer that has read nothing."""

_PAGE: Final = 100
"""Entries read at a time at most: one may tell of a whole batch, and who wants few is to get few."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Some entries of the stream: their events, where they end, how many recipients they tell of.

    *unreadable* says of each entry that could not be read why; its events are not in *events*. *newer* is
    said of the entry behind the last one: a worker of a newer version wrote it, and can read it. They
    were read from the cursor *after* on.
    """

    events: tuple[Event, ...]
    last: str
    number: int
    unreadable: tuple[str, ...] = ()
    newer: str = ""
    after: str = _START


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a consumer has not read yet: of how many recipients, and how old the oldest is in seconds.

    *trouble* is why it does not get on.
    """

    consumer: str
    messages: int
    age: float
    trouble: str = ""


_CURSOR: Final = re.compile(r"\d+(-\d+)?")


class EventStream:
    """The stream of one Redis, as one process sees it."""

    def __init__(self, client: Client, lease: float = LEASE) -> None:
        self._client = client
        self._seconds = lease
        self._ack = load(client, "events_ack")
        self._lease = load(client, "events_lease")
        self._owner = uuid.uuid4().hex

    def register(self, consumer: str) -> None:
        """Let nothing be taken away from now on that *consumer* has not read."""
        self._lease(consumer, self._owner, 0)

    def take(self, consumer: str) -> bool:
        """Take or renew the right to read for *consumer*; False while another process has it."""
        return bool(self._lease(consumer, self._owner, int(self._seconds * 1000)))

    def leave(self, consumer: str) -> None:
        """Give up the right to read: another process may have it at once."""
        if self.take(consumer):
            self._lease(consumer, self._owner, 1)

    def read(self, consumer: str, messages: int) -> Reading | None:
        """What *consumer* has not read, up to somewhat more than so many *messages*; None: nothing."""
        with reaching_redis():
            cursor = self._client.hget(keys.CONSUMERS, consumer) or _START.encode()
            found: list[tuple[bytes, dict[bytes, bytes]]] = []
            number, size = 0, min(_PAGE, max(messages // _PAGE, 1))
            while number < messages:
                after = found[-1][0] if found else cursor
                page = self._client.xrange(keys.EVENTS, f"({after.decode()}", "+", size)
                found += page
                number += sum(int(fields.get(b"n", 0)) for _, fields in page)
                if len(page) < size:
                    break
        return _reading(found, reading.text(cursor)) if found else None

    def acknowledge(self, consumer: str, reading: Reading) -> None:
        """What was read is done: never to be read again, unless Redis was restored meanwhile."""
        self._ack(consumer, reading.last, reading.number, reading.after)

    def note_trouble(self, consumer: str, why: str) -> None:
        """Say why *consumer* does not get on; with "", that it does again."""
        with reaching_redis():
            if why:
                self._client.hset(keys.EVENTS_TROUBLE, consumer, why)
            else:
                self._client.hdel(keys.EVENTS_TROUBLE, consumer)

    def cursor(self, consumer: str) -> int:
        """The last entry that *consumer* has read, as events are ordered."""
        with reaching_redis():
            found = self._client.hget(keys.CONSUMERS, consumer) or _START.encode()
        if not _CURSOR.fullmatch(reading.text(found)):
            reading.passed_over(keys.CONSUMERS)
            return 0
        return order_of(found)

    def end(self) -> int:
        """The last entry that there is, as events are ordered; 0 where there is none."""
        with reaching_redis():
            found = self._client.xrevrange(keys.EVENTS, "+", "-", 1)
        return order_of(found[0][0]) if found else 0

    def backlogs(self, now: float) -> list[Backlog]:
        """How far each consumer is behind."""
        with reaching_redis():
            cursors = self._client.hgetall(keys.CONSUMERS)
            added = int(self._client.get(keys.EVENTS_ADDED) or 0)
            read = self._client.hgetall(keys.EVENTS_READ)
            troubles = self._client.hgetall(keys.EVENTS_TROUBLE)
        return [
            Backlog(
                name.decode(),
                max(added - reading.whole(read.get(name), keys.EVENTS_READ), 0),
                self._age(reading.text(cursor), now),
                reading.text(troubles.get(name, b"")),
            )
            for name, cursor in sorted(cursors.items())
        ]

    def unread(self) -> Mapping[str, int]:
        """Of how many recipients each consumer has not read."""
        with reaching_redis():
            added = int(self._client.get(keys.EVENTS_ADDED) or 0)
            read = self._client.hgetall(keys.EVENTS_READ)
        return {name.decode(): added - int(number) for name, number in read.items()}

    def drop(self, consumer: str) -> int:
        """Forget *consumer*; returns of how many recipients it had not read.

        With the last one goes all that is left: nobody will read it, and workers write no more.
        """
        unread = next((one.messages for one in self.backlogs(0.0) if one.consumer == consumer), 0)
        with reaching_redis():
            for key in (
                keys.CONSUMERS,
                keys.EVENTS_READ,
                keys.EVENTS_TROUBLE,
                keys.EVENTS_LOST,
                keys.EVENTS_MISSED,
                keys.EVENTS_REWOUND,
            ):
                self._client.hdel(key, consumer)
            self._client.delete(keys.aside(consumer), keys.again(consumer))
            if not self._client.exists(keys.CONSUMERS):
                self._client.delete(keys.EVENTS, keys.EVENTS_ADDED)
        return unread

    def _age(self, cursor: str, now: float) -> float:
        if not _CURSOR.fullmatch(cursor):
            reading.passed_over(keys.CONSUMERS)
            cursor = "0"
        with reaching_redis():
            found = self._client.xrange(keys.EVENTS, f"({cursor}", "+", 1)
        return max(now - _milliseconds(found[0][0]) / 1000, 0.0) if found else 0.0


def _reading(found: Sequence[tuple[bytes, Mapping[bytes, bytes]]], after: str) -> Reading:
    events: list[Event] = []
    unreadable = []
    last, number, newer = "", 0, ""
    for identifier, fields in found:
        try:
            events += _events(identifier, fields)
        except PayloadTooNewError as exc:
            newer = str(exc.args[0])
            break
        except (PayloadError, ValueError, KeyError) as exc:
            unreadable.append(f"entry {identifier.decode()}: {exc}")
        last = identifier.decode()
        number += int(fields.get(b"n", 0))
    return Reading(tuple(events), last, number, tuple(unreadable), newer, after)


def _events(identifier: bytes, fields: Mapping[bytes, bytes]) -> list[Event]:
    order = order_of(identifier)
    if b"e" in fields:
        ref = fields.get(b"r", b"").decode()
        return decode_entry(fields[b"e"], int(fields.get(b"p", 0)), order, ref)
    positions = [int(position) for position in fields[b"p"].split(b",")]
    campaign, letter = fields[b"c"].decode(), fields[b"l"].decode()
    return moved(campaign, letter, positions, _milliseconds(identifier) / 1000, order)


def _milliseconds(identifier: bytes) -> int:
    return int(identifier.partition(b"-")[0])


def order_of(identifier: bytes) -> int:
    """An entry's id as a number of 63 bits that grows as ids do: milliseconds, and the count in one."""
    milliseconds, _, count = identifier.partition(b"-")
    return (int(milliseconds) << ORDER_BITS) + min(int(count or 0), (1 << ORDER_BITS) - 1)
