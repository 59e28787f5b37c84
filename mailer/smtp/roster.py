"""The sessions of one call: which have work, which are idle, what has happened to each, which are closed.

A session knows what has happened to it. This module decides what follows from that for the other
sessions, for the messages and for the account. Nothing in it waits.
"""

from collections.abc import Callable, Iterable
from functools import partial
from math import ceil

from mailer.smtp.connection.phase import Phase
from mailer.smtp.connection.pool import Pool
from mailer.smtp.connection.watcher import Watcher
from mailer.smtp.connector import Connector
from mailer.smtp.envelope import Attempt
from mailer.smtp.learnt import Learnt
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.session import Session
from mailer.smtp.settings import Server
from mailer.smtp.worklist import ACCEPTED, Worklist

CHECK_EVERY = 0.25
"""Seconds between two looks at the deadlines: so late may one be noticed."""
STALLED = 10.0
"""Seconds without a read or write after which idle sessions take over what a session has begun and not
sent."""
MESSAGES_EACH = 4
"""How many messages a further connection must have ahead of it to be worth opening."""


class Roster:
    """The sessions of one call, at most *most*. Those in `holding` wait for the journal."""

    def __init__(  # noqa: PLR0913  # what sessions are opened from and report to
        self,
        server: Server,
        watcher: Watcher[Session],
        *,
        pool: Pool,
        connector: Connector,
        learnt: Learnt,
        worklist: Worklist,
        clock: Callable[[], float],
        most: int,
    ) -> None:
        self._server = server
        self._watcher = watcher
        self._pool = pool
        self._connector = connector
        self._learnt = learnt
        self._worklist = worklist
        self._clock = clock
        self._most = most
        self._all: set[Session] = set()
        self._idle: list[Session] = []
        self.sending: set[Session] = set()
        """Sessions that have begun to send and are not back at rest."""
        self.holding: dict[Session, None] = {}
        """Sessions whose next content waits until the journal has noted it."""

    def __len__(self) -> int:
        return len(self._all)

    # Work is given.

    def adopt(self, now: float) -> None:
        """Take sessions from the pool, as many as there is work for."""
        usable, spent = self._pool.borrow(min(self._most, len(self._worklist.waiting)), now)
        for session in usable:
            self._all.add(session)
            self._idle.append(session)
            self._watcher.watch(session)
        for session in spent:
            self._all.add(session)
            self._watcher.watch(session)
            self._leave(session, now)

    def assign(self, now: float) -> None:
        """Have the sessions that rest send what waits."""
        worklist = self._worklist
        while self._idle and worklist.has_work:
            session = self._idle[-1]
            if session.is_spent(now):
                self._retire(session, now)
                continue
            self._idle.pop()
            self.sending.add(session)
            session.begin(
                partial(worklist.take, session),
                partial(self._decided, session),
                self._learnt.mode(self._server, session, now),
                now,
                may_run_ahead=partial(self._learnt.may_run_ahead, session),
            )
            self.settle(session, now)

    def open_more(self, now: float) -> None:
        """Begin further sessions where that pays."""
        worklist = self._worklist
        if len(self._all) >= self._most or not worklist.has_work:
            return
        if self._all and now < self._learnt.no_more_until:
            return
        wanted = min(self._most, ceil(worklist.undecided / MESSAGES_EACH)) - len(self._all)
        if wanted > 0:
            for session in self._connector.open(wanted, now):
                self._all.add(session)
                self._watcher.watch(session)

    def let_log_in(self, now: float) -> None:
        """Let the next session log in; whom the gate turns away is closed."""
        for turned_away in self._connector.let_log_in(now):
            self.drop(turned_away)

    # What sessions have come to.

    def on_event(self, session: Session, mask: int, now: float) -> None:
        """Let *session* go on: its socket has an event."""
        # A session before it in this turn may have closed it: when an account is refused, all sessions
        # are closed.
        if session.phase is not Phase.CLOSED:
            session.on_event(mask, now)
            self.settle(session, now)

    def resume(self, session: Session, value: object, error: Exception | None, now: float) -> None:
        """Let *session* go on with what a call has brought that might have blocked."""
        if session in self._all:
            session.resume(value, error, now)
            self.settle(session, now)

    def release(self, sessions: Iterable[Session], now: float) -> None:
        """Have *sessions* write the contents that the journal has noted."""
        for session in sessions:
            # If the call was halted meanwhile, their contents were taken back.
            if session in self.holding:
                del self.holding[session]
                session.release(now)
                if session.lost is not None or self._watcher.is_outdated(session):
                    self.settle(session, now)

    def settle(self, session: Session, now: float) -> None:
        """Draw the consequences of what has happened to *session*."""
        script = session.script
        if script is not None:
            if script.has_run_ahead and not self._learnt.runs_ahead:
                self._learnt.ran_ahead()
            if script.held:
                self.holding[session] = None
            if session.lost is not None or script.is_over:
                self._end(session, now)
                return
            if script.is_idle:
                self._rest(session, now)
        elif not session.is_alive:
            self._fail(session, now)
            return
        elif session.phase is Phase.READY and session in self._connector.opening:
            self._connector.opened(session, now)
            self._idle.append(session)
        elif session.is_asking:
            self._connector.line_up(session)
        self._watcher.watch(session)

    def _decided(self, session: Session, attempt: Attempt, stage: Stage, reply: Reply) -> None:
        """Draw the consequences of the *reply* that decided *attempt*.

        It is called before the session writes anything further, so that a session which must be closed
        writes no more.
        """
        consequence = self._worklist.answer(session, attempt, stage, reply, self._pool.opened)
        if consequence is ACCEPTED:
            return
        if consequence.account is not None:
            # The gate tells all workers: so the text must not name a recipient.
            named = session.transcript.without_addresses(reply)
            self._connector.tell_trouble(stage, named, consequence.account)
        if consequence.steps_back:
            self._step_down()
        if consequence.is_closing and session.script is not None:
            self._worklist.put_back(session.script.finish())
            self.holding.pop(session, None)

    def _step_down(self) -> None:
        """Speak step by step from now on, in every session.

        What was refused for having been written ahead is tried again on another session. If that one
        still ran ahead, it would be refused once more, and for good.
        """
        self._learnt.lost_step(self._clock())
        for session in self.sending:
            if session.script is not None:
                self._worklist.put_back(session.script.step_down())

    def _rest(self, session: Session, now: float) -> None:
        session.rest(now)
        self._learnt.stopped_trying(session)
        self.sending.discard(session)
        self._idle.append(session)

    # Sessions are parted from.

    def check_deadlines(self, now: float, *, ends_at: float, surplus: int) -> float:
        """Close those that waited too long; return when to look again.

        All waits end at *ends_at*. Of the idle sessions that have no work left, the *surplus* that were
        idle longest are closed.
        """
        look_again = now + CHECK_EVERY
        for session in list(self._all):
            if now < min(session.deadline, ends_at):
                look_again = min(look_again, session.deadline)
            elif session in self._idle:
                self._retire(session, now)
            else:
                if session.phase is Phase.LEAVING:
                    session.close()
                else:
                    session.on_deadline()
                self.settle(session, now)
        # While there is work, an idle session is about to get some: others wait for its place till then.
        if not self._worklist.has_work:
            for session in self._idle[:surplus]:
                self._retire(session, now)
            self._help_out(now)
        return look_again

    def halt(self, now: float) -> None:
        """Take back what is not sent; go on only where something has been written."""
        for session in list(self._all):
            if session.script is not None:
                if session.script.has_unsent:
                    self._worklist.put_back(session.script.finish())
                    self.holding.pop(session, None)
                    self.settle(session, now)
            elif self._connector.may_be_dropped(session):
                self.drop(session)

    def drop(self, session: Session, *, is_counted: bool = True) -> None:
        """Close *session* and forget it; *is_counted* says that the gate must be told."""
        self._watcher.forget(session)
        session.close()
        self._all.discard(session)
        self.sending.discard(session)
        self.holding.pop(session, None)
        self._connector.forget(session)
        self._learnt.stopped_trying(session)
        if session in self._idle:
            self._idle.remove(session)
        if is_counted:
            self._connector.gone()

    def close(self, *, is_fit: bool) -> None:
        """Close all sessions, but give the idle ones back to the pool if the call *is_fit*."""
        for session in list(self._all):
            if is_fit and session.phase is Phase.READY and session in self._idle:
                self._watcher.forget(session)
                self._pool.give_back(session)
            else:
                self.drop(session)

    def _help_out(self, now: float) -> None:
        """Let idle sessions send what a stalled one has begun and not sent."""
        stuck = [
            session
            for session in self.sending
            if now - session.moved >= STALLED and session not in self.holding
        ]
        for session in stuck if self._idle else ():
            if session.script is not None and session.script.has_unsent:
                self._worklist.take_back(session)
                self.settle(session, now)

    def _retire(self, session: Session, now: float) -> None:
        """Close a session that is used up, was idle too long, or whose place others need.

        A call may wait ten minutes for the reply to one dot: its other sessions must not keep the
        account's places meanwhile.
        """
        self._idle.remove(session)
        self._pool.retired += 1
        self._leave(session, now)

    def _leave(self, session: Session, now: float) -> None:
        """Say QUIT in an idle session, and close it once that is answered."""
        session.leave(now)
        if session.phase is Phase.CLOSED:
            self.drop(session)
        else:
            self._watcher.watch(session)

    def _end(self, session: Session, now: float) -> None:
        """End a session that was sending: it is lost, or has said what ends it."""
        script = session.script
        assert script is not None
        reason = session.lost or script.broken
        if reason is not None:
            stage = script.expects or Stage.MAIL
            # Asked before `lose` puts the submissions back: the next session takes them step by step.
            if self._learnt.has_lost_step(session, stage):
                self._step_down()
            self._pool.broken += 1
            self._worklist.lose(session, stage, reason)
            self.drop(session)
        elif script.may_quit:
            # Elsewhere the server waits for a content, and would read QUIT as a line of it.
            session.rest(now)
            self.sending.discard(session)
            self._leave(session, now)
        else:
            self.drop(session)

    def _fail(self, session: Session, now: float) -> None:
        """Forget a session that did not open, or that was lost while it was idle or said QUIT."""
        if session in self._connector.opening:
            has_others = len(self._all) > 1
            self._connector.failed(session, now, has_others=has_others)
            self.drop(session, is_counted=False)
        else:
            self._pool.retired += session.phase is Phase.READY
            self.drop(session)
