"""What people do about events that were not taken: look, have them told again, give up."""

from collections.abc import Iterator, Mapping, Sequence
from time import time
from typing import Final

from mailer.config import Settings
from mailer.errors import InputError
from mailer.queues.connections import Producer
from mailer.store.events import (
    HISTORY,
    Aside,
    Backlog,
    EventStream,
    Gaps,
    Missed,
    Rewinds,
    Rewound,
    SetAside,
)

CONSUMERS: Final = (HISTORY, "hook", "webhook", "task")

__all__ = [
    "HISTORY",
    "Backlog",
    "Missed",
    "Rewound",
    "SetAside",
    "backlogs",
    "dismiss",
    "drop",
    "lost",
    "missed",
    "replay",
    "rewound",
    "set_aside",
]


def backlogs(settings: Settings) -> list[Backlog]:
    """Every consumer of events, and how far it is behind."""
    return EventStream(Producer(settings).client).backlogs(time())


def set_aside(settings: Settings, consumer: str | None = None) -> Iterator[SetAside]:
    """Deliveries that lie aside, of one consumer or of all, the oldest first."""
    client = Producer(settings).client
    for name in _consumers(settings, consumer):
        yield from Aside(client).lying(name)


def lost(settings: Settings) -> Mapping[str, int]:
    """How many events had to go, by consumer, because too many lay aside."""
    return Aside(Producer(settings).client).lost()


def missed(settings: Settings) -> list[Missed]:
    """What consumers were never told of, because it left Redis before they had read it."""
    return Gaps(Producer(settings).client).all()


def rewound(settings: Settings) -> Rewound | None:
    """What the history knows and Redis does not, since it was restored from a backup."""
    return Rewinds(Producer(settings).client, HISTORY).seen()


def dismiss(settings: Settings, consumer: str) -> tuple[Missed | None, Rewound | None]:
    """Say no more of what *consumer* missed, nor of what it knows and Redis does not; returns both."""
    client = Producer(settings).client
    gaps, rewinds = Gaps(client), Rewinds(client, consumer)
    (name,) = _consumers(settings, consumer)
    if missed := gaps.of(name):
        gaps.close(missed)
    if found := rewinds.seen():
        rewinds.close(found)
    return missed, found


def replay(settings: Settings, consumer: str | None = None) -> Mapping[str, int]:
    """Have what lies aside told again, of one consumer or of all; returns of how many events."""
    client = Producer(settings).client
    return {name: Aside(client).replay(name) for name in _consumers(settings, consumer)}


def drop(settings: Settings, consumer: str) -> int:
    """Let nothing wait for *consumer* any more; returns of how many messages it had not heard.

    Raises `InputError` while this configuration names it: a worker would begin anew.
    """
    if consumer in settings.events.ways or (consumer == "history" and settings.history.url):
        place = settings.file.name if settings.file else "mailer.toml"
        raise InputError(
            f"{place} names it ({_key(consumer)}): take it out, here and on all workers, and restart them"
        )
    if consumer not in CONSUMERS:
        raise InputError(f"no consumer {consumer!r}; known are {', '.join(CONSUMERS)}")
    client = Producer(settings).client
    unread = EventStream(client).drop(consumer)
    if consumer == HISTORY:
        Rewinds(client, HISTORY).begin_anew()
    return unread


def _consumers(settings: Settings, consumer: str | None) -> Sequence[str]:
    known = [one.consumer for one in backlogs(settings)]
    if consumer is None:
        return known
    if consumer not in known:
        there = f"there are {', '.join(known)}" if known else "nobody reads events"
        raise InputError(f"no consumer {consumer!r}; {there}")
    return [consumer]


def _key(consumer: str) -> str:
    return "[history]" if consumer == "history" else f"events.{consumer}"
