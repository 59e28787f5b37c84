"""Which batches of a campaign wait for a time or an event, and which a worker has or may take."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mailer.store import keys
from mailer.store.connection import Client, reaching_redis
from mailer.store.ledger import BULK, PRIORITY

LEASED_UNTIL: Final = 900.0
"""Seconds from now within which a lease ends: what is later in the index of times waits."""

_PAGE: Final = 1_000


@dataclass(slots=True)
class Pending:
    """Batches of one campaign: *ready* ones, ones that are *waiting* from *soonest* on, *parked* ones."""

    ready: int = 0
    waiting: int = 0
    parked: int = 0
    soonest: float = 0.0

    @property
    def any(self) -> bool:
        """Whether a batch was seen at all: one that is parked for something else is not."""
        return bool(self.ready or self.waiting or self.parked)

    @property
    def idle(self) -> bool:
        """Whether no worker has any of it or may take one now."""
        return not self.ready and bool(self.waiting or self.parked)


def pending(
    client: Client, campaigns: Sequence[str], accounts: Sequence[str], now: float
) -> dict[str, Pending]:
    """What waits of each of *campaigns*; *accounts* are those whose batches may be parked."""
    found = {name: Pending() for name in campaigns}
    for page in _pages(client, keys.TIMERS):
        ours = [(ref, due) for ref, due in page if _campaign(ref) in found]
        for ref, due in _waiting(client, ours, now):
            one = found[_campaign(ref)]
            if due:
                one.waiting += 1
                one.soonest = min(one.soonest or due, due)
            else:
                one.ready += 1
    for queue in (BULK, PRIORITY):
        for one in _found(client, keys.queued(queue), found):
            one.ready += 1
    for account in accounts:
        for one in _found(client, keys.parked(f"account:{account}"), found):
            one.parked += 1
    return found


def _campaign(ref: str) -> str:
    return ref.rpartition(":")[0]


def _found(client: Client, index: str, found: Mapping[str, Pending]) -> Iterator[Pending]:
    for page in _pages(client, index):
        yield from (found[name] for ref, _ in page if (name := _campaign(ref)) in found)


def _waiting(
    client: Client, page: Sequence[tuple[str, float]], now: float
) -> Iterator[tuple[str, float]]:
    """Each ref with when its wait is over; 0.0 for one that a worker has a lease on."""
    doubtful = [ref for ref, due in page if due < now + LEASED_UNTIL]
    pipe = client.pipeline(transaction=False)
    for ref in doubtful:
        pipe.hmget(keys.batch(ref), "state")
    with reaching_redis():
        states = dict(zip(doubtful, pipe.execute(), strict=True))
    for ref, due in page:
        yield ref, 0.0 if states.get(ref, [b"waiting"]) != [b"waiting"] else due


def _pages(client: Client, index: str) -> Iterator[list[tuple[str, float]]]:
    """The batch refs of an *index* with their scores, a page at a time."""
    cursor = 0
    while True:
        with reaching_redis():
            cursor, page = client.zscan(index, cursor, count=_PAGE)
        yield [(ref.decode(), score) for ref, score in page]
        if cursor == 0:
            return
