"""A Redis that is older than what a reader of events knows: restored from a backup, or emptied.

Redis by itself cannot tell: stream, cursors and counts are restored together. A reader that writes down
outside of Redis how far it came can. The entry that it took in last must be there, unless its cursor has
passed it: only `EventStream.acknowledge` takes entries away.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from mailer.mail.event import ORDER_BITS
from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.events.stream import EventStream, order_of
from mailer.store.reach import reading

_BEGAN_ANEW: Final = 1
"""The cursor of a reader whose stream was removed and began anew (`events_end.lua`)."""

_ANEW: Final = "anew-"
"""How the name of a ledger begins that its reader was to forget."""


@dataclass(frozen=True, slots=True)
class Rewound:
    """What a reader knows and Redis does not: what became of so many *recipients*.

    It was told between *since* and *until*, in seconds since the epoch; *since* is 0.0 where Redis knows
    nothing of it at all. *campaigns* are those that most of them are of, each with how many.
    """

    recipients: int
    since: float
    until: float
    campaigns: Mapping[str, int] = field(default_factory=dict)

    def beside(self, before: "Rewound") -> "Rewound":
        """This and what was found *before*: all of it where this begins earlier, else both."""
        if self.since <= before.since:
            return self
        both = dict(before.campaigns)
        for name, number in self.campaigns.items():
            both[name] = both.get(name, 0) + number
        return Rewound(before.recipients + self.recipients, before.since, self.until, both)


def is_another(ledger: str) -> bool:
    """Whether a ledger that was never read stands for one that was lost, and not for one given up."""
    return not ledger.startswith(_ANEW)


class Rewinds:
    """What the reader *consumer* knows of how old one Redis is."""

    def __init__(self, client: Client, consumer: str) -> None:
        self._client = client
        self._consumer = consumer
        self._stream = EventStream(client)
        self._note = load(client, "events_rewound")

    def ledger(self) -> str:
        """Which ledger this is: a name that a backup has, too, and a Redis that was emptied has not."""
        with reaching_redis():
            self._client.set(keys.LEDGER, uuid.uuid4().hex, nx=True)
            return reading.text(self._client.get(keys.LEDGER) or b"")

    def begin_anew(self) -> None:
        """Have the ledger be another one for the reader: it is given up, and may come back one day."""
        with reaching_redis():
            self._client.set(keys.LEDGER, f"{_ANEW}{uuid.uuid4().hex}")

    def cursor(self) -> int:
        """The last entry that Redis says was read, as events are ordered."""
        return self._stream.cursor(self._consumer)

    def is_rewound(self, taken: int) -> bool:
        """Whether Redis knows nothing of the entry *taken*, the last one that was written down."""
        cursor = self.cursor()
        if cursor >= taken or cursor == _BEGAN_ANEW:
            return False
        identifier = _identifier(taken)
        with reaching_redis():
            return not self._client.xrange(keys.EVENTS, identifier, identifier, 1)

    def known(self, taken: int) -> int:
        """The last entry, of those up to *taken*, that Redis has, or that its reader has read."""
        with reaching_redis():
            found = self._client.xrevrange(keys.EVENTS, _identifier(taken), "-", 1)
        return max([self.cursor(), *(order_of(identifier) for identifier, _ in found)])

    def note(self, found: Rewound, taken: int) -> None:
        """Say what was *found* from now on, beside what was found before.

        What comes stands behind *taken* in the stream.
        """
        before = self.seen()
        said = json.dumps(asdict(found.beside(before) if before else found))
        self._note(self._consumer, said, _identifier(taken))

    def seen(self) -> Rewound | None:
        """What was found, until somebody has looked."""
        with reaching_redis():
            packed = self._client.hget(keys.EVENTS_REWOUND, self._consumer)
        if packed is None:
            return None
        try:
            return Rewound(**reading.table(packed, keys.EVENTS_REWOUND))
        except TypeError:
            reading.passed_over(keys.EVENTS_REWOUND)
            return None

    def close(self, seen: Rewound) -> None:
        """Say no more of what was *seen*; what was found since stays."""
        if self.seen() == seen:
            with reaching_redis():
                self._client.hdel(keys.EVENTS_REWOUND, self._consumer)


def _identifier(order: int) -> str:
    return f"{order >> ORDER_BITS}-{order & ((1 << ORDER_BITS) - 1)}"
