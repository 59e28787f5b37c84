"""How a campaign that is over leaves Redis: in small steps, so that nobody waits for it.

It is marked first, in one step, and its name stays taken: who enqueues it again by mistake would mail
everybody a second time. Then its keys go, some at a time. Whoever is killed in between leaves it in
``mailer:forgetting``, and the next worker or command goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailer.mail.payload import read_detail
from mailer.mail.status import OPEN, Status
from mailer.store import keys
from mailer.store.connection import Client, load, reaching_redis
from mailer.store.events import EventStream, Gaps
from mailer.store.ledger import BULK, PRIORITY

STEP: Final = 500
"""Keys or batches that one call removes at most."""

DAY: Final = 86400
MINUTES_KEPT: Final = 31
"""Days for which the minutes of a campaign are there at most (`commit.lua`)."""

NAMES_KEPT: Final = 2 * 365 * 86400.0
"""Seconds for which the name of a forgotten campaign stays taken."""

_MARGIN: Final = 60.0
"""Seconds by which the clocks of Redis and of a worker may differ."""

_KEPT_LETTERS: Final = {*OPEN, Status.DEAD, Status.UNCERTAIN}


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What became of it: ``done``, or why not.

    ``gone`` (nobody knows it), ``young``, ``enqueueing``; ``open``, ``dead`` and ``unread``, with the
    *number* of recipients, or of messages, that stand in the way. *reader* has not read these yet;
    ``missed``: the history was never told of these, and only the ledger knows of them.
    """

    what: str
    number: int = 0
    reader: str = ""


class Forgetting:
    """The forgetting of campaigns in one Redis."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._events = EventStream(client)
        self._gaps = Gaps(client)
        self._forget = load(client, "forget")
        self._batches = load(client, "forget_batches")

    def forget(self, name: str, now: float, before: float) -> Forgotten:
        """Forget the campaign, if all of it is over since *before* and was read by who follows events."""
        with reaching_redis():
            about = self._client.hmget(keys.campaign(name), ["created", "active"])
        ended = float(about[1] or about[0] or 0.0)
        if ended > before:
            return Forgotten("young")
        for one in self._events.backlogs(now):
            if ended and one.messages and now - one.age <= ended + _MARGIN:
                return Forgotten("unread", one.messages, one.consumer)
        gap, begun = self._gaps.of("history"), float(about[0] or 0.0)
        if gap and ended >= gap.since - _MARGIN and begun <= gap.until + _MARGIN:
            return Forgotten("missed", gap.recipients, gap.consumer)
        what, *number = self._forget(name, now, before)
        if what != b"begun":
            return Forgotten(what.decode(), int(number[0]) if number else 0)
        self.finish(name, now)
        return Forgotten("done")

    def finish(self, name: str, now: float) -> None:
        """Remove what is left of a campaign that was marked. To be killed, and called again, is fine."""
        for step in self.steps(name, now):
            with reaching_redis():
                self._client.unlink(*step)
        with reaching_redis():
            self._client.unlink(keys.campaign(name))
            self._client.srem(keys.FORGETTING, name)

    def steps(self, name: str, now: float) -> Iterator[list[str]]:
        """Keys to be removed, some at a time; the campaign's own, which knows the others, is the last."""
        with reaching_redis():
            about = self._client.hmget(keys.campaign(name), ["batches", "buckets"])
        last = int(about[0] or 0)
        for first in range(1, last + 1, STEP):
            self._batches(name, first, min(first + STEP - 1, last))
        self._leave_queues(name)
        seen = [keys.seen(name, bucket) for bucket in range(int(about[1] or keys.OLD_SEEN_BUCKETS))]
        for first in range(0, len(seen), STEP):
            yield seen[first : first + STEP]
        tens, today = int(now // 10), int(now // DAY)
        yield [keys.rate(name, one) for one in range(tens - 13, tens + 2)]
        yield [keys.minutes(name, day) for day in range(today - MINUTES_KEPT, today + 2)]
        for key in (
            keys.status,
            keys.order,
            keys.erased,
            keys.unsure,
            keys.detail,
            keys.back,
            keys.backs,
            keys.receivers,
            keys.stopped,
            keys.shared,
            keys.counts,
        ):
            yield [key(name)]

    def _leave_queues(self, name: str) -> None:
        """Nobody of it stands in a line any more."""
        with reaching_redis():
            lines = [keys.line(scope.decode()) for scope in self._client.smembers(keys.LINES)]
            for index in (*lines, keys.turns(BULK), keys.turns(PRIORITY)):
                self._client.zrem(index, name)
                self._client.unlink(f"{index}:{name}")
            self._client.unlink(keys.parked(f"campaign:{name}"))

    def unfinished(self) -> list[str]:
        """Campaigns that are marked, and not gone yet."""
        with reaching_redis():
            return sorted(name.decode() for name in self._client.smembers(keys.FORGETTING))

    def candidates(self, before: float, start: int = 0, number: int = 0) -> list[str]:
        """At most *number* campaigns that were enqueued first before then, from the *start*-th oldest on.

        With *number* 0 all of them.
        """
        with reaching_redis():
            found = self._client.zrange(keys.CAMPAIGNS, start, start + number - 1, withscores=True)
        return [name.decode() for name, at in found if at < before]

    def is_single(self, name: str) -> bool:
        """Whether single messages are shown under this name: no list was ever enqueued."""
        with reaching_redis():
            return self._client.hget(keys.campaign(name), "runs") is None

    def free_names(self, before: float) -> None:
        """Names of campaigns that were forgotten before then may be used again."""
        with reaching_redis():
            self._client.zremrangebyscore(keys.FORGOTTEN, "-inf", before)

    def forget_replies(self, name: str, before: float) -> int:
        """Forget what servers said before then of recipients that are final; returns of how many.

        Of those that are open, or in the dead letters, it is kept: somebody still decides by it.
        """
        cursor, forgotten = 0, 0
        while True:
            with reaching_redis():
                cursor, page = self._client.hscan(keys.detail(name), cursor, count=STEP)
            old = [position for position, packed in page.items() if read_detail(packed).at < before]
            pipe = self._client.pipeline(transaction=False)
            for position in old:
                pipe.getrange(keys.status(name), int(position), int(position))
            with reaching_redis():
                letters = pipe.execute()
                over = [
                    position
                    for position, letter in zip(old, letters, strict=True)
                    if letter and Status(letter.decode()) not in _KEPT_LETTERS
                ]
                if over:
                    forgotten += self._client.hdel(keys.detail(name), *over)
            if cursor == 0:
                return forgotten
