"""How dead letters are looked at, replayed and purged: the operator's hall.

A dead letter is in the ledger with its payload, and shows as a task message of the same id on the
broker's queue ``mailer.dead``. Each step here is one script of the ledger followed by what the broker
must hear of it; killed between the two, a worker makes up for it (`mailer.worker.dead_letters`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import Message
from time import time
from typing import Final

from mailer.compose.headers import one_mailbox
from mailer.config import Settings
from mailer.errors import InputError, PayloadError
from mailer.mail.payload import decode, encode
from mailer.operate.resend_as import with_sender
from mailer.queues.broker import Broker
from mailer.queues.connections import Producer
from mailer.queues.dead_queue import DeadQueue, tidy
from mailer.queues.publish import publish
from mailer.store import Store
from mailer.store.breaker import STOPPED
from mailer.store.connection import Client
from mailer.store.dead_letters import REASONS, DeadLetter, Filter
from mailer.store.views.dead_groups import DeadGroup

__all__ = ["REASONS", "DeadLetter", "DeadLetterOffice", "Filter", "Head", "Moved", "office"]

LOOKED_AT: Final = 2_000
"""Dead letters that one page of a list looks at, at most."""

_READING: Final = policy.default


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one dead letter.

    *how* is ``replayed``, ``dropped``, ``gone`` (somebody else was faster), ``settled`` (nobody in it
    was left to send to), ``stopped`` (its account is: nothing was done), ``cancelled`` (its campaign
    is: nothing was done) or ``unreadable`` (its payload cannot be changed: nothing was done).
    *messages* is how many recipients it moved.
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
        store = Store(client)
        self._letters = store.dead_letters
        self._groups = store.dead_groups
        self._ledger = store.ledger
        self._breaker = store.breaker
        self._queue = DeadQueue(broker.app)

    # Looking.

    def __len__(self) -> int:
        """How many dead letters there are."""
        return len(self._letters)

    def find(self, which: Filter, now: float) -> Iterator[DeadLetter]:
        """Dead letters that *which* means, the oldest first, streamed."""
        return self._letters.find(which, now)

    def groups(self, now: float) -> list[DeadGroup]:
        """How many there are of each reason, account and campaign, the largest group first."""
        return self._groups.all(now)

    def page(self, which: Filter, start: int, size: int) -> tuple[list[DeadLetter], int | None]:
        """At most *size* letters that *which* means, from the *start*-th of all on, the oldest first.

        Looks at `LOOKED_AT` letters at most; returns with them where to go on, None at the end.
        """
        return self._groups.page(which, start, size, LOOKED_AT)

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
            fields = tuple(_fields(head))
            yield Head(message.reverse_path, message.forward_path, fields, message.size)

    # Moving.

    def replay(
        self, letters: Iterable[DeadLetter], *, account: str = "", sender: str = ""
    ) -> Iterator[Moved]:
        """Queue the letters' messages again, one batch each; yields what became of each letter.

        A recipient that was settled meanwhile is not sent to again, and doing it twice, or at once from
        two places, replays each letter once. *account* sends through another account, *sender* in
        another's name. Letters of a stopped account stay where they are: start it first; those of a
        cancelled campaign stay, too. Raises `ConfigError` for an account that the settings lack,
        `InputError` for a *sender* that is no mailbox.
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
            tidy(self._queue, self._letters, time())

    def purge(self, letters: Iterable[DeadLetter]) -> Iterator[Moved]:
        """Remove the letters for good; their recipients count as dropped. Yields what became of each."""
        try:
            for letter in letters:
                taken = self._letters.drop(letter.identifier, time())
                yield Moved(letter, taken.how, taken.messages)
        finally:
            tidy(self._queue, self._letters, time())

    def _replay(self, letter: DeadLetter, account: str, sender: str) -> Moved:
        try:
            payload = self._with_sender(letter, sender) if sender else b""
        except (PayloadError, InputError):
            return Moved(
                letter, "unreadable" if self._letters.known([letter.identifier]) else "gone"
            )
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


def _fields(head: Message) -> Iterator[tuple[str, str]]:
    """Each header field, decoded; as it stands where it cannot be."""
    for name, value in head.raw_items():
        try:
            yield name, str(_READING.header_fetch_parse(name, value))
        except Exception:  # noqa: BLE001 - the stdlib's parser raises what it likes at odd fields
            yield name, str(value)


def office(settings: Settings) -> DeadLetterOffice:
    """The dead letters of the Redis and broker that *settings* name."""
    producer = Producer(settings)
    return DeadLetterOffice(producer.client, producer.broker, settings)
