"""What the opening of a session asks of whoever drives it: to say, to secure, to find out.

The opening is a generator of these steps (see `mailer.smtp.handshake`). `Say` is answered with the
`Reply`, `Secure` and `Ask` with their outcome once they are done; an `Ask` may also be answered with
the exception of its call.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Judgement


@dataclass(frozen=True, slots=True)
class Say:
    """Write *data*, if any, and wait for the reply to *stage*; *shown* is what a log may see.

    *secrets* are what no log, no message and no one who reads the reply may see from now on.
    """

    data: bytes = field(repr=False)
    stage: Stage
    shown: str
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Secure:
    """Forget what was read and not used, and shake hands for TLS."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class Ask:
    """Make a call that may block, when it is this session's turn to log in."""

    call: Callable[[], Any]


Step = Say | Secure | Ask
Answer = object
"""What a step is answered with: a `Reply`, or what the call has given."""


class RefusedError(Exception):
    """A session could not be opened. Never leaves this package: the driver makes values of it.

    *reply* is None where the fault was found on this side, or no reply came.
    """

    def __init__(
        self,
        stage: Stage,
        reply: Reply | None,
        judgement: Judgement,
        *,
        token_is_stale: bool = False,
    ) -> None:
        super().__init__(stage, reply, judgement)
        self.stage = stage
        self.reply = reply
        self.judgement = judgement
        self.token_is_stale = token_is_stale

    def as_suspicion(self) -> "RefusedError":
        """The same, for a server that is not known to be the right one: see `Judgement.is_certain`."""
        doubtful = replace(self.judgement, is_certain=False)
        return RefusedError(self.stage, self.reply, doubtful)
