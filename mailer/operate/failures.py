"""Who of a campaign was not accepted, and why.

The ledger keeps a detail of each recipient whose message was tried. Those whose account stopped before
went to the dead letters in whole batches, without one: what is known of them is the letter's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from heapq import merge
from time import time
from typing import Generic, TypeVar

from mailer.config import Settings
from mailer.errors import PayloadError
from mailer.mail.payload import decode
from mailer.mail.record import Record
from mailer.mail.status import Detail, Status
from mailer.operate.history import opened
from mailer.queues.connections import Producer
from mailer.store.campaigns import Failure
from mailer.store.dead_letters import DeadLetter, DeadLetters, Filter

__all__ = ["ByPlace", "Failure", "records_back", "unaccepted", "with_records"]

_Placed = TypeVar("_Placed", Failure, Record)
"""What knows its *position* in the list."""


def unaccepted(settings: Settings, name: str) -> Iterator[Failure]:
    """Everyone in the campaign who was not accepted, or not yet, by position.

    Raises `CampaignNotFoundError`. Holds positions in memory, and what is known of the dead.
    """
    producer = Producer(settings)
    letters = DeadLetters(producer.client)
    dead = [
        failure
        for letter in letters.find(Filter(campaign=name), time())
        for failure in _in_letter(producer, letters, letter)
    ]
    dead.sort(key=_position)
    last = -1
    # What is remembered of a recipient says more than its dead letter: it comes first.
    for failure in merge(producer.campaigns.failures(name), dead, key=_position):
        if failure.position != last:
            yield failure
        last = failure.position


def with_records(
    settings: Settings, name: str, found: Iterable[Failure]
) -> Iterator[tuple[Failure, Record | None]]:
    """Each of *found*, by position, with what the history knows of it: Message-ID, columns of the list.

    None where there is no history, or where it has not read that yet. Raises `HistoryUnavailableError`.
    """
    if settings.history.url is None:
        yield from ((failure, None) for failure in found)
        return
    records = ByPlace(_in_history(settings, name))
    for failure in found:
        yield failure, records.take(failure.position)


def records_back(settings: Settings, name: str) -> Mapping[str, Record]:
    """What the history knows of everyone of whom something came back, by mailbox."""
    if settings.history.url is None:
        return {}
    return {one.mailbox: one for one in _in_history(settings, name, ("bounced", "complained"))}


def _in_history(settings: Settings, name: str, outcomes: Sequence[str] = ()) -> Iterator[Record]:
    with closing(opened(settings)) as history:
        yield from history.export(name, outcomes)


class ByPlace(Generic[_Placed]):
    """What comes by position, asked for by positions that grow."""

    def __init__(self, found: Iterator[_Placed]) -> None:
        self._found: Iterator[_Placed] = found
        self._next: _Placed | None = next(found, None)

    def take(self, place: int) -> _Placed | None:
        """What there is of *place*; None where there is nothing."""
        while self._next and self._next.position < place:
            self._next = next(self._found, None)
        return self._next if self._next and self._next.position == place else None


def _position(failure: Failure) -> int:
    return failure.position


def _in_letter(producer: Producer, letters: DeadLetters, letter: DeadLetter) -> Iterator[Failure]:
    """Those of the letter's recipients who are dead still."""
    statuses = producer.campaigns.letters(letter.campaign, letter.positions)
    for position, mailbox, status in zip(
        letter.positions, _mailboxes(letters, letter), statuses, strict=True
    ):
        if status == Status.DEAD:
            yield Failure(position, Status.DEAD, _detail(letter, mailbox))


def _mailboxes(letters: DeadLetters, letter: DeadLetter) -> list[str]:
    """To whom the letter's messages go; nobody knows where they cannot be read."""
    try:
        entries = decode(letters.payload(letter.identifier))
    except PayloadError:
        return ["(unreadable)"] * len(letter.positions)
    return [entry.message.forward_path for entry in entries]


def _detail(letter: DeadLetter, mailbox: str) -> Detail:
    detail = Detail(mailbox).hearing(letter.said, letter.at)
    return detail if detail.text else replace(detail, text=letter.reason)
