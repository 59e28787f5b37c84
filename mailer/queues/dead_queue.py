"""What lies on the broker's queue of dead letters, so that people see it there.

One task message for each dead letter of the ledger, with the same id and arguments made for reading.
The ledger is right where the two differ: a message that is missing is published again, one that is
there twice or whose dead letter is gone is removed (`DeadQueue.sift`). No worker consumes the queue.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, Final

from celery import Celery
from kombu import Producer, Queue
from kombu.exceptions import ChannelError

from mailer.mail.counts import plural
from mailer.queues.application import DEAD_QUEUE
from mailer.queues.broker import OwnConnections, put
from mailer.store.dead_letters import DeadLetter, DeadLetters

PATIENCE: Final = 10.0
"""Seconds after which a letter that nobody published is published by the sweep. Who buries a batch
publishes its letter at once; only after a crash does somebody else have to."""

DEAD: Final = "mailer.dead"
"""The name of the task that a dead letter's message bears."""

Keep = Callable[[Sequence[str]], AbstractSet[str]]

_PAGE: Final = 500
_KEPT_PROPERTIES: Final = ("correlation_id", "reply_to", "delivery_mode", "priority")


class DeadQueue:
    """The queue ``mailer.dead``, on whatever broker Celery uses."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        # An object of its own: by name, workers would begin to consume it.
        self.queue = Queue(DEAD_QUEUE, routing_key=DEAD_QUEUE)
        self._own = OwnConnections(app, [self.queue])

    def __len__(self) -> int:
        """How many task messages are on the queue."""
        with self._channel() as (_, channel):
            return _length(channel)

    def publish(self, letters: Iterable[DeadLetter]) -> Iterator[str]:
        """Publish the task message of each letter; yields its id when the broker has taken it.

        Raises `LedgerUnavailableError` when the broker does not take them.
        """
        with self._own.producer() as producer:
            for letter in letters:
                said = keywords(letter)
                words = (sentence(letter), repr(said))
                where = (self._app, producer, self.queue)
                put(*where, DEAD, letter.identifier, words, said, letter.identifier)
                yield letter.identifier

    def sift(self, keep: Keep) -> set[str]:
        """Remove each message whose id *keep* does not return, and doubles; returns the ids kept.

        *keep* is asked about some ids at a time, each after its message was seen on the queue. If this
        is killed in the middle, at worst a message is on the queue twice, for the next call to remove.
        """
        with self._channel() as (driver, channel):
            if driver == "redis" and not channel.global_keyprefix:
                return _sift_list(channel, keep)
            return _sift_by_turning(channel, self.queue(channel), keep)

    @contextmanager
    def _channel(self) -> Iterator[tuple[str, Any]]:
        with self._own.connection() as connection, connection.channel() as channel:
            yield connection.transport.driver_type, channel


def tidy(queue: DeadQueue, letters: DeadLetters, now: float) -> None:
    """Make the queue show what the ledger holds: remove what is gone or double, note what lacks."""
    shown = queue.sift(letters.known)
    if len(shown) != len(letters):
        older = letters.identifiers(now - PATIENCE)
        letters.to_publish([one for one in older if one not in shown])


def keywords(letter: DeadLetter) -> dict[str, Any]:
    """What a dead letter's message says, as plain values."""
    return {
        "campaign": letter.campaign,
        "batch": int(letter.batch.rpartition(":")[2]),
        "messages": letter.messages,
        "account": letter.account,
        "reason": letter.reason,
        "code": letter.said.code,
    }


def sentence(letter: DeadLetter) -> str:
    """The same, as a person reads it."""
    batch = letter.batch.rpartition(":")[2]
    why = f"{letter.reason} {letter.said.code or ''}".strip()
    return (
        f"({letter.campaign}, batch {batch}: {plural(letter.messages, 'message')} "
        f"through {letter.account}, dead: {why})"
    )


def _length(channel: Any) -> int:
    try:
        return int(channel.queue_declare(DEAD_QUEUE, passive=True).message_count)
    except ChannelError:  # no such queue yet, or an empty one on Redis
        return 0


def _sift_list(channel: Any, keep: Keep) -> set[str]:
    """On Redis the queue is a list of JSON: look at it where it lies, and remove by value.

    Messages are taken from its end and added at its front, so positions counted from the end hold
    while others publish.
    """
    kept: set[str] = set()
    end = -1
    while raw := channel.client.lrange(DEAD_QUEUE, end - _PAGE + 1, end):
        page = [(json.loads(message)["headers"]["id"], message) for message in reversed(raw)]
        wanted = keep([identifier for identifier, _ in page])
        removed = 0
        for identifier, message in page:
            if identifier in wanted and identifier not in kept:
                kept.add(identifier)
            else:
                removed += channel.client.lrem(DEAD_QUEUE, -1, message)
        if len(raw) < _PAGE:
            break
        end -= len(raw) - removed
    return kept


def _sift_by_turning(channel: Any, queue: Queue, keep: Keep) -> set[str]:
    """On other brokers: take each message once, and put a copy of what stays at the queue's end."""
    kept: set[str] = set()
    producer = Producer(channel)
    for _ in range(_length(channel)):
        message = queue.get(no_ack=False)
        if message is None:
            break
        identifier = message.headers.get("id", "")
        if identifier not in kept and identifier in keep([identifier]):
            kept.add(identifier)
            properties = {
                name: message.properties[name]
                for name in _KEPT_PROPERTIES
                if message.properties.get(name) is not None
            }
            producer.publish(
                message.body,
                exchange="",
                routing_key=DEAD_QUEUE,
                content_type=message.content_type,
                content_encoding=message.content_encoding,
                headers=message.headers,
                **properties,
            )
        message.ack()
    return kept
