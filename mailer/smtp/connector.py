"""Opening sessions: names are resolved, the gate is asked, one login is tried before there are many.

A wrong password must cost one login, not one for each connection: providers lock accounts after a few. So
sessions open one by one until a login has succeeded. For `PROVEN_FOR` seconds after that, up to
`SIDE_BY_SIDE` sessions connect and shake hands at once. They still log in one after another, each when
the gate allows it. A login that has begun is waited for, even if the session is not needed any more.
Otherwise nobody would learn that the password was refused, and the next worker would try it again.
"""

import socket
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import inf

from mailer.smtp.connection.blocking import BlockingCalls
from mailer.smtp.connection.names import addresses_of
from mailer.smtp.connection.phase import Phase
from mailer.smtp.connection.pool import Pool
from mailer.smtp.connection.tls import describe
from mailer.smtp.connection.transport import Address
from mailer.smtp.dialogue import RefusedError
from mailer.smtp.interfaces import Gate
from mailer.smtp.learnt import Learnt
from mailer.smtp.replies.actions import Action, OnAccount
from mailer.smtp.reply import Reply, Stage
from mailer.smtp.rules import Judgement
from mailer.smtp.session import Session
from mailer.smtp.settings import Server
from mailer.smtp.submission import Fate, Result
from mailer.smtp.worklist import MAX_FRUITLESS

PROVEN_FOR = 10.0
"""Seconds after a successful login in which several sessions may open at once."""
SIDE_BY_SIDE = 8
"""How many sessions of an account with a login open at once. One of them logs in, the others wait."""
ASK_EVERY = 0.1
"""Seconds until the gate is asked again, where it admitted fewer connections than were wanted."""
RESOLVED_FOR = 60.0
"""Seconds for which addresses are used before the host name is resolved again."""
NO_MORE_FOR = 60.0
"""Seconds without a further session, after the server has refused one beside others."""
FIRST_PAUSE = 0.25
"""Seconds before the next connection to a server that closed one before any mail; doubled each time."""


