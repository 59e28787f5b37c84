"""One call of a driver: turn after turn, until every submission has its result.

A turn gives work to the sessions that are ready, opens more if that pays, waits until a socket moves
and lets each session go as far as it can. Then, in this order, it hears what was answered, has the
caller's journal note what is about to be sent, and writes it. All that is ready in one turn goes into
one note. While other sessions are about to speak a turn waits for them, about as long as the last notes
have cost: so the journal is never what the time goes into, and a single message never waits.
"""

import select
import selectors
from collections.abc import Callable
from functools import partial
from math import ceil, inf

from mailer.smtp.connection.blocking import Aside
from mailer.smtp.connector import Doorway, Learnt
from mailer.smtp.group_commit import LONGEST, Gathering
from mailer.smtp.interfaces import Gate, Journal
from mailer.smtp.pool import Pool
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Action, Judgement
from mailer.smtp.session import Phase, Session
from mailer.smtp.settings import Server
from mailer.smtp.submission import Fate, Result
from mailer.smtp.transaction import Attempt, Mode
from mailer.smtp.worklist import ACCEPTED, Agenda

CHECK_EVERY = 0.25
"""How late a deadline may be noticed."""
SETTLE = 1.0
"""How long sessions may take, when all is decided, to become fit for another call."""
MESSAGES_EACH = 4
"""How many messages a further connection must have ahead of it to be worth opening."""
PLAIN_FOR = 600.0
"""How long a server is spoken to step by step after it lost step."""
_SELECT_LIMIT = 1024


