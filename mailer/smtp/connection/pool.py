"""Which session is used next, and when one is closed.

Sessions live across calls of a driver. The session that was idle shortest is used first, so that the
others reach their idle limit and are closed. Before a session is used, its socket is looked at; no
command is sent. Many servers count NOOP and RSET as junk commands, and whether a server has hung up or
spoken shows in the socket's buffer.
"""

from collections.abc import Callable

from mailer.smtp.connection.resumption import Resumption
from mailer.smtp.connection.transport import Address
from mailer.smtp.session import Session
from mailer.smtp.settings import Server

JITTER = 0.2
"""Sessions are closed before their age limit by a random share of it, at most this: or all would be
closed at once."""


class Pool:
    """The open sessions of one account in one thread that have nothing to do. Not thread-safe."""

    def __init__(self, server: Server, random: Callable[[], float]) -> None:
        self._server = server
        self._random = random
        self._idle: list[Session] = []
        self._resumption = Resumption()
        self.opened = 0
        """Connections begun."""
        self.retired = 0
        """Sessions closed because of age, use or idleness, or discarded when looked at."""
        self.broken = 0
        """Sessions closed because of what happened to them."""

    def __len__(self) -> int:
        return len(self._idle)

    def __repr__(self) -> str:
        return (
            f"<Pool {self._server.name} {self._server.address}: {len(self._idle)} idle,"
            f" {self.opened} opened, {self.retired} retired, {self.broken} broken>"
        )

    def open(
        self, address: Address, now: float, *, connect_within: float, refresh_token: bool = False
    ) -> Session:
        """Begin a new session with the server at *address*; may raise OSError."""
        self.opened += 1
        return Session(
            self._server,
            address,
            now,
            serial=self.opened,
            max_age=self._server.max_age * (1.0 - JITTER * self._random()),
            connect_within=connect_within,
            resumption=self._resumption,
            refresh_token=refresh_token,
        )

    def borrow(self, most: int, now: float) -> tuple[list[Session], list[Session]]:
        """Take out up to *most* usable sessions, and those met that are not: they are to leave."""
        usable: list[Session] = []
        spent: list[Session] = []
        while self._idle and len(usable) < most:
            session = self._idle.pop()
            (usable if session.is_usable(now) else spent).append(session)
        self.retired += len(spent)
        return usable, spent

    def give_back(self, session: Session) -> None:
        """Put a session in that rests."""
        self._idle.append(session)

    def take_spent(self, now: float, surplus: int = 0) -> list[Session]:
        """Take out what is idle, old, used up or hung up; of the others the *surplus* longest idle."""
        usable = [session for session in self._idle if session.is_usable(now)][surplus:]
        spent = [session for session in self._idle if session not in usable]
        self._idle = usable
        self.retired += len(spent)
        return spent

    def take_all(self) -> list[Session]:
        """Take out everything."""
        idle, self._idle = self._idle, []
        return idle
