"""What workers do about dead letters: publish them at once, make up for crashes, keep their queue true.

A dead letter is in the ledger with its payload, and shows as a task message of the same id on the
broker's queue ``mailer.dead``. The ledger is asked first, and is right.
"""

from collections.abc import Iterable, Iterator
from time import time
from typing import Final

from mailer.errors import InputError
from mailer.queues.broker import Broker
from mailer.queues.dead_queue import PATIENCE, DeadQueue, tidy
from mailer.queues.publish import publish
from mailer.store import Store
from mailer.store.breaker import OPERATOR, STOPPED
from mailer.store.client import Client
from mailer.store.connection import take_turn
from mailer.store.dead_letters import UNREADABLE, DeadLetter

TIDY_EVERY: Final = 60.0
"""Seconds between two looks at whether queue and ledger agree."""


class DeadLetterDuty:
    """The worker's side of dead letters. Times are seconds since the epoch."""

    def __init__(self, client: Client, broker: Broker) -> None:
        self._client = client
        self._broker = broker
        store = Store(client)
        self._letters = store.dead_letters
        self._ledger = store.ledger
        self._breaker = store.breaker
        self._waiting = store.waiting
        self._tidied = 0.0
        self.queue = DeadQueue(broker.app)

    def publish(self, identifiers: Iterable[str]) -> int:
        """Publish the task messages of these letters and note that; returns how many.

        Raises `LedgerUnavailableError` when the broker does not take them: the sweep tries again.
        """
        published = 0
        for identifier in self.queue.publish(self._still(identifiers)):
            self._letters.published(identifier)
            published += 1
        return published

    def show_again(self, identifier: str) -> None:
        """The letter's task message has left the queue: the sweep is to publish it again."""
        self._letters.to_publish([identifier])

    # Duties of the sweep, each by itself: one that fails stops no other.

    def publish_late(self, now: float) -> None:
        """Publish what a crash left unpublished."""
        late = [
            identifier
            for identifier in self._letters.unpublished()
            if (letter := self._find(identifier)) is None or letter.at < now - PATIENCE
        ]
        if late and self._alone("dead-letters", PATIENCE):
            self.publish(late)
            for identifier in late:
                self._letters.published(identifier)

    def agree(self, now: float) -> None:
        """Once a minute, see that queue and ledger agree."""
        if now - self._tidied > TIDY_EVERY:
            self._tidied = now
            if len(self.queue) != len(self._letters):
                self.tidy()

    def tidy(self) -> None:
        """Make the queue show what the ledger holds (see `mailer.queues.dead_queue.tidy`)."""
        tidy(self.queue, self._letters, time())

    def condemn(self, now: float) -> None:
        """Let workers bury what waits for accounts that are stopped, now and not when it is due.

        Whoever claims such a batch puts it among the dead letters as a whole: then all that the account
        was to send lies together, to be replayed at once or through another account. What an operator
        stopped, an operator will start: there it goes on waiting.
        """
        for account in self._breaker.all(now):
            if account.state == STOPPED and account.reason != OPERATOR:
                publish(
                    self._broker,
                    self._ledger,
                    self._waiting.wake(f"account:{account.account}", now),
                )
                publish(self._broker, self._ledger, self._waiting.hasten(account.account, now))

    def _still(self, identifiers: Iterable[str]) -> Iterator[DeadLetter]:
        for identifier in identifiers:
            letter = self._find(identifier)
            if letter is not None and letter.reason != UNREADABLE:
                yield letter

    def _find(self, identifier: str) -> DeadLetter | None:
        try:
            return self._letters.get(identifier)
        except InputError:
            return None

    def _alone(self, duty: str, seconds: float) -> bool:
        """Whether this process may do the *duty* now; for so many seconds, no other may."""
        return take_turn(self._client, duty, seconds)
