"""What happened to a recipient: one thing, at one time, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailer.mail.status import Status

QUEUED: Final = Status.QUEUED.word


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one recipient.

    *outcome* is a status word (``accepted``), or a word for what came back later (``bounced``). *batch*,
    *fence* and *attempt* say in which try it happened. *at* is in seconds since the epoch. *row* is
    the recipient's row as JSON, in the event of its queueing. *order* is the entry's place in the stream:
    of two events of one recipient, the later has the higher.
    """

    campaign: str
    position: int
    outcome: str
    at: float
    batch: int = 0
    fence: int = 0
    attempt: int = 0
    account: str = ""
    mailbox: str = ""
    message_id: str = ""
    stage: str = ""
    code: int = 0
    reply: str = ""
    row: str = ""
    order: int = 0

    @property
    def identifier(self) -> str:
        """Equal for two readings of one event, and for nothing else."""
        tried = f"{self.batch}.{self.fence}.{self.attempt}"
        return f"{self.campaign}:{self.position}:{tried}:{self.outcome}"


def moved(
    campaign: str, letter: str, positions: Sequence[int], at: float, order: int
) -> list[Event]:
    """The events of recipients that a script moved by itself: cancelled, dropped, queued again."""
    word = Status(letter).word
    return [Event(campaign, position, word, at, fence=order, order=order) for position in positions]
