"""What a driver has learnt about its server: addresses, a login that worked, how far it may run ahead.

It lives from one call to the next and is forgotten with the process.
"""

from dataclasses import dataclass, field
from math import inf

from mailer.smtp.connection.transport import Address
from mailer.smtp.extensions import Extensions
from mailer.smtp.reply import Stage
from mailer.smtp.settings import Server
from mailer.smtp.transaction import Mode

PLAIN_FOR = 600.0
"""Seconds for which a server is spoken to step by step after client and server lost step."""

_EARLY = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA})


@dataclass(slots=True)
class Learnt:
    """What is known of one account's server."""

    addresses: list[Address] = field(default_factory=list)
    resolved_at: float = -inf
    proven_at: float = -inf
    """When a login succeeded last."""
    plain_until: float = -inf
    """Until when neither PIPELINING nor CHUNKING is used."""

    def mode(self, server: Server, offered: Extensions, now: float) -> Mode:
        """How far a session may run ahead of the replies."""
        if now < self.plain_until or "PIPELINING" not in offered:
            return Mode.STEPWISE
        if server.chunking and "CHUNKING" in offered:
            return Mode.CHUNKED
        return Mode.PIPELINED

    def lost_step(self, now: float) -> None:
        """Client and server did not understand each other: speak step by step for a while."""
        self.plain_until = now + PLAIN_FOR

    def lost_session(
        self, stage: Stage, now: float, *, is_garbled: bool, has_decided: bool
    ) -> None:
        """A session that was sending is gone, waiting for the reply to *stage*.

        A server that does not like to be run ahead of may say so by hanging up. One that has decided a
        message before has understood us well enough: it hangs up for another reason.
        """
        if is_garbled or (stage in _EARLY and not has_decided):
            self.lost_step(now)
