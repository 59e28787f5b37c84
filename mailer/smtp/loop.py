"""One call of a driver: turn after turn, until every submission has its result.

A turn goes like this:

1. Give work to the sessions that are ready, and open more if that pays.
2. Wait until a socket moves; let each session read and go as far as it can.
3. Tell the journal what was answered and which contents are about to be sent.
4. Only then write those contents.

Step 4 after step 3 is the promise of the whole package: no final dot leaves that the journal does not
know of. All that is ready in one turn goes into one note to the journal, because a note costs a round
trip to the caller's database. While other sessions are about to have something too, the note waits for
them, but no longer than notes have cost lately (see `mailer.smtp.group_commit`).
"""

from collections.abc import Callable
from functools import partial
from math import ceil, inf

from mailer.smtp.connection.blocking import BlockingCalls
from mailer.smtp.connection.phase import Phase
from mailer.smtp.connection.watcher import Watcher
from mailer.smtp.connector import Connector
from mailer.smtp.group_commit import GroupCommit
from mailer.smtp.interfaces import Gate, Journal
from mailer.smtp.learnt import Learnt
from mailer.smtp.pool import Pool
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.session import Session
from mailer.smtp.settings import Server
from mailer.smtp.submission import Fate, Result
from mailer.smtp.transaction import Attempt
from mailer.smtp.worklist import ACCEPTED, Worklist

CHECK_EVERY = 0.25
"""Seconds by which a deadline may be noticed too late."""
SETTLE = 1.0
"""Seconds that sessions may take, when all is decided, to become fit for another call."""
MESSAGES_EACH = 4
"""How many messages a further connection must have ahead of it to be worth opening."""


