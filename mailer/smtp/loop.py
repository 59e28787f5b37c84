"""One call of a driver: turn after turn, until every submission has its result.

A turn goes like this:

1. Give work to the sessions that are ready, and open more if there is enough work for them.
2. Wait until a socket has an event; let each session read, and go on until it has to wait.
3. Tell the journal what was answered and which contents are about to be sent.
4. Only then write those contents.

Step 4 after step 3 is the promise of the whole package: no final dot is written before the journal knows
of it. Otherwise a crash would make a sent message look unsent, and it would be sent twice. All that is
ready in one turn goes into one note to the journal, because a note costs a round trip to the caller's
database. If other sessions are about to have something too, the note waits for them for a moment (see
`mailer.smtp.group_commit`).
"""

from collections.abc import Callable
from math import inf

from mailer.smtp.connection.blocking import BlockingCalls
from mailer.smtp.connection.pool import Pool
from mailer.smtp.connection.watcher import Watcher
from mailer.smtp.connector import Connector
from mailer.smtp.group_commit import GroupCommit
from mailer.smtp.interfaces import Gate, Journal, Proceed
from mailer.smtp.learnt import Learnt
from mailer.smtp.roster import Roster
from mailer.smtp.session import Session
from mailer.smtp.settings import Server
from mailer.smtp.submission import Fate, Result
from mailer.smtp.worklist import Worklist

SETTLE = 1.0
"""Seconds that sessions have, once all submissions are decided, to become reusable for another call."""


class Loop:
    """The turns of one call. Everything is used from one thread.

    *surplus* says how many sessions should leave because others need their places.
    """

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
        surplus: Callable[[], int],
    ) -> None:
        self._grace = server.timeouts.grace
        self._blocking = blocking
        self._worklist = worklist
        self._clock = clock
        self._surplus = surplus
        self._connector = Connector(server, gate, pool, blocking, learnt, worklist.end)
        self._watcher: Watcher[Session] = Watcher(blocking.fileno())
        self._roster = Roster(
            server,
            self._watcher,
            pool=pool,
            connector=self._connector,
            learnt=learnt,
            worklist=worklist,
            clock=clock,
            most=most,
        )
        self._group_commit = GroupCommit(journal, clock)
        self._is_halted = False
        self._ends_at = inf
        self._settles_at = inf
        self._next_check = -inf

    def run(self) -> None:
        """Go on until every submission has its result; give reusable sessions back to the pool."""
        is_fit = False
        try:
            self._roster.adopt(self._clock())
            while not self._is_settled():
                self._turn()
            is_fit = True
        finally:
            # Sessions first: closed ones must leave the watcher while it still has their descriptors.
            self._roster.close(is_fit=is_fit)
            self._watcher.close()
            self._connector.close()

    # The turn.

    def _turn(self) -> None:
        roster, now = self._roster, self._clock()
        # Idle sessions get work before new ones are opened: a connection costs more than a message.
        roster.assign(now)
        roster.open_more(now)
        self._give_up_in_vain(now)
        roster.let_log_in(now)
        # What was just given to sessions may be ready already: noted now, it need not wait for a socket.
        if roster.holding:
            self._note(now)
        moved = self._watcher.wait(self._longest_wait(now))
        now = self._clock()
        for session, mask in moved:
            if session is None:
                self._take_answers(now)
            else:
                roster.on_event(session, mask, now)
        if now >= self._next_check:
            self._next_check = roster.check_deadlines(
                now, ends_at=self._ends_at, surplus=self._surplus()
            )
        if self._worklist.is_ended and not self._is_halted:
            self._halt(now)
        # After the halt, not before: it takes back contents that wait, and these must not be noted as
        # begun.
        self._note(now)
        self._connector.report()

    def _give_up_in_vain(self, now: float) -> None:
        """End the call if there is no session and none can be opened."""
        if not self._worklist.has_work:
            return
        if not len(self._roster) and self._connector.refusal is not None:
            self._worklist.end(self._connector.refusal)
        if self._connector.has_waited_too_long(now, has_sessions=bool(len(self._roster))):
            self._worklist.end(_held_back("no connection was admitted in time"))

    def _longest_wait(self, now: float) -> float:
        if self._worklist.is_ended and not self._is_halted:
            return 0.0  # the halt comes later in this turn, and must not wait for a socket
        until = min(self._next_check, self._group_commit.next_time())
        if self._worklist.waiting and self._connector.next_time() > now:
            until = min(until, self._connector.next_time())
        return max(0.0, until - now)

    def _take_answers(self, now: float) -> None:
        for ticket, value, error in self._blocking.results():
            if ticket is self._connector:
                self._connector.resolved(value, error)
            elif isinstance(ticket, Session):
                self._roster.resume(ticket, value, error, now)

    # Noting, writing, stopping.

    def _note(self, now: float) -> None:
        """Tell the journal what was read and what begins; then, and only then, write the latter."""
        worklist, roster = self._worklist, self._roster
        holding = list(roster.holding)
        has_something = bool(holding or worklist.fresh)
        others = len(roster.sending) - len(holding)
        if not self._group_commit.is_due(now, has_something=has_something, others=others):
            return
        results, worklist.fresh = worklist.fresh, []
        starting = [attempt.index for session in holding for attempt in session.held]
        proceed = self._group_commit.commit(results, starting)
        now = self._clock()
        # Stop first, release afterwards: the stop takes back what the journal has not allowed.
        if proceed is not Proceed.GO_ON:
            self._stop(proceed, now)
        roster.release(holding, now)

    def _stop(self, proceed: Proceed, now: float) -> None:
        # A second END must not lengthen the wait, so the earlier end counts.
        if proceed is Proceed.END:
            self._ends_at = min(self._ends_at, now + self._grace)
        if not self._is_halted:
            self._worklist.end(_held_back("stopped by the caller"))
            self._halt(now)

    def _halt(self, now: float) -> None:
        """Begin nothing more; wait only for what has been written."""
        self._is_halted = True
        self._roster.halt(now)
        self._connector.close()

    def _is_settled(self) -> bool:
        worklist = self._worklist
        if worklist.fresh or self._roster.holding or worklist.undecided > len(worklist.waiting):
            return False
        # A login whose answer nobody read would be tried again, with a password that may be wrong.
        if worklist.has_work or self._connector.is_login_under_way:
            return False
        if not self._roster.sending:
            return True
        # All is decided, but replies are still to come, to a RSET say. A session that is left before
        # them cannot be used again; one that never gets them must not hold up the call.
        now = self._clock()
        self._settles_at = min(self._settles_at, now + SETTLE)
        return now >= self._settles_at


def _held_back(reason: str) -> Result:
    """The result of what the caller held back: unsent, without an action."""
    return Result(Fate.UNSENT, rule=f"local: {reason}")