class Connector:
    """The opening of sessions for one call of a driver."""

    def __init__(  # noqa: PLR0913, PLR0917  # what opening a session needs
        self,
        server: Server,
        gate: Gate,
        pool: Pool,
        blocking: BlockingCalls,
        learnt: Learnt,
        end: Callable[[Result], None],
    ) -> None:
        self._end = end
        self._server = server
        self._gate = gate
        self._pool = pool
        self._blocking = blocking
        self._learnt = learnt
        self._is_resolving = False
        self._slots = 0
        self._gone = 0
        self._ask_at = -inf
        self._pause_until = -inf
        self._failures = 0
        self._unreached = 0
        self._told: set[Action] = set()
        self._wants_refresh = False
        self._has_refreshed = False
        self._starved_since = inf
        self._line: deque[Session] = deque()
        self._at_login: Session | None = None
        self._asks_again = False
        self.opening: set[Session] = set()
        """Sessions under way."""
        self.is_shut = False
        """Whether no more are opened in this call."""
        self.refusal: Result | None = None
        """Why no more sessions are opened; those that are open may go on."""

    def open(self, wanted: int, now: float) -> list[Session]:
        """Begin up to *wanted* sessions, as many as may be begun now."""
        # Until a login has succeeded, one session at a time: a wrong password then costs one login.
        if self._server.username is not None:
            most = SIDE_BY_SIDE if now - self._learnt.proven_at < PROVEN_FOR else 1
            wanted = min(wanted, most - len(self.opening))
        if wanted <= 0 or self.is_shut or now < self._pause_until or not self._has_addresses(now):
            return []
        # Places that were admitted and not used yet come first: the gate counts them as open.
        if self._slots < wanted and now >= self._ask_at:
            missing = wanted - self._slots
            admitted = max(0, min(missing, self._gate.admit(missing)))
            self._slots += admitted
            self._ask_at = now + ASK_EVERY if admitted < missing else now
        sessions = (self._begin(now) for _ in range(min(wanted, self._slots)))
        return [session for session in sessions if session is not None]

    def next_time(self) -> float:
        """The time from which `open` may do more, even if no socket has an event until then."""
        return max(self._ask_at, self._pause_until)

    def has_waited_too_long(self, now: float, *, has_sessions: bool) -> bool:
        """Whether the gate, and nothing else, has kept a call without any session for too long."""
        is_kept_waiting = not has_sessions and self._slots == 0 and now < self._ask_at
        self._starved_since = min(self._starved_since, now) if is_kept_waiting else inf
        return now - self._starved_since >= self._server.timeouts.patience

    def line_up(self, session: Session) -> None:
        """Let *session* wait for its turn to log in, or go on with the login that it has begun."""
        if session is self._at_login:
            self._asks_again = True
            self._begin_login(session)
        else:
            self._line.append(session)

    def let_log_in(self, now: float) -> list[Session]:
        """Let the next in line log in; return the sessions that have waited in vain."""
        if not self._line or self._at_login is not None:
            return []
        if self.is_shut or not self._gate.may_log_in():
            # They would hold places of the account, connected and of no use, for as long as it rests.
            self._ask_at = now + ASK_EVERY
            return list(self._line)
        self._at_login, self._asks_again = self._line.popleft(), False
        self._begin_login(self._at_login)
        self._at_login.deadline = now + self._server.timeouts.auth
        return []

    @property
    def is_login_under_way(self) -> bool:
        """Whether a login was begun and is not answered yet, be it that a response is being made."""
        session = self._at_login
        return session is not None and (session.phase is Phase.LISTENING or self._asks_again)

    def may_be_dropped(self, session: Session) -> bool:
        """Whether *session* is opening and has not sent credentials."""
        is_at_login = session is self._at_login and self.is_login_under_way
        return session in self.opening and not is_at_login

    def forget(self, session: Session) -> None:
        """Count *session* no more: it is closed, or open."""
        self.opening.discard(session)
        if session is self._at_login:
            self._at_login = None
        elif session in self._line:
            self._line.remove(session)

    def opened(self, session: Session, now: float) -> None:
        """Note that *session* is open and its login accepted."""
        self.forget(session)
        self._failures = self._unreached = 0
        # A gate may admit one connection at a time, until a login has succeeded. So ask it again at once.
        self._ask_at = now
        self._learnt.proven_at = now
        self._gate.logged_in()

    def failed(self, session: Session, now: float, *, has_others: bool) -> None:
        """Decide what follows when *session* could not be opened.

        The call ends if nothing can be sent any more. If *has_others*, so other sessions are open, they
        usually go on, and only no further session is opened.
        """
        self.forget(session)
        refusal = session.refusal
        if refusal is None:
            # The next address is tried in the same place: the gate has admitted it, nobody logged in.
            if session.phase is Phase.CONNECTING and self._has_other_address():
                self._slots += 1
                return
            refusal = _unavailable(session.stage, session.lost or "no session")
        # A stale token says nothing of the account: a fresh one is fetched, once in a call.
        if refusal.token_is_stale and not session.has_fresh_token:
            self._slots += 1
            self._wants_refresh = not self._has_refreshed
            return
        judgement = refusal.judgement
        if judgement.action is Action.RETRY_RECONNECT:
            self._failures += 1
            if self._failures < MAX_FRUITLESS:
                self._pause_until = now + FIRST_PAUSE * 2 ** (self._failures - 1)
                self._slots += 1
                return
        if has_others:
            self._learnt.no_more_until = now + NO_MORE_FOR
        self._give_up(refusal, has_others=has_others, dialogue=session.transcript.lines())
        self._gone += 1

    def gone(self) -> None:
        """Count an open session that was closed, for the next `report`."""
        self._gone += 1

    def tell_trouble(self, stage: Stage, reply: Reply | None, judgement: Judgement) -> None:
        """Tell the gate of trouble that concerns the whole account, once for each kind of it.

        Ten messages, or sessions side by side, may be refused at once for one reason. Told ten times, the
        gate would count ten troubles, and let the account rest much longer.
        """
        if judgement.action not in self._told:
            self._told.add(judgement.action)
            self._gate.refused(stage, reply, judgement)

    def report(self) -> None:
        """Tell the gate about connections that are gone."""
        if self._gone:
            gone, self._gone = self._gone, 0
            self._gate.closed(gone)

    def close(self) -> None:
        """Open nothing more; give back what was admitted and not used."""
        self.is_shut = True
        # The gate counts these as open, too: each is told to be closed once.
        self._gone += self._slots
        self._slots = 0
        self.report()

    def resolved(self, addresses: list[Address] | None, error: Exception | None) -> None:
        """Take what the resolver found."""
        if not self._is_resolving:
            return
        self._is_resolving = False
        if addresses:
            self._learnt.addresses = addresses
        elif not self._learnt.addresses:
            reason = describe(error) if error is not None else "no address"
            self._give_up(
                _unavailable(Stage.CONNECT, f"{self._server.host} cannot be resolved: {reason}"),
                has_others=False,
            )

    # How.

    def _begin_login(self, session: Session) -> None:
        self._blocking.ask(session, session.take_ask().call)

    def _has_addresses(self, now: float) -> bool:
        learnt = self._learnt
        is_old = now - learnt.resolved_at >= RESOLVED_FOR
        if not self._is_resolving and (is_old or not learnt.addresses):
            learnt.resolved_at = now
            look_up = partial(addresses_of, self._server.host, self._server.port)
            # A host that is an IP address needs no resolver, and so no thread.
            try:
                learnt.addresses = look_up(flags=socket.AI_NUMERICHOST)
            except OSError:
                self._is_resolving = True
                self._blocking.ask(self, look_up)
        elif self._is_resolving and now - learnt.resolved_at >= self._server.timeouts.resolve:
            self.resolved(None, TimeoutError("no answer in time"))
        return bool(learnt.addresses)

    def _has_other_address(self) -> bool:
        """Whether there is an address that was not tried since the last success; take it next."""
        addresses = self._learnt.addresses
        self._unreached += 1
        if self._unreached >= len(addresses):
            return False
        addresses.append(addresses.pop(0))
        return True

    def _begin(self, now: float) -> Session | None:
        self._slots -= 1
        addresses = self._learnt.addresses
        try:
            session = self._pool.open(
                addresses[0],
                now,
                connect_within=self._server.timeouts.connect / min(len(addresses), 3),
                refresh_token=self._wants_refresh,
            )
        except OSError as exc:
            if self._has_other_address():
                self._slots += 1
            else:
                self._gone += 1
                self._give_up(_unavailable(Stage.CONNECT, describe(exc).lower()), has_others=False)
            return None
        self._has_refreshed |= self._wants_refresh
        self._wants_refresh = False
        self.opening.add(session)
        return session

    def _give_up(
        self, refusal: RefusedError, *, has_others: bool, dialogue: tuple[str, ...] = ()
    ) -> None:
        judgement = _for_the_account(refusal)
        self.is_shut = True
        # What is not certain (it was said before TLS was verified) may delay messages, but fails none.
        action = judgement.action if judgement.is_certain else Action.RETRY_LATER
        self.refusal = Result(
            Fate.UNSENT,
            refusal.stage,
            refusal.reply,
            action,
            judgement.rule,
            dialogue,
        )
        is_mild = action.meaning.account is OnAccount.COOLS
        if is_mild and has_others:
            if action is Action.AUTH_RETRY:
                # The other sessions are logged in and work. If the gate were told, it would stop the
                # whole account for a while.
                return
        else:
            self._end(self.refusal)
        self.tell_trouble(refusal.stage, refusal.reply, judgement)


def _unavailable(stage: Stage, reason: str) -> RefusedError:
    return RefusedError(stage, None, Judgement(Action.RETRY_LATER, f"local: {reason}"))


def _for_the_account(refusal: RefusedError) -> Judgement:
    """What a refusal before any message means: never that a message or recipient has failed."""
    judgement = refusal.judgement
    return replace(judgement, action=judgement.action.meaning.before_mail)
