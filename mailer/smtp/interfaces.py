"""What a driver wants from its caller: a journal, told before it sends; a gate, asked before a login."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol

from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Judgement
from mailer.smtp.submission import Result


class Proceed(Enum):
    """How a call is to go on."""

    GO_ON = auto()
    BEGIN_NOTHING = auto()
    """Begin nothing more. Replies to final dots that were written are awaited for `Timeouts.final`, as
    ever."""
    END = auto()
    """The process ends: begin nothing more, and await those replies for `Timeouts.grace` only."""


class Journal(Protocol):
    """The caller's write-ahead log of one call of `Driver.send`."""

    def commit(self, results: Sequence[tuple[int, Result]], starting: Sequence[int]) -> Proceed:
        """Record what is about to be sent, and what was read, before the driver goes on.

        *starting* are submissions of whose content not one octet has left yet; they do once this
        returns `GO_ON`. *results* are the accepted and the refused since the last call, each once.
        What is unsent or uncertain comes with the return value of `send` only.

        Any other answer says stop: nothing of *starting* is sent, and nothing new is begun. With two
        empty sequences this is a heartbeat, at least once a second. If it raises, the call ends and all
        connections are closed.
        """


class Gate(Protocol):
    """The caller's permission to connect and to log in, shared with other drivers.

    For each connection admitted, `closed` is called exactly once, even if it was never opened.
    """

    def admit(self, wanted: int) -> int:
        """Return how many of *wanted* connections may be opened now; asked again ten times a second."""

    def may_log_in(self) -> bool:
        """Return whether one login may begin now; asked before each, with none of this driver under way.

        After False the connections that wait for a login are closed.
        """

    def logged_in(self) -> None:
        """One session is open, its login accepted."""

    def refused(self, stage: Stage, reply: Reply | None, judgement: Judgement) -> None:
        """Take note of trouble of the whole account. No login follows in this call of `send`."""

    def closed(self, count: int) -> None:
        """Take note that so many connections are gone."""
