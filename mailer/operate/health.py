"""Is everything that mail needs reachable: Redis, the broker, a worker that sweeps."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import time
from typing import Final

from mailer.config import Settings
from mailer.errors import MailerError
from mailer.queues.connections import Producer

_LATE: Final = 10.0
_LEAST: Final = 30.0
"""A sweep that is late by so many of its intervals, and by so many seconds, counts as missing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be: *said* is what is wrong with it, empty where it is well."""

    name: str
    said: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is well."""
        return not self.said


def readiness(settings: Settings) -> Iterator[Check]:
    """Look at Redis, the broker and the sweep, in that order; never raises for what is not well."""
    producer = Producer(settings)
    now = time()
    try:
        swept = producer.store.waiting.swept()
    except MailerError as exc:
        yield Check("redis", str(exc))
        return
    yield Check("redis")
    try:
        producer.broker.check()
    except MailerError as exc:
        yield Check("broker", str(exc))
    else:
        yield Check("broker")
    patience = max(_LATE * settings.worker.sweep_every, _LEAST)
    if swept and now - swept <= patience:
        yield Check("sweep")
    elif swept:
        yield Check("sweep", f"no worker has swept for {now - swept:.0f} s")
    else:
        yield Check("sweep", "no worker has swept yet: start celery -A mailer worker")
