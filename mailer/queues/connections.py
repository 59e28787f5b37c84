"""How a process that is no worker reaches the ledger and the queues: connections made once and kept."""

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from time import monotonic, time
from typing import TYPE_CHECKING, Final, TypeVar

from mailer.config import Settings, current
from mailer.config.neighbours import intrusion
from mailer.errors import LedgerUnavailableError
from mailer.mail.payload import VERSION
from mailer.queues.publish import publish
from mailer.store import Store
from mailer.store.account_limits import rules
from mailer.store.breaker import Breaker
from mailer.store.campaigns import Campaigns
from mailer.store.connection import Client, connect
from mailer.store.course.unheld import Unheld
from mailer.store.dispatch import Dispatch
from mailer.store.ledger import Ledger
from mailer.store.singles import Singles
from mailer.store.workers.able import Able

if TYPE_CHECKING:
    from mailer.queues.broker import Broker, Task

_T = TypeVar("_T")

KEPT: Final = 16
"""Different configurations whose connections one process keeps; beyond it the oldest go."""

QUIET: Final = 5.0
"""Seconds for which a broker that failed is not asked again: the workers' sweep publishes meanwhile."""

log = logging.getLogger("mailer.produce")


class Links:
    """What leads to one Redis and one broker; shared by all threads of a process."""

    def __init__(self, redis: str, broker: str) -> None:
        if said := intrusion():
            log.warning("%s", said)
        # All at once, and no byte is sent yet: two threads must not make two of one thing.
        self.client: Client = connect(redis)
        self.campaigns = Campaigns(self.client)
        self.ledger = Ledger(self.client)
        self.singles = Singles(self.client)
        self.dispatch = Dispatch(self.client)
        self.breaker = Breaker(self.client)
        self.able = Able(self.client)
        self.unheld = Unheld(self.client)
        self._broker_url = broker
        self._broker: Broker | None = None
        self._quiet_until = 0.0

    @property
    def broker(self) -> "Broker":
        """Celery's queues. Celery is loaded when they are first wanted: who only looks does without."""
        if self._broker is None:
            # No cached_property: its lock could be held in mid-fork (see `between_forks`).
            with between_forks:
                if self._broker is None:
                    from mailer.queues.application import application  # noqa: PLC0415
                    from mailer.queues.broker import Broker  # noqa: PLC0415

                    self._broker = Broker(application(self._broker_url))
        return self._broker

    @broker.setter
    def broker(self, broker: "Broker") -> None:
        self._broker = broker

    def ring(self, task: "Task") -> None:
        """Tell the workers of a batch that the ledger has; it is sent also where this fails.

        Raises nothing for a broker that is away: what is in the ledger, the workers' sweep finds.
        """
        if monotonic() < self._quiet_until:
            return
        try:
            self.broker.publish([task])
        except LedgerUnavailableError as exc:
            self._quiet_until = monotonic() + QUIET
            log.warning("%s; what is queued goes out with the workers' next sweep", exc)

    def payload_version(self) -> int:
        """The version of payload that a batch may be written in now: every living worker can read it.

        Where none says that it lives, it is the first: 0.1.0's say nothing, and read no other.
        """
        return min(max(self.able.reads(time()), 1), VERSION)

    def noted(
        self,
        ref: str,
        contexts: Sequence[Mapping[str, object]],
        for_all: Mapping[str, object],
    ) -> None:
        """Hear what the messages of the batch *ref* were made of: nothing to do, but in users' tests."""


class Producer:
    """Redis and broker as a producer uses them, by the settings: the process's own where None."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or current()

    @property
    def links(self) -> Links:
        """The connections, shared by all producers of this process that lead to the same servers."""
        return _links(self.settings.redis_url, self.settings.broker_url)

    def knows(self, account: str) -> None:
        """Raise `ConfigError` for an account that the configuration lacks, where it names any.

        A producer may do without: passwords and servers are the workers' business.
        """
        if self.settings.accounts:
            self.settings.account(account)

    @property
    def client(self) -> Client:
        """The connection to Redis."""
        return self.links.client

    @cached_property
    def store(self) -> Store:
        """All that Redis holds, with the limits of the settings."""
        return Store(self.client, rules(self.settings))

    @property
    def campaigns(self) -> Campaigns:
        """The campaigns that Redis knows."""
        return self.links.campaigns

    @property
    def ledger(self) -> Ledger:
        """What became of each recipient."""
        return self.links.ledger

    @property
    def broker(self) -> "Broker":
        """Celery's queues."""
        return self.links.broker

    def wake(self, event: str) -> int:
        """Queue what is parked for *event*; returns how many batches."""
        return publish(self.broker, self.ledger, self.store.waiting.wake(event, time()))


class Kept:
    """Values that a process makes once and keeps, the newest *most*; safe over threads and forks.

    A forked child begins anew, and leaves what it inherited alone.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[object, object] = OrderedDict()
        _all.append(self)

    def get(self, key: object, make: Callable[[], _T]) -> _T:
        """The value of *key*, made by *make* if need be; one thread makes, and others wait for it."""
        found = self._values.get(key)
        if found is not None:
            return found  # type: ignore[return-value] # what this *make* made before
        with between_forks:
            made = self._values.get(key)
            if made is None:
                made = self._values[key] = make()
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
            return made  # type: ignore[return-value]

    def drop(self, key: object, value: object) -> None:
        """Forget *value*, unless another one has taken its place already."""
        with between_forks:
            if self._values.get(key) is value:
                del self._values[key]

    def clear(self) -> None:
        """Forget all values; connections in use end when their last user lets go of them."""
        with between_forks:
            self._values.clear()

    def renew(self) -> None:
        """Begin anew after a fork."""
        _inherited.append(self._values)
        self._values = OrderedDict()


between_forks: Final = threading.RLock()
"""Held while values are made, templates are compiled and messages are composed: a fork waits for it.

A child has only the thread that forked. A lock that another one held at that moment (Python 3.11's
``cached_property`` has one for each property) would stay locked in the child for good.
"""

_all: Final[list[Kept]] = []
# What a child has of its parent is kept and never used: to collect a connection can shut it down
# for the parent, too.
_inherited: Final[list[object]] = []
_kept_links: Final = Kept(KEPT)


_instead: Links | None = None


@contextmanager
def instead(links: Links) -> Iterator[None]:
    """Have all producers of this process use *links*: for tests that want no Redis."""
    global _instead  # noqa: PLW0603 - one for the process, as the real ones are
    before, _instead = _instead, links
    try:
        yield
    finally:
        _instead = before


def _links(redis: str, broker: str) -> Links:
    return _instead or _kept_links.get((redis, broker), lambda: Links(redis, broker))


def _begin_anew() -> None:
    for kept in _all:
        kept.renew()
    between_forks.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=between_forks.acquire,
        after_in_parent=between_forks.release,
        after_in_child=_begin_anew,
    )
