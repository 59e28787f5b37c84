"""How dead letters are published, looked at, replayed and purged: the operator's hall.

A dead letter is in the ledger with its payload, and shows as a task message of the same id on the
broker's queue ``mailer.dead``. Each step here is one script of the ledger followed by what the broker
must hear of it; killed between the two, the workers' sweep makes up for it (`DeadLetterOffice.sweep`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from time import time
from typing import Final

from mailer.broker import Broker
from mailer.compose.headers import one_mailbox
from mailer.config import Settings
from mailer.dead_queue import DeadQueue
from mailer.errors import InputError, PayloadError
from mailer.payload import decode, encode
from mailer.sender import with_sender
from mailer.store import keys
from mailer.store.breaker import OPERATOR, STOPPED, Breaker
from mailer.store.connection import Client, reaching_redis
from mailer.store.dead_letters import DeadLetter, DeadLetters, Filter
from mailer.store.ledger import Ledger
from mailer.store.waiting import Waiting
from mailer.sweep import publish

PATIENCE: Final = 10.0
"""Seconds after which a letter that nobody published is published by the sweep. Who buries a batch
publishes its letter at once; only after a crash does somebody else have to."""

TIDY_EVERY: Final = 60.0
"""Seconds between two looks at whether queue and ledger agree."""

_READING: Final = policy.default


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one dead letter.

    *how* is ``replayed``, ``dropped``, ``gone`` (somebody else was faster), ``settled`` (nobody in it
    was left to send to), ``stopped`` (its account is: nothing was done) or ``unreadable`` (its payload
    cannot be changed: nothing was done). *messages* is how many recipients it moved.
    """

    letter: DeadLetter
    how: str
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """The envelope and headers of one message in a dead letter, unfolded and decoded."""

    reverse_path: str
    forward_path: str
    headers: tuple[tuple[str, str], ...]
    size: int


class DeadLetterOffice:
    """All dead letters of one Redis and its broker. Times are seconds since the epoch."""

    def __init__(self, client: Client, broker: Broker, settings: Settings | None = None) -> None:
        self._client = client
        self._broker = broker
        self._settings = settings
        self._letters = DeadLetters(client)
        self._ledger = Ledger(client)
        self._breaker = Breaker(client)
        self._waiting = Waiting(client)
        self._tidied = 0.0
        self.queue = DeadQueue(broker.app)

    # Looking.

    def __len__(self) -> int:
        """How many dead letters there are."""
        return len(self._letters)

    def find(self, which: Filter, now: float) -> Iterator[DeadLetter]:
        """Dead letters that *which* means, the oldest first, streamed."""
        return self._letters.find(which, now)

    def get(self, identifier: str) -> DeadLetter:
        """The dead letter of that id. Raises `InputError` where there is none."""
        return self._letters.get(identifier)

    def heads(self, identifier: str, limit: int | None = None) -> Iterator[Head]:
        """Envelope and headers of the letter's messages, at most *limit*; never their content.

        Raises `PayloadError` for an undecodable letter.
        """
        for entry in decode(self._letters.payload(identifier))[:limit]:
            message = entry.message
            first = next((part for part in message.content if isinstance(part, bytes)), b"")
            head = message_from_bytes(
                first.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=_READING
            )
            fields = tuple((name, str(value)) for name, value in head.items())
            yield Head(message.reverse_path, message.forward_path, fields, message.size)

    # Moving.

    def replay(
        self, letters: Iterable[DeadLetter], *, account: str = "", sender: str = ""
    ) -> Iterator[Moved]:
        """Queue the letters' messages again, one batch each; yields what became of each letter.

        A recipient that was settled meanwhile is not sent to again, and doing it twice, or at once from
        two places, replays each letter once. *account* sends through another account, *sender* in
        another's name. Letters of a stopped account stay where they are: start it first. Raises
        `ConfigError` for an account that the settings lack, `InputError` for a *sender* that is no
        mailbox.
        """
        if account and self._settings is not None:
            self._settings.account(account)
        if sender:
            one_mailbox("sender", sender)
        stopped: dict[str, bool] = {}
        try:
            for letter in letters:
                through = account or letter.account
                if through not in stopped:
                    stopped[through] = self._breaker.state(through, time()).state == STOPPED
                if stopped[through]:
                    yield Moved(letter, "stopped")
                else:
                    yield self._replay(letter, account, sender)
        finally:
            self.tidy()

    def purge(self, letters: Iterable[DeadLetter]) -> Iterator[Moved]:
        """Remove the letters for good; their recipients count as dropped. Yields what became of each."""
        try:
            for letter in letters:
                taken = self._letters.drop(letter.identifier, time())
                yield Moved(letter, taken.how, taken.messages)
        finally:
            self.tidy()

    def _replay(self, letter: DeadLetter, account: str, sender: str) -> Moved:
        try:
            payload = self._with_sender(letter, sender) if sender else b""
        except (PayloadError, InputError):
            return Moved(letter, "unreadable" if self._find(letter.identifier) else "gone")
        taken = self._letters.replay(letter.identifier, time(), account, payload)
        if taken.how == "replayed":
            publish(self._broker, self._ledger, [(taken.queue, taken.ref)])
        how = "settled" if taken.how == "dropped" else taken.how
        return Moved(letter, how, taken.messages)

    def _with_sender(self, letter: DeadLetter, sender: str) -> bytes:
        entries = decode(self._letters.payload(letter.identifier))
        return encode(
            [replace(entry, message=with_sender(entry.message, sender)) for entry in entries]
        )

    # Publishing.

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

    def sweep(self, now: float) -> None:
        """Do what is left over: called every few seconds by each worker.

        Publishes what a crash left unpublished, queues what waits for a stopped account, and once a
        minute sees that queue and ledger agree.
        """
        late = [
            identifier
            for identifier in self._letters.unpublished()
            if (letter := self._find(identifier)) is None or letter.at < now - PATIENCE
        ]
        if late and self._alone("dead-letters", PATIENCE):
            self.publish(late)
            for identifier in late:
                self._letters.published(identifier)
        self._condemn(now)
        if now - self._tidied > TIDY_EVERY:
            self._tidied = now
            if len(self.queue) != len(self):
                self.tidy()

    def tidy(self) -> None:
        """Make the queue show what the ledger holds: remove what is gone or double, note what lacks."""
        shown = self.queue.sift(self._letters.known)
        if len(shown) != len(self):
            older = self._letters.identifiers(time() - PATIENCE)
            self._letters.to_publish([one for one in older if one not in shown])

    def _condemn(self, now: float) -> None:
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
            if letter is not None:
                yield letter

    def _find(self, identifier: str) -> DeadLetter | None:
        try:
            return self._letters.get(identifier)
        except InputError:
            return None

    def _alone(self, duty: str, seconds: float) -> bool:
        """Whether this process may do the *duty* now; for so many seconds, no other may."""
        with reaching_redis():
            taken = self._client.set(keys.lock(duty), "1", nx=True, px=int(seconds * 1000))
        return bool(taken)