class Loop:
    """The turns of one call. Everything is used from one thread."""

    def __init__(  # noqa: PLR0913  # all that one call stands on
        self,
        server: Server,
        gate: Gate,
        journal: Journal,
        *,
        pool: Pool,
        blocking: BlockingCalls,
        learnt: Learnt,
        worklist: Worklist,
        clock: Callable[[], float],
        most: int,
    ) -> None:
        self._server = server
        self._pool = pool
        self._blocking = blocking
        self._learnt = learnt
        self._worklist = worklist
        self._clock = clock
        self._most = most
        self._connector = Connector(server, gate, pool, blocking, learnt, worklist.end)
        self._watcher: Watcher[Session] = Watcher(blocking.fileno())
        self._sessions: set[Session] = set()
        self._idle: list[Session] = []
        self._sending: set[Session] = set()
        self._holding: dict[Session, None] = {}
        self._is_halted = False
        self._ends_at = inf
        self._settles_at = inf
        self._next_check = -inf
        self._group_commit = GroupCommit(journal, clock)

    def run(self) -> None:
        """Go on until the worklist is settled; sessions that are fit go back to the pool."""
        try:
            self._adopt()
            while not self._is_settled():
                self._turn()
        except BaseException:
            self._idle.clear()
            raise
        finally:
            self._tidy_up()

    # The turn.

    def _turn(self) -> None:
        now = self._clock()
        self._assign(now)
        self._open_more(now)
        for turned_away in self._connector.let_log_in(now):
            self._drop(turned_away)
        if self._holding:
            self._note(now)
        moved = self._watcher.wait(self._longest_wait(now))
        now = self._clock()
        for session, mask in moved:
            self._move(session, mask, now)
        if now >= self._next_check:
            self._check_deadlines(now)
        if self._worklist.is_ended and not self._is_halted:
            self._halt(now)
        # After the halt: what was put back there must not be noted as about to be sent.
        self._note(now)
        self._connector.report()

    def _longest_wait(self, now: float) -> float:
        if self._worklist.is_ended and not self._is_halted:
            return 0.0
        until = min(self._next_check, self._group_commit.next_time())
        if self._worklist.waiting and self._connector.next_time() > now:
            until = min(until, self._connector.next_time())
        return max(0.0, until - now)

    def _move(self, session: Session | None, mask: int, now: float) -> None:
        if session is None:
            self._take_answers(now)
        elif session.phase is not Phase.CLOSED:
            # One that moved earlier in this turn may have closed it: a refused account halts all.
            session.on_event(mask, now)
            self._settle(session, now)

    def _adopt(self) -> None:
        now = self._clock()
        usable, spent = self._pool.borrow(min(self._most, len(self._worklist.waiting)), now)
        for session in usable:
            self._sessions.add(session)
            self._idle.append(session)
            self._watcher.watch(session)
        for session in spent:
            self._sessions.add(session)
            self._watcher.watch(session)
            self._leave(session, now)

    def _assign(self, now: float) -> None:
        worklist = self._worklist
        while self._idle and worklist.has_work:
            session = self._idle.pop()
            if session.is_spent(now):
                self._pool.retired += 1
                self._leave(session, now)
                continue
            self._sending.add(session)
            session.begin(
                partial(worklist.take, session),
                partial(self._decided, session),
                self._learnt.mode(self._server, session.offered, now),
                now,
            )
            self._settle(session, now)

    def _open_more(self, now: float) -> None:
        worklist = self._worklist
        if len(self._sessions) >= self._most or not worklist.has_work:
            return
        wanted = min(self._most, ceil(worklist.undecided / MESSAGES_EACH)) - len(self._sessions)
        if wanted > 0:
            for session in self._connector.open(wanted, now):
                self._sessions.add(session)
                self._watcher.watch(session)
        if not self._sessions and self._connector.refusal is not None:
            worklist.end(self._connector.refusal)
        if self._connector.has_waited_too_long(now, has_sessions=bool(self._sessions)):
            worklist.end(_held_back("no connection was admitted in time"))

    # What sessions have come to.

    def _drop(self, session: Session, *, is_counted: bool = True) -> None:
        """Close *session* and forget it; *is_counted* says that the gate must be told."""
        self._watcher.forget(session)
        session.close()
        self._sessions.discard(session)
        self._sending.discard(session)
        self._holding.pop(session, None)
        self._connector.forget(session)
        if session in self._idle:
            self._idle.remove(session)
        if is_counted:
            self._connector.gone()

    def _leave(self, session: Session, now: float) -> None:
        """Part from a session that rests."""
        session.leave(now)
        if session.phase is Phase.CLOSED:
            self._drop(session)
        else:
            self._watcher.watch(session)

    def _settle(self, session: Session, now: float) -> None:
        """Draw the consequences of what has happened to *session*."""
        script = session.script
        if script is not None:
            if script.held:
                self._holding[session] = None
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

        Called before the session writes anything further: what closes it must come in time.
        """
        consequence = self._worklist.answer(session, attempt, stage, reply, self._pool.opened)
        if consequence is ACCEPTED:
            return
        if consequence.account is not None:
            # What the whole cluster is told names none of the recipients.
            named = session.transcript.without_addresses(reply)
            self._connector.tell_trouble(stage, named, consequence.account)
        if consequence.steps_back:
            self._learnt.lost_step(self._clock())
        if consequence.is_closing and session.script is not None:
            self._worklist.put_back(session.script.finish())
            self._holding.pop(session, None)

    def _rest(self, session: Session, now: float) -> None:
        session.rest(now)
        self._sending.discard(session)
        self._idle.append(session)

    def _end(self, session: Session, now: float) -> None:
        """End a session that was sending: it is lost, or has said what ends it."""
        script = session.script
        assert script is not None
        reason = session.lost or script.broken
        if reason is not None:
            stage = script.expects or Stage.MAIL
            if session.lost is not None:
                self._learnt.lost_session(
                    stage,
                    now,
                    is_garbled=session.is_garbled,
                    has_decided=bool(session.decided),
                )
            self._pool.broken += 1
            self._worklist.lose(session, stage, reason)
            self._drop(session)
        elif script.may_quit:
            session.rest(now)
            self._sending.discard(session)
            self._leave(session, now)
        else:
            self._drop(session)

    def _fail(self, session: Session, now: float) -> None:
        """Part from a session that did not open, or is gone while it rested or said goodbye."""
        if session in self._connector.opening:
            has_others = len(self._sessions) > 1
            self._connector.failed(session, now, has_others=has_others)
            self._drop(session, is_counted=False)
        else:
            self._pool.retired += session.phase is Phase.READY
            self._drop(session)

    def _take_answers(self, now: float) -> None:
        for ticket, value, error in self._blocking.results():
            if ticket is self._connector:
                self._connector.resolved(value, error)
            elif isinstance(ticket, Session) and ticket in self._sessions:
                ticket.resume(value, error, now)
                self._settle(ticket, now)

    def _check_deadlines(self, now: float) -> None:
        self._next_check = now + CHECK_EVERY
        for session in list(self._sessions):
            if now >= min(session.deadline, self._ends_at):
                if session.phase is Phase.LEAVING:
                    session.close()
                else:
                    session.on_deadline()
                self._settle(session, now)
            else:
                self._next_check = min(self._next_check, session.deadline)

    # Noting, writing, stopping.

    def _note(self, now: float) -> None:
        worklist = self._worklist
        holding = list(self._holding)
        others = len(self._sending) - len(holding)
        if not self._group_commit.is_due(
            now, has_something=bool(holding or worklist.fresh), others=others
        ):
            return
        results, worklist.fresh = worklist.fresh, []
        starting = [attempt.index for session in holding for attempt in session.held]
        may_go_on = self._group_commit.commit(results, starting)
        ended = self._clock()
        if not may_go_on and self._ends_at == inf:
            self._ends_at = ended + self._server.timeouts.grace
            worklist.end(_held_back("stopped by the caller"))
            self._halt(ended)
        for session in holding:
            if session in self._holding:
                del self._holding[session]
                session.release(ended)
                if session.lost is not None or self._watcher.is_outdated(session):
                    self._settle(session, ended)

    def _halt(self, now: float) -> None:
        """Begin nothing more; wait only for what has been written."""
        self._is_halted = True
        for session in list(self._sessions):
            if session.script is not None:
                if session.script.has_unsent:
                    self._worklist.put_back(session.script.finish())
                    self._holding.pop(session, None)
                    self._settle(session, now)
            elif self._connector.may_be_dropped(session):
                self._drop(session)
        self._connector.close()

    def _is_settled(self) -> bool:
        worklist = self._worklist
        if worklist.fresh or self._holding or worklist.undecided > len(worklist.waiting):
            return False
        if worklist.has_work:
            return False
        if self._connector.is_login_under_way:
            return False
        if not self._sending:
            return True
        now = self._clock()
        self._settles_at = min(self._settles_at, now + SETTLE)
        return now >= self._settles_at

    def _tidy_up(self) -> None:
        for session in list(self._sessions):
            if session.phase is Phase.READY and session in self._idle:
                self._watcher.forget(session)
                self._pool.give_back(session)
            else:
                self._drop(session)
        self._watcher.close()
        self._connector.close()


def _held_back(reason: str) -> Result:
    """Unsent because the caller wanted it so: there is nothing to act upon."""
    return Result(Fate.UNSENT, rule=f"local: {reason}")