class Loop:
    """The turns of one call. Everything is used from one thread."""

    def __init__(  # noqa: PLR0913  # all that one call stands on
        self,
        server: Server,
        gate: Gate,
        journal: Journal,
        *,
        pool: Pool,
        aside: Aside,
        learnt: Learnt,
        agenda: Agenda,
        clock: Callable[[], float],
        most: int,
    ) -> None:
        self._server = server
        self._gate = gate
        self._journal = journal
        self._pool = pool
        self._aside = aside
        self._learnt = learnt
        self._agenda = agenda
        self._clock = clock
        self._most = most
        self._doorway = Doorway(server, gate, pool, aside, learnt)
        self._selector = selectors.DefaultSelector()
        self._sessions: set[Session] = set()
        self._idle: list[Session] = []
        self._sending: set[Session] = set()
        self._holding: dict[Session, None] = {}
        self._reported: set[Action] = set()
        self._is_halted = False
        self._ends_at = inf
        self._settles_at = inf
        self._starved_since = inf
        self._next_check = -inf
        self._gathering = Gathering(clock())

    def run(self) -> None:
        """Go on until the agenda is settled; sessions that are fit go back to the pool."""
        try:
            self._selector.register(self._aside, selectors.EVENT_READ, None)
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
        for turned_away in self._doorway.let_log_in(now):
            self._drop(turned_away)
        if self._holding:
            self._note(now)
        moved = self._wait(now)
        now = self._clock()
        for key, mask in moved:
            if key.data is None:
                self._hear_from_aside(now)
                continue
            session: Session = key.data
            if session.phase is not Phase.CLOSED:
                session.on_event(mask, now)
                self._settle(session, now)
        if now >= self._next_check:
            self._check_deadlines(now)
        if self._agenda.stop is not None and not self._is_halted:
            self._halt(now)
        self._note(now)
        self._doorway.report()

    def _wait(self, now: float) -> list[tuple[selectors.SelectorKey, int]]:
        until = min(self._next_check, self._gathering.next_time())
        if self._agenda.waiting and self._doorway.next_time() > now:
            until = min(until, self._doorway.next_time())
        timeout = max(0.0, until - now)
        if self._agenda.stop is not None and not self._is_halted:
            timeout = 0.0
        if 0.0 < timeout <= LONGEST:
            # Selectors count in milliseconds; the select call does not, and can watch a selector.
            descriptor = getattr(self._selector, "fileno", lambda: _SELECT_LIMIT)()
            if descriptor < _SELECT_LIMIT:
                select.select([descriptor], [], [], timeout)
            timeout = 0.0
        return self._selector.select(timeout)

    def _adopt(self) -> None:
        now = self._clock()
        usable, spent = self._pool.borrow(min(self._most, len(self._agenda.waiting)), now)
        for session in usable:
            self._sessions.add(session)
            self._idle.append(session)
            self._watch(session)
        for session in spent:
            self._sessions.add(session)
            self._watch(session)
            self._leave(session, now)

    def _assign(self, now: float) -> None:
        agenda = self._agenda
        while self._idle and agenda.waiting and agenda.stop is None:
            session = self._idle.pop()
            if session.is_spent(now):
                self._pool.retired += 1
                self._leave(session, now)
                continue
            self._sending.add(session)
            session.begin(
                partial(agenda.take, session),
                partial(self._hear, session),
                self._mode(session, now),
                now,
            )
            self._settle(session, now)

    def _mode(self, session: Session, now: float) -> Mode:
        if now < self._learnt.plain_until or "PIPELINING" not in session.offered:
            return Mode.STEPWISE
        if self._server.chunking and "CHUNKING" in session.offered:
            return Mode.CHUNKED
        return Mode.PIPELINED

    def _open_more(self, now: float) -> None:
        agenda = self._agenda
        if len(self._sessions) >= self._most or not agenda.waiting or agenda.stop is not None:
            return
        wanted = min(self._most, ceil(agenda.undecided / MESSAGES_EACH)) - len(self._sessions)
        if wanted > 0:
            for session in self._doorway.open(wanted, now):
                self._sessions.add(session)
                self._watch(session)
            agenda.stop = agenda.stop or self._doorway.trouble
        if not self._sessions and self._doorway.is_shut:
            agenda.stop = agenda.stop or self._doorway.refusal
        if self._sessions or not self._doorway.is_kept_waiting(now):
            self._starved_since = inf
        elif now - self._starved_since >= self._server.timeouts.patience:
            agenda.stop = _held_back("no connection was admitted in time")
        else:
            self._starved_since = min(self._starved_since, now)

    # What sessions have come to.

    def _watch(self, session: Session) -> None:
        events = session.events()
        if session.watched == events:
            return
        if session.watched:
            self._selector.modify(session, events, session)
        else:
            self._selector.register(session, events, session)
        session.watched = events

    def _drop(self, session: Session, *, is_counted: bool = True) -> None:
        """Close *session* and forget it; *is_counted* says that the gate must hear of it."""
        if session.watched:
            self._selector.unregister(session)
            session.watched = 0
        session.close()
        self._sessions.discard(session)
        self._sending.discard(session)
        self._holding.pop(session, None)
        self._doorway.forget(session)
        if session in self._idle:
            self._idle.remove(session)
        if is_counted:
            self._doorway.gone()

    def _leave(self, session: Session, now: float) -> None:
        """Part from a session that rests."""
        session.leave(now)
        if session.phase is Phase.CLOSED:
            self._drop(session)
        else:
            self._watch(session)

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
        elif session.phase is Phase.READY and session in self._doorway.opening:
            self._doorway.opened(session, now)
            self._idle.append(session)
        elif session.ask is not None:
            self._doorway.line_up(session)
        self._watch(session)

    def _hear(self, session: Session, attempt: Attempt, stage: Stage, reply: Reply) -> None:
        """Take the *reply* that decided *attempt*, before the session says anything further."""
        consequence = self._agenda.answer(session, attempt, stage, reply, self._pool.opened)
        if consequence is ACCEPTED:
            return
        if consequence.account is not None:
            self._report(stage, reply, consequence.account)
        if consequence.steps_back:
            self._learnt.plain_until = self._clock() + PLAIN_FOR
        if consequence.is_closing and session.script is not None:
            self._agenda.put_back(session.script.finish())
            self._holding.pop(session, None)

    def _report(self, stage: Stage, reply: Reply, judgement: Judgement) -> None:
        # Ten messages may be refused at once for one reason: the gate hears of it once.
        if judgement.action not in self._reported:
            self._reported.add(judgement.action)
            self._gate.refused(stage, reply, judgement)

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
            is_early = stage in (Stage.MAIL, Stage.RCPT, Stage.DATA) and not session.decided
            if session.is_garbled or (is_early and session.lost is not None):
                # A server that does not like to be run ahead of may say so by hanging up.
                self._learnt.plain_until = now + PLAIN_FOR
            self._pool.broken += 1
            self._agenda.lose(session, stage, reason)
            self._drop(session)
        elif script.may_quit:
            session.rest(now)
            self._sending.discard(session)
            self._leave(session, now)
        else:
            self._drop(session)

    def _fail(self, session: Session, now: float) -> None:
        """Part from a session that did not open, or is gone while it rested or said goodbye."""
        if session in self._doorway.opening:
            has_others = len(self._sessions) > 1
            self._doorway.failed(session, now, has_others=has_others)
            self._agenda.stop = self._agenda.stop or self._doorway.trouble
            self._drop(session, is_counted=False)
        else:
            self._pool.retired += session.phase is Phase.READY
            self._drop(session)

    def _hear_from_aside(self, now: float) -> None:
        for ticket, value, error in self._aside.results():
            if ticket is self._doorway:
                self._doorway.resolved(value, error)
                self._agenda.stop = self._agenda.stop or self._doorway.trouble
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
        agenda = self._agenda
        holding = list(self._holding)
        has_something = bool(holding or agenda.fresh)
        others = len(self._sending) - len(holding)
        if not self._gathering.is_due(now, has_something=has_something, others=others):
            return
        results, agenda.fresh = agenda.fresh, []
        starting = [attempt.index for session in holding for attempt in session.script.held]  # type: ignore[union-attr]
        began = self._clock()
        may_go_on = self._journal.commit(results, starting)
        ended = self._clock()
        self._gathering.noted(began, ended)
        if not may_go_on and not self._ends_at < inf:
            self._ends_at = ended + self._server.timeouts.grace
            agenda.stop = agenda.stop or _held_back("stopped by the caller")
            self._halt(ended)
        for session in holding:
            if session in self._holding:
                del self._holding[session]
                session.release(ended)
                if session.lost is not None or session.events() != session.watched:
                    self._settle(session, ended)

    def _halt(self, now: float) -> None:
        """Begin nothing more; wait only for what has been written."""
        self._is_halted = True
        for session in list(self._sessions):
            if session.script is not None:
                if session.script.has_unsent:
                    self._agenda.put_back(session.script.finish())
                    self._holding.pop(session, None)
                    self._settle(session, now)
            elif self._doorway.may_be_dropped(session):
                self._drop(session)
        self._doorway.close()

    def _is_settled(self) -> bool:
        agenda = self._agenda
        if agenda.fresh or self._holding or agenda.undecided > len(agenda.waiting):
            return False
        if agenda.waiting and agenda.stop is None:
            return False
        if self._doorway.is_login_under_way:
            return False
        if not self._sending:
            return True
        now = self._clock()
        self._settles_at = min(self._settles_at, now + SETTLE)
        return now >= self._settles_at

    def _tidy_up(self) -> None:
        for session in list(self._sessions):
            if session.phase is Phase.READY and session in self._idle:
                self._selector.unregister(session)
                session.watched = 0
                self._pool.give_back(session)
            else:
                self._drop(session)
        self._selector.close()
        self._doorway.close()


def _held_back(reason: str) -> Result:
    """Unsent because the caller wanted it so: there is nothing to act upon."""
    return Result(Fate.UNSENT, rule=f"local: {reason}")
