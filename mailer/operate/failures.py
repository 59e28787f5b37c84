"""Who of a campaign was not accepted, and why.

The ledger keeps a detail of each recipient whose message was tried. Those whose account stopped before
went to the dead letters in whole batches, without one: what is known of them is the letter's.
"""

from collections.abc import Iterator
from dataclasses import replace
from time import time

from mailer.config import Settings
from mailer.errors import PayloadError
from mailer.mail.payload import decode
from mailer.mail.status import Detail, Status
from mailer.queues.connections import Producer
from mailer.store.campaigns import Failure
from mailer.store.dead_letters import DeadLetter, DeadLetters, Filter

__all__ = ["Failure", "unaccepted"]


def unaccepted(settings: Settings, name: str) -> Iterator[Failure]:
    """Everyone in the campaign who was not accepted, or not yet, in no order.

    Raises `CampaignNotFoundError`. Holds the positions of the dead in memory, and nothing else.
    """
    producer = Producer(settings)
    told: set[int] = set()
    for failure in producer.campaigns.failures(name):
        if failure.status is Status.DEAD:
            told.add(failure.position)
        yield failure
    letters = DeadLetters(producer.client)
    for letter in letters.find(Filter(campaign=name), time()):
        yield from _in_letter(producer, letters, letter, told)


def _in_letter(
    producer: Producer, letters: DeadLetters, letter: DeadLetter, told: set[int]
) -> Iterator[Failure]:
    """Those of the letter's recipients of whom nothing was told, and who are dead still."""
    if told.issuperset(letter.positions):
        return
    statuses = producer.campaigns.letters(letter.campaign, letter.positions)
    for position, mailbox, status in zip(
        letter.positions, _mailboxes(letters, letter), statuses, strict=True
    ):
        if position not in told and status == Status.DEAD:
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
