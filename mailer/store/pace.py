"""How far replies have lowered an account's rate and connections, and when they recover.

Additive increase, multiplicative decrease, shared by all workers: a throttling reply halves, and then
the account comes back to nine tenths of what was too much within four windows, and from there on by a
hundredth in each. What the account itself may send at most is configured, or was measured when the first
such reply came.
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import time
from typing import Final

from mailer.mail.retry_after import retry_after
from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at an account that has no limits: others may have slowed it."""

LONGEST_WAIT: Final = 900.0
"""Seconds that a throttling reply can make an account wait; longer ones are for used-up quotas."""

_CONNECTIONS: Final = re.compile(
    r"connection|session|concurren|thread|simultaneous|parallel", re.IGNORECASE
)
_NOT_CONNECTIONS: Final = re.compile(
    r"clos(?:e|ing)\b.{0,20}(?:connection|transmission|session)|per connection|session closed",
    re.IGNORECASE,
)

Rates = Mapping[str, tuple[tuple[int, int], ...]]
"""Count and seconds of each rate, shortest window first, by account."""


@dataclass(frozen=True, slots=True)
class Slowing:
    """What came of a throttling reply.

    *what* is ``lowered``, ``paused``, or ``known`` where an earlier reply of the same cause has been
    heard; *share* of the account's rate is left, and nothing is sent before *until* (0: no pause).
    """

    what: str
    share: float
    until: float


@dataclass(frozen=True, slots=True)
class AccountPace:
    """How fast an account may go just now.

    *share* of the configured rate, or *rate* messages a second where none is configured and it was
    measured; at most *connections* unless None; nothing before *until*. *why* is what the server said.
    """

    share: float = 1.0
    rate: float | None = None
    connections: int | None = None
    until: float = 0.0
    why: str = ""


class Pace:
    """The pace of every account, as methods. Thread-safe; the clock is Redis's unless *now* is given."""

    def __init__(self, client: Client, rates: Rates | None = None) -> None:
        self._client = client
        self._rates = rates or {}
        self._throttled = load(client, "pace", "pace_throttled")
        self._note = load(client, "pace", "pace_note")
        self._state = load(client, "pace", "pace_state")
        self._lock = threading.Lock()
        self._meters: dict[str, _Meter] = {}

    def has_rate(self, account: str) -> bool:
        """Whether the account's rate is configured."""
        return bool(self._rates.get(account))

    def throttled(
        self,
        account: str,
        reply: str,
        *,
        taken_at: float | None = None,
        now: float | None = None,
    ) -> Slowing:
        """Slow the account down after a throttling *reply*; its words say whether in connections.

        *taken_at* is when the message got its permit: a reply to a message that left before the last
        slowing took effect changes nothing. A time that the reply names is waited for.
        """
        moment = time() if now is None else now
        kind = "connections" if speaks_of_connections(reply) else "rate"
        wait = min(retry_after(reply, moment) or 0.0, LONGEST_WAIT)
        self._flush(account, moment)
        count, seconds = next(iter(self._rates.get(account, ())), (0, 0))
        answer = self._throttled(
            account,
            "" if now is None else now,
            "" if taken_at is None else taken_at,
            kind,
            wait,
            reply[:200],
            count,
            seconds,
        )
        self._look_again(account)
        return Slowing(answer[0].decode(), float(answer[1]), float(answer[2]))

    def resume(self, account: str) -> None:
        """Forget what replies have said: full rate, all connections, no pause."""
        with reaching_redis():
            self._client.delete(keys.pace(account))
        self._look_again(account)

    def state(self, account: str, now: float | None = None) -> AccountPace:
        """How fast the account may go now."""
        share, base, connections, until, why = self._state(account, "" if now is None else now)
        return AccountPace(
            float(share),
            float(share) * float(base) if base else None,
            int(connections) if connections else None,
            float(until),
            why.decode(errors="replace"),
        )

    def slowed(self, account: str, sending: int, now: float | None = None) -> bool:
        """Whether an account without limits has to ask for permits; *sending* messages are counted.

        Asks Redis once a second, else remembers.
        """
        moment = time() if now is None else now
        with self._lock:
            meter = self._meters.setdefault(account, _Meter())
            meter.count += sending
            if meter.looked_at <= moment < meter.looked_at + LOOK_EVERY:
                return meter.slowed
            count, meter.count, meter.looked_at = meter.count, 0, moment
        slowed = bool(self._note(account, "" if now is None else now, count))
        meter.slowed = slowed
        return slowed

    def _flush(self, account: str, moment: float) -> None:
        with self._lock:
            meter = self._meters.get(account)
            count, since = (meter.count, meter.looked_at) if meter else (0, moment)
        if meter and count:
            meter.count = 0
            elapsed = max(moment - since, 0.05)
            self._note(
                account, moment, max(count, round(count / elapsed)) if elapsed < 1 else count
            )

    def _look_again(self, account: str) -> None:
        with self._lock:
            if account in self._meters:
                self._meters[account].looked_at = 0.0


class _Meter:
    """What this process sent for an account since it last told, and what it was told."""

    __slots__ = ("count", "looked_at", "slowed")

    def __init__(self) -> None:
        self.count = 0
        self.looked_at = 0.0
        self.slowed = False


def speaks_of_connections(reply: str) -> bool:
    """Whether a throttling reply is about connections at once, not about messages in a time."""
    return bool(_CONNECTIONS.search(_NOT_CONNECTIONS.sub(" ", reply)))
