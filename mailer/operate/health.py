"""Is everything that mail needs reachable: Redis, the broker, the history, a worker that sweeps."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from time import time
from typing import Final

from mailer.config import Settings
from mailer.errors import LedgerUnavailableError, MailerError
from mailer.operate.history import opened
from mailer.queues.connections import Producer
from mailer.store.connection import serves
from mailer.store.events import HISTORY, Gaps, Rewinds
from mailer.store.reach.fitness import warning
from mailer.store.reach.foreign import told

_LATE: Final = 10.0
_LEAST: Final = 30.0
"""A sweep that is late by so many of its intervals, and by so many seconds, counts as missing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be: *said* is what is wrong with it, empty where it is well.

    *needed* is False of what stops no mail, and gets no better by starting something again.
    """

    name: str
    said: str = ""
    needed: bool = True

    @property
    def ok(self) -> bool:
        """Whether it is well."""
        return not self.said


def forgetful(settings: Settings) -> str | None:
    """What is to be said of a Redis that forgets all when it is started again; None of a good one.

    Nothing of one that is away, or does not say: who works with it hears that.
    """
    return warning(Producer(settings).client)


def foreign(settings: Settings) -> str:
    """Which keys hold what mailer did not write there, and what to do; empty where none are found."""
    return told(Producer(settings).client)


def readiness(settings: Settings) -> Iterator[Check]:
    """Look at Redis, the broker, the sweep, history and events; never raises for what is not well."""
    producer = Producer(settings)
    now = time()
    try:
        serves(producer.client)
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
    yield Check("sweep", swept_lately(settings, swept, now))
    if settings.history.url is not None:
        yield Check("history", _history(settings))
    if settings.follows:
        yield Check("events", _missed(producer), needed=False)


def swept_lately(settings: Settings, swept: float, now: float) -> str:
    """Why no worker seems to run, by when one last *swept*; empty where one did lately."""
    if not swept:
        return "no worker has swept yet: start celery -A mailer worker"
    patience = max(_LATE * settings.worker.sweep_every, _LEAST)
    return "" if now - swept <= patience else f"no worker has swept for {now - swept:.0f} s"


@dataclass(frozen=True, slots=True)
class Standstill:
    """Why mail that is queued does not move: *what* stands still, *why*, and what it goes on with."""

    what: str
    why: str
    until: str


def standstill(settings: Settings) -> Standstill | None:
    """What keeps all queued mail where it is: Redis takes no writes, or no worker sweeps."""
    if said := refused(settings):
        return Standstill("Redis takes no writes", said, "when it does, workers go on")
    said = nobody_works(settings)
    return Standstill("No worker runs", said, "it goes on when one starts") if said else None


def nobody_works(settings: Settings) -> str:
    """Why no worker seems to run; empty where one sweeps."""
    return swept_lately(settings, Producer(settings).store.waiting.swept(), time())


def refused(settings: Settings) -> str:
    """Why Redis takes no writes, so that workers wait and announce nothing; empty where it does."""
    try:
        serves(Producer(settings).client)
    except LedgerUnavailableError as exc:
        return str(exc)
    return ""


def _missed(producer: Producer) -> str:
    """What left Redis before consumers had read it, or with a backup; empty where nothing did."""
    try:
        gaps = Gaps(producer.client).all()
        older = Rewinds(producer.client, HISTORY).seen()
    except MailerError as exc:
        return str(exc)
    said = [f"{one.consumer} missed {one.recipients} events" for one in gaps]
    if older:
        said.append(f"Redis is older than the history by {older.recipients} recipients")
    return ", ".join(said)


def _history(settings: Settings) -> str:
    """Why the history cannot be asked; empty where it can, and has the tables of this version."""
    try:
        with closing(opened(settings)) as history:
            history.counts("")
    except MailerError as exc:
        return str(exc)
    return ""
