"""Many sessions side by side in one process: submissions in, results out.

A `Driver` belongs to one thread and one process. It serves all its sessions with one selector, so that
fifty connections to a distant server need no more threads than one. What happens in a call is told in
`mailer.smtp.loop`.
"""

import os
import selectors
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from random import random as default_random

from mailer.errors import ConfigError
from mailer.smtp.connection.blocking import BlockingCalls
from mailer.smtp.connection.phase import Phase
from mailer.smtp.connection.pool import Pool
from mailer.smtp.interfaces import Gate, Journal
from mailer.smtp.learnt import Learnt
from mailer.smtp.loop import Loop
from mailer.smtp.session import Session
from mailer.smtp.settings import Server
from mailer.smtp.submission import Result, Submission
from mailer.smtp.worklist import Worklist

__all__ = ["Driver", "Gate", "Journal"]


class Driver:
    """Sends submissions to *server*, asking *gate* before it connects.

    Sessions stay open from one call of `send` to the next. After a fork the child begins without any.
    Raise `ConfigError` under gevent or eventlet, whose patched sockets cannot be driven from here.
    """

    def __init__(
        self,
        server: Server,
        gate: Gate,
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = default_random,
    ) -> None:
        _refuse_patched_sockets()
        self._server = server
        self._gate = gate
        self._clock = clock
        self._random = random
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._learnt = Learnt()
        self._pool = Pool(server, random)
        self._blocking: BlockingCalls | None = None
        self._surplus = 0

    def __repr__(self) -> str:
        state = "sending" if self._lock.locked() else "resting"
        return f"<Driver {state} {self._pool!r}>"

    def send(
        self, submissions: Sequence[Submission], journal: Journal, *, limit: int | None = None
    ) -> tuple[Result, ...]:
        """Send all *submissions* over at most *limit* connections; return one result each, in order.

        Nothing is raised for what a server says or fails to say; what *journal* or the gate raises
        closes all connections and is passed on.
        """
        if not submissions:
            return ()
        if os.getpid() != self._owner:
            self._forget()
        with self._lock:
            worklist = Worklist(submissions, self._server)
            if self._blocking is None:
                self._blocking = BlockingCalls()
            most = self._server.max_connections
            loop = Loop(
                self._server,
                self._gate,
                journal,
                pool=self._pool,
                blocking=self._blocking,
                learnt=self._learnt,
                worklist=worklist,
                clock=self._clock,
                most=most if limit is None else max(1, min(limit, most)),
                surplus=self._take_surplus,
            )
            loop.run()
            return worklist.finished()

    def _take_surplus(self) -> int:
        surplus, self._surplus = self._surplus, 0
        return surplus

    def reap(self, surplus: int = 0) -> None:
        """Close what is idle, old or hung up; while `send` is at work, it does so itself.

        Of the sessions that could still be used, the *surplus* longest idle are closed, for others who
        share the account. Another thread may call this.
        """
        self._surplus = surplus
        if os.getpid() != self._owner or not self._lock.acquire(blocking=False):
            return
        try:
            self._part(self._pool.take_spent(self._clock(), surplus))
        finally:
            self._lock.release()

    def close(self) -> None:
        """Say QUIT to all sessions and close them, within `Timeouts.quit` seconds."""
        if os.getpid() != self._owner:
            self._forget()
            return
        with self._lock:
            self._part(self._pool.take_all())
            if self._blocking is not None:
                self._blocking.close()
                self._blocking = None

    def _forget(self) -> None:
        """Begin anew in the child of a fork: the sessions are the parent's, the descriptors are not."""
        for session in self._pool.take_all():
            session.close()
        if self._blocking is not None:
            self._blocking.close()
        self._blocking = None
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._learnt = Learnt()
        self._pool = Pool(self._server, self._random)

    def _part(self, sessions: Iterable[Session]) -> None:
        """Say QUIT to *sessions* and wait for the replies together."""
        leaving = set(sessions)
        if not leaving:
            return
        count, now = len(leaving), self._clock()
        ends_at = now + self._server.timeouts.quit
        with selectors.DefaultSelector() as selector:
            for session in leaving:
                session.leave(now)
                if session.phase is not Phase.CLOSED:
                    selector.register(session, session.events())
            while selector.get_map() and (now := self._clock()) < ends_at:
                for key, mask in selector.select(ends_at - now):
                    session = key.fileobj  # type: ignore[assignment]
                    session.on_event(mask, now)
                    if not session.is_alive:
                        selector.unregister(session)
        for session in leaving:
            session.close()
        self._gate.closed(count)


def _refuse_patched_sockets() -> None:
    for library, module, function in (
        ("gevent", "gevent.monkey", "is_module_patched"),
        ("eventlet", "eventlet.patcher", "is_monkey_patched"),
    ):
        is_patched = getattr(sys.modules.get(module), function, None)
        if is_patched is not None and is_patched("socket"):
            raise ConfigError(
                f"mailer drives its own connections and cannot run under {library}'s patched sockets:"
                " start the worker with --pool prefork, threads or solo"
            )
