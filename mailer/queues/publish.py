"""How batches that the ledger names become task messages on their queues."""

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from mailer.store.ledger import Ledger

if TYPE_CHECKING:
    from mailer.queues.broker import Broker

_STEP: Final = 200


def publish(broker: "Broker", ledger: Ledger, batches: Iterable[tuple[str, str]]) -> int:
    """Publish the task of each (queue, ref) that still is a batch; returns how many."""
    from mailer.queues.broker import Task  # noqa: PLC0415 - Celery, which who only looks does without

    published = 0
    for some in _chunks(iter(batches)):
        published += broker.publish(Task(*fields) for fields in ledger.tasks(some))
    return published


def _chunks(batches: Iterator[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    while some := list(itertools.islice(batches, _STEP)):
        yield some
