"""One connection from its opening to its end: what it waits for, what it sends, and how it is lost.

A session never waits. A loop watches its socket and calls `on_event`; the session goes on as far as it
can and returns. Then the session's attributes say what the loop must do: `is_asking` (make a call that
may block), `script` (contents wait for the journal, or it is over), `refusal` and `lost` (the session is
dead, and why).

How it opens is in `mailer.smtp.connection.opener`, what is said when in `mailer.smtp.transaction`.
"""

import selectors
import ssl
from collections.abc import Callable

from mailer.errors import ReplySyntaxError
from mailer.smtp.connection import tls
from mailer.smtp.connection.opener import Opener
from mailer.smtp.connection.phase import Phase
from mailer.smtp.connection.resumption import Resumption
from mailer.smtp.connection.transcript import Transcript
from mailer.smtp.connection.transport import Address, Transport
from mailer.smtp.dialogue import Ask, RefusedError
from mailer.smtp.envelope import Attempt, Mode
from mailer.smtp.extensions import Extensions
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.settings import Server
from mailer.smtp.transaction import Script

NEVER = float("inf")


class Session:
    """One connection to *server* at *address*, begun at *now*.

    *serial* tells sessions apart and orders their logins. *max_age* is this one's jittered age limit.
    *refresh_token* says that the last access token was refused. *resumption* knows of TLS sessions.
    """

    def __init__(  # noqa: PLR0913  # the pool's knowledge of what it begins
        self,
        server: Server,
        address: Address,
        now: float,
        *,
        serial: int,
        max_age: float,
        connect_within: float,
        resumption: Resumption,
        refresh_token: bool = False,
    ) -> None:
        self._server = server
        self._now = now
        self._limits = {stage: server.timeouts.of(stage) for stage in Stage}
        self.transcript = Transcript(f"{server.name}#{serial}" if server.debug else None)
        self.serial = serial
        self.phase = Phase.CONNECTING
        self.script: Script | None = None
        """What is being sent; None while nothing is."""
        self.lost: str | None = None
        """Why the connection is gone."""
        self.is_garbled = False
        """Whether it is lost because the server sent no SMTP reply."""
        self.expires, self.deadline = now + max_age, now + connect_within
        self.rested = self.moved = now
        """The time since which it is idle; the time of the last write or read while it was sending."""
        self.used = 0
        """Transactions begun."""
        self.decided = 0
        """Messages accepted or finally refused."""
        self.offered = Extensions()
        """What the server offers, once it is open."""
        self.mechanism: str | None = None
        """The mechanism that logged in."""
        self._transport = Transport(address)
        given = server, self._transport, self.transcript, resumption
        self._opener = Opener(*given, deadline=self.deadline, refresh_token=refresh_token)

    def __repr__(self) -> str:
        return f"<Session {self.serial} {self.phase.name.lower()}, {self.used} used>"

    # What it is.

    @property
    def refusal(self) -> RefusedError | None:
        """Why it could not be opened."""
        return self._opener.refusal

    @property
    def has_fresh_token(self) -> bool:
        """Whether it logs in with an access token that was fetched after another was refused."""
        return self._opener.refresh_token

    @property
    def is_asking(self) -> bool:
        """Whether a call that may block is to be made for it: see `take_ask`."""
        return self._opener.ask is not None

    @property
    def is_alive(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return self.refusal is None and self.lost is None and self.phase is not Phase.CLOSED

    @property
    def stage(self) -> Stage:
        """What was waited for last."""
        if self.script is not None:
            return self.script.expects or Stage.DATA
        return self._opener.stage

    @property
    def tls(self) -> ssl.SSLSocket | None:
        """The encrypted socket, after the TLS handshake: it knows its cipher and certificate."""
        return self._opener.tls()

    @property
    def held(self) -> list[Attempt]:
        """Attempts whose contents wait for `release`."""
        return self.script.held if self.script else []

    def fileno(self) -> int:
        """Return the descriptor for a selector."""
        return self._transport.fileno()

    def events(self) -> int:
        """Return what to watch for: always for reading, as two sides that only write wait for ever."""
        if self.phase is Phase.CONNECTING:
            return selectors.EVENT_WRITE
        # A TLS handshake writes so little that the kernel's buffers take it at once: nothing to wait for.
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._transport.is_writing else 0)

    def is_spent(self, now: float) -> bool:
        """Whether it has sent as many messages, or is as old, as one session may."""
        most = self._server.max_messages_per_connection
        limit = self.offered.mail_max
        return self.used >= (most if limit is None else min(most, limit)) or now >= self.expires

    def is_usable(self, now: float) -> bool:
        """Whether it may be used again: ready, young, and the server has neither spoken nor hung up."""
        is_rested = now - self.rested >= self._server.max_idle
        if self.phase is not Phase.READY or is_rested or self.is_spent(now):
            return False
        return self._transport.is_quiet()

    # What happens to it.

    def on_event(self, mask: int, now: float) -> None:
        """Go on after the selector saw *mask*."""
        self._now, written = now, self._transport.written
        try:
            if self.phase is Phase.CONNECTING:
                self._opener.connected(now)
                self._follow_opener(now)
            elif self.phase is Phase.SHAKING_HANDS:
                self._opener.shake_hands(now)
                self._follow_opener(now)
            else:
                if mask & selectors.EVENT_WRITE:
                    self._transport.flush()
                    if self._transport.written != written:
                        self._wait(now)
                if mask & selectors.EVENT_READ:
                    self._read(now)
        except OSError as exc:
            self._fail(exc)

    def on_deadline(self) -> None:
        """Give up waiting."""
        what = self.stage.value if self.phase is not Phase.CONNECTING else "a connection"
        hint = tls.other_scheme(self._server, self.stage) if self.script is None else ""
        self._lose(f"no answer in time, waiting for {what}{hint}")

    def take_ask(self) -> Ask:
        """Return the call that is to be made; its outcome goes to `resume`."""
        ask, self._opener.ask = self._opener.ask, None
        assert ask is not None
        return ask

    def resume(self, value: object, error: Exception | None, now: float) -> None:
        """Take the outcome of the call that was asked for."""
        if self.phase is Phase.ASKING:
            self._now = now
            try:
                self._opener.resume(value, error, now)
                self._follow_opener(now)
            except OSError as exc:
                self._fail(exc)

    def _follow_opener(self, now: float) -> None:
        opener = self._opener
        if opener.opened is not None:
            self.offered, self.mechanism = opener.opened.offered, opener.opened.mechanism
            self.rest(now)
        else:
            self.phase, self.deadline = opener.phase, opener.deadline

    def begin(
        self,
        take: Callable[[], Attempt | None],
        answer: Callable[[Attempt, Stage, Reply], None],
        mode: Mode,
        now: float,
        *,
        may_run_ahead: Callable[[], bool] = lambda: True,
    ) -> None:
        """Send what *take* gives, as long as it gives and as this session's share lasts.

        *answer* is told of each attempt that is decided.
        """

        def next_attempt() -> Attempt | None:
            if self.is_spent(self._now):
                return None
            attempt = take()
            self.used += attempt is not None
            return attempt

        self._now = now
        self.phase = Phase.SENDING
        window, start = self._server.chunking_window, self._transport.written
        self.script = Script(
            next_attempt, answer, mode, window=window, start=start, may_run_ahead=may_run_ahead
        )
        self.script.start()
        self.pump(now)

    def release(self, now: float) -> None:
        """Send the contents that were held."""
        assert self.script is not None
        self._now = now
        self.script.release()
        self.pump(now)

    def pump(self, now: float) -> None:
        """Write what the script has queued."""
        script = self.script
        parts = script.take_out() if script is not None else ()
        if not parts:
            return
        for part in parts:
            self.transcript.said(part)
        try:
            self._transport.write(parts)
        except OSError as exc:
            self._fail(exc)
        self._wait(now)

    def rest(self, now: float) -> None:
        """Be idle, for as long as the account allows."""
        self.script = None
        self.phase = Phase.READY
        self.rested, self.deadline = now, now + self._server.max_idle

    def leave(self, now: float) -> None:
        """Say QUIT; the reply, or the deadline, ends it."""
        if self.phase is not Phase.READY or not self.is_alive:
            self.close()
            return
        self.phase = Phase.LEAVING
        self.script = None
        self.deadline = now + self._server.timeouts.quit
        self.transcript.said("QUIT")
        try:
            self._transport.write([b"QUIT\r\n"])
        except OSError:
            self.close()

    def close(self) -> None:
        """Close without a word."""
        self.phase = Phase.CLOSED
        self._transport.close()

    def abandon(self) -> tuple[list[Attempt], list[Attempt]]:
        """Return what was under way when it was lost: the uncertain and the unsent."""
        return self.script.abandon(self._transport.written) if self.script else ([], [])

    # Reading, waiting, losing.

    def _read(self, now: float) -> None:
        data = self._transport.read()
        if not data:
            if data is not None:
                self._lose("the server has hung up")
            return
        parser = self._opener.parser
        try:
            replies = parser.feed(data)
        except ReplySyntaxError as exc:
            self.is_garbled = True
            self._lose(str(exc))
            return
        if self.script is not None:
            self._take_replies(self.script, replies, now)
            return
        for number, reply in enumerate(replies):
            if self._opener.parser is not parser:
                # A TLS handshake has begun, and may be over: the rest was said in the clear.
                break
            reply = self.transcript.heard(reply)  # noqa: PLW2901  # without secrets from here on
            if number and self.phase is Phase.LISTENING:
                self._lose(f"the server said {reply.code} before it was asked")
                break
            self._take_reply(reply, now)

    def _take_replies(self, script: Script, replies: list[Reply], now: float) -> None:
        written = self._transport.written  # nothing is written before all are heard
        for reply in replies:
            script.receive(self.transcript.heard(reply), written)
        if script.out:
            self.pump(now)
        elif replies:
            self._wait(now)

    def _take_reply(self, reply: Reply, now: float) -> None:
        if self.script is not None:
            self.script.receive(reply, self._transport.written)
        elif self.phase is Phase.LISTENING:
            self._opener.go_on(reply, now)
            self._follow_opener(now)
        elif self.phase is Phase.READY:
            self._lose(f"the server said {reply.code} unasked")
        elif self.phase is Phase.LEAVING:
            self.close()
        # A reply during a blocking call was never asked for: it is ignored.

    def _wait(self, now: float) -> None:
        """Set the deadline of what is waited for now; called when something has moved only."""
        if self.script is None:
            return
        self.moved = now
        if self._transport.is_writing:
            self.deadline = now + self._server.timeouts.block
        else:
            expected = self.script.expects
            self.deadline = now + self._limits[expected] if expected else NEVER

    def _fail(self, error: OSError) -> None:
        if self._opener.opened is None:
            self._follow_opener(self._now)
        # A server may refuse and close while we write: what it said counts more than the broken pipe.
        if self.script is not None or self.phase is Phase.LISTENING:
            try:
                while (data := self._transport.read()) and self.lost is None:
                    for reply in self._opener.parser.feed(data):
                        self._take_reply(self.transcript.heard(reply), self._now)
            except (OSError, ReplySyntaxError):
                pass
        self._lose(tls.describe(error).lower())

    def _lose(self, reason: str) -> None:
        self.lost = self.lost or reason
