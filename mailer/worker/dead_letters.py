"""What workers do about dead letters: publish them, also after a crash, and keep their queue right.

A dead letter is in the ledger with its payload, and a task message of the same id on the broker's queue
``mailer.dead`` shows it. Where the two differ, the ledger is right.
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
"""Seconds between two comparisons of queue and ledger."""


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
        """Publish the task messages of these letters, and note in the ledger that it was done.

        Returns how many. Raises `LedgerUnavailableError` when the broker does not take them: the sweep
        tries again.
        """
        published = 0
        for identifier in self.queue.publish(self._still(identifiers)):
            self._letters.published(identifier)
            published += 1
        return published

    def show_again(self, identifier: str) -> None:
        """Have the sweep publish the letter again: its task message was taken from the queue."""
        self._letters.to_publish([identifier])

    # Duties of the sweep. Each is called by itself, so that one that fails stops no other.

    def publish_late(self, now: float) -> None:
        """Publish the letters that a crash left unpublished."""
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
        """Once a minute, compare the lengths of queue and ledger, and `tidy` if they differ."""
        if now - self._tidied > TIDY_EVERY:
            self._tidied = now
            if len(self.queue) != len(self._letters):
                self.tidy()

    def tidy(self) -> None:
        """Make the queue show what the ledger holds (see `mailer.queues.dead_queue.tidy`)."""
        tidy(self.queue, self._letters, time())

    def condemn(self, now: float) -> None:
        """Publish what waits for accounts that are stopped, now and not when it is due.

        A worker that claims such a batch makes a dead letter of it. So all that the account was to send
        is there together, to be replayed at once, or through another account. What waits for an account
        that an operator stopped goes on waiting: an operator will start it again.
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
        """Whether this process may do the *duty*; no other may for so many seconds."""
        return take_turn(self._client, duty, seconds)
