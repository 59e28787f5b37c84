"""What to say next in a session, and which reply answers what: mail transactions without any I/O.

Theory of operation. A `Script` has two cursors: what was queued to be written, and what was answered.
Between them lie the expected replies, in order. It must wait in two places only: for the 354 before a
content, and for the caller's permission before a final dot. With PIPELINING (RFC 2920) a turn is

    C: content i, CRLF.CRLF, RSET, MAIL i+1, RCPT i+1, DATA  in one write
    S: 250 i accepted, 250, 250, 250, 354                    in one read, mostly

and so costs one round trip a message. Without the RSET Dovecot's submission service crashes. Without
PIPELINING one command is written at a time. With CHUNKING (RFC 3030) RSET, MAIL, RCPT and BDAT LAST of a
whole window of messages are written without any waiting.

Invariants, and what breaks without them:

1. An attempt leaves `open` in exactly one way: by a call of *answer*, or by `finish` or `abandon`.
   Else a message is lost or sent twice.
2. Where DATA was pipelined and MAIL or RCPT was refused, a 354 is followed by a lone dot, never by the
   content (RFC 2920 section 3.1). Else the content would go to nobody, or be read as commands.
3. The bytes that end a message are not queued before `release`. Else the caller's journal lies.
4. After 421, or after any reply that does not fit, nothing more is written: `broken` says why.
5. A chunk leaves together with its MAIL and RCPT. So a message that goes by BDAT is decided by its last
   reply, and a 2xx there is *accepted* whatever MAIL was answered: Exim refuses a MAIL inside an open
   transaction, and takes RCPT and content all the same. Between two messages of a window stands a RSET,
   because a failed BDAT leaves the transaction open (RFC 3030 section 2). Else mail is sent twice.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto

from mailer.smtp import wire
from mailer.smtp.envelope import Attempt, Mode
from mailer.smtp.reply import Reply, Stage


class _Chore(Enum):
    """A command between transactions, which belongs to none of them."""

    LONE_DOT = auto()
    RSET = auto()


class Script:
    """The mail transactions of one session, one after another.

    *take* gives the next attempt, or None when there is none for now. *answer* is told of each attempt
    that a reply to a stage has decided, before anything follows from it. *window* is how many messages
    may be in flight with `Mode.CHUNKED`. *start* is how many octets the session has written before.
    *may_run_ahead* is asked before a MAIL is written behind a dot that is not answered.
    """

    def __init__(  # noqa: PLR0913  # a session's view of its call
        self,
        take: Callable[[], Attempt | None],
        answer: Callable[[Attempt, Stage, Reply], None],
        mode: Mode,
        *,
        window: int = 1,
        start: int = 0,
        may_run_ahead: Callable[[], bool] = lambda: True,
    ) -> None:
        self._take = take
        self._tell = answer
        self._mode = mode
        self._window = window
        self._may_run_ahead = may_run_ahead
        self._queued = start
        self._expected: deque[tuple[Stage | _Chore, Attempt | None]] = deque()
        self._is_finishing = False
        self._rset_is_due = False
        self._rests_in_transaction = False
        self._was_hung_up = False
        self._was_cut = False
        self.out: list[bytes | memoryview] = []
        """Octets to write next, contents as views: see `take_out`."""
        self.open: list[Attempt] = []
        """Attempts that are not decided, oldest first."""
        self.held: list[Attempt] = []
        """Those of them whose end waits for `release`."""
        self.broken: str | None = None
        """Why the session must be closed at once, or None."""
        self.is_out_of_step = False
        """It is broken because the server did not understand what was written ahead."""
        self.has_run_ahead = False
        """The server has understood a MAIL behind a dot that was not answered."""

    @property
    def expects(self) -> Stage | None:
        """The stage whose reply comes next; None when there is none to come."""
        if not self._expected:
            return None
        stage = self._expected[0][0]
        return stage if isinstance(stage, Stage) else Stage.MAIL

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way: the session may rest, or go on with `start`."""
        return not self._expected and not self.held

    @property
    def is_over(self) -> bool:
        """Whether the session must be closed now."""
        return self.broken is not None or (self._is_finishing and not self.open)

    @property
    def has_unsent(self) -> bool:
        """Whether an attempt is under way whose end is not queued."""
        return any(attempt.end < 0 for attempt in self.open)

    @property
    def is_ahead(self) -> bool:
        """Whether a MAIL was written behind a final dot that is not answered yet."""
        return any(one.is_ahead and not one.has_sender for one in self.open)

    @property
    def may_quit(self) -> bool:
        """Whether QUIT would be understood: a server that waits for a content would take it for one."""
        return self.is_idle and not self._was_cut and self.broken is None

    def take_out(self) -> list[bytes | memoryview]:
        """Return the octets to write now; none once it is broken."""
        out, self.out = self.out, []
        return [] if self.broken is not None else out

    def start(self) -> None:
        """Begin with what `take` gives, if nothing is under way; fill the window if chunked."""
        if self._mode is Mode.CHUNKED:
            self._fill()
        elif self.is_idle:
            self._introduce()

    def release(self) -> None:
        """Queue the contents of the held attempts: the caller has noted that they begin."""
        held, self.held = self.held, []
        for attempt in held:
            if self._mode is Mode.CHUNKED:
                self._send_chunk(attempt)
                continue
            data = wire.as_data(attempt.envelope.content, has_dots=attempt.envelope.has_dots)
            self._send(memoryview(data))
            attempt.end = self._queued
            self._expected.append((Stage.FINAL, attempt))
            if self._mode is Mode.PIPELINED and self._may_run_ahead():
                self._rset_is_due = True
                self._introduce(is_ahead=True)

    def step_down(self) -> list[Attempt]:
        """Go on step by step after what has left; return the attempts that are given back for it.

        A window of chunks cannot be cut into steps: such a session ends with what has left.
        """
        if self._mode is Mode.CHUNKED:
            return self.finish()
        self._mode = Mode.STEPWISE
        return []

    def finish(self) -> list[Attempt]:
        """Begin nothing more; give back the open attempts whose end is not queued: they are unsent.

        The session is of no use after it: where a content was asked for, only closing avoids it.
        """
        given_back = [attempt for attempt in self.open if attempt.end < 0]
        for attempt in given_back:
            attempt.is_answered = True
        self.open = [attempt for attempt in self.open if attempt.end >= 0]
        self.held = []
        self._is_finishing = True
        self._was_cut |= bool(given_back) and self._mode is not Mode.CHUNKED
        return given_back

    def abandon(self, written: int) -> tuple[list[Attempt], list[Attempt]]:
        """Give up a lost session of which *written* octets left; return the uncertain and the unsent.

        Uncertain is whose final dot may have left without a reply. After 421 nobody is: replies come in
        order, and what was not answered before it was not looked at.
        """
        attempts, self.open, self.held = self.open, [], []
        uncertain: list[Attempt] = []
        unsent: list[Attempt] = []
        for attempt in attempts:
            has_left = attempt.end >= 0 and written > attempt.end - len(wire.END_OF_DATA)
            (uncertain if has_left and not self._was_hung_up else unsent).append(attempt)
        return uncertain, unsent

    def receive(self, reply: Reply, written: int) -> None:
        """Take the next reply, when *written* octets of what was queued have left."""
        if self.is_over:
            # An attempt that was given back is still answered, perhaps by 354. A lone dot there would
            # send an empty message to a recipient who was accepted.
            return
        if not self._expected:
            self.broken = f"an unexpected reply: {reply.code}"
            return
        what, attempt = self._expected.popleft()
        if reply.code == 421:
            self._hang_up(what, attempt, reply)
        elif attempt is None:
            self._after_chore(what, reply)
        elif what is Stage.FINAL:
            self._after_end(attempt, reply, written)
        elif what is Stage.DATA:
            self._after_data(attempt, reply)
        else:
            self._after_path(what, attempt, reply)
        if reply.suspect and self.broken is None:
            self.broken = f"a reply of several codes, last {reply.code}"

    # What is said.

    def _send(self, data: bytes | memoryview) -> None:
        self.out.append(data)
        self._queued += len(data)

    def _reset(self) -> None:
        self._send(b"RSET\r\n")
        self._expected.append((_Chore.RSET, None))
        self._rset_is_due = False

    def _introduce(self, *, is_ahead: bool = False) -> None:
        if self._rset_is_due and self._mode is Mode.STEPWISE:
            self._reset()
            return
        attempt = None if self._is_finishing else self._take()
        if attempt is None and is_ahead:
            # Nothing follows the dot: a RSET would only be one more reply to wait for.
            self._rset_is_due = False
            return
        lead = b""
        if self._rset_is_due and not self._is_finishing:
            lead, self._rset_is_due = b"RSET\r\n", False
            self._expected.append((_Chore.RSET, None))
        if attempt is None:
            if lead:
                self._send(lead)
            return
        attempt.is_ahead = is_ahead
        attempt.is_stepwise = self._mode is Mode.STEPWISE
        self.open.append(attempt)
        mail, rcpt = attempt.envelope.mail, attempt.envelope.rcpt
        if self._mode is Mode.STEPWISE:
            self._send(mail)
            self._expected.append((Stage.MAIL, attempt))
        else:
            self._send(b"%b%b%bDATA\r\n" % (lead, mail, rcpt))
            self._expected += ((Stage.MAIL, attempt), (Stage.RCPT, attempt), (Stage.DATA, attempt))

    def _fill(self) -> None:
        while len(self.open) < self._window and not self._is_finishing:
            attempt = self._take()
            if attempt is None:
                return
            self.open.append(attempt)
            self.held.append(attempt)

    def _send_chunk(self, attempt: Attempt) -> None:
        if self._rset_is_due:
            self._reset()
        envelope = attempt.envelope
        command, chunk = wire.as_chunk(envelope.content)
        self._send(b"%b%b%b" % (envelope.mail, envelope.rcpt, command))
        self._send(memoryview(chunk))
        attempt.end = self._queued
        self._rset_is_due = True
        self._expected += ((Stage.MAIL, attempt), (Stage.RCPT, attempt), (Stage.FINAL, attempt))

    # What is answered.

    def _answer(self, attempt: Attempt, stage: Stage, reply: Reply) -> None:
        attempt.is_answered = True
        self.open.remove(attempt)
        self._tell(attempt, stage, reply)

    def _hang_up(self, what: Stage | _Chore, attempt: Attempt | None, reply: Reply) -> None:
        self._was_hung_up = True
        self.broken = "the server closes the session: 421"
        if attempt is not None and not attempt.is_answered and isinstance(what, Stage):
            self._answer(attempt, *(attempt.refusal or (what, reply)))

    def _after_chore(self, what: Stage | _Chore, reply: Reply) -> None:
        # The reply to the empty content behind a lone dot decides no attempt.
        if 300 <= reply.code < 400 or (what is _Chore.RSET and reply.code >= 400):
            self.broken = f"{reply.code} between transactions"
            self.is_out_of_step = what is _Chore.RSET
        elif not self._expected:
            self.start()

    def _after_path(self, what: Stage | _Chore, attempt: Attempt, reply: Reply) -> None:
        is_accepted = 200 <= reply.code < 300
        if not is_accepted and reply.code < 400:
            self.broken = f"{reply.code} to a path"
            return
        assert isinstance(what, Stage)
        if is_accepted and what is Stage.MAIL:
            attempt.has_sender = True
            self.has_run_ahead |= attempt.is_ahead
        if not is_accepted and not attempt.is_answered:
            if self._mode is Mode.CHUNKED:
                attempt.refusal = attempt.refusal or (what, reply)
            else:
                self._answer(attempt, what, reply)
        if attempt.is_stepwise:
            self._step(what, attempt, is_accepted=is_accepted)

    def _step(self, what: Stage, attempt: Attempt, *, is_accepted: bool) -> None:
        if not is_accepted:
            self._rset_is_due = attempt.has_sender
            self._introduce()
        elif what is Stage.MAIL:
            self._send(attempt.envelope.rcpt)
            self._expected.append((Stage.RCPT, attempt))
        else:
            self._send(b"DATA\r\n")
            self._expected.append((Stage.DATA, attempt))

    def _after_data(self, attempt: Attempt, reply: Reply) -> None:
        if 300 <= reply.code < 400:
            if not attempt.is_answered:
                self.held.append(attempt)
                return
            self._send(wire.END_OF_DATA)
            self._expected.append((_Chore.LONE_DOT, None))
        elif reply.code < 300:
            self.broken = f"{reply.code} to DATA"
            return
        else:
            if not attempt.is_answered:
                self._answer(attempt, Stage.DATA, reply)
            self._rset_is_due = attempt.has_sender
        self._introduce()

    def _after_end(self, attempt: Attempt, reply: Reply, written: int) -> None:
        is_accepted = 200 <= reply.code < 300
        if not is_accepted and reply.code < 400:
            self.broken = f"{reply.code} to the end of a message"
            return
        if written < attempt.end:
            self.broken = f"{reply.code} before the end of a message"
            if is_accepted:
                return
        if not attempt.is_answered:
            refusal = None if is_accepted else attempt.refusal
            self._answer(attempt, *(refusal or (Stage.FINAL, reply)))
        if self._mode is Mode.CHUNKED:
            self._rests_in_transaction = not is_accepted
            self._fill()
            if self._rests_in_transaction and self.is_idle and not self._is_finishing:
                self._reset()
        elif not self._expected:
            self._introduce()
