"""Deliveries of events that the application did not take: set aside, to be looked at and told again."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from mailer.mail.recipients import fingerprint
from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.reach import reading

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KEPT: Final = 10_000
"""Deliveries that are kept aside for each consumer; of more, the oldest go."""

_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class SetAside:
    """One delivery that was set aside: when, of how many events, why, and its body as it was sent."""

    consumer: str
    identifier: str
    at: float
    events: int
    why: str
    body: bytes = field(repr=False)


class Aside:
    """What lies aside in one Redis. *kept* is how many deliveries of each consumer at most."""

    def __init__(self, client: Client, kept: int = KEPT) -> None:
        self._client = client
        self._kept = kept
        self._aside = load(client, "events_aside")
        self._again = load(client, "events_again")

    def put(self, consumer: str, body: bytes, events: int, why: str, again: str = "") -> None:
        """Set a delivery aside; *again* is its id where it was one that was told again."""
        self._aside(consumer, self._kept, events, zstd.compress(body, 3), why, again)

    def lying(self, consumer: str) -> Iterator[SetAside]:
        """Every delivery that lies aside for *consumer*, the oldest first."""
        after = "-"
        while True:
            with reaching_redis():
                page = self._client.xrange(keys.aside(consumer), after, "+", _PAGE)
            for identifier, fields in page:
                yield _lying(consumer, identifier, fields)
            if len(page) < _PAGE:
                return
            after = f"({page[-1][0].decode()}"

    def counts(self) -> Mapping[str, int]:
        """How many deliveries lie aside, by consumer; of none that has none."""
        with reaching_redis():
            names = [name.decode() for name in self._client.hgetall(keys.CONSUMERS)]
            found = {name: self._client.xlen(keys.aside(name)) for name in names}
        return {name: number for name, number in sorted(found.items()) if number}

    def lost(self) -> Mapping[str, int]:
        """How many events had to go, by consumer, because too many lay aside."""
        with reaching_redis():
            found = self._client.hgetall(keys.EVENTS_LOST)
        return reading.wholes(found, keys.EVENTS_LOST)

    def replay(self, consumer: str) -> int:
        """Have all that lies aside for *consumer* told again; returns of how many events."""
        total = 0
        while True:
            deliveries, events = self._again(consumer, _PAGE)
            total += int(events)
            if deliveries < _PAGE:
                return total

    def erase(self, mailbox: str) -> int:
        """Take the events of one person out of what lies aside; returns how many those were."""
        key, taken = fingerprint(mailbox), 0
        for consumer in self.counts():
            for one in list(self.lying(consumer)):
                delivery = json.loads(one.body)
                named = delivery["events"]
                left = [event for event in named if fingerprint(event["mailbox"]) != key]
                if len(left) == len(named):
                    continue
                if (
                    left
                ):  # written first: a crash between the two leaves it twice, and loses nothing
                    body = json.dumps({**delivery, "events": left}, ensure_ascii=False).encode()
                    self.put(consumer, body, len(left), one.why)
                with reaching_redis():
                    self._client.xdel(keys.aside(consumer), one.identifier)
                taken += len(named) - len(left)
        return taken

    def to_tell_again(self, consumer: str) -> SetAside | None:
        """The first delivery that is to be told again."""
        with reaching_redis():
            found = self._client.xrange(keys.again(consumer), "-", "+", 1)
        return _lying(consumer, *found[0]) if found else None

    def newest_to_tell_again(self, consumer: str) -> str:
        """The id of the delivery that people asked for last; "" where none waits to be told again."""
        with reaching_redis():
            found = self._client.xrevrange(keys.again(consumer), "+", "-", 1)
        return found[0][0].decode() if found else ""

    def told(self, delivery: SetAside) -> None:
        """A delivery that was told again was taken."""
        with reaching_redis():
            self._client.xdel(keys.again(delivery.consumer), delivery.identifier)


def _lying(consumer: str, identifier: bytes, fields: Mapping[bytes, bytes]) -> SetAside:
    milliseconds = int(identifier.partition(b"-")[0])
    return SetAside(
        consumer,
        identifier.decode(),
        milliseconds / 1000,
        int(fields[b"n"]),
        fields[b"w"].decode("utf-8", "replace"),
        zstd.decompress(fields[b"d"]),
    )
