"""What a driver has learnt about its server: addresses, a login that worked, how far it may run ahead.

It lives from one call to the next and is forgotten with the process.
"""

from dataclasses import dataclass, field
from math import inf

from mailer.smtp.connection.transport import Address
from mailer.smtp.envelope import Mode
from mailer.smtp.reply import Stage
from mailer.smtp.session import Session
from mailer.smtp.settings import Server

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
    no_more_until: float = -inf
    """Until when no further session is opened beside those that work."""
    runs_ahead: bool = False
    """Whether the server has understood a MAIL behind a dot that was not answered."""
    _tries: Session | None = None

    def mode(self, server: Server, session: Session, now: float) -> Mode:
        """How far *session* may run ahead of the replies."""
        offered = session.offered
        if now < self.plain_until or "PIPELINING" not in offered:
            return Mode.STEPWISE
        if server.chunking and "CHUNKING" in offered:
            return Mode.CHUNKED
        return Mode.PIPELINED

    def may_run_ahead(self, session: Session) -> bool:
        """Whether *session* may write the next MAIL behind a dot that is not answered.

        Until the server has understood it once, a single session tries it. If all sessions tried it at
        once, a server that crashes on it would leave one message uncertain on every connection.
        """
        if not self.runs_ahead and self._tries is None:
            self._tries = session
        return self.runs_ahead or self._tries is session

    def ran_ahead(self) -> None:
        """The server has understood a MAIL behind a dot that was not answered."""
        self.runs_ahead = True
        self._tries = None

    def stopped_trying(self, session: Session) -> None:
        """*session* sends no more; another may try in its place to run ahead."""
        if self._tries is session:
            self._tries = None

    def lost_step(self, now: float) -> None:
        """Client and server did not understand each other: speak step by step for a while."""
        self.plain_until = now + PLAIN_FOR
        self.runs_ahead = False

    def has_lost_step(self, session: Session, stage: Stage) -> bool:
        """Whether a lost *session* shows that the server was run ahead of too far.

        It was sending and waited for the reply to *stage*. A server that does not understand commands
        written ahead may simply hang up. If it has decided a message in this session before, it
        understood pipelining, and hangs up for another reason; unless this was the first MAIL behind an
        unanswered dot.
        """
        script = session.script
        assert script is not None
        if session.is_garbled or script.is_out_of_step:
            return True
        if session.lost is None:
            return False
        if stage in _EARLY:
            return not session.decided
        return script.is_ahead and not (self.runs_ahead and session.decided)
